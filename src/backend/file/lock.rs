//! Who may use the files: one writer, or any number of readers.
//!
//! Invariants:
//! * the lock belongs to the open data file and to no path: it ends with the process, however that ends,
//!   and no other file is needed for it;
//! * it is given back explicitly. A descriptor that is closed may live on in a ring of io_uring.
//!
//! Must not know: what the files hold.

#![forbid(unsafe_code)]

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, thread};

use super::area::AreaFile;
use super::syscall;

/// How long to sleep between two attempts.
const RETRY_WAIT: Duration = Duration::from_millis(4);

/// Takes the lock, for this opener alone or shared with others that share it.
///
/// # Errors
///
/// `WouldBlock` if somebody else still holds it after `wait`.
pub(super) fn lock(file: &File, exclusive: bool, wait: Duration) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match syscall::try_lock(file, exclusive) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let left = wait.saturating_sub(start.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                thread::sleep(left.min(RETRY_WAIT));
            }
            result => return result,
        }
    }
}

/// A locked data file, unlocked when this is dropped.
pub(super) struct Held(Arc<AreaFile>);

impl Held {
    /// Takes care of a file that [`lock`] has locked.
    pub(super) fn new(data: Arc<AreaFile>) -> Held {
        Held(data)
    }

    /// Unlocks the file before this is dropped.
    pub(super) fn let_go(&self) -> io::Result<()> {
        syscall::unlock(&self.0.file)
    }

    pub(super) fn file(&self) -> &File {
        &self.0.file
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not left to closing the file: a ring of io_uring may hold it, too, and is dismantled later, in the
        // background. It never fails where the lock was held.
        let result = syscall::unlock(&self.0.file);
        debug_assert!(result.is_ok(), "{result:?}");
    }
}
