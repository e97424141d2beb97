//! A follower: a second database that is kept equal to a first one by its changes.
//!
//! It notes how far it has come in a tree of its own, in the order of what it does: so it may stop at any
//! moment and go on later. Where it cannot go on, it begins anew with a copy. `cargo run --example follower`

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use spinney::backend::MemoryBackend;
use spinney::{Change, Changed, Db, Durability, Error, Result, Version};

/// The tree that the follower has for itself, and its key.
const STATE: &str = "follower-state";
const VERSION: &str = "version";

struct Follower {
    db: Db,
}

impl Follower {
    /// The last change that was done.
    fn version(&self) -> Result<Version> {
        let stored = self.db.tree(STATE)?.get(VERSION)?;
        let number = stored.and_then(|value| Some(u64::from_le_bytes(value.as_ref().try_into().ok()?)));
        Ok(Version::from_number(number.unwrap_or(0)))
    }

    fn note(&self, version: Version) -> Result<()> {
        self.db.tree(STATE)?.put(VERSION, version.number().to_le_bytes()).map(drop)
    }

    /// Copies everything, as of one moment.
    fn begin_anew(&self, source: &Db) -> Result<()> {
        let snapshot = source.snapshot();
        for name in self.db.trees()? {
            self.db.drop_tree(&name)?;
        }
        for name in snapshot.trees()? {
            let mut scan = snapshot.tree(&name)?.scan("");
            let mut failed = None;
            let pairs = std::iter::from_fn(|| scan.next()?.map_err(|error| failed = Some(error)).ok());
            self.db.tree(&name)?.load("", pairs)?;
            failed.map_or(Ok(()), Err)?;
        }
        // What the copy has is not taken back by a crash of the source any more.
        source.sync()?;
        println!("copied all as of version {}", snapshot.version());
        self.note(snapshot.version())
    }

    /// Does what the source has done since, until it is closed.
    fn follow(&self, source: &Db) -> Result<()> {
        loop {
            match self.follow_on(source) {
                // Told by `apply`, or too far behind.
                Err(Error::Cancelled | Error::ChangesRecycled { .. }) => self.begin_anew(source)?,
                Err(Error::Closed) => return Ok(()),
                outcome => outcome?,
            }
        }
    }

    fn follow_on(&self, source: &Db) -> Result<()> {
        let mut changes = source.changes_since(self.version()?)?;
        loop {
            for change in changes.by_ref() {
                let change = change?;
                println!("{:>3}  {}", change.version, told(&change.what));
                self.apply(&change)?;
            }
            changes.wait(Duration::from_secs(60))?;
        }
    }

    /// Does one change. Should the follower die before it has noted that, it does it once more: what is done
    /// here first finds nothing to do then, and a batch has the note in it.
    fn apply(&self, change: &Change) -> Result<()> {
        let db = &self.db;
        match &change.what {
            Changed::RenamePrefix { tree, from, to } => drop(db.tree(tree)?.rename_prefix(from, to)?),
            Changed::RemovePrefix { tree, prefix } => drop(db.tree(tree)?.remove_prefix(prefix)?),
            Changed::TreeMade { tree } => drop(db.tree(tree)?),
            Changed::TreeRenamed { from, to } => drop(db.rename_tree(from, to)?),
            Changed::TreeDropped { tree } => drop(db.drop_tree(tree)?),
            Changed::Batch(changes) => return self.apply_batch(changes, change.version),
            _ => return self.apply_batch(std::slice::from_ref(change), change.version),
        }
        self.note(change.version)
    }

    fn apply_batch(&self, changes: &[Change], version: Version) -> Result<()> {
        let mut batch = self.db.batch();
        for change in changes {
            match &change.what {
                Changed::Put { tree, key, value } => batch.put(&self.db.tree(tree)?, key, value),
                Changed::Remove { tree, key } => batch.remove(&self.db.tree(tree)?, key),
                Changed::Rename { tree, from, to } => batch.rename(&self.db.tree(tree)?, from, to),
                // What was loaded is not told: a copy has it.
                _ => return Err(Error::Cancelled),
            };
        }
        batch.put(&self.db.tree(STATE)?, VERSION, version.number().to_le_bytes());
        batch.commit().map(drop)
    }
}

fn told(what: &Changed) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match what {
        Changed::Put { tree, key, value } => format!("{tree}: {} = {}", text(key), text(value)),
        Changed::Remove { tree, key } => format!("{tree}: {} removed", text(key)),
        Changed::Rename { tree, from, to } => format!("{tree}: {} is {} now", text(from), text(to)),
        Changed::RenamePrefix { tree, from, to } => {
            format!("{tree}: all of {} moved to {}", text(from), text(to))
        }
        Changed::RemovePrefix { tree, prefix } => format!("{tree}: all of {} removed", text(prefix)),
        Changed::TreeMade { tree } => format!("tree {tree} made"),
        Changed::TreeRenamed { from, to } => format!("tree {from} is {to} now"),
        Changed::TreeDropped { tree } => format!("tree {tree} dropped"),
        Changed::Loaded { tree, prefix, keys } => {
            format!("{tree}: {keys} keys loaded below {}", text(prefix))
        }
        Changed::Batch(changes) => {
            let each: Vec<String> = changes.iter().map(|change| told(&change.what)).collect();
            format!("together: {}", each.join("; "))
        }
        other => format!("{other:?}"),
    }
}

/// What an application does.
fn work(source: &Db) -> Result<()> {
    let files = source.tree("files")?;
    for number in 0..4 {
        files.put(format!("photos/2025/{number}.jpg"), format!("picture {number}"))?;
    }
    files.rename("photos/2025/3.jpg", "photos/best.jpg")?;
    files.rename_prefix("photos/2025/", "archive/2025/")?;
    let owners = source.tree("owners")?;
    source.batch().put(&owners, "photos/best.jpg", "Ada").remove(&files, "archive/2025/0.jpg").commit()?;
    files.load("logs/", (0..1_000).map(|number| (format!("logs/{number:04}"), "line")))?;
    files.remove_prefix("logs/00")?;
    source.rename_tree("owners", "people")?;
    source.tree("scratch")?.put("a", "b")?;
    source.drop_tree("scratch")?;
    Ok(())
}

fn assert_same(source: &Db, copy: &Db) -> Result<()> {
    let trees: Vec<String> = copy.trees()?.into_iter().filter(|name| name != STATE).collect();
    assert_eq!(trees, source.trees()?);
    for name in &trees {
        let (mut one, mut other) = (source.tree(name)?.scan(""), copy.tree(name)?.scan(""));
        while let Some(entry) = one.next_ref()? {
            let copied = other.next_ref()?.expect("as many keys");
            assert_eq!((entry.key(), entry.value()), (copied.key(), copied.value()));
        }
        assert!(other.next_ref()?.is_none());
        println!("{name}: {} keys, the same in both", source.tree(name)?.count("")?);
    }
    Ok(())
}

fn main() -> Result<()> {
    let how = || Db::builder().keep_changes_bytes(16 << 20);
    // Files would do as well, and better.
    let source = how().open_backend(Arc::new(MemoryBackend::new()))?;
    let follower = Follower {
        db: Db::builder().durability(Durability::Buffered).open_backend(Arc::new(MemoryBackend::new()))?,
    };
    thread::scope(|scope| {
        let following = scope.spawn(|| follower.follow(&source));
        work(&source)?;
        // Done when it has come to the last write.
        while follower.version()?.number() < source.stats().last_version {
            thread::sleep(Duration::from_millis(1));
        }
        assert_same(&source, &follower.db)?;
        source.clone().close()?;
        following.join().expect("no panic")
    })
}
