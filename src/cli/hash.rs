//! `palisade hash`.

use crate::auth::password::{MAX_PASSWORD_BYTES, NoRandom, PasswordHash};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use std::io::Read as _;
use std::process::ExitCode;

/// Bytes of a password that is made here.
const PASSWORD_BYTES: usize = 32;

/// What to hash.
#[derive(Debug, Args)]
pub struct HashArguments {
    /// Make a password, and print it before its hash, instead of reading one.
    #[arg(long)]
    generate: bool,
}

/// Prints the hash of the password on standard input, for `service_accounts[].hash`: 0, or 2 if that is no password.
pub fn hash(arguments: &HashArguments) -> ExitCode {
    let password = if arguments.generate { generated().map_err(|e| e.to_string()) } else { read() };
    let hash = password.and_then(|password| {
        let hash = PasswordHash::of(password.as_bytes()).map_err(|fault| fault.to_string())?;
        Ok((password, hash))
    });
    match hash {
        Ok((password, hash)) => {
            if arguments.generate {
                println!("{password}");
            } else if let Some(weak) = weakness(&password) {
                eprintln!("palisade: warning: {weak}, better use `palisade hash --generate`");
            }
            println!("{hash}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("palisade: {fault}");
            ExitCode::from(2)
        }
    }
}

/// What makes a password easy to try, if something does: a service account's is no person's, and can be a long one.
fn weakness(password: &str) -> Option<&'static str> {
    let distinct = password.chars().collect::<std::collections::BTreeSet<_>>().len();
    match (password.chars().count(), distinct) {
        (..16, _) => Some("the password has less than 16 characters"),
        (_, ..8) => Some("the password has less than 8 different characters"),
        _ => None,
    }
}

fn generated() -> Result<String, NoRandom> {
    let mut bytes = [0; PASSWORD_BYTES];
    rand::fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The one line of standard input: never an argument, which other processes and histories see.
fn read() -> Result<String, String> {
    let mut text = String::new();
    let most = MAX_PASSWORD_BYTES as u64 + 2;
    std::io::stdin().take(most).read_to_string(&mut text).map_err(|fault| fault.to_string())?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    match line {
        "" => Err("no password on standard input".to_owned()),
        long if long.len() > MAX_PASSWORD_BYTES => {
            Err(format!("password over the limit of {MAX_PASSWORD_BYTES} bytes"))
        }
        odd if odd.chars().any(char::is_control) => {
            Err("a password is one line without control characters".to_owned())
        }
        fine => Ok(fine.to_owned()),
    }
}
