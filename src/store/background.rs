//! The two threads of a database that is open for writing: one makes buffered writes durable, one readies
//! segments of the log and makes checkpoints. Both sleep until they are told.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Store;
use super::durable::Durable;

/// What was asked for.
const FLUSH: u32 = 1;
const FLUSH_NOW: u32 = 2;
const LOOK_AHEAD: u32 = 4;
const CHECKPOINT: u32 = 8;
const STOP: u32 = 16;

/// Buffered writes are durable 10 ms after they were acknowledged; the rest is for the disk.
const FLUSH_DELAY: Duration = Duration::from_millis(6);
/// With so much in the ring, waiting longer would make writers wait.
pub(super) const FLUSH_NOW_BYTES: u64 = 1 << 20;

/// What the threads are to do, and where they sleep.
#[derive(Default)]
pub(crate) struct Signals {
    /// What was asked for and is not yet done; `asked` is the same, to be looked at without the lock.
    todo: Mutex<u32>,
    asked: AtomicU32,
    flusher: Condvar,
    checkpointer: Condvar,
}

/// Whatever holds a store.
pub(crate) trait HasStore: Send + Sync + 'static {
    fn store(&self) -> &Store;
}

impl Signals {
    fn todo(&self) -> MutexGuard<'_, u32> {
        self.todo.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    #[cold]
    fn ask(&self, what: u32) {
        let mut todo = self.todo();
        *todo |= what;
        self.asked.store(*todo, Ordering::Relaxed);
        if what & (FLUSH | FLUSH_NOW | STOP) != 0 {
            self.flusher.notify_one();
        }
        if what & (CHECKPOINT | LOOK_AHEAD | STOP) != 0 {
            self.checkpointer.notify_one();
        }
    }

    fn ask_once(&self, what: u32) {
        // Against `take`: either what was done before is seen there, or that it was taken is seen here.
        fence(Ordering::SeqCst);
        if self.asked.load(Ordering::Relaxed) & what != what {
            self.ask(what);
        }
    }

    /// So much of the log waits to be made durable.
    #[inline]
    pub(crate) fn flush_soon(&self, waiting_bytes: u64) {
        self.ask_once(if waiting_bytes >= FLUSH_NOW_BYTES { FLUSH | FLUSH_NOW } else { FLUSH });
    }

    pub(crate) fn look_ahead(&self) {
        self.ask_once(LOOK_AHEAD);
    }

    pub(crate) fn checkpoint(&self) {
        self.ask_once(CHECKPOINT);
    }

    pub(crate) fn stop(&self) {
        self.ask(STOP);
    }

    /// Sleeps until one of `mask` was asked for, and takes it; none when it is time to stop.
    fn wait(&self, condvar: &Condvar, mask: u32) -> Option<u32> {
        let mut todo = self.todo();
        while *todo & (mask | STOP) == 0 {
            todo = condvar.wait(todo).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        self.take(&mut todo, mask)
    }

    fn take(&self, todo: &mut u32, mask: u32) -> Option<u32> {
        let taken = *todo & mask;
        *todo &= !mask;
        self.asked.store(*todo, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        (*todo & STOP == 0).then_some(taken)
    }

    /// Takes what should be done first, and leaves the rest.
    #[cfg(any(all(test, not(any(loom, miri))), target_arch = "wasm32"))]
    fn take_first(&self) -> u32 {
        let mut todo = self.todo();
        let flushes = FLUSH | FLUSH_NOW;
        let first = [flushes, LOOK_AHEAD, CHECKPOINT].into_iter().find(|&what| *todo & what != 0);
        let taken = first.and_then(|mask| self.take(&mut todo, mask)).unwrap_or(0);
        if taken & flushes != 0 { FLUSH } else { taken }
    }

    #[cfg(any(all(test, not(any(loom, miri))), target_arch = "wasm32"))]
    fn wants_anything(&self) -> bool {
        *self.todo() & !STOP != 0
    }

    /// Waits a little, so that more writes come together, unless it is urgent.
    fn linger(&self) -> Option<u32> {
        let todo = self.todo();
        let urgent = |todo: &mut u32| *todo & (FLUSH_NOW | STOP) == 0;
        let waited = self.flusher.wait_timeout_while(todo, FLUSH_DELAY, urgent);
        let (mut todo, _) = waited.unwrap_or_else(|poisoned| poisoned.into_inner());
        self.take(&mut todo, FLUSH | FLUSH_NOW)
    }
}

/// Starts both threads. They end after `Signals::stop`.
pub(crate) fn start<T: HasStore>(owner: &Arc<T>) -> std::io::Result<Vec<JoinHandle<()>>> {
    let builder = |name: &str| std::thread::Builder::new().name(name.into()).stack_size(512 << 10);
    let (flushing, checkpointing) = (owner.clone(), owner.clone());
    let flusher = builder("spinney-log").spawn(move || {
        if let Some(durable) = flushing.store().durable.get() {
            flush(durable);
        }
    })?;
    let checkpointer = builder("spinney-checkpoint").spawn(move || {
        if let Some(durable) = checkpointing.store().durable.get() {
            checkpoint(checkpointing.store(), &durable.signals);
        }
    });
    match checkpointer {
        Ok(checkpointer) => Ok(vec![flusher, checkpointer]),
        Err(error) => {
            if let Some(durable) = owner.store().durable.get() {
                durable.signals.stop();
            }
            Err(error)
        }
    }
}

/// Where there are no threads: does one of the things that they would do. True if there is more to do.
#[cfg(any(all(test, not(any(loom, miri))), target_arch = "wasm32"))]
pub(crate) fn attend(store: &Store) -> crate::error::Result<bool> {
    let Some(durable) = store.durable.get() else {
        return Ok(false);
    };
    match durable.signals.take_first() {
        FLUSH => durable.log.wait_durable(durable.log.end())?,
        LOOK_AHEAD => durable.log.look_ahead()?,
        CHECKPOINT => store.checkpoint()?,
        _ => return Ok(false),
    }
    Ok(durable.signals.wants_anything())
}

/// A failure is remembered by the log, and met by the next writer.
fn flush(durable: &Durable) {
    let signals = &durable.signals;
    while let Some(asked) = signals.wait(&signals.flusher, FLUSH | FLUSH_NOW) {
        if asked & FLUSH_NOW == 0 && signals.linger().is_none() {
            return;
        }
        let _ = durable.log.wait_durable(durable.log.end());
    }
}

/// A failure is met by those who need the space that the checkpoint would have made.
fn checkpoint(store: &Store, signals: &Signals) {
    while let Some(asked) = signals.wait(&signals.checkpointer, CHECKPOINT | LOOK_AHEAD) {
        if let Some(durable) = store.durable.get().filter(|_| asked & LOOK_AHEAD != 0) {
            let _ = durable.log.look_ahead();
        }
        if asked & CHECKPOINT != 0 {
            let _ = store.checkpoint();
        }
    }
}
