//! Which version of a store is measured, as the lock file of this package has it.

#![forbid(unsafe_code)]

const LOCK: &str = include_str!("../../Cargo.lock");

/// The package that each store comes from; the standard library has no other than the compiler.
const PACKAGES: &[(&str, &str)] = &[
    ("spinney", "spinney"),
    ("holt", "holt"),
    ("blart", "blart"),
    ("rocksdb", "librocksdb-sys"),
    ("lmdb", "heed"),
    ("redb", "redb"),
    ("fjall", "fjall"),
    ("sqlite", "rusqlite"),
];

/// The package and its version.
pub fn version(store: &str) -> Option<String> {
    let (_, package) = PACKAGES.iter().find(|(name, _)| *name == store)?;
    let found = locked(LOCK, package)?;
    Some(format!("{package} {found}"))
}

fn locked<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.nth(1)?.strip_prefix("version = \"")?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_in_the_lock_file() {
        for (store, _) in PACKAGES {
            assert!(version(store).is_some(), "{store}");
        }
        assert_eq!(version("btreemap"), None);
        assert_eq!(version("holt").as_deref(), Some("holt 0.9.2"));
    }
}
