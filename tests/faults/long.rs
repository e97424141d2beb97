//! Long values on storage whose calls fail: after opening again each key has its old value or its new one,
//! whole, and packing finds nothing else.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::{Db, Durability, Error, SHORT_VALUE_BYTES_MAX};

use crate::common::{in_parallel, setting};
use crate::disk::{Disk, Image};
use crate::faulty::{EIO, ENOSPC, Faulty, How, Plan};
use crate::options;
use crate::script::{TREE, contents, value};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a full part holds.
const PART: usize = 64_520;

/// Whether all calls after it fail too, and what is done of one that fails.
const COMBINATIONS: [(bool, How); 5] =
    [(false, How::Undone), (true, How::Undone), (false, How::Done), (false, How::Begun), (true, How::Done)];

#[derive(Clone, Copy)]
enum Do {
    Put(&'static str, usize),
    Remove(&'static str),
    RemovePrefix(&'static str),
    Load(&'static str, [(&'static str, usize); 2]),
}

const STEPS: [Do; 12] = [
    Do::Put("a/1", 200_000),
    Do::Put("a/2", 17 * PART),
    Do::Put("a/1", 10),
    Do::Put("b", 70_000),
    Do::Put("a/2", 300_000),
    Do::Put("a/3", 100_000),
    Do::Remove("b"),
    Do::Put("c", 66_000),
    Do::RemovePrefix("a/"),
    Do::Load("d/", [("d/1", 9 * PART), ("d/2", 20)]),
    Do::Put("d/1", 80_000),
    Do::Put("c", 140_000),
];

/// One step. Returns whether the log has failed. The last of `possible` is what there is now.
fn take(db: &Db, possible: &mut Vec<State>, at: usize, durability: Durability) -> bool {
    let Ok(tree) = db.tree(TREE) else { return true };
    let tree = tree.with_durability(durability);
    let before = possible.last().expect("there is a state").clone();
    let mut after = before.clone();
    let done = match STEPS[at] {
        Do::Put(key, bytes) => {
            after.insert(key.into(), value(at, bytes));
            tree.put(key, value(at, bytes)).map(drop)
        }
        Do::Remove(key) => {
            after.remove(key.as_bytes());
            tree.remove(key).map(drop)
        }
        Do::RemovePrefix(prefix) => {
            after.retain(|key, _| !key.starts_with(prefix.as_bytes()));
            tree.remove_prefix(prefix).map(drop)
        }
        Do::Load(prefix, files) => {
            let items = files.map(|(key, bytes)| (key.into(), value(at, bytes)));
            after.extend(items.clone());
            tree.load(prefix, items).map(drop)
        }
    };
    match done {
        Ok(()) if durability == Durability::Sync => *possible = vec![after],
        Ok(()) => possible.push(after),
        Err(error @ (Error::Io(_) | Error::Poisoned { .. })) => {
            match contents(db) {
                Ok(found) if found == before => {}
                Ok(found) => assert!(found == after, "{error}: neither the state before nor that behind"),
                Err(_) => {}
            }
            // What was done so far is the last that is sure, whatever there is now. A load whose last
            // checkpoint has failed may be there after opening again; what cannot be read does not tell.
            let is_over = matches!(error, Error::Poisoned { .. });
            let is_load = matches!(STEPS[at], Do::Load(..));
            if is_over || contents(db).map_or(is_load, |found| found == after) {
                possible.push(after);
            }
            return is_over;
        }
        Err(error) => panic!("{error:?}"),
    }
    false
}

fn live(backend: &Arc<Faulty>, possible: &mut Vec<State>) {
    let Ok(db) = options().open_backend(backend.clone()) else { return };
    for at in 0..STEPS.len() {
        let durability = if at % 2 == 0 { Durability::Sync } else { Durability::Buffered };
        if take(&db, possible, at, durability) {
            break;
        }
        if at == 5 {
            let _ = db.checkpoint();
        }
    }
    let _ = db.close();
}

fn keys_needed(state: &State) -> usize {
    let parts = |bytes: usize| if bytes > SHORT_VALUE_BYTES_MAX { bytes.div_ceil(PART) } else { 0 };
    state.values().map(|value| 1 + parts(value.len())).sum()
}

#[test]
fn whatever_fails_a_long_value_is_whole_or_not_there() {
    let backend = Faulty::new(Disk::new(Image::default()));
    live(&backend, &mut vec![State::new()]);
    let calls = backend.calls();
    println!("{calls} calls");
    let every = setting("SPINNEY_FAULTS_EVERY", 3);
    in_parallel("long values", 0..calls / every, |number| {
        let nth = number * every;
        let (for_good, how) = COMBINATIONS[number as usize % COMBINATIONS.len()];
        let disk = Disk::new(Image::default());
        let backend = Faulty::new(disk.clone());
        let errno = if number % 2 == 0 { EIO } else { ENOSPC };
        backend.set(Some(Plan { nth, for_good, errno, how, only_space: false }));
        let mut possible = vec![State::new()];
        live(&backend, &mut possible);
        let failed = backend.failed();
        disk.die();
        let again = Disk::forgetful(disk.image());
        let db = options().open_backend(again.clone()).unwrap_or_else(|error| {
            panic!("call {nth}, {how:?}: {error} after {failed:?}");
        });
        let found = contents(&db).unwrap();
        assert!(possible.contains(&found), "call {nth}, {how:?}, {failed:?}: {} keys", found.len());
        // What could not be taken away in that life is taken away now.
        db.compact().unwrap();
        assert!(db.check().unwrap().is_clean());
        let stored: u64 = db.blobs().unwrap().iter().map(|blob| u64::from(blob.keys)).sum();
        let needed = keys_needed(&found) + db.trees().unwrap().len();
        assert_eq!(stored, needed as u64, "call {nth}, {how:?}, {failed:?}: something was left behind");
        again.die();
    });
}
