//! Where rows of calls start: storage at interesting moments, and what was done to it since it was opened.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::sim::{Crash, Disk, FaultBackend};
use spinney::{Db, Durability};

use crate::operations::{Operation, State, value};
use crate::session::{TREE, options};

pub struct Start {
    pub name: &'static str,
    pub disk: Disk,
    /// The last one is what is there; those before it are what a loss of power may leave.
    pub states: Vec<State>,
    pub keeps_changes: bool,
    /// The number of the life before.
    pub life: u64,
    /// Of the values that rows write.
    pub bytes: usize,
    /// What is done before the row, and not looked at.
    pub prelude: Vec<Operation>,
}

/// A database in the making.
struct Making {
    disk: Arc<FaultBackend>,
    db: Option<Db>,
    /// From the last that is durable on.
    states: Vec<State>,
    keeps_changes: bool,
}

impl Making {
    fn new(keeps_changes: bool) -> Making {
        let disk = FaultBackend::new(5);
        let db = options(keeps_changes, 11).open_backend(disk.clone()).expect("an empty disk");
        Making { disk, db: Some(db), states: vec![State::new()], keeps_changes }
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("it is open")
    }

    fn put(mut self, directory: &str, keys: std::ops::Range<usize>, bytes: usize) -> Making {
        let tree = self.db().tree(TREE).expect("sound").with_durability(Durability::Buffered);
        for number in keys {
            let (key, value) =
                (format!("{directory}{number:03}").into_bytes(), value(1_000_000 + number, bytes));
            tree.put(&key, &value).expect("sound");
            let mut state = self.state();
            state.insert(key, value);
            self.states.push(state);
        }
        self
    }

    fn state(&self) -> State {
        self.states.last().cloned().unwrap_or_default()
    }

    fn all_durable(mut self) -> Making {
        self.states = vec![self.state()];
        self
    }

    fn checkpoint(self) -> Making {
        self.db().checkpoint().expect("sound");
        self.all_durable()
    }

    fn sync(self) -> Making {
        self.db().sync().expect("sound");
        self.all_durable()
    }

    fn remove(mut self, directory: &str) -> Making {
        self.db().tree(TREE).expect("sound").remove_prefix(directory).expect("sound");
        let mut state = self.state();
        state.retain(|key, _| !key.starts_with(directory.as_bytes()));
        self.states.push(state);
        self.all_durable()
    }

    fn close(mut self) -> Making {
        self.db.take().expect("it is open").close().expect("sound");
        self.all_durable()
    }

    /// What is there, as after the death of the process.
    fn start(self, name: &'static str, bytes: usize, prelude: &[Operation]) -> Start {
        let disk = self.disk.disk();
        self.disk.crash();
        let disk = disk.left(disk.storage(), Crash::Death);
        let (states, keeps_changes) = (self.states, self.keeps_changes);
        Start { name, disk, states, keeps_changes, life: 100, bytes, prelude: prelude.to_vec() }
    }
}

/// So that none is made that nobody wants.
pub const NAMES: [&str; 9] =
    ["nothing", "closed", "died", "full", "blobs", "blobs-died", "freed", "segment", "changes"];

pub fn start(name: &str) -> Start {
    use Operation::{Checkpoint, Load, Overwrite, Put, RemovePrefix, Sync};
    let making = Making::new(name == "changes");
    match name {
        "nothing" => Start {
            name: "nothing",
            disk: Disk::default(),
            states: vec![State::new()],
            keeps_changes: false,
            life: 100,
            bytes: 100,
            prelude: Vec::new(),
        },
        "closed" => making.put("a/", 0..4, 50).put("d/", 0..2, 700).close().start("closed", 100, &[]),
        // Some of it in the data area, some in the log, some in the ring alone.
        "died" => {
            let stored = making.put("a/", 0..4, 50).checkpoint();
            stored.put("d/", 0..2, 300).sync().put("e/", 0..2, 300).start("died", 100, &[])
        }
        // The next value does not fit the blob.
        "full" => making.put("a/", 0..7, 65_000).put("d/", 0..1, 30_000).close().start("full", 60_000, &[]),
        "blobs" => making.put("a/", 0..12, 60_000).put("d/", 0..12, 60_000).close().start(
            "blobs",
            60_000,
            &[Checkpoint],
        ),
        "blobs-died" => {
            let stored = making.put("a/", 0..12, 60_000).checkpoint().put("d/", 0..8, 60_000);
            stored.sync().put("a/", 3..5, 1000).start("blobs-died", 30_000, &[])
        }
        // Ids that are free, used again and not yet stored.
        "freed" => {
            let stored = making.put("a/", 0..12, 60_000).put("d/", 0..12, 60_000).checkpoint();
            let freed = stored.remove("a/").checkpoint().put("e/", 0..8, 60_000);
            freed.start("freed", 60_000, &[Checkpoint, RemovePrefix, Put])
        }
        // The log is about to go on in another place.
        "segment" => {
            let mut prelude = vec![Overwrite; 64];
            prelude.extend([Sync, Put]);
            making.put("a/", 0..3, 60_000).close().start("segment", 64_000, &prelude)
        }
        "changes" => {
            let stored = making.put("a/", 0..4, 50).checkpoint().put("d/", 0..2, 300).sync();
            stored.put("e/", 0..2, 300).start("changes", 200, &[Put, Checkpoint, Load, Put])
        }
        other => panic!("no start is called {other}"),
    }
}
