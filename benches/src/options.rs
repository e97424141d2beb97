//! What the command line asks for. The same options hold for every case; one that means nothing to a case is
//! refused there, because it would promise something.

#![forbid(unsafe_code)]

use crate::keys::{FILES, OBJECTS, RANDOM32};
use std::path::PathBuf;

const FAMILIES: &[&str] = &[OBJECTS, FILES, RANDOM32];

/// The options, as `--help` prints them below the cases.
pub const USAGE: &str = "\
The stores on disk are spinney and holt, and with --features peers: rocksdb lmdb redb fjall sqlite; each of
these is a feature of its own, too. RocksDB takes minutes to compile, and needs a
C++ compiler and libclang.

options
  --keys N[,N..]    sizes to run (default: see the case)
  --filter A,B      only these stores
  --families A,B    only these key families (objects, files, random32)
  --paths FILE      real keys, one a line, instead of the made ones; --keys then takes the first N
                    of them in a random order (default all)
  --rounds N        interleaved rounds; in memory those of the read phases (default 5, of many keys
                    and on disk 3)
  --builds N        interleaved rounds of the put phases (default 3, small sizes more, large ones 2)
  --seed N          seed of keys and queries (default 1)
  --wall            time on the wall everywhere, not the processor's
  --json            one JSON object a line on stdout, tables on stderr
  --dir PATH        where the stores on disk live, removed afterwards; not in memory (default target)
  --lines PATH      where the lines of all cases are, for the report (default benches/measured)
  --docs PATH       where it goes, and its plots below (default docs)
  --quick           fewer keys and shorter phases: whether all works, not how fast it is
";

/// What the command line asked for.
#[derive(Clone)]
pub struct Options {
    pub keys: Vec<usize>,
    pub filter: Vec<String>,
    pub families: Vec<String>,
    pub paths: Option<PathBuf>,
    pub rounds: Option<usize>,
    pub builds: Option<usize>,
    pub seed: u64,
    pub wall: bool,
    pub json: bool,
    pub dir: Option<PathBuf>,
    pub lines: Option<PathBuf>,
    pub docs: Option<PathBuf>,
    pub quick: bool,
    /// The options that the line gave, by name.
    pub given: Vec<String>,
    /// The same with their values, but for places on this machine, which mean nothing elsewhere.
    pub settings: Vec<String>,
}

impl Options {
    pub fn wants_store(&self, name: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|wanted| wanted == name)
    }

    pub fn wants_family(&self, name: &str) -> bool {
        self.families.is_empty() || self.families.iter().any(|wanted| wanted == name)
    }

    /// Refuses what was given and means nothing to a case, which takes these alone.
    pub fn check(&self, case: &str, takes: &[&str]) -> Result<(), String> {
        match self.given.iter().find(|name| !takes.contains(&name.as_str())) {
            Some(name) => Err(format!("{case} takes no {name}; it takes {}", takes.join(" "))),
            None => Ok(()),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            filter: Vec::new(),
            families: Vec::new(),
            paths: None,
            rounds: None,
            builds: None,
            seed: 1,
            wall: false,
            json: false,
            dir: None,
            lines: None,
            docs: None,
            quick: false,
            given: Vec::new(),
            settings: Vec::new(),
        }
    }
}

/// The case and its options. An empty message asks for the usage.
pub fn parse(args: impl Iterator<Item = String>) -> Result<(String, Options), String> {
    let args: Vec<String> = args.collect();
    let mut case = None;
    let mut options = Options { settings: settings(&args), ..Options::default() };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let (name, inline) = halves(arg);
        let mut value =
            || inline.clone().or_else(|| args.next()).ok_or_else(|| format!("{name} needs a value"));
        match name.as_str() {
            "--keys" => {
                options.keys = words(&value()?).iter().map(|word| number(word)).collect::<Result<_, _>>()?;
            }
            "--filter" => options.filter = words(&value()?),
            "--families" => options.families = families(&value()?)?,
            "--paths" => options.paths = Some(value()?.into()),
            "--rounds" => options.rounds = Some(number::<usize>(&value()?)?.max(1)),
            "--builds" => options.builds = Some(number::<usize>(&value()?)?.max(1)),
            "--seed" => options.seed = number(&value()?)?,
            "--dir" => options.dir = Some(value()?.into()),
            "--lines" => options.lines = Some(value()?.into()),
            "--docs" => options.docs = Some(value()?.into()),
            "--wall" | "--json" | "--quick" => {
                if inline.is_some() {
                    return Err(format!("{name} takes no value"));
                }
                match name.as_str() {
                    "--wall" => options.wall = true,
                    "--json" => options.json = true,
                    _ => options.quick = true,
                }
            }
            "--help" | "-h" => return Err(String::new()),
            flag if flag.starts_with('-') => return Err(format!("unknown option {flag}")),
            word if case.is_none() => case = Some(word.to_owned()),
            word => return Err(format!("one case a run; what is {word}?")),
        }
        if name.starts_with('-') {
            options.given.push(name);
        }
    }
    if options.paths.is_some() && !options.families.is_empty() {
        return Err("--families chooses among the made keys, and --paths names real ones".to_owned());
    }
    Ok((case.ok_or("which case?")?, options))
}

/// An option and the value that stands within it.
fn halves(arg: String) -> (String, Option<String>) {
    match arg.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
        _ => (arg, None),
    }
}

/// The options of the line as they may be told to others: without places on this machine, and without the
/// form of the output.
fn settings(args: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, inline) = halves(arg.clone());
        match name.as_str() {
            "--json" => {}
            "--wall" | "--quick" => told.push(name),
            option if option.starts_with("--") => match (option, inline.or_else(|| args.next().cloned())) {
                ("--dir" | "--lines" | "--docs", _) => {}
                ("--paths", _) => told.push("--paths FILE".to_owned()),
                (_, value) => told.push(format!("{name} {}", value.unwrap_or_default())),
            },
            _ => {}
        }
    }
    told
}

fn families(list: &str) -> Result<Vec<String>, String> {
    let families = words(list);
    match families.iter().find(|name| !FAMILIES.contains(&name.as_str())) {
        Some(name) => Err(format!("no key family {name}; there are {}", FAMILIES.join(" "))),
        None => Ok(families),
    }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.replace('_', "").parse().map_err(|_| format!("not a number: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(String, Options), String> {
        parse(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_value_stands_behind_its_option_or_within() {
        let (case, options) = parsed("--keys 1_000,20 memory --rounds=0 --filter=a, --json").unwrap();
        assert_eq!((case.as_str(), options.keys, options.rounds), ("memory", vec![1_000, 20], Some(1)));
        assert_eq!((options.filter, options.json, options.wall), (vec!["a".to_owned()], true, false));
    }

    #[test]
    fn a_wrong_line_says_what_is_wrong() {
        let message = |line: &str| parsed(line).map(|(case, _)| case).unwrap_err();
        assert_eq!(message("--wall"), "which case?");
        assert_eq!(message("memory --fast"), "unknown option --fast");
        assert_eq!(message("memory --keys"), "--keys needs a value");
        assert_eq!(message("memory --seed x"), "not a number: x");
        assert_eq!(message("memory keys"), "one case a run; what is keys?");
        assert_eq!(message("memory --help"), "");
        assert_eq!(message("memory --json=no"), "--json takes no value");
        assert_eq!(message("memory --families x"), "no key family x; there are objects files random32");
        assert!(message("memory --families objects --paths x").starts_with("--families chooses"));
    }

    #[test]
    fn settings_tell_nothing_of_places() {
        let (_, options) =
            parsed("cold --keys=5 --json --dir /here --rounds 2 --paths /home/list --quick").unwrap();
        assert_eq!(options.settings, ["--keys 5", "--rounds 2", "--paths FILE", "--quick"]);
    }

    #[test]
    fn an_option_that_means_nothing_to_the_case_is_refused() {
        let (case, options) = parsed("keys --seed 2 --rounds 3").unwrap();
        assert_eq!(options.check(&case, &["--seed", "--rounds"]), Ok(()));
        let refused = Err("keys takes no --rounds; it takes --keys --seed".to_owned());
        assert_eq!(options.check(&case, &["--keys", "--seed"]), refused);
    }
}
