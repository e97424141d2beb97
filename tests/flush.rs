//! That nothing is acknowledged before the disk was told to flush: the kernel's own record of what went to
//! the disk says so. Needs root, tracefs and a file system that nobody else uses: `scripts/flush` makes one,
//! and names it in `SPINNEY_FLUSH_FOLDER`.

#![cfg(all(target_os = "linux", not(miri)))]
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use spinney::Db;

const PUTS: usize = 200;
const THREADS: usize = 16;

/// A buffer of the kernel's tracing, for requests to one disk.
struct Trace(PathBuf);

impl Trace {
    fn of_disk_below(folder: &Path) -> Trace {
        let trace =
            Trace(PathBuf::from(format!("/sys/kernel/tracing/instances/spinney-{}", std::process::id())));
        fs::create_dir(&trace.0).expect("root, and tracefs at /sys/kernel/tracing");
        // The kernel's own numbers of devices: 12 bits and 20.
        let device = fs::metadata(folder).unwrap().dev();
        let (major, minor) = (device >> 8 & 0xFFF, (device & 0xFF) | (device >> 12 & 0xFFF00));
        for event in ["block_rq_issue", "block_rq_complete"] {
            trace.set(&format!("events/block/{event}/filter"), &format!("dev == {}", major << 20 | minor));
            trace.set(&format!("events/block/{event}/enable"), "1");
        }
        trace.set("buffer_size_kb", "8192");
        trace
    }

    fn set(&self, name: &str, value: &str) {
        fs::write(self.0.join(name), value).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    fn marker(&self) -> File {
        OpenOptions::new().write(true).open(self.0.join("trace_marker")).unwrap()
    }

    /// What has happened since the last call, in order.
    fn take(&self) -> Vec<Seen> {
        let text = fs::read_to_string(self.0.join("trace")).unwrap();
        // As in "# entries-in-buffer/entries-written: 18/18   #P:2": nothing may have been overwritten.
        let counts = text.lines().find_map(|line| line.split_once("entries-written: ")).map(|(_, rest)| rest);
        let (kept, all) = counts.and_then(|counts| counts.split(' ').next()?.split_once('/')).unwrap();
        assert_eq!(kept, all, "the trace was too small");
        self.set("trace", "");
        text.lines().filter_map(Seen::read).collect()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Begin,
    Acknowledged,
    Written,
    FlushIssued,
    Flushed,
}

impl Seen {
    fn read(line: &str) -> Option<Seen> {
        if line.starts_with('#') {
            return None;
        }
        if let Some((_, marked)) = line.split_once("tracing_mark_write: ") {
            return Some(if marked == "begin" { Seen::Begin } else { Seen::Acknowledged });
        }
        let (before, request) = line.split_once("block_rq_")?;
        let (event, request) = request.split_once(": ")?;
        // The disk's number, then what kind of request it is: FF is a flush, W a write.
        let kind = request.split_whitespace().nth(1)?;
        assert!(!before.is_empty());
        match (event, kind) {
            ("issue", "FF") => Some(Seen::FlushIssued),
            ("complete", "FF") => Some(Seen::Flushed),
            // A write of no bytes stands for the flush that it came with.
            ("complete", kind) if kind.contains('W') && !request.contains("+ 0") => Some(Seen::Written),
            _ => None,
        }
    }
}

/// Whether there is a write, and behind it a flush that was begun and done.
fn is_written_and_flushed(seen: &[Seen]) -> bool {
    let mut rest = seen.iter();
    [Seen::Written, Seen::FlushIssued, Seen::Flushed].iter().all(|wanted| rest.any(|seen| seen == wanted))
}

#[test]
fn nothing_is_acknowledged_before_the_disk_has_flushed_it() {
    let Some(folder) = std::env::var_os("SPINNEY_FLUSH_FOLDER").map(PathBuf::from) else {
        println!("not run: SPINNEY_FLUSH_FOLDER is not set; scripts/flush sets it");
        return;
    };
    let path = folder.join("flush.spinney");
    let db = Db::open(&path).unwrap();
    let tree = db.tree("files").unwrap();
    let trace = Trace::of_disk_below(&folder);

    let mut marker = trace.marker();
    for number in 0..PUTS {
        marker.write_all(b"begin").unwrap();
        tree.put(format!("single/{number}"), [7; 100]).unwrap();
        marker.write_all(b"acknowledged").unwrap();
    }
    let seen = trace.take();
    let puts: Vec<&[Seen]> = seen.split(|seen| *seen == Seen::Begin).skip(1).collect();
    assert_eq!(puts.len(), PUTS);
    for (number, put) in puts.iter().enumerate() {
        let end = put.iter().position(|seen| *seen == Seen::Acknowledged).expect("a marker for each put");
        assert!(is_written_and_flushed(&put[..end]), "put {number}: {put:?}");
    }

    let before = db.stats().log.groups;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let tree = &tree;
            scope.spawn(move || {
                for number in 0..PUTS {
                    tree.put(format!("many/{thread}/{number}"), [7; 100]).unwrap();
                }
            });
        }
    });
    let groups = db.stats().log.groups - before;
    let flushes = trace.take().iter().filter(|seen| **seen == Seen::Flushed).count() as u64;
    println!("{PUTS} puts of one thread: each was written and flushed before it was acknowledged");
    println!("{} puts of {THREADS} threads: {groups} groups, {flushes} flushes", THREADS * PUTS);
    assert!(flushes >= groups, "{flushes} flushes for {groups} groups");
    drop(tree);
    db.close().unwrap();
    fs::remove_file(path).unwrap();
}

#[test]
fn the_order_of_write_and_flush_counts() {
    use Seen::{FlushIssued, Flushed, Written};
    assert!(is_written_and_flushed(&[Written, FlushIssued, Flushed]));
    assert!(is_written_and_flushed(&[FlushIssued, Written, Flushed, FlushIssued, Flushed]));
    assert!(!is_written_and_flushed(&[FlushIssued, Written, Flushed]), "begun too early");
    assert!(!is_written_and_flushed(&[Written, Flushed]));
    assert!(!is_written_and_flushed(&[FlushIssued, Flushed, Written]));
    let line = "dd-1 [001] ..... 3.6: block_rq_issue: 7,0 FF 0 () 0 + 0 none,0,0 [kworker/1:1H]";
    assert_eq!(Seen::read(line), Some(FlushIssued));
    let line = "ksoftirqd/1-22 [001] ..s.. 3.7: block_rq_complete: 7,0 WS () 32778 + 8 be,0,4 [0]";
    assert_eq!(Seen::read(line), Some(Written));
}
