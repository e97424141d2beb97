//! The command line tool `spinney`: looks into databases, fills and checks them, shows what they can do.
//!
//! Invariants: it uses the public face of the library and nothing else; a misuse or a failure is one line on
//! stderr and an exit code, never a panic; a reader that goes away (`| head`) ends it quietly.

#![forbid(unsafe_code)]

#[cfg(unix)]
mod base64;
#[cfg(unix)]
mod collection;
#[cfg(unix)]
mod commands;
#[cfg(unix)]
mod failure;
#[cfg(unix)]
mod made_up;
#[cfg(unix)]
mod output;
#[cfg(unix)]
mod place;
#[cfg(unix)]
mod progress;
#[cfg(unix)]
mod records;
#[cfg(unix)]
mod steps;
#[cfg(unix)]
mod text;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    commands::main()
}

#[cfg(not(unix))]
fn main() -> std::process::ExitCode {
    eprintln!("spinney: databases in files need unix");
    std::process::ExitCode::from(3)
}
