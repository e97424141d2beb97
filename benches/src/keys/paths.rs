//! Real keys: the lines of a file that `--paths` names.

#![forbid(unsafe_code)]

use super::Family;
use crate::random::Random;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

/// The name of the family.
pub const PATHS: &str = "paths";

/// LMDB takes no longer keys, and all stores get the same ones.
const KEY_BYTES_MAX: usize = 511;

impl Family {
    /// The lines of a file; with a limit, a random choice of that many.
    pub fn from_file(path: &Path, limit: Option<usize>, seed: u64) -> io::Result<Self> {
        let mut keys = lines(BufReader::new(File::open(path)?))?;
        let all = keys.len();
        keys.retain(|key| key.len() <= KEY_BYTES_MAX);
        let too_long = all - keys.len();
        // Sorted before the choice, so that it does not depend on the order of the lines.
        keys.sort_unstable();
        keys.dedup();
        if let Some(limit) = limit.filter(|&limit| limit < keys.len()) {
            Random::new(seed ^ 0x7061_7468).shuffle(&mut keys);
            keys.truncate(limit);
        }
        Ok(Self { too_long, ..Self::of_paths(PATHS, seed, keys) })
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
    fn a_file_may_have_any_lines_in_any_order() {
        let path = std::env::temp_dir().join(format!("spinney-paths-{}", std::process::id()));
        let long = "x/".repeat(KEY_BYTES_MAX);
        std::fs::write(&path, format!("b/2\n\n/\nb/2\r\n{long}\n\nb/\na\nb/2")).unwrap();
        let family = Family::from_file(&path, None, 1).unwrap();
        assert_eq!(family.sorted.iter().collect::<Vec<_>>(), [&b"/"[..], b"a", b"b/", b"b/2"]);
        assert_eq!((family.name, family.too_long), (PATHS, 1));
        assert_eq!(Family::from_file(&path, Some(2), 1).unwrap().len(), 2);
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn lines_end_as_on_any_system() {
        let found = lines(&b"b/1\r\n\na/1\nc/\r1"[..]).unwrap();
        assert_eq!(found, [&b"b/1"[..], b"a/1", b"c/\r1"]);
    }
}
