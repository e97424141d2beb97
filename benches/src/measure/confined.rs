//! A limit on all memory of this process: its own, and what the system's page cache keeps for it.
//!
//! It is a control group of Linux, of the first or the second version, which only who may make one can have.
//! (Tried on the first. Where there is swap, it is not limited.)

#![forbid(unsafe_code)]

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// While it is there, what this process takes anew is limited. What it had before does not count.
#[derive(Debug)]
pub struct Confined {
    group: PathBuf,
    outside: PathBuf,
}

/// Limits this process from now on; its threads, too.
pub fn confine(bytes: usize) -> io::Result<Confined> {
    let Own { group: outside, parent, limit } = Own::find().ok_or(ErrorKind::Unsupported)?;
    let group = parent.join(name(std::process::id()));
    // Of somebody who had this number before.
    let _ = fs::remove_dir(&group);
    fs::create_dir(&group)?;
    let confined = Confined { group, outside };
    fs::write(confined.group.join(limit), bytes.to_string())?;
    confined.enter(&confined.group)?;
    Ok(confined)
}

/// Clears away what a process of this number has left, which was killed while it was limited.
pub fn clear_after(process: u32) {
    if let Some(own) = Own::find() {
        let _ = fs::remove_dir(own.parent.join(name(process)));
    }
}

fn name(process: u32) -> String {
    format!("spinney-benches-{process}")
}

/// Whether that can be had here.
pub fn can_confine() -> bool {
    confine(1 << 30).is_ok()
}

impl Confined {
    fn enter(&self, group: &Path) -> io::Result<()> {
        fs::write(group.join("cgroup.procs"), std::process::id().to_string())
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        let _ = self.enter(&self.outside);
        let _ = fs::remove_dir(&self.group);
    }
}

/// The group that this process is in.
struct Own {
    group: PathBuf,
    /// Where a group with a limit can be made: in the second version not below one that has processes.
    parent: PathBuf,
    /// The file that has its limit of memory.
    limit: &'static str,
}

impl Own {
    fn find() -> Option<Own> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let group = |line: &str, controller: &str| {
            let mut parts = line.splitn(3, ':').skip(1);
            (parts.next()? == controller).then_some(parts.next()?.trim_start_matches('/').to_owned())
        };
        let mount = |line: &str, kind: &str, option: &str| {
            let mut words = line.split(' ').skip(1);
            let (place, its_kind, options) = (words.next()?, words.next()?, words.next()?);
            let has_option = option.is_empty() || options.split(',').any(|one| one == option);
            (its_kind == kind && has_option).then(|| PathBuf::from(place))
        };
        let versions =
            [("memory", "cgroup", "memory", "memory.limit_in_bytes"), ("", "cgroup2", "", "memory.max")];
        versions.into_iter().find_map(|(controller, kind, option, limit)| {
            let own = groups.lines().find_map(|line| group(line, controller))?;
            let place = mounts.lines().find_map(|line| mount(line, kind, option))?.join(own);
            let is_first = controller == "memory";
            let parent = if is_first { place.clone() } else { place.parent()?.to_owned() };
            place.join(limit).exists().then_some(Own { group: place, parent, limit })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limited_process_is_in_a_group_of_its_own_with_that_limit() {
        // Other tests run in this process meanwhile.
        let limit_bytes = 4 << 30;
        let Ok(confined) = confine(limit_bytes) else {
            println!("NOT TESTED: no control group can be made here");
            return;
        };
        let own = Own::find().unwrap();
        let (group, limit) = (confined.group.clone(), own.limit);
        assert_eq!(own.group, group);
        assert_eq!(fs::read_to_string(group.join(limit)).unwrap().trim(), limit_bytes.to_string());
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        assert!(inside.lines().any(|pid| pid == std::process::id().to_string()));
        drop(confined);
        assert!(!group.exists() && Own::find().unwrap().group != group);
    }
}
