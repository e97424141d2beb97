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
use std::time::{Duration, Instant};
use std::{io, thread};

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

/// Gives the lock back. Never fails where it was held.
pub(super) fn unlock(file: &File) {
    let result = syscall::unlock(file);
    debug_assert!(result.is_ok(), "{result:?}");
}
