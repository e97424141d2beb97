//! What the system says about this process: memory, and what it has read from the disk and written to it.
//! Where it says nothing (anywhere but on Linux), the answers are zeros.

#![forbid(unsafe_code)]

use std::fs;

/// Bytes of memory that this process has at hand, those of mapped files included.
pub fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    number(&status, "VmRSS:").unwrap_or(0) * 1024
}

/// Bytes between this process and the disks. What is written counts when a page of the page cache becomes
/// dirty, or at once when it goes past the page cache; what is read, when it comes from the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traffic {
    pub read: u64,
    pub written: u64,
}

impl Traffic {
    pub fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/io").unwrap_or_default())
    }

    /// Since `earlier`.
    pub fn since(self, earlier: Self) -> Self {
        Self { read: self.read - earlier.read, written: self.written.saturating_sub(earlier.written) }
    }

    fn parse(io: &str) -> Self {
        let number = |name| number(io, name).unwrap_or(0);
        // Pages that were dirty and then cut off never reached the disk.
        let written = number("write_bytes:").saturating_sub(number("cancelled_write_bytes:"));
        Self { read: number("read_bytes:"), written }
    }
}

fn number(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let io = "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 4096\n";
        let traffic = Traffic::parse(io);
        assert_eq!(traffic, Traffic { read: 4096, written: 4096 });
        assert_eq!(traffic.since(Traffic::parse("read_bytes: 96\n")), Traffic { read: 4000, written: 4096 });
        assert_eq!(number("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
    }
}
