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
}

impl Open {
    /// Starts what has to go on in the background.
    pub(crate) fn new(forest: Forest) -> Result<Arc<Open>> {
        let forest = Arc::new(forest);
        let wants_threads = forest.store.durable.get().is_some() && !cfg!(target_arch = "wasm32");
        let threads = if wants_threads { background::start(&forest)? } else { Vec::new() };
        Ok(Arc::new(Open { forest, threads: Mutex::new(threads) }))
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
