//! The metadata of a file system: names in one tree, inodes in another.
//!
//! A name is `parent inode / name -> inode`, so a directory is renamed by changing one name, however much is
//! in it, and `list` of the parent's number is what it holds. `cargo run --example metadata`

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use spinney::{Db, Error, Result, Tree, Value};

const ROOT: u64 = 1;

struct Metadata {
    /// `{parent:016x}/{name}` -> the inode's number, 8 bytes
    names: Tree,
    /// `{number:016x}` -> kind and size, as text
    inodes: Tree,
    next: AtomicU64,
}

fn inode_key(number: u64) -> String {
    format!("{number:016x}")
}

fn name_key(parent: u64, name: &str) -> String {
    format!("{parent:016x}/{name}")
}

fn number(value: &Value) -> u64 {
    u64::from_le_bytes(value[..].try_into().expect("names hold 8 bytes"))
}

impl Metadata {
    fn open(db: &Db) -> Result<Self> {
        let (names, inodes) = (db.tree("names")?, db.tree("inodes")?);
        inodes.put_if_absent(inode_key(ROOT), "directory")?;
        // The highest inode is the last key: numbers of fixed width sort as they count.
        let highest = inodes.last()?.and_then(|(key, _)| String::from_utf8(key).ok());
        let highest = highest.and_then(|key| u64::from_str_radix(&key, 16).ok()).unwrap_or(ROOT);
        Ok(Metadata { names, inodes, next: AtomicU64::new(highest + 1) })
    }

    /// Makes a file or a directory. None if the name is taken.
    fn create(&self, parent: u64, name: &str, kind: &str) -> Result<Option<u64>> {
        let made = self.next.fetch_add(1, Ordering::Relaxed);
        // These two belong together, and a batch over both trees will be the way to say so. The inode goes
        // first: a crash in between leaves an inode that nothing names, never a name that leads nowhere.
        self.inodes.put(inode_key(made), kind)?;
        let named = self.names.put_if_absent(name_key(parent, name), made.to_le_bytes())?;
        if named.is_none() {
            self.inodes.remove(inode_key(made))?;
        }
        Ok(named.map(|_| made))
    }

    /// The inode that a path leads to.
    fn look_up(&self, path: &str) -> Result<Option<u64>> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match self.names.get(name_key(at, name))? {
                Some(value) => at = number(&value),
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// Names and inodes of what is in a directory.
    fn read_dir(&self, directory: u64) -> Result<Vec<(String, u64)>> {
        let prefix = name_key(directory, "");
        let entries = self.names.scan(&prefix).map(|pair| {
            let (key, value) = pair?;
            Ok((String::from_utf8_lossy(&key[prefix.len()..]).into_owned(), number(&value)))
        });
        entries.collect()
    }

    /// Moves a file, or a directory with all that is in it: one name changes, in one step.
    fn rename(&self, from: (u64, &str), to: (u64, &str)) -> Result<bool> {
        Ok(self.names.rename(name_key(from.0, from.1), name_key(to.0, to.1))?.is_some())
    }

    /// Removes a file's name, then the file: in the order that a crash between them does no harm.
    fn unlink(&self, parent: u64, name: &str) -> Result<bool> {
        let Some(value) = self.names.get(name_key(parent, name))? else {
            return Ok(false);
        };
        // Only if the name still leads there: another thread may have put a new file in its place.
        let removed = self.names.remove_if(name_key(parent, name), value.version())?.is_some();
        if removed {
            self.inodes.remove(inode_key(number(&value)))?;
        }
        Ok(removed)
    }
}

fn main() -> Result<()> {
    let meta = Metadata::open(&Db::memory())?;
    let home = meta.create(ROOT, "home", "directory")?.expect("a new name");
    let ada = meta.create(home, "ada", "directory")?.expect("a new name");
    for nth in 0..1000 {
        meta.create(ada, &format!("note-{nth:04}.txt"), "file")?.expect("a new name");
    }
    assert_eq!(meta.create(home, "ada", "file")?, None, "the name is taken");
    assert_eq!(meta.read_dir(ada)?.len(), 1000);

    let note = meta.look_up("/home/ada/note-0042.txt")?;
    assert!(meta.rename((home, "ada"), (ROOT, "lovelace"))?);
    assert_eq!(meta.look_up("/lovelace/note-0042.txt")?, note, "1000 files have moved, one name has changed");
    assert_eq!(meta.look_up("/home/ada/note-0042.txt")?, None);
    let taken = meta.rename((ROOT, "lovelace"), (ROOT, "home"));
    assert!(matches!(taken, Err(Error::TargetExists)));

    assert!(meta.unlink(ada, "note-0042.txt")?);
    assert_eq!((meta.read_dir(ada)?.len(), meta.inodes.count("")?), (999, 3 + 999));
    println!("{} inodes; / holds {:?}", meta.inodes.count("")?, meta.read_dir(ROOT)?);
    Ok(())
}
