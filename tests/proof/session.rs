//! One life of a database on a simulated disk, with a note of how far it had come at every moment.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::sim::{FaultBackend, Moment};
use spinney::{Db, Durability, Error, Options, Result, Tree};

use crate::judge::{Flaw, contents};
use crate::operations::{Effect, Operation, State, after, effect, hash_of};
use crate::starts::Start;

pub const TREE: &str = "files";

/// How a database is opened. Each opening of the same storage is a life with a number of its own.
pub fn options(keeps_changes: bool, life: u64) -> Options {
    let options = Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).database_id(7).repeatable(life);
    options.keep_changes_bytes(if keeps_changes { 64 << 20 } else { 0 })
}

/// How far things had come. States are counted: the first is that before any call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Which call of the row is under way or was the last; opening is 0.
    pub step: usize,
    pub begun: usize,
    /// What survives the death of the process, and what a loss of power.
    pub kept: usize,
    pub durable: usize,
}

/// What happened.
pub struct Recorded {
    pub moments: Vec<Moment>,
    pub progress: Vec<Progress>,
    pub states: Vec<State>,
    /// How many lives there were.
    pub life: u64,
}

pub struct Session {
    disk: Arc<FaultBackend>,
    keeps_changes: bool,
    durability: Durability,
    bytes: usize,
    life: u64,
    db: Option<(Db, Tree)>,
    now: Progress,
    progress: Vec<Progress>,
    pub states: Vec<State>,
}

impl Session {
    /// Opens what there is at the start of a row.
    pub fn open(disk: Arc<FaultBackend>, start: &Start, durability: Durability) -> Result<Session> {
        let last = start.states.len() - 1;
        let now = Progress { begun: last, kept: last, ..Progress::default() };
        let mut session = Session {
            disk,
            keeps_changes: start.keeps_changes,
            durability,
            bytes: start.bytes,
            life: start.life,
            db: None,
            now,
            progress: vec![now],
            states: start.states.clone(),
        };
        session.open_db()?;
        session.now.durable = last;
        session.note();
        Ok(session)
    }

    fn open_db(&mut self) -> Result<()> {
        self.life += 1;
        let db = options(self.keeps_changes, self.life).durability(self.durability);
        let db = db.open_backend(self.disk.clone())?;
        let tree = db.tree(TREE)?;
        self.db = Some((db, tree));
        Ok(())
    }

    fn note(&mut self) {
        self.progress.push(self.now);
        self.disk.note(self.progress.len() as u64 - 1);
    }

    fn db(&self) -> Result<&(Db, Tree)> {
        self.db.as_ref().ok_or(Error::Closed)
    }

    /// Does the next call of a row.
    pub fn step(&mut self, operation: Operation) -> Result<()> {
        self.now.step += 1;
        self.call(operation)
    }

    /// Does a call that belongs to no row.
    pub fn call(&mut self, operation: Operation) -> Result<()> {
        let state = self.states.last().cloned().unwrap_or_default();
        // No other call of any life has this number.
        let number = self.life as usize * 1000 + self.states.len();
        let effect = effect(operation, number, &state, self.bytes);
        let after = after(&state, &effect);
        let changes = after != state;
        self.states.push(after);
        self.now.begun = self.states.len() - 1;
        self.note();
        self.carry_out(operation, &effect)?;
        self.now.kept = self.now.begun;
        // A call that finds nothing to do waits for nothing.
        let is_sync = self.durability == Durability::Sync && changes;
        let stores = matches!(operation, Operation::Checkpoint | Operation::Compact | Operation::Load);
        if is_sync || stores || matches!(operation, Operation::Sync | Operation::Close) {
            self.now.durable = self.now.begun;
        }
        self.note();
        Ok(())
    }

    fn carry_out(&mut self, operation: Operation, effect: &Effect) -> Result<()> {
        let (db, tree) = self.db()?;
        match effect {
            Effect::Keys(changes) if operation == Operation::Batch => {
                let mut batch = db.batch();
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(batch.put(tree, key, value)),
                        None => drop(batch.remove(tree, key)),
                    }
                }
                batch.durability(self.durability).commit()?;
            }
            Effect::Keys(changes) => {
                for (key, value) in changes {
                    match value {
                        Some(value) => drop(tree.put(key, value)?),
                        None => drop(tree.remove(key)?),
                    }
                }
            }
            Effect::Rename(from, to) => drop(tree.rename_prefix(from, to)?),
            Effect::RemovePrefix(prefix) => drop(tree.remove_prefix(prefix)?),
            Effect::Load(prefix, items) => {
                let items = items.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
                tree.load(prefix, items)?;
            }
            Effect::Nothing => return self.arrange(operation),
        }
        Ok(())
    }

    fn arrange(&mut self, operation: Operation) -> Result<()> {
        let (db, _) = self.db()?;
        match operation {
            Operation::Checkpoint => db.checkpoint(),
            Operation::Compact => db.compact().map(drop),
            Operation::Sync => db.sync(),
            _ => {
                // As a program does: the handles go, too.
                db.clone().close()?;
                self.db = None;
                self.open_db()
            }
        }
    }

    /// After a call that has failed: whether it has had its effect, as far as readers see. Both are allowed
    /// until a later call was acknowledged.
    pub fn look(&mut self) -> std::result::Result<(), Flaw> {
        let Some((db, _)) = &self.db else { return Ok(()) };
        let found = contents(db)?;
        let [.., before, after] = &self.states[..] else { return Ok(()) };
        if found == hash_of(after) {
            return Ok(());
        }
        if found != hash_of(before) {
            let text = "a call that has failed has left something else".into();
            return Err(Flaw { is_told: false, text });
        }
        let before = before.clone();
        self.states.push(before);
        self.now.begun = self.states.len() - 1;
        Ok(())
    }

    /// What is there, for readers, and what should be.
    pub fn found(&self) -> std::result::Result<Option<(u64, u64)>, Flaw> {
        let Some((db, _)) = &self.db else { return Ok(None) };
        Ok(Some((contents(db)?, self.states.last().map_or(0, hash_of))))
    }

    /// Closes it, as the last thing.
    pub fn finish(mut self) -> Result<()> {
        let Some((db, tree)) = self.db.take() else { return Err(Error::Closed) };
        drop(tree);
        db.close()
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.now
    }

    /// Everything stops here.
    pub fn end(self) -> Recorded {
        let moments = self.disk.record();
        self.disk.crash();
        Recorded { moments, progress: self.progress, states: self.states, life: self.life }
    }
}
