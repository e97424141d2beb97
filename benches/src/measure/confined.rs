//! A limit on all memory of this process: its own, and what the system's page cache keeps for it.
//!
//! It is a control group of Linux, of the first or the second version, which only who may make one can have.

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
    let (outside, limit) = own_group().ok_or(ErrorKind::Unsupported)?;
    let group = outside.join(format!("spinney-benches-{}", std::process::id()));
    fs::create_dir(&group)?;
    let confined = Confined { group, outside };
    fs::write(confined.group.join(limit), bytes.to_string())?;
    confined.enter(&confined.group)?;
    Ok(confined)
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

/// The group that this process is in, and the file that has its limit of memory.
fn own_group() -> Option<(PathBuf, &'static str)> {
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
        let group = groups.lines().find_map(|line| group(line, controller))?;
        let mount = mounts.lines().find_map(|line| mount(line, kind, option))?;
        let place = mount.join(group);
        place.join(limit).exists().then_some((place, limit))
    })
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
        let (group, limit) = (confined.group.clone(), own_group().unwrap().1);
        assert_eq!(own_group().unwrap().0, group);
        assert_eq!(fs::read_to_string(group.join(limit)).unwrap().trim(), limit_bytes.to_string());
        let inside = fs::read_to_string(group.join("cgroup.procs")).unwrap();
        assert!(inside.lines().any(|pid| pid == std::process::id().to_string()));
        drop(confined);
        assert!(!group.exists() && own_group().unwrap().0 != group);
    }
}
