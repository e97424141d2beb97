//! `check`: is every node as it must be?

#![forbid(unsafe_code)]

use serde_json::json;

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::File;
use crate::progress::Progress;
use crate::text::counted;

/// Read everything, and verify checksums and structure; exit code 1 if something is wrong
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let db = self.file.read()?;
        let progress = Progress::new(Some(0), false);
        let report = db.check_with(|done, total| progress.part(done, total))?;
        progress.finish();
        if out.is_json() {
            let problem = |problem: &spinney::Problem| json!({ "blob": problem.blob, "text": problem.text });
            out.json(&json!({
                "clean": report.is_clean(),
                "keys": report.keys,
                "range_blobs": report.range_blobs,
                "router_blobs": report.router_blobs,
                "problems": report.problems.iter().map(problem).collect::<Vec<_>>(),
            }))?;
        } else {
            for problem in &report.problems {
                out.line(format!("blob {}: {}", problem.blob, problem.text))?;
            }
            let (keys, blobs) = (counted(report.keys, "key"), counted(report.range_blobs.into(), "blob"));
            let routers = counted(report.router_blobs.into(), "router");
            let found = match report.problems.len() as u64 {
                0 => "clean".to_string(),
                problems => counted(problems, "problem"),
            };
            out.line(format!("{found}: {keys} (names of trees included) in {blobs}, {routers}"))?;
        }
        if report.is_clean() { Ok(()) } else { Err(Failure::NotClean) }
    }
}
