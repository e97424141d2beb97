//! Which way I/O takes on this machine, for statistics and bug reports.
//!
//! Invariants:
//! * a word that is not `On` says why, so that a slow disk path is never a mystery;
//! * choosing and reporting are all that happens here: nothing depends on these values.
//!
//! Must not know: how any of these ways works.

#![forbid(unsafe_code)]

use std::fmt;

use super::Area;

/// Which ways of I/O a file may take. All give the same bytes.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let folder = std::env::temp_dir().join(format!("spinney-io-choice-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// use spinney::backend::{Area, IoChoice, IoUse};
///
/// let db = spinney::Db::builder().io(IoChoice::Buffered).open(folder.join("catalog.spinney"))?;
/// db.tree("files")?.put("a/b", "c")?;
/// assert_eq!(db.stats().io.direct[Area::Data as usize], IoUse::NotChosen);
/// # drop(db);
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IoChoice {
    /// The fastest that this system offers.
    #[default]
    Auto,
    /// Without io_uring: one system call for each operation.
    Plain,
    /// Without io_uring, and through the page cache.
    Buffered,
}

/// Whether one of the ways is taken, and if not, why.
///
/// ```
/// use spinney::backend::IoUse;
///
/// assert_eq!(IoUse::On.to_string(), "on");
/// assert_eq!(IoUse::FileSystem(0x9123_683E).to_string(), "off (file system 0x9123683e)");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IoUse {
    /// The medium has no such thing, or it was not needed as yet.
    #[default]
    Unused,
    /// In use.
    On,
    /// [`IoChoice`] excludes it.
    NotChosen,
    /// Not there on this platform, or left out when this was built.
    NotBuilt,
    /// The system refused it with this `errno`.
    Refused(i32),
    /// A file system of this magic number (as of `statfs`) is not known to be safe for it.
    FileSystem(u64),
    /// The file has holes, so it would not be safe.
    Sparse,
}

impl IoUse {
    /// Whether it is in use.
    ///
    /// ```
    /// use spinney::backend::IoUse;
    ///
    /// assert!(IoUse::On.is_on() && !IoUse::NotChosen.is_on());
    /// assert!(!spinney::Db::memory().stats().io.mapped_ring.is_on(), "there is no file");
    /// ```
    pub fn is_on(self) -> bool {
        self == IoUse::On
    }
}

impl fmt::Display for IoUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IoUse::Unused => f.write_str("unused"),
            IoUse::On => f.write_str("on"),
            IoUse::NotChosen => f.write_str("off (not chosen)"),
            IoUse::NotBuilt => f.write_str("off (not built in)"),
            IoUse::Refused(errno) => {
                write!(f, "off ({})", std::io::Error::from_raw_os_error(*errno))
            }
            IoUse::FileSystem(magic) => write!(f, "off (file system {magic:#x})"),
            IoUse::Sparse => f.write_str("off (the file has holes)"),
        }
    }
}

/// Which way I/O takes. All [`Unused`](IoUse::Unused) for a backend in memory.
///
/// ```
/// use spinney::backend::{Backend, IoPath, IoUse, MemoryBackend};
///
/// let path: IoPath = MemoryBackend::new().io_path();
/// assert_eq!((path.io_uring, path.write_through), (IoUse::Unused, IoUse::Unused));
/// assert!(path.to_string().starts_with("io_uring: unused; "));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct IoPath {
    /// Batches go through io_uring, not one system call for each operation.
    pub io_uring: IoUse,
    /// The kernel knows the I/O buffers beforehand, so it need not look them up for each operation.
    /// Refused with `ENOMEM` where the limit of locked memory (`ulimit -l`) is too small.
    pub registered_buffers: IoUse,
    /// For each area, by [`Area`] as an index: I/O goes around the page cache.
    pub direct: [IoUse; Area::ALL.len()],
    /// A durable write is one system call, not a write and a flush.
    pub write_through: IoUse,
    /// The log's ring is a mapped file: what is in it outlives the process.
    pub mapped_ring: IoUse,
}

impl fmt::Display for IoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io_uring: {}; registered buffers: {}", self.io_uring, self.registered_buffers)?;
        for area in Area::ALL {
            write!(f, "; direct {area:?}: {}", self.direct[area as usize])?;
        }
        write!(f, "; write-through: {}; mapped ring: {}", self.write_through, self.mapped_ring)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_readable() {
        let path = IoPath { io_uring: IoUse::Refused(1), mapped_ring: IoUse::On, ..IoPath::default() };
        let text = path.to_string();
        assert!(text.starts_with("io_uring: off (Operation not permitted (os error 1)); "), "{text}");
        assert!(text.ends_with("write-through: unused; mapped ring: on"), "{text}");
        assert_eq!(IoUse::FileSystem(0x9123_683E).to_string(), "off (file system 0x9123683e)");
        assert!(IoUse::On.is_on() && !IoUse::Unused.is_on());
    }
}
