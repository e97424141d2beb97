//! Small sound databases that inputs are changes of. Made once; the same in every run.

#![forbid(unsafe_code)]

use std::sync::{Arc, LazyLock};

use spinney::backend::sim::{Crash, Disk, FaultBackend, Grain, Storage};
use spinney::{Db, Options};

/// An image and its keys.
pub struct Image {
    pub bytes: Vec<u8>,
    pub known: Vec<Vec<u8>>,
}

/// One range blob; a router over several; long values, one of them in a directory that moved.
pub static IMAGES: LazyLock<[Image; 3]> = LazyLock::new(|| [plain(), routed(), long()].map(image_of));

/// What the death of a process has left, with some of everything in the log.
pub static DIED: LazyLock<Storage> = LazyLock::new(|| in_life(false));

/// What a loss of power within a checkpoint has left: a journal, and half of it in place.
pub static IN_CHECKPOINT: LazyLock<Storage> = LazyLock::new(|| in_life(true));

/// The keys of these two.
pub fn known() -> Vec<Vec<u8>> {
    (0..12).map(key).chain([b"long".to_vec(), b"other".to_vec()]).collect()
}

pub fn options() -> Options {
    Db::builder().log_bytes(8 << 20).cache_bytes(8 << 20).database_id(7).repeatable(1)
}

fn key(number: usize) -> Vec<u8> {
    format!("dir-{}/{number:03}", number % 3).into_bytes()
}

fn image_of(db: Db) -> Image {
    let files = db.tree("files").expect("sound");
    let known: Vec<Vec<u8>> = files.scan("").keys().map(|key| key.expect("sound")).collect();
    Image {
        bytes: db.image().expect("sound"),
        known: known.into_iter().filter(|key| !key.is_empty()).collect(),
    }
}

fn plain() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("sound");
    for byte in (0..=255).step_by(3) {
        files.put([b'm', byte], [byte; 3]).expect("sound");
        files.put([b'm', byte, b'/', byte], [byte; 9]).expect("sound");
    }
    for number in 0..90 {
        let key = format!("photos/2026/{:02}/image-{number:05}.jpg", number % 12);
        files.put(key, [number; 40]).expect("sound");
    }
    for length in 0..40 {
        files.put(vec![b'p'; length * 3], vec![1; length % 9]).expect("sound");
    }
    files.remove_prefix("photos/2026/07/").expect("sound");
    db.tree("other").and_then(|other| other.put("", "the empty key")).expect("sound");
    db
}

fn routed() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("sound");
    for number in 0..24 {
        let name = format!("{:02}/{number:03}/name", number * 7 % 40);
        files.put(&name, vec![0; 60_000]).expect("sound");
        files.put(name + "/small", [number; 9]).expect("sound");
    }
    files.rename_prefix("2", "moved/2").expect("sound");
    db
}

fn long() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("sound");
    for (number, bytes) in [70_000, 130_000, 66_000].into_iter().enumerate() {
        files.put(format!("long/{number}"), vec![number as u8; bytes]).expect("sound");
        files.put(format!("short/{number}"), "short").expect("sound");
    }
    files.rename_prefix("long/1", "moved/1").expect("sound");
    db
}

fn in_life(in_checkpoint: bool) -> Storage {
    let disk = FaultBackend::new(5);
    let db = options().open_backend(disk.clone()).expect("sound");
    let files = db.tree("files").expect("sound");
    for number in 0..9 {
        files.put(key(number), vec![number as u8; 50 * number]).expect("sound");
    }
    db.checkpoint().expect("sound");
    files.put(key(9), [9; 300]).expect("sound");
    files.remove(key(1)).expect("sound");
    files.rename(key(2), key(10)).expect("sound");
    files.rename_prefix("dir-0/", "moved/").expect("sound");
    files.remove_prefix("dir-1/").expect("sound");
    db.batch().put(&files, key(3), "batch").remove(&files, key(9)).commit().expect("sound");
    files.put("long", vec![5; 70_000]).expect("sound");
    files.remove_prefix("lon").expect("sound");
    db.tree("other").and_then(|tree| tree.put("other", "tree")).expect("sound");
    db.drop_tree("other").expect("sound");
    if !in_checkpoint {
        disk.crash();
        return disk.storage();
    }
    disk.record();
    db.checkpoint().expect("sound");
    let moments = disk.record();
    let commit = moments.iter().position(|moment| moment.what == "sync Journal").expect("it commits");
    let is_data = |what: &str| what.starts_with("write pages") && what.ends_with("Data");
    let at = (commit..moments.len()).find(|&at| is_data(&moments[at].what)).expect("it writes in place");
    let before: &Disk = &moments[at - 1].disk;
    let storage = before.ends(&moments[at].disk, Crash::PowerLoss(Grain::Page)).at_random(3);
    disk.crash();
    storage
}

/// A disk that holds this.
pub fn disk_with(storage: Storage) -> Arc<FaultBackend> {
    let disk = FaultBackend::with_disk(1, Disk::new(storage));
    disk.forget();
    disk
}
