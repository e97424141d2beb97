//! What a tree begins and ends with, whether it has any key, and the nearest ancestor of a path: questions
//! with one answer, which is that of one moment.

#![forbid(unsafe_code)]

use crate::art::cursor::Direction;
use crate::blob::key::KeyBuf;
use crate::error::Result;
use crate::forest::Forest;
use crate::forest::notes::LOOKS_MAX;
use crate::forest::scan::Side;
use crate::limits::TREE_ID_BYTES;
use crate::scan::Scan;
use crate::store::ROOT_BLOB;
use crate::tree::{Pair, Tree, checked};
use crate::value::Value;

impl Tree {
    /// The lowest key and its value.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// files.put("b", "2")?;
    /// assert_eq!(files.first()?.expect("two keys").0, b"a");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn first(&self) -> Result<Option<Pair>> {
        self.end(|scan| scan.next())
    }

    /// The highest key and its value.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// files.put("b", "2")?;
    /// assert_eq!(files.last()?.expect("two keys").0, b"b");
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn last(&self) -> Result<Option<Pair>> {
        self.end(|scan| scan.next_back())
    }

    fn end(&self, step: impl Fn(&mut Scan) -> Option<Result<Pair>>) -> Result<Option<Pair>> {
        for _ in 0..LOOKS_MAX {
            let found = step(&mut self.scan("")).transpose()?;
            if found.is_some() || self.is_empty()? {
                return Ok(found);
            }
        }
        Err(Forest::corrupt(ROOT_BLOB))
    }

    /// Whether the tree holds no key.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// assert!(files.is_empty()?);
    /// files.put("a", "1")?;
    /// assert!(!files.is_empty()?);
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn is_empty(&self) -> Result<bool> {
        let (start, end) = self.span_of_prefix(b"");
        for _ in 0..LOOKS_MAX {
            let mut side = Side::new(Direction::Forward, start.clone(), end.clone());
            side.keep_notes();
            if side.step(&self.forest, false)?.is_some() {
                return Ok(false);
            }
            // Keys may have moved from where the walk was going to where it had been. The last blob was empty
            // when it was read, which is the moment that counts.
            let mut notes = side.take_notes();
            notes.pop();
            if self.forest.all_hold(&notes)? {
                return Ok(true);
            }
        }
        Err(Forest::corrupt(ROOT_BLOB))
    }

    /// The longest stored key that `path` begins with, and its value: the mount point, the nearest
    /// ancestor.
    ///
    /// ```
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("", "root")?;
    /// files.put("home/", "disk 2")?;
    /// let (key, value) = files.longest_prefix("home/ada/notes.txt")?.expect("there is a root");
    /// assert_eq!((&key[..], &value[..]), (&b"home/"[..], &b"disk 2"[..]));
    /// # Ok::<(), spinney::Error>(())
    /// ```
    pub fn longest_prefix(&self, path: impl AsRef<[u8]>) -> Result<Option<Pair>> {
        let path = path.as_ref();
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill(self.id, checked(path)?);
        let found = self.forest.longest_prefix(&key, TREE_ID_BYTES)?;
        Ok(found
            .map(|(len, value, version)| (path[..len - TREE_ID_BYTES].to_vec(), Value::new(value, version))))
    }
}
