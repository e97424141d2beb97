//! The machine that a run was on, as it is told beside the results. What the system does not say is left out.

#![forbid(unsafe_code)]

use std::fs;
use std::thread;

pub struct Host {
    pub processor: Option<String>,
    pub processors: Option<usize>,
    pub memory_bytes: Option<u64>,
    pub system: Option<String>,
}

pub fn host() -> Host {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let release = read("/proc/sys/kernel/osrelease");
    Host {
        processor: value(&read("/proc/cpuinfo"), "model name"),
        processors: thread::available_parallelism().ok().map(Into::into),
        memory_bytes: memory_bytes(&read("/proc/meminfo")),
        system: system(&release),
    }
}

/// Major and minor: what follows names whoever built it.
fn system(release: &str) -> Option<String> {
    let numbers: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
    let name = |numbers: &[&str]| format!("{} {}", std::env::consts::OS, numbers.join("."));
    (numbers.len() == 2).then(|| name(&numbers))
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    let kib: u64 = value(meminfo, "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// What follows the colon behind a name.
fn value(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read_from_what_the_system_tells() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: Other\n";
        assert_eq!(value(cpuinfo, "model name").as_deref(), Some("Some CPU @ 3 GHz"));
        assert_eq!(value(cpuinfo, "flags"), None);
        assert_eq!(memory_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2048 * 1024));
        assert_eq!(system("6.1.5-cloud-amd64\n"), Some(format!("{} 6.1", std::env::consts::OS)));
        assert_eq!(system(""), None);
    }
}
