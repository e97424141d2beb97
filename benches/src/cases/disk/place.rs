//! The directory that the stores of a run live in: on a real disk, and gone afterwards.

#![forbid(unsafe_code)]

use crate::measure::file_system;
use crate::options::Options;
use crate::stores::Result;
use std::fs;
use std::path::{Path, PathBuf};

/// Where it is made, unless the options say something else.
const BASE: &str = "target";

/// What the names of the directories begin with; the number of the process follows.
const NAME: &str = "spinney-benches-";

pub struct Place(PathBuf);

/// Removes what is left of runs that were killed, where the system says which processes there are.
fn clear_dead(base: &Path) -> Result<()> {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(NAME)?.parse::<u32>().ok());
        if process.is_some_and(|process| !processes.join(process.to_string()).exists()) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

impl Place {
    pub fn make(options: &Options) -> Result<Self> {
        let base = options.dir.clone().unwrap_or_else(|| BASE.into());
        fs::create_dir_all(&base)?;
        // What keeps files in memory alone has nothing to wait for.
        if let Some(kind) = file_system(&base).filter(|kind| matches!(kind.as_str(), "tmpfs" | "ramfs")) {
            let place = base.display();
            return Err(format!("{place} is in memory ({kind}); name a place on a disk with --dir").into());
        }
        clear_dead(&base)?;
        let dir = base.join(format!("{NAME}{}", std::process::id()));
        fs::create_dir(&dir)?;
        Ok(Self(dir))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory of one store, empty.
    pub fn fresh(&self, store: &str) -> Result<PathBuf> {
        let dir = self.of(store);
        self.clear(store)?;
        fs::create_dir(&dir)?;
        Ok(dir)
    }

    pub fn of(&self, store: &str) -> PathBuf {
        self.0.join(store)
    }

    pub fn clear(&self, store: &str) -> Result<()> {
        let dir = self.of(store);
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_place() {
        let place = Place::make(&Options::default()).unwrap();
        let dir = place.fresh("a").unwrap();
        fs::write(dir.join("file"), "data").unwrap();
        assert_eq!(fs::read_dir(place.fresh("a").unwrap()).unwrap().count(), 0);
        let path = place.path().to_path_buf();
        drop(place);
        assert!(!path.exists());
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let base = std::env::temp_dir().join(format!("places-{}", std::process::id()));
        let dead = base.join(format!("{NAME}{}", u32::MAX));
        let other = base.join("data");
        fs::create_dir_all(dead.join("holt")).unwrap();
        fs::create_dir_all(&other).unwrap();
        clear_dead(&base).unwrap();
        assert!(!dead.exists() || !Path::new("/proc/self").exists());
        assert!(other.exists());
        fs::remove_dir_all(base).unwrap();
    }
}
