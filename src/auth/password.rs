//! Hashes of passwords: PBKDF2 (RFC 8018, section 5.2) with HMAC-SHA-512, in the PHC string format.

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use aws_lc_rs::{constant_time, rand};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// How many rounds a new hash takes: what OWASP's Password Storage Cheat Sheet asks of PBKDF2-HMAC-SHA512.
pub const ROUNDS: u32 = 210_000;
/// The rounds that a hash may take: fewer are too easy to guess against, more would hold up others.
const ACCEPTED: std::ops::RangeInclusive<u32> = ROUNDS..=10 * ROUNDS;
/// Bytes of a new salt; others' may be longer (NIST SP 800-132 asks for 16 at least).
const SALT_BYTES: usize = 16;
const MAX_SALT_BYTES: usize = 64;
/// Bytes of what is derived.
const KEY_BYTES: usize = 32;
/// Bytes of a password.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// What is kept of a password, written as `$pbkdf2-sha512$i=ROUNDS$SALT$HASH`. `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    rounds: NonZeroU32,
    salt: Vec<u8>,
    key: [u8; KEY_BYTES],
}

/// Why a text is no hash that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFault {
    /// Another form or algorithm.
    #[error("must be `$pbkdf2-sha512$i=ROUNDS$SALT$HASH`, as `palisade hash` writes it")]
    Form,
    /// Too few or too many rounds.
    #[error("must have {} to {} rounds", ACCEPTED.start(), ACCEPTED.end())]
    Rounds,
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no random bytes can be had")]
pub struct NoRandom;

impl PasswordHash {
    /// The hash of `password` with a new salt and [`ROUNDS`].
    ///
    /// # Errors
    /// [`NoRandom`].
    pub fn of(password: &[u8]) -> Result<Self, NoRandom> {
        let mut salt = vec![0; SALT_BYTES];
        rand::fill(&mut salt).map_err(|_| NoRandom)?;
        let rounds = NonZeroU32::new(ROUNDS).unwrap_or(NonZeroU32::MIN);
        Ok(Self { rounds, key: derive(rounds, &salt, password), salt })
    }

    /// How many rounds it takes.
    pub fn rounds(&self) -> u32 {
        self.rounds.get()
    }

    /// Whether it is `password`'s. Takes some tenths of a second of a core.
    pub fn is_of(&self, password: &[u8]) -> bool {
        let key = derive(self.rounds, &self.salt, password);
        constant_time::verify_slices_are_equal(&key, &self.key).is_ok()
    }

    /// Does the work of so many rounds, for nothing.
    pub(super) fn work(rounds: u32, password: &[u8]) {
        if let Some(rounds) = NonZeroU32::new(rounds) {
            std::hint::black_box(derive(rounds, &[0; SALT_BYTES], password));
        }
    }
}

fn derive(rounds: NonZeroU32, salt: &[u8], password: &[u8]) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    pbkdf2::derive(PBKDF2_HMAC_SHA512, rounds, salt, password, &mut key);
    key
}

impl FromStr for PasswordHash {
    type Err = HashFault;

    fn from_str(text: &str) -> Result<Self, HashFault> {
        let mut parts = text.strip_prefix("$pbkdf2-sha512$i=").ok_or(HashFault::Form)?.split('$');
        let mut part = || parts.next().ok_or(HashFault::Form);
        let (rounds, salt, key) = (part()?, part()?, part()?);
        if parts.next().is_some() || !rounds.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(HashFault::Form);
        }
        let decode = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| HashFault::Form);
        let salt = decode(salt)?;
        if !(SALT_BYTES..=MAX_SALT_BYTES).contains(&salt.len()) {
            return Err(HashFault::Form);
        }
        let key = decode(key)?.try_into().map_err(|_| HashFault::Form)?;
        let rounds: u32 = rounds.parse().map_err(|_| HashFault::Rounds)?;
        let rounds = NonZeroU32::new(rounds).filter(|rounds| ACCEPTED.contains(&rounds.get()));
        Ok(Self { rounds: rounds.ok_or(HashFault::Rounds)?, salt, key })
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, key) = (STANDARD_NO_PAD.encode(&self.salt), STANDARD_NO_PAD.encode(self.key));
        write!(f, "$pbkdf2-sha512$i={}${salt}${key}", self.rounds)
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordHash").field("rounds", &self.rounds).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The hash of `palisade-test-password` with the salt of bytes 0 to 15, as `hashlib.pbkdf2_hmac` of Python makes it.
    const KNOWN: &str =
        "$pbkdf2-sha512$i=210000$AAECAwQFBgcICQoLDA0ODw$nyZVqCpy3DI3m8YMbjRmzTqkk07dcLzDWZcFBGhcTPs";

    #[test]
    fn a_hash_made_elsewhere_is_read() {
        let hash: PasswordHash = KNOWN.parse().unwrap();
        assert!(hash.is_of(b"palisade-test-password"));
        assert!(!hash.is_of(b"palisade-test-passwore"));
        assert_eq!(hash.to_string(), KNOWN);
        assert_eq!(format!("{hash:?}"), "PasswordHash { rounds: 210000, .. }");
    }

    #[test]
    fn a_new_hash_is_its_passwords_and_no_other_is_like_it() {
        let hash = PasswordHash::of(b"secret").unwrap();
        assert!(hash.is_of(b"secret") && !hash.is_of(b"secres") && !hash.is_of(b""));
        let read: PasswordHash = hash.to_string().parse().unwrap();
        assert_eq!(read, hash);
        assert_ne!(PasswordHash::of(b"secret").unwrap(), hash, "the salt is new each time");
    }

    #[test]
    fn only_its_own_form_is_read() {
        let parts: Vec<&str> = KNOWN.split('$').collect();
        let [_, _, _, salt, key] = parts[..] else { panic!("{KNOWN}") };
        for text in [
            "".to_owned(),
            "secret".to_owned(),
            format!("$pbkdf2-sha256$i=210000${salt}${key}"),
            format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${key}"),
            format!("$pbkdf2-sha512$i=210000,l=32${salt}${key}"),
            format!("$pbkdf2-sha512$i=+210000${salt}${key}"),
            format!("$pbkdf2-sha512$i=210000${salt}"),
            format!("$pbkdf2-sha512$i=210000${salt}${key}$"),
            format!("$pbkdf2-sha512$i=210000${salt}=${key}"),
            format!("$pbkdf2-sha512$i=210000$${key}"),
            format!("$pbkdf2-sha512$i=210000${salt}${}", &key[..40]),
            format!(" {KNOWN}"),
        ] {
            assert_eq!(text.parse::<PasswordHash>(), Err(HashFault::Form), "{text}");
        }
    }

    #[test]
    fn rounds_are_210000_at_least_and_2100000_at_most() {
        let with = |rounds: &str| KNOWN.replace("i=210000", &format!("i={rounds}")).parse::<PasswordHash>();
        for good in ["210000", "2100000"] {
            assert!(with(good).is_ok(), "{good}");
        }
        for bad in ["209999", "2100001", "0", "99999999999"] {
            assert_eq!(with(bad), Err(HashFault::Rounds), "{bad}");
        }
    }
}
