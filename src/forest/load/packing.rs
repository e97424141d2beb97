//! Where sheaves are packed: by a thread, while the next ones are gathered; or here, if there is but one, and
//! where there are no threads.

#![forbid(unsafe_code)]

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use super::packers::{Gathered, Packers};
use crate::error::{Error, Result};

/// Sheaves on their way to be packed.
const SHEAVES_MAX: usize = 1;

/// A thread that packs.
struct Thread<'scope, 'f> {
    sheaves: SyncSender<Gathered<'f>>,
    handle: ScopedJoinHandle<'scope, Result<()>>,
}

/// See the head of this file.
pub(super) struct Packing<'scope, 'env, 'f, 'r> {
    scope: &'scope Scope<'scope, 'env>,
    /// Until there is a thread.
    here: Option<Packers<'f, 'r>>,
    thread: Option<Thread<'scope, 'f>>,
}

impl<'scope, 'env, 'f: 'scope, 'r: 'scope> Packing<'scope, 'env, 'f, 'r> {
    pub(super) fn new(scope: &'scope Scope<'scope, 'env>, packers: Packers<'f, 'r>) -> Self {
        Packing { scope, here: Some(packers), thread: None }
    }

    /// Has it packed.
    pub(super) fn take(&mut self, gathered: Gathered<'f>) -> Result<()> {
        if let Some(packers) = &mut self.here
            && (gathered.is_last() || cfg!(target_family = "wasm"))
        {
            return packers.take(gathered);
        }
        if let Some(mut packers) = self.here.take() {
            let (sheaves, receiver) = sync_channel(SHEAVES_MAX);
            let pack_each = move || receiver.into_iter().try_for_each(|gathered| packers.take(gathered));
            self.thread = Some(Thread { sheaves, handle: self.scope.spawn(pack_each) });
        }
        // A thread that has ended has failed, and says why.
        self.thread
            .as_ref()
            .map_or(Err(Error::Closed), |thread| thread.sheaves.send(gathered).map_err(|_| Error::Closed))
    }

    /// Waits for all of it.
    pub(super) fn finish(self) -> Result<()> {
        self.thread.map_or(Ok(()), |thread| {
            drop(thread.sheaves);
            joined(thread.handle)
        })
    }
}

/// What a thread has come to; if it has panicked, so does this one.
pub(super) fn joined(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
