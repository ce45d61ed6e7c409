//! Writes the man pages and the completions of shells into a folder, made from the commands as they are:
//! `cargo run --example manual -- FOLDER`. Packages have them; the program itself does not carry what makes them.

use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use palisade::cli::Arguments;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: manual FOLDER")?);
    let (pages, completions) = (folder.join("man"), folder.join("completions"));
    std::fs::create_dir_all(&pages)?;
    std::fs::create_dir_all(&completions)?;
    clap_mangen::generate_to(Arguments::command(), &pages)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut Arguments::command(), "palisade", &completions)?;
    }
    Ok(())
}
