//! What the command line asks for. The same options hold for every case; a case takes no notice of those that
//! mean nothing to it.

#![forbid(unsafe_code)]

use std::path::PathBuf;

/// The options, as `--help` prints them below the cases.
pub const USAGE: &str = "\
options
  --keys N[,N..]    sizes to run (default 20000,100000,1000000)
  --filter A,B      only these stores (spinney, holt, btreemap, blart)
  --families A,B    only these key families (objects, files, random32)
  --paths FILE      real keys, one a line, instead of the made ones; --keys then takes the first N
                    of them in a random order (default all)
  --rounds N        interleaved rounds of the read phases (default 5, large sizes 3)
  --builds N        interleaved rounds of the put phases (default 3, small sizes more, large ones 2)
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
    pub rounds: Option<usize>,
    pub builds: Option<usize>,
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
        }
    }
}

/// The case and its options. An empty message asks for the usage.
pub fn parse(mut args: impl Iterator<Item = String>) -> Result<(String, Options), String> {
    let mut case = None;
    let mut options = Options::default();
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
            "--rounds" => options.rounds = Some(number::<usize>(&value()?)?.max(1)),
            "--builds" => options.builds = Some(number::<usize>(&value()?)?.max(1)),
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
    }
}
