//! What is told of each call, and what is not.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::MemoryBackend;
use spinney::{Changed, Db, Error, Result, Tree, Version};

fn open() -> Db {
    Db::builder().open_backend(Arc::new(MemoryBackend::new())).unwrap()
}

/// Each change as a line of text.
fn lines(db: &Db, since: u64) -> Vec<String> {
    let changes = db.changes_since(Version::from_number(since)).unwrap();
    let line = |change: Result<spinney::Change>| {
        let change = change.unwrap();
        format!("{} {}", change.version, words(&change.what))
    };
    changes.map(line).collect()
}

fn words(what: &Changed) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match what {
        Changed::Put { tree, key, value } => format!("{tree} put {} {}", text(key), text(value)),
        Changed::Remove { tree, key } => format!("{tree} remove {}", text(key)),
        Changed::Rename { tree, from, to } => format!("{tree} rename {} {}", text(from), text(to)),
        Changed::RenamePrefix { tree, from, to } => format!("{tree} move {} {}", text(from), text(to)),
        Changed::RemovePrefix { tree, prefix } => format!("{tree} clear {}", text(prefix)),
        Changed::TreeMade { tree } => format!("{tree} made"),
        Changed::TreeRenamed { from, to } => format!("{from} renamed {to}"),
        Changed::TreeDropped { tree } => format!("{tree} dropped"),
        Changed::Loaded { tree, prefix, keys } => format!("{tree} loaded {} {keys}", text(prefix)),
        Changed::Batch(changes) => {
            let each: Vec<String> =
                changes.iter().map(|change| format!("{} {}", change.version, words(&change.what))).collect();
            format!("[{}]", each.join(", "))
        }
        other => panic!("{other:?}"),
    }
}

fn write_all(db: &Db) -> Tree {
    let files = db.tree("files").unwrap();
    files.put("a/1", "one").unwrap();
    files.put_if_absent("a/1", "not put").unwrap();
    files.remove("not there").unwrap();
    files.rename("a/1", "a/2").unwrap();
    files.rename_prefix("a/", "b/").unwrap();
    files.load("c/", [("c/1", "x"), ("c/2", "y")]).unwrap();
    let tags = db.tree("tags").unwrap();
    db.batch().put(&tags, "t", "1").remove(&files, "c/1").rename(&tags, "t", "u").commit().unwrap();
    db.transact(|transaction| transaction.put(&files, "d", "")).unwrap();
    assert!(db.rename_tree("tags", "labels").unwrap());
    tags.remove("u").unwrap();
    files.remove_prefix("c").unwrap();
    assert!(db.drop_tree("files").unwrap());
    files
}

const ALL: [&str; 12] = [
    "1 files made",
    "2 files put a/1 one",
    "3 files rename a/1 a/2",
    "4 files move a/ b/",
    "5 files loaded c/ 2",
    "6 tags made",
    "9 [7 tags put t 1, 8 files remove c/1, 9 tags rename t u]",
    "10 [10 files put d ]",
    "11 tags renamed labels",
    "12 labels remove u",
    "13 files clear c",
    "14 files dropped",
];

#[test]
fn every_call_is_told_as_what_it_was_at_its_time() {
    let db = open();
    let dropped = write_all(&db);
    // Nobody finds what these write.
    dropped.put("lost", "").unwrap();
    dropped.put("lost/1", "").unwrap();
    dropped.rename_prefix("lost/", "other/").unwrap();
    db.batch().put(&dropped, "x", "").put(&dropped, "y", "").commit().unwrap();
    let again = db.tree("files").unwrap();
    db.batch().put(&dropped, "lost", "").put(&again, "z", "9").commit().unwrap();
    let mut expected: Vec<String> = ALL.iter().map(|line| line.to_string()).collect();
    expected.extend(["20 files made".to_string(), "22 [22 files put z 9]".to_string()]);
    assert_eq!(lines(&db, 0), expected);
    // From anywhere on: also with names that have changed since. A batch is never cut.
    for since in 0..=22 {
        let later = |line: &&String| line.split(' ').next().unwrap().parse::<u64>().unwrap() > since;
        let later: Vec<String> = expected.iter().filter(later).cloned().collect();
        assert_eq!(lines(&db, since), later, "since {since}");
    }
    let mut changes = db.changes_since(Version::from_number(14)).unwrap();
    assert_eq!(changes.by_ref().take(1).count(), 1);
    assert_eq!(changes.version().number(), 20);
}

#[test]
fn where_there_is_nothing_to_tell_it_is_said_why() {
    let zero = Version::from_number(0);
    assert!(matches!(Db::memory().changes_since(zero), Err(Error::NoChanges)));
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).unwrap();
    db.tree("files").unwrap().put("a", "b").unwrap();
    let error = db.changes_since(Version::from_number(3)).unwrap_err();
    assert!(matches!(error, Error::ChangesAhead { since: 3, last: 2 }), "{error}");
    let other = db.clone();
    db.close().unwrap();
    assert!(matches!(other.changes_since(zero), Err(Error::Closed)));
    let read_only = Db::builder().read_only(true).open_backend(backend.clone()).unwrap();
    assert!(matches!(read_only.changes_since(zero), Err(Error::NoChanges)));
    drop(read_only);
    // Closing has removed the log; what follows the last write is told.
    let db = Db::builder().keep_changes_bytes(8 << 20).open_backend(backend).unwrap();
    let error = db.changes_since(Version::from_number(1)).unwrap_err();
    assert!(matches!(error, Error::ChangesRecycled { since: 1, oldest: 2 }), "{error}");
    db.tree("files").unwrap().put("c", "d").unwrap();
    assert_eq!(lines(&db, 2), ["3 files put c d"]);
}

/// What a follower relies on that may have done its last change without noting it.
#[test]
fn directories_and_trees_that_have_moved_are_not_moved_again() {
    let db = Db::memory();
    let files = db.tree("files").unwrap();
    for key in ["a/1", "a/2"] {
        files.put(key, "").unwrap();
    }
    assert!(files.rename_prefix("a/", "b/").unwrap().is_some());
    assert!(files.rename_prefix("a/", "b/").unwrap().is_none());
    assert!(db.rename_tree("files", "records").unwrap());
    assert!(!db.rename_tree("files", "records").unwrap());
}
