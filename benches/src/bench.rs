//! Spinney beside other embedded stores: one process, interleaved rounds, verified answers.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml -- memory`

mod cases;
mod keys;
mod measure;
mod random;
mod report;
mod stores;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
usage: spinney-benches CASE [options]

cases
  memory            everything in memory: puts, gets, scans, lists, threads, space
  keys              print the keys themselves, sorted, one a line

options
  --keys N[,N..]    sizes to run (default 20000,1000000)
  --filter A,B      only these stores (spinney, holt, btreemap)
  --families A,B    only these key families (objects, random32)
  --paths FILE      real keys, one a line, instead of the made ones; --keys then takes the first N
                    of them in a random order (default all)
  --rounds N        interleaved rounds of the read phases (default 5)
  --builds N        interleaved rounds of the put phases (default 3, small sizes more)
  --seed N          seed of keys and queries (default 1)
  --wall            time on the wall everywhere, not the processor's
  --json            one JSON object a line on stdout, tables on stderr
";

/// What the command line asked for.
pub struct Options {
    pub keys: Vec<usize>,
    pub filter: Vec<String>,
    pub families: Vec<String>,
    pub paths: Option<PathBuf>,
    pub rounds: usize,
    pub builds: usize,
    pub seed: u64,
    pub wall: bool,
    pub json: bool,
}

impl Options {
    pub fn wants_store(&self, name: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|wanted| wanted == name)
    }

    pub fn wants_family(&self, name: &str) -> bool {
        self.families.is_empty() || self.families.iter().any(|wanted| wanted == name)
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.replace('_', "").parse().map_err(|_| format!("not a number: {text}"))
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(String, Options), String> {
    let mut case = None;
    let mut options = Options {
        keys: Vec::new(),
        filter: Vec::new(),
        families: Vec::new(),
        paths: None,
        rounds: 5,
        builds: 3,
        seed: 1,
        wall: false,
        json: false,
    };
    while let Some(arg) = args.next() {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (arg, None),
        };
        let mut value =
            || inline.clone().or_else(|| args.next()).ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--keys" => {
                options.keys = words(&value()?).iter().map(|word| number(word)).collect::<Result<_, _>>()?;
            }
            "--filter" => options.filter = words(&value()?),
            "--families" => options.families = words(&value()?),
            "--paths" => options.paths = Some(value()?.into()),
            "--rounds" => options.rounds = number::<usize>(&value()?)?.max(1),
            "--builds" => options.builds = number::<usize>(&value()?)?.max(1),
            "--seed" => options.seed = number(&value()?)?,
            "--wall" => options.wall = true,
            "--json" => options.json = true,
            "--help" | "-h" => return Err(String::new()),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            word if case.is_none() => case = Some(word.to_owned()),
            word => return Err(format!("one case a run; what is {word}?")),
        }
    }
    Ok((case.ok_or("which case?")?, options))
}

fn print_keys(options: &Options) -> stores::Result<bool> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for &size in &options.keys {
        for key in keys::Family::objects(size, options.seed).sorted.iter() {
            out.write_all(key)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(true)
}

fn main() -> ExitCode {
    let (case, options) = match parse(std::env::args().skip(1)) {
        Ok(parsed) => parsed,
        Err(message) if message.is_empty() => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprint!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let outcome = match case.as_str() {
        "memory" => cases::memory::run(&options),
        "keys" => print_keys(&options),
        _ => {
            eprint!("no case {case}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{case}: {error}");
            ExitCode::FAILURE
        }
    }
}
