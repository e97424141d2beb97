//! Batches on storage whose calls fail: an error says whether nothing was applied or nobody knows, and that
//! is what there is after opening again.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use spinney::{Db, Durability, Error};

use crate::common::{in_parallel, setting};
use crate::disk::{Disk, Image};
use crate::faulty::{EIO, ENOSPC, Faulty, How, Plan};
use crate::options;
use crate::script::{TREE, contents, key, value};

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Whether all calls after it fail too, and what is done of one that fails.
const COMBINATIONS: [(bool, How); 5] =
    [(false, How::Undone), (true, How::Undone), (false, How::Done), (false, How::Begun), (true, How::Done)];

/// What there may be after opening again; the last one is what there is now.
struct Possible(Vec<State>);

/// One batch: puts and a removal. Returns whether the log has failed.
fn write(db: &Db, possible: &mut Possible, at: usize, puts: u32, durability: Durability) -> bool {
    let Ok(tree) = db.tree(TREE) else { return true };
    let before = possible.0.last().expect("there is a state").clone();
    let mut after = before.clone();
    let mut batch = db.batch();
    for number in 0..puts {
        let (key, value) = (key(at as u32 * 7 + number), value(at * 100 + number as usize, 50_000));
        batch.put(&tree, &key, &value);
        after.insert(key, value);
    }
    batch.remove(&tree, key(at as u32 * 7)).durability(durability);
    after.remove(&key(at as u32 * 7));
    let steps = batch.len();
    match batch.commit() {
        Ok(_) if durability == Durability::Sync => possible.0 = vec![after],
        Ok(_) => possible.0.push(after),
        Err(Error::OutcomeUnknown { .. }) => {
            if let Ok(found) = contents(db) {
                assert!(found == after, "it can be read");
            }
            possible.0.push(after);
            return true;
        }
        Err(error @ (Error::Io(_) | Error::Poisoned { .. })) => {
            assert_eq!(batch.len(), steps, "it can be committed again");
            if let Ok(found) = contents(db) {
                assert!(found == before, "{error}: something was applied");
            }
            return matches!(error, Error::Poisoned { .. });
        }
        Err(error) => panic!("{error:?}"),
    }
    false
}

/// One life; what there may be after it, and whether anything has failed.
fn live(backend: &Arc<Faulty>, possible: &mut Possible) {
    let Ok(db) = options().open_backend(backend.clone()) else { return };
    for at in 0..8 {
        let (puts, durability) = match at % 4 {
            0 => (2, Durability::Sync),
            1 => (3, Durability::Buffered),
            // In parts.
            2 => (40, Durability::Sync),
            _ => (30, Durability::Buffered),
        };
        if write(&db, possible, at, puts, durability) {
            break;
        }
        if at == 5 {
            let _ = db.checkpoint();
        }
    }
    let _ = db.close();
}

#[test]
fn whatever_fails_a_batch_is_all_there_or_nothing_of_it() {
    let disk = Disk::new(Image::default());
    let backend = Faulty::new(disk);
    live(&backend, &mut Possible(vec![State::new()]));
    let calls = backend.calls();
    println!("{calls} calls");
    let every = setting("SPINNEY_FAULTS_EVERY", 3);
    in_parallel("batches", 0..calls / every, |number| {
        let nth = number * every;
        let (for_good, how) = COMBINATIONS[number as usize % COMBINATIONS.len()];
        let disk = Disk::new(Image::default());
        let backend = Faulty::new(disk.clone());
        let errno = if number % 2 == 0 { EIO } else { ENOSPC };
        backend.set(Some(Plan { nth, for_good, errno, how, only_space: false }));
        let mut possible = Possible(vec![State::new()]);
        live(&backend, &mut possible);
        let failed = backend.failed();
        disk.die();
        let again = Disk::forgetful(disk.image());
        let db = options().open_backend(again.clone()).unwrap_or_else(|error| {
            panic!("call {nth}, {how:?}: {error} after {failed:?}");
        });
        let found = contents(&db).unwrap();
        let is_possible = possible.0.contains(&found);
        assert!(is_possible, "call {nth}, {how:?}, {failed:?}: {} keys", found.len());
        assert!(db.check().unwrap().is_clean());
        again.die();
    });
}
