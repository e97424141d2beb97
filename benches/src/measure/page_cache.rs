//! The system's page cache, emptied.

use super::files;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;

/// Has the system forget what it keeps of the files below a directory. What it refuses is no error: pages
/// that somebody maps stay.
pub fn forget(dir: &Path) -> io::Result<()> {
    for path in files(dir)? {
        let file = File::open(path)?;
        // What is dirty cannot be forgotten.
        file.sync_all()?;
        #[cfg(target_os = "linux")]
        // SAFETY: the descriptor is open, and the call only gives advice.
        unsafe {
            libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = file.as_raw_fd();
    }
    Ok(())
}
