//! A child that writes until it is killed with signal 9, and what is there again afterwards.
//!
//! The child says on its stdout which write was acknowledged, each before the next begins. Everything it said
//! must be there again, and of what it did not say, only writes that follow without a gap.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use spinney::{Db, Durability, Tree};

use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place;
use crate::steps::{Steps, expect};
use crate::text::thousands;

const DIRECTORY: &str = "uploads/";
/// How long the child writes.
const LIFE: Duration = Duration::from_millis(400);

pub struct Killed {
    pub acknowledged: u64,
    pub recovered: u64,
}

fn key(number: u64) -> String {
    format!("{DIRECTORY}{:03}/{number:010}.part", crate::made_up::mix(number) % 1000)
}

fn value(number: u64) -> String {
    format!("{{\"upload\":{number},\"check\":\"{:016x}\"}}", crate::made_up::mix(number))
}

/// What the child does. It ends by itself only if nobody listens any more.
pub fn write_until_killed(path: &Path) -> Result<()> {
    let db = place::open(path, Db::builder().create(false))?;
    let files = db.tree("files")?;
    // With the first write it turns out whether there is a mapped ring. Without one only writes that reached
    // the disk outlive the process.
    files.put(key(1), value(1))?;
    let outlives = db.stats().io.mapped_ring.is_on();
    let durability = if outlives { Durability::Buffered } else { Durability::Sync };
    let files = files.with_durability(durability);
    // A line is written to the pipe at its end, in one piece.
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{durability:?}")?;
    writeln!(stdout, "1")?;
    for number in 2.. {
        files.put(key(number), value(number))?;
        writeln!(stdout, "{number}")?;
    }
    Ok(())
}

/// Starts the child on the database, which holds `others` keys, kills it, and compares.
pub fn kill_and_recover(out: &mut Output, steps: &mut Steps, path: &Path, others: u64) -> Result<Killed> {
    let (durability, acknowledged, life) = one_life(path)?;
    let what = format!("a child's puts ({durability}), then kill -9");
    steps.add_time(out, &what, acknowledged, life)?;

    let start = Instant::now();
    let db = place::open(path, Db::builder().create(false))?;
    steps.add(out, "opened again: the log recovered", 1, start)?;
    let files = db.tree("files")?;
    let start = Instant::now();
    let recovered = files.count(DIRECTORY)?;
    compare(&files, acknowledged, recovered)?;
    let beyond = recovered - acknowledged;
    let what = format!("acknowledged puts found again, {beyond} more on its way");
    steps.add(out, &what, acknowledged, start)?;
    let counted = files.count("")?;
    expect(counted == others + recovered, || {
        format!("{counted} keys are there after the kill, of {others} before it and {recovered} new ones")
    })?;

    let start = Instant::now();
    let report = db.check()?;
    steps.add(out, "keys checked: every node, every page", report.keys, start)?;
    expect(report.is_clean(), || format!("the check found {:?}", report.problems))?;
    place::close(path, db)?;
    Ok(Killed { acknowledged, recovered })
}

/// Runs the child for a while, and reaps it. What it promised, its last acknowledged write, and for how long
/// it wrote.
fn one_life(path: &Path) -> Result<(String, u64, Duration)> {
    let failed = |error: std::io::Error| Failure::Failed(format!("the child process: {error}"));
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["demo", "--child"]).arg(path).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let told = listen(&mut child);
    // Whatever became of it: it must not go on to write.
    let killed = child.kill().and_then(|()| child.wait()).map_err(failed)?;
    let (durability, mut lines, first, life) = told?;
    expect(killed.signal() == Some(9), || format!("the child ended with {killed} before it was killed"))?;

    // What was in the pipe when it died was acknowledged, too.
    let mut last = first;
    while let Some(number) = next_number(&mut lines).map_err(failed)? {
        expect(number == last + 1, || format!("the child said {number} after {last}"))?;
        last = number;
    }
    Ok((durability, last, life))
}

type Told = (String, BufReader<std::process::ChildStdout>, u64, Duration);

/// Takes what the child says, until it has lived for long enough.
fn listen(child: &mut Child) -> Result<Told> {
    let failed = |error: std::io::Error| Failure::Failed(format!("the child process: {error}"));
    let pipe = child.stdout.take().ok_or_else(|| Failure::Failed("the child has no stdout".to_string()))?;
    let (mut lines, mut durability) = (BufReader::new(pipe), String::new());
    lines.read_line(&mut durability).map_err(failed)?;
    let (start, mut last) = (Instant::now(), 0);
    while start.elapsed() < LIFE {
        let Some(number) = next_number(&mut lines).map_err(failed)? else {
            break;
        };
        expect(number == last + 1, || format!("the child said {number} after {last}"))?;
        last = number;
    }
    Ok((durability.trim().to_string(), lines, last, start.elapsed()))
}

/// The number in the next whole line; none at the end, or where a line was cut off.
fn next_number(lines: &mut impl BufRead) -> std::io::Result<Option<u64>> {
    let mut line = String::new();
    lines.read_line(&mut line)?;
    Ok(line.strip_suffix('\n').and_then(|number| number.parse().ok()))
}

/// Every acknowledged write is there with its value, and those beyond follow without a gap.
fn compare(files: &Tree, acknowledged: u64, recovered: u64) -> Result<()> {
    expect(acknowledged > 0, || "the child has written nothing".to_string())?;
    expect(recovered >= acknowledged, || {
        let (told, found) = (thousands(acknowledged), thousands(recovered));
        format!("{told} writes were acknowledged before the kill, and {found} are there")
    })?;
    for number in 1..=recovered {
        let found = files.get(key(number))?;
        let is_right = found.as_deref() == Some(value(number).as_bytes());
        expect(is_right, || format!("write {number} of {acknowledged} is lost, or has another value"))?;
    }
    Ok(())
}
