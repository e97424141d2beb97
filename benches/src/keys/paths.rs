//! Real keys: the lines of a file that `--paths` names.

#![forbid(unsafe_code)]

use super::Family;
use crate::random::Random;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The name of the family.
const PATHS: &str = "paths";

impl Family {
    /// The lines of a file; with a limit, a random choice of that many.
    pub fn from_file(path: &Path, limit: Option<usize>, seed: u64) -> io::Result<Self> {
        let mut keys = lines(BufReader::new(File::open(path)?))?;
        // Sorted before the choice, so that it does not depend on the order of the lines.
        keys.sort_unstable();
        keys.dedup();
        if let Some(limit) = limit.filter(|&limit| limit < keys.len()) {
            Random::new(seed ^ 0x7061_7468).shuffle(&mut keys);
            keys.truncate(limit);
        }
        Ok(Self::of_paths(PATHS, seed, keys))
    }
}

/// The lines that are not empty, without their ends, whichever system wrote them.
fn lines(file: impl BufRead) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for line in file.split(b'\n') {
        let mut line = line?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.is_empty() {
            found.push(line);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_on_any_system() {
        let found = lines(&b"b/1\r\n\na/1\nc/\r1"[..]).unwrap();
        assert_eq!(found, [&b"b/1"[..], b"a/1", b"c/\r1"]);
    }
}
