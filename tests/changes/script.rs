//! Random writes through every call that writes.

#![forbid(unsafe_code)]

use spinney::{Db, Error, Result, Tree};

use crate::common::Random;
use crate::follower::loaded;

const TREES: [&str; 4] = ["files", "owners", "tags", "drafts"];

fn name(random: &mut Random) -> &'static str {
    TREES[random.below(TREES.len())]
}

fn key(random: &mut Random) -> String {
    let directory = ["photos", "photos/2025", "photos/2026", "logs", "logs/old", "x"];
    format!("{}/{:02}", random.pick(&directory), random.below(40))
}

fn directory(random: &mut Random) -> String {
    let directories = ["photos/", "photos/2025/", "photos/2026/", "logs/", "logs/old", "x/", "new/", "y", ""];
    let directory = random.pick(&directories).to_string();
    if random.percent(20) { format!("{directory}{}", random.below(4)) } else { directory }
}

fn value(random: &mut Random) -> Vec<u8> {
    let bytes = [0, 3, 30, 300, 3_000, 30_000][random.below(6)];
    vec![random.next() as u8; bytes]
}

/// What is refused because of what is there, and no failure.
fn or_refused<T>(done: Result<T>) {
    match done.map(drop) {
        Ok(())
        | Err(
            Error::TargetExists
            | Error::RenameIntoItself
            | Error::BatchRefused { .. }
            | Error::Aborted
            | Error::Conflict { .. },
        ) => {}
        Err(error) => panic!("{error}"),
    }
}

/// One call, whatever it finds. A handle of a tree that was dropped is used now and then.
pub fn write(db: &Db, stale: &mut Option<Tree>, random: &mut Random) {
    let name = name(random);
    match random.below(100) {
        0 => or_refused(db.rename_tree(name, self::name(random))),
        1 => {
            *stale = Some(db.tree(name).unwrap());
            or_refused(db.drop_tree(name));
        }
        2..=4 => {
            if let Some(tree) = stale {
                or_refused(tree.put(key(random), value(random)));
                or_refused(db.batch().put(tree, key(random), "a").put(tree, key(random), "b").commit());
            }
        }
        5..=24 => batch(db, random),
        25..=29 => transact(db, random),
        _ => single(&db.tree(name).unwrap(), random),
    }
}

fn single(tree: &Tree, random: &mut Random) {
    match random.below(70) {
        0..=29 => or_refused(tree.put(key(random), value(random))),
        30..=33 => or_refused(tree.put_if_absent(key(random), value(random))),
        34..=37 => {
            let key = key(random);
            if let Some(found) = tree.get(&key).unwrap() {
                or_refused(tree.compare_and_put(&key, found.version(), value(random)));
            }
        }
        38..=44 => or_refused(tree.remove(key(random))),
        45..=54 => or_refused(tree.rename(key(random), key(random))),
        55..=61 => or_refused(tree.rename_prefix(directory(random), directory(random))),
        62..=66 => or_refused(tree.remove_prefix(format!("{}{}", directory(random), random.below(3)))),
        67 => or_refused(tree.remove_prefix(directory(random))),
        _ => {
            let prefix = format!("{}loaded-{:04x}/", directory(random), random.below(0xFFFF));
            let keys = [0, 1, 50, 6_000][random.below(4)];
            or_refused(tree.load(&prefix, loaded(prefix.as_bytes(), keys)));
        }
    }
}

fn batch(db: &Db, random: &mut Random) {
    let trees: Vec<Tree> = (0..2).map(|_| db.tree(name(random)).unwrap()).collect();
    let mut batch = db.batch();
    let is_long = random.percent(6);
    for _ in 0..1 + random.below(8) {
        let tree = random.pick(&trees);
        match random.below(8) {
            0 => batch.remove(tree, key(random)),
            1 => batch.rename(tree, key(random), key(random)),
            _ => batch.put(tree, key(random), value(random)),
        };
    }
    if is_long {
        // More than a record holds.
        for number in 0..20 + random.below(60) {
            batch.put(&trees[0], format!("long/{number:03}"), vec![number as u8; 60_000]);
        }
    }
    or_refused(batch.commit());
}

fn transact(db: &Db, random: &mut Random) {
    let tree = db.tree(name(random)).unwrap();
    let (one, other) = (key(random), key(random));
    or_refused(db.transact(|transaction| {
        let found = transaction.get(&tree, &one)?.map_or(0, |value| value.len());
        transaction.put(&tree, &other, format!("{found} bytes"))?;
        if found == 3 { Err(transaction.abort()) } else { Ok(()) }
    }));
}
