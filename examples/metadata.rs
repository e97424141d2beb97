//! The metadata of a file system: names in one tree, inodes in another.
//!
//! A name is `parent inode / name -> inode`, so a directory is renamed by changing one name, however much is
//! in it, and `list` of the parent's number is what it holds. `cargo run --example metadata`

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use spinney::{Batch, Db, Error, Result, Tree};

const ROOT: u64 = 1;

struct Metadata {
    db: Db,
    /// `{parent:016x}/{name}` -> the inode's number, 8 bytes
    names: Tree,
    /// the inode's number -> kind and size, as text
    inodes: Tree,
    next: AtomicU64,
}

fn name_key(parent: u64, name: &str) -> String {
    format!("{parent:016x}/{name}")
}

/// Inodes are numbered in 8 bytes, the highest first, so that they sort as they count.
fn number(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("8 bytes"))
}

/// False if something was not as the batch expected it.
fn took_place(batch: &mut Batch) -> Result<bool> {
    match batch.commit() {
        Ok(_) => Ok(true),
        Err(Error::BatchRefused { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Metadata {
    fn open(db: &Db) -> Result<Self> {
        let (db, names, inodes) = (db.clone(), db.tree("names")?, db.tree("inodes")?);
        inodes.put_if_absent(ROOT.to_be_bytes(), "directory")?;
        let (highest, _) = inodes.last()?.expect("the root is there");
        Ok(Metadata { db, names, inodes, next: AtomicU64::new(number(&highest) + 1) })
    }

    /// Makes a file or a directory: its inode and its name, both or none. None if the name is taken.
    fn create(&self, parent: u64, name: &str, kind: &str) -> Result<Option<u64>> {
        let made = self.next.fetch_add(1, Ordering::Relaxed);
        let mut batch = self.db.batch();
        batch.put(&self.inodes, made.to_be_bytes(), kind);
        batch.put_if_absent(&self.names, name_key(parent, name), made.to_be_bytes());
        Ok(took_place(&mut batch)?.then_some(made))
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

    /// What is in a directory.
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

    /// Removes a file with its name. False if there is none.
    fn unlink(&self, parent: u64, name: &str) -> Result<bool> {
        let key = name_key(parent, name);
        while let Some(value) = self.names.get(&key)? {
            // Only if the name still leads there: another thread may have put a new file in its place.
            let mut batch = self.db.batch();
            batch.remove_if(&self.names, &key, value.version());
            if took_place(batch.remove(&self.inodes, number(&value).to_be_bytes()))? {
                return Ok(true);
            }
        }
        Ok(false)
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

    assert!(meta.unlink(ada, "note-0042.txt")?);
    assert_eq!((meta.read_dir(ada)?.len(), meta.inodes.count("")?), (999, 3 + 999));
    println!("{} inodes; / holds {:?}", meta.inodes.count("")?, meta.read_dir(ROOT)?);
    Ok(())
}
