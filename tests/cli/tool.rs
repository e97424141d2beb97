//! Running the command line tool as a user does, and the folder in which it works.

#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::folder::Folder;

/// What a run left.
pub struct Ran {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// A folder that is gone afterwards, with a database in it that tests name.
pub struct Place {
    pub folder: PathBuf,
    pub db: PathBuf,
    _gone_afterwards: Folder,
}

impl Place {
    /// `name` is unique among the tests, which run beside each other.
    pub fn new(name: &str) -> Place {
        let folder = Folder::new(&format!("cli-{name}"));
        Place { db: folder.path("x.spinney"), folder: folder.path(""), _gone_afterwards: folder }
    }

    /// A database with these keys, each its own value.
    pub fn with_keys(name: &str, keys: &[&str]) -> Place {
        let place = Place::new(name);
        let db = spinney::Db::open(&place.db).unwrap();
        let files = db.tree("files").unwrap().with_durability(spinney::Durability::Buffered);
        for key in keys {
            files.put(key, key).unwrap();
        }
        db.close().unwrap();
        place
    }

    /// Runs `spinney COMMAND FILE ARGUMENTS`.
    pub fn run(&self, command: &str, arguments: &[&str]) -> Ran {
        self.run_with(command, arguments, b"")
    }

    pub fn run_with<A: AsRef<OsStr>>(&self, command: &str, arguments: &[A], stdin: &[u8]) -> Ran {
        let mut all = vec![OsStr::new(command), self.db.as_os_str()];
        all.extend(arguments.iter().map(AsRef::as_ref));
        spinney(&all, stdin)
    }

    /// The same, of which success and no complaint is expected; its output as text.
    #[track_caller]
    pub fn ok(&self, command: &str, arguments: &[&str]) -> String {
        self.run(command, arguments).ok()
    }

    /// The JSON of every line.
    #[track_caller]
    pub fn json(&self, command: &str, arguments: &[&str]) -> Vec<Value> {
        let text = self.ok(command, &[arguments, &["--json"]].concat());
        text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
        String::from_utf8(self.stdout).expect("text")
    }

    /// Ended with this code, and said all of this in one line on stderr, and nothing on stdout.
    #[track_caller]
    pub fn fails(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, code, "{}", self.stderr);
        assert_eq!(self.stdout, b"");
        self.complains(said);
    }

    /// All of this stands in one line on stderr.
    #[track_caller]
    pub fn complains(&self, said: &[&str]) {
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.starts_with("spinney: "), "{}", self.stderr);
        for part in said {
            assert!(self.stderr.contains(part), "{part:?} is not in {:?}", self.stderr);
        }
    }
}

/// The tool, in a plain environment.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spinney"));
    command.env("LC_ALL", "C").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the tool to its end.
pub fn spinney(arguments: &[impl AsRef<OsStr>], stdin: &[u8]) -> Ran {
    let mut child = command().args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A command that reads nothing closes the pipe.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    Ran {
        code: output.status.code().expect("no signal"),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// All keys and values of a tree.
pub fn contents(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let db = spinney::Db::builder().read_only(true).open(path).unwrap();
    let pairs = db.tree("files").unwrap().scan("").map(|pair| pair.unwrap());
    pairs.map(|(key, value)| (key, value.into_vec())).collect()
}
