//! What the steps of `demo` and `bench` cost: a table that grows as they end, or one object in the end; and
//! the folder in which they work.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::text::{duration, thousands};

/// See the head of this file.
pub struct Steps {
    done: Vec<Value>,
}

impl Steps {
    pub fn new(out: &mut Output) -> Result<Self> {
        if !out.is_json() {
            out.line(format!("{:<52} {:>10} {:>10} {:>10}", "", "count", "time", "each"))?;
        }
        Ok(Steps { done: Vec::new() })
    }

    /// One step has ended that began at `start` and handled `count` things.
    pub fn add(&mut self, out: &mut Output, what: &str, count: u64, start: Instant) -> Result<()> {
        self.add_time(out, what, count, start.elapsed())
    }

    pub fn add_time(&mut self, out: &mut Output, what: &str, count: u64, time: Duration) -> Result<()> {
        self.done.push(json!({ "step": what, "count": count, "nanos": time.as_nanos() as u64 }));
        if out.is_json() {
            return Ok(());
        }
        let each =
            if count > 1 { duration(time / u32::try_from(count).unwrap_or(u32::MAX)) } else { String::new() };
        let (count, time) = (thousands(count), duration(time));
        out.line(format!("{what:<52} {count:>10} {time:>10} {each:>10}"))?;
        out.flush()
    }

    /// The steps, for JSON.
    pub fn into_json(self) -> Value {
        Value::Array(self.done)
    }
}

/// Ends the command unless something is as it must be.
pub fn expect(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<()> {
    if is_so { Ok(()) } else { Err(Failure::Failed(format!("this must not be: {}", otherwise()))) }
}

/// A folder of this process, which is gone afterwards.
pub struct Scratch {
    path: PathBuf,
    is_kept: bool,
}

impl Scratch {
    pub fn new(what: &str, parent: Option<PathBuf>, is_kept: bool) -> Result<Self> {
        let parent = parent.unwrap_or_else(std::env::temp_dir);
        let path = parent.join(format!("spinney-{what}-{}", std::process::id()));
        std::fs::create_dir(&path).map_err(|error| Failure::with_path(&path, error))?;
        Ok(Scratch { path, is_kept })
    }

    pub fn file(&self) -> PathBuf {
        self.path.join("catalog.spinney")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed stays in a temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
