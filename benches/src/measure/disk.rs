//! What the system says about files and the disk below them.

#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Every file below a directory.
pub fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() { left.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    Ok(found)
}

/// Bytes that the files below a directory take on the disk: what is sparse counts for nothing.
pub fn bytes_on_disk(dir: &Path) -> io::Result<u64> {
    // The unit of st_blocks is 512 bytes everywhere.
    files(dir)?.iter().try_fold(0, |bytes, path| Ok(bytes + fs::metadata(path)?.blocks() * 512))
}

/// How often the disk below this path was told to flush its cache since the system started, where it says so.
/// Other processes count, too.
pub fn flushes(path: &Path) -> Option<u64> {
    let device = fs::metadata(path).ok()?.dev();
    let major = (device >> 8 & 0xFFF) | (device >> 32 & !0xFFF);
    let minor = (device & 0xFF) | (device >> 12 & !0xFF);
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    stat.split_whitespace().nth(15)?.parse().ok()
}

/// The type of the file system that this path is on.
pub fn file_system(path: &Path) -> Option<String> {
    let path = fs::canonicalize(path).ok()?;
    mounted(&fs::read_to_string("/proc/self/mounts").ok()?, &path)
}

/// The type of the file system of the innermost mount that holds `path`; of several in one place, the last.
fn mounted(mounts: &str, path: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split_whitespace().skip(1);
        let (Some(place), Some(kind)) = (words.next(), words.next()) else {
            continue;
        };
        if path.starts_with(place) && best.is_none_or(|(length, _)| place.len() >= length) {
            best = Some((place.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\nnone /run tmpfs rw 0 0\n/dev/b /run/disk xfs rw 0 0\n";
        let kind = |path: &str| mounted(mounts, Path::new(path)).unwrap();
        assert_eq!(["/home", "/run/x", "/runner", "/run/disk/x"].map(kind), ["ext4", "tmpfs", "ext4", "xfs"]);
    }
}
