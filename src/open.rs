//! What all handles of a database share. When the last of them is dropped, the database is closed.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::error::Result;
use crate::forest::Forest;
use crate::store::Store;
use crate::store::background::{self, HasStore};

/// See the head of this file.
pub(crate) struct Open {
    pub(crate) forest: Arc<Forest>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held by whoever makes, renames or drops a tree: the number of a write that was not before the last of
    /// these.
    names_changed_at: Mutex<u64>,
}

impl Open {
    /// Starts what has to go on in the background.
    pub(crate) fn new(forest: Forest) -> Result<Arc<Open>> {
        let forest = Arc::new(forest);
        let may_have_threads = !cfg!(target_arch = "wasm32") && !forest.store.is_repeatable;
        let wants_threads = forest.store.durable.get().is_some() && may_have_threads;
        let threads = if wants_threads { background::start(&forest)? } else { Vec::new() };
        let names_changed_at = Mutex::new(forest.store.last_seq());
        Ok(Arc::new(Open { forest, threads: Mutex::new(threads), names_changed_at }))
    }

    /// Runs with the names of the trees held still. The mutex comes before all others.
    pub(crate) fn with_names<T>(&self, run: impl FnOnce(&mut u64) -> T) -> T {
        let changed_at = self.names_changed_at.lock();
        run(&mut changed_at.unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Runs something that changes the name of a tree.
    pub(crate) fn change_names<T>(&self, change: impl FnOnce() -> T) -> T {
        self.with_names(|changed_at| {
            let done = change();
            // Whatever came of it.
            *changed_at = self.forest.store.last_seq();
            done
        })
    }

    /// Ends what goes on in the background, and closes the store. Only the first call does anything.
    pub(crate) fn close(&self) -> Result<()> {
        if let Some(durable) = self.forest.store.durable.get() {
            durable.signals.stop();
        }
        let mut threads = self.threads.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for thread in threads.drain(..) {
            // If it has panicked, that was told where it happened.
            let _ = thread.join();
        }
        self.forest.store.close()
    }
}

impl HasStore for Open {
    fn store(&self) -> &Store {
        &self.forest.store
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // There is nobody left to tell; the next open recovers what is missing.
        let _ = self.close();
    }
}
