//! Spinney beside other embedded stores: one process, interleaved rounds, verified answers.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml -- memory`
//! `cargo run --release --manifest-path benches/Cargo.toml --features peers -- durable`
//!
//! `cases` says what is measured, `stores` on which stores, `keys` with which data; `measure` and `report`
//! are the tools for it. The last three know nothing of the first two.

mod cases;
mod keys;
mod measure;
mod options;
mod random;
mod report;
mod stores;

use cases::{Case, Verdict};
use std::process::ExitCode;

fn usage() -> String {
    let line =
        |case: &Case| format!("  {:<11}  {}\n{:15}{}\n", case.name, case.about, "", case.takes.join(" "));
    let cases: String = cases::CASES.iter().map(line).collect();
    format!("usage: spinney-benches CASE [options]\n\ncases\n{cases}\n{}", options::USAGE)
}

/// The exit status where another store than Spinney has answered wrongly, and nothing else is wrong.
const OTHERS_WRONG: u8 = 3;

fn misused(message: &str) -> ExitCode {
    eprint!("{message}\n\n{}", usage());
    ExitCode::from(2)
}

/// Does one store's turn of a case on disk, if that is what this process was started for.
#[cfg(unix)]
fn turn() -> Option<ExitCode> {
    use cases::disk::worker;

    let args: Vec<String> = std::env::args().skip(1).collect();
    worker::is_turn(&args).then(|| match worker::main(&args[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => misused(&error.to_string()),
    })
}

fn main() -> ExitCode {
    #[cfg(unix)]
    if let Some(status) = turn() {
        return status;
    }
    let (name, options) = match options::parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(message) if message.is_empty() => {
            print!("{}", usage());
            return ExitCode::SUCCESS;
        }
        Err(message) => return misused(&message),
    };
    let Some(case) = cases::CASES.iter().find(|case| case.name == name) else {
        return misused(&format!("no case {name}"));
    };
    if let Err(message) = options.check(case.name, case.takes) {
        return misused(&message);
    }
    match (case.run)(&options) {
        Ok(Verdict::Right) => ExitCode::SUCCESS,
        Ok(Verdict::OthersWrong) => ExitCode::from(OTHERS_WRONG),
        Ok(Verdict::Wrong) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
