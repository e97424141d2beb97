//! A catalog of 300,000 artifact paths in memory: built, asked, listed, thinned out, saved and opened again.
//!
//! `cargo run --release --example catalog` prints what each step cost.

#![forbid(unsafe_code)]

use spinney::{Db, Tree};
use std::time::Instant;

const PATHS: usize = 300_000;
/// Shares no factor with the number of paths: counting by it meets every path once, far from the one before.
const STRIDE: usize = 101_009;

/// 60 teams of 50 projects of 10 releases of 10 files.
fn path(i: usize) -> String {
    let (team, project, release, file) = (i / 5_000, i / 100 % 50, i / 10 % 10, i % 10);
    format!("team-{team:02}/project-{project:02}/release-1.{release}/artifact-{file}.tar.zst")
}

/// Prints what a step cost that began at `start` and handled `count` things.
fn report(start: Instant, count: usize, what: &str) {
    let nanos = start.elapsed().as_nanos() / count.max(1) as u128;
    println!("{count:>8} {what:<30} {nanos:>9} ns each");
}

fn put_and_get(files: &Tree, paths: &[String]) -> spinney::Result<()> {
    let start = Instant::now();
    for path in paths {
        files.put(path, path)?;
    }
    report(start, paths.len(), "paths put, in no order");

    let (start, mut value) = (Instant::now(), Vec::new());
    for path in paths.iter().rev() {
        assert!(files.get_into(path, &mut value)?.is_some());
    }
    report(start, paths.len(), "paths got");
    Ok(())
}

fn list_scan_remove(files: &Tree) -> spinney::Result<()> {
    let (start, mut children) = (Instant::now(), 0);
    for team in 0..60 {
        let mut list = files.list(format!("team-{team:02}/"));
        while list.next_ref()?.is_some() {
            children += 1;
        }
    }
    report(start, children, "projects listed, team by team");

    let (start, mut doomed) = (Instant::now(), Vec::new());
    for key in files.scan("team-07/").keys() {
        doomed.push(key?);
    }
    report(start, doomed.len(), "keys below one team scanned");
    let start = Instant::now();
    for key in &doomed {
        files.remove(key)?;
    }
    report(start, doomed.len(), "of them removed");
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<String> = (0..PATHS).map(|i| path(i * STRIDE % PATHS)).collect();
    let db = Db::memory();
    put_and_get(&db.tree("artifacts")?, &paths)?;
    list_scan_remove(&db.tree("artifacts")?)?;

    let file = std::env::temp_dir().join(format!("catalog-{}.spinney", std::process::id()));
    let start = Instant::now();
    std::fs::write(&file, db.image()?)?;
    report(start, db.stats().blobs() as usize, "blobs saved");
    let (start, copy) = (Instant::now(), Db::from_image(std::fs::read(&file)?)?);
    report(start, copy.stats().blobs() as usize, "blobs opened");
    std::fs::remove_file(&file)?;
    assert_eq!(copy.stats().keys as usize, PATHS - 5_000);
    Ok(())
}
