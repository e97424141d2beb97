//! Limits and misuse: what is refused, with which error, and that nothing has changed then.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

#[path = "errors/directories.rs"]
mod directories;
#[path = "errors/handles.rs"]
mod handles;

use spinney::{
    Db, Entry, Error, KEY_BYTES_MAX, Result, SHORT_VALUE_BYTES_MAX, TREE_NAME_BYTES_MAX, Tree,
    VALUE_BYTES_MAX, Version,
};

fn files() -> (Db, Tree) {
    let db = Db::memory();
    let tree = db.tree("files").expect("made");
    (db, tree)
}

fn filled(keys: &[&str]) -> (Db, Tree) {
    let (db, tree) = files();
    for key in keys {
        tree.put(key, format!("value of {key}")).expect("puts");
    }
    (db, tree)
}

fn keys(tree: &Tree) -> Vec<Vec<u8>> {
    tree.scan("").keys().collect::<Result<_>>().expect("scans")
}

fn assert_key_too_long<T: std::fmt::Debug>(result: Result<T>, length: usize) {
    match result {
        Err(Error::KeyTooLong { length_bytes, limit_bytes }) => {
            assert_eq!((length_bytes, limit_bytes), (length, KEY_BYTES_MAX));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_what_is_promised() {
    assert_eq!((KEY_BYTES_MAX, VALUE_BYTES_MAX, TREE_NAME_BYTES_MAX), (65_000, 67_108_864, 255));
    assert_eq!(SHORT_VALUE_BYTES_MAX, 65_535);
}

#[test]
fn the_longest_key_is_accepted_and_one_byte_more_is_not() {
    let (db, tree) = files();
    let (longest, longer) = (vec![b'k'; 65_000], vec![b'k'; 65_001]);
    tree.put(&longest, "v").expect("the longest key");
    assert_eq!(tree.get(&longest).expect("reads").as_deref(), Some(&b"v"[..]));
    let before = db.stats().last_version;
    assert_key_too_long(tree.put(&longer, "v"), 65_001);
    assert_key_too_long(tree.put_if_absent(&longer, "v"), 65_001);
    assert_key_too_long(tree.compare_and_put(&longer, Version::from_number(1), "v"), 65_001);
    assert_key_too_long(tree.get(&longer), 65_001);
    assert_key_too_long(tree.get_into(&longer, &mut Vec::new()), 65_001);
    assert_key_too_long(tree.contains(&longer), 65_001);
    assert_key_too_long(tree.remove(&longer), 65_001);
    assert_key_too_long(tree.remove_if(&longer, Version::from_number(1)), 65_001);
    assert_key_too_long(tree.longest_prefix(&longer), 65_001);
    assert_key_too_long(tree.rename(&longest, &longer), 65_001);
    assert_key_too_long(tree.rename(&longer, "short"), 65_001);
    assert_key_too_long(tree.put(vec![0; 1_000_000], "v"), 1_000_000);
    assert_eq!(keys(&tree), [longest]);
    assert_eq!(db.stats().last_version, before);
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn bounds_of_scans_may_be_longer_than_any_key() {
    let (_db, tree) = filled(&["j", "k", "l"]);
    let longer = vec![b'k'; 70_000];
    assert_eq!(tree.scan(&longer).count(), 0);
    assert_eq!(tree.list(&longer).count(), 0);
    assert_eq!(tree.range(longer.clone()..).count(), 1);
    assert_eq!(tree.range(..=longer.clone()).rev().count(), 2);
    assert_eq!(tree.scan("").start_after(&longer).count(), 1);
    assert_eq!(tree.list("").start_after(&longer).rev().count(), 1);
}

#[test]
fn the_largest_value_is_accepted_and_one_byte_more_is_not() {
    let (db, tree) = files();
    let (largest, larger) = (vec![7; VALUE_BYTES_MAX], vec![7; VALUE_BYTES_MAX + 1]);
    let version = tree.put("k", &largest).expect("the largest value");
    assert!(tree.get("k").expect("reads").as_deref() == Some(&largest[..]));
    let refused = [
        tree.put("k", &larger).map(Some),
        tree.put_if_absent("new", &larger),
        tree.compare_and_put("k", version, &larger),
        tree.compare_and_put("new", version, &larger),
    ];
    for result in refused {
        match result {
            Err(Error::ValueTooLarge { length_bytes, limit_bytes }) => {
                assert_eq!((length_bytes, limit_bytes), (67_108_865, 67_108_864));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(keys(&tree), [b"k"]);
    assert_eq!(tree.get("k").expect("reads").expect("is there").version(), version);
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn the_longest_key_takes_the_largest_value() {
    let (db, tree) = files();
    for first in 0..=12 {
        let mut key = vec![b'k'; 65_000];
        key[0] = first * 5 % 13;
        tree.put(&key, vec![first; 65_535]).expect("both at their limits");
    }
    for pair in tree.scan("") {
        let (key, value) = pair.expect("scans");
        assert_eq!((key.len(), value.len()), (65_000, 65_535));
        assert_eq!(key[0], value[0] * 5 % 13);
    }
    assert_eq!(tree.scan("").count(), 13);
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn tree_names_have_1_to_255_bytes() {
    let db = Db::memory();
    for (name, length) in [(String::new(), 0), ("n".repeat(256), 256), ("n".repeat(100_000), 100_000)] {
        match db.tree(&name) {
            Err(Error::TreeName { length_bytes, limit_bytes }) => {
                assert_eq!((length_bytes, limit_bytes), (length, 255));
            }
            other => panic!("{other:?}"),
        }
    }
    for name in ["n".repeat(255), "/".into(), "\0".into(), "a/b".into(), "\u{e9}".into()] {
        db.tree(&name).expect("made").put("k", &name).expect("puts");
    }
    let names = db.trees().expect("reads");
    assert_eq!(names, ["\0", "/", "a/b", &"n".repeat(255), "\u{e9}"]);
    for name in names {
        let tree = db.tree(&name).expect("is there");
        assert_eq!(tree.get("k").expect("reads").as_deref(), Some(name.as_bytes()));
        assert_eq!(tree.scan("").count(), 1);
    }
}

#[test]
fn a_name_that_is_too_long_to_exist_is_no_tree_to_drop() {
    let (db, _tree) = files();
    assert!(!db.drop_tree("").expect("nothing to drop"));
    assert!(!db.drop_tree(&"n".repeat(300)).expect("nothing to drop"));
    assert!(!db.drop_tree("file").expect("nothing to drop"));
    assert_eq!(db.trees().expect("reads"), ["files"]);
}

#[test]
fn a_dropped_tree_is_empty_and_its_name_begins_anew() {
    let (db, old) = filled(&["a", "b/c"]);
    let other = db.tree("other").expect("made");
    other.put("a", "stays").expect("puts");
    assert!(db.drop_tree("files").expect("drops"));
    assert!(!db.drop_tree("files").expect("is gone"));
    assert_eq!(db.trees().expect("reads"), ["other"]);
    // The handle either sees nothing, or says that its tree is gone.
    for result in [old.get("a").map(|found| found.is_none()), old.is_empty()] {
        assert!(matches!(result, Ok(true)), "{result:?}");
    }
    let written = old.put("ghost", "x");
    assert!(written.is_ok(), "{written:?}");
    let new = db.tree("files").expect("made anew");
    assert!(new.is_empty().expect("reads"));
    new.put("a", "new").expect("puts");
    assert_eq!(keys(&new), [b"a"]);
    assert_eq!(keys(&other), [b"a"]);
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn rename_says_what_was_in_its_way() {
    let (db, tree) = filled(&["a", "b"]);
    let version = |key: &str| tree.get(key).expect("reads").map(|value| value.version());
    let (a, last) = (version("a"), db.stats().last_version);
    assert!(matches!(tree.rename("a", "b"), Err(Error::TargetExists)));
    // Missing sources come first: there is nothing to move.
    assert_eq!(tree.rename("missing", "c").expect("nothing to move"), None);
    assert_eq!(tree.rename("missing", "b").expect("nothing to move"), None);
    assert_eq!(tree.rename("missing", "missing").expect("nothing to move"), None);
    // Onto itself: nothing happens.
    assert_eq!(tree.rename("a", "a").expect("nothing to do"), a);
    assert_eq!(db.stats().last_version, last);
    assert_eq!(keys(&tree), [b"a", b"b"]);
    let moved = tree.rename("a", "").expect("moves").expect("is there");
    assert_eq!(version(""), Some(moved));
    assert_eq!(&*tree.get("").expect("reads").expect("is there"), b"value of a");
    assert_eq!(version("a"), None);
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn conditions_that_do_not_hold_change_nothing() {
    let (db, tree) = filled(&["a"]);
    let version = tree.get("a").expect("reads").expect("is there").version();
    let wrong = [0, version.number() - 1, version.number() + 1, u64::MAX].map(Version::from_number);
    for wrong in wrong {
        assert_eq!(tree.compare_and_put("a", wrong, "x").expect("refused"), None);
        assert_eq!(tree.remove_if("a", wrong).expect("refused"), None);
        assert_eq!(tree.compare_and_put("missing", wrong, "x").expect("refused"), None);
        assert_eq!(tree.remove_if("missing", wrong).expect("refused"), None);
    }
    assert_eq!(tree.put_if_absent("a", "x").expect("refused"), None);
    assert_eq!(tree.remove("missing").expect("nothing there"), None);
    assert_eq!(db.stats().last_version, version.number());
    assert_eq!(&*tree.get("a").expect("reads").expect("is there"), b"value of a");
    let removed = tree.remove_if("a", version).expect("removes").expect("held");
    assert!(removed > version);
    // A key that comes back has another version: the old one does not hold again.
    tree.put("a", "again").expect("puts");
    assert_eq!(tree.compare_and_put("a", version, "x").expect("refused"), None);
}

#[test]
fn a_miss_empties_the_buffer() {
    let (_db, tree) = filled(&["a"]);
    let mut buffer = b"old".to_vec();
    assert_eq!(tree.get_into("missing", &mut buffer).expect("reads"), None);
    assert_eq!(buffer, b"");
    assert!(tree.get_into("a", &mut buffer).expect("reads").is_some());
    assert_eq!(buffer, b"value of a");
    tree.put("a", "").expect("puts");
    assert!(tree.get_into("a", &mut buffer).expect("reads").is_some());
    assert_eq!(buffer, b"");
}

#[test]
fn an_empty_database_answers_everything() {
    let (db, tree) = files();
    assert_eq!((tree.first().expect("reads"), tree.last().expect("reads")), (None, None));
    assert_eq!(tree.longest_prefix("a/b").expect("reads"), None);
    assert!(tree.is_empty().expect("reads"));
    assert!(tree.get("").expect("reads").is_none());
    assert_eq!(tree.remove("").expect("reads"), None);
    assert_eq!(tree.scan("").count() + tree.scan("").rev().count() + tree.list("").count(), 0);
    assert_eq!(tree.range::<&str>(..).count() + tree.list("/").rev().count(), 0);
    assert!(db.check().expect("checks").is_clean());
    assert!(Db::memory().trees().expect("reads").is_empty());
}

#[test]
fn limits_of_scans_and_lists() {
    let (_db, tree) = filled(&["a", "b/1", "b/2", "c"]);
    assert_eq!(tree.scan("").limit(0).count(), 0);
    assert_eq!(tree.scan("").limit(0).rev().count(), 0);
    assert_eq!(tree.scan("").keys().limit(0).count(), 0);
    assert_eq!(tree.list("").limit(0).count(), 0);
    assert_eq!(tree.scan("").limit(usize::MAX).count(), 4);
    assert_eq!(tree.list("").limit(2).count(), 2);
    // From both ends together.
    let mut scan = tree.scan("").keys().limit(3);
    assert_eq!(scan.next().expect("one").expect("scans"), b"a");
    assert_eq!(scan.next_back().expect("two").expect("scans"), b"c");
    assert_eq!(scan.next().expect("three").expect("scans"), b"b/1");
    assert!(scan.next_back().is_none() && scan.next().is_none());
    let mut list = tree.list("").limit(2);
    assert_eq!(list.next_back().expect("one").expect("lists").name(), b"c");
    assert_eq!(list.next().expect("two").expect("lists").name(), b"a");
    assert!(list.next().is_none() && list.next_back().is_none());
    // The last limit counts.
    assert_eq!(tree.scan("").limit(0).limit(2).count(), 2);
}

#[test]
fn start_after_beyond_either_end() {
    let (_db, tree) = filled(&["b/1", "b/2", "c", "d/1"]);
    let names = |list: spinney::List| list.map(|child| child.expect("lists").name().to_vec());
    assert_eq!(tree.scan("").start_after("z").count(), 0);
    assert_eq!(tree.scan("b/").start_after("c").count(), 0);
    assert_eq!(tree.scan("b/").start_after("a").count(), 2);
    assert_eq!(tree.scan("b/").start_after("").count(), 2);
    assert_eq!(tree.scan("").start_after([0xFF; 9]).rev().count(), 0);
    assert_eq!(tree.list("b/").start_after("z").count(), 0);
    assert_eq!(tree.list("b/").start_after("a").count(), 2);
    assert_eq!(tree.list("").start_after("d/").count(), 0);
    assert_eq!(names(tree.list("").start_after("b/")).collect::<Vec<_>>(), [&b"c"[..], b"d/"]);
    // In the middle of a directory: what is left of it still shows.
    assert_eq!(names(tree.list("").start_after("b/1")).collect::<Vec<_>>(), [&b"b/"[..], b"c", b"d/"]);
    assert_eq!(names(tree.list("").start_after("b/2")).collect::<Vec<_>>(), [&b"c"[..], b"d/"]);
}

/// Whether a name is a directory depends on the delimiter, whichever is told first.
#[test]
fn start_after_and_delimiter_come_in_any_order() {
    let (_db, tree) = filled(&["de.a.x", "de.a.y", "de.b", "p/q.r", "p/s"]);
    let names =
        |list: spinney::List| list.map(|child| child.expect("lists").name().to_vec()).collect::<Vec<_>>();
    for (prefix, after, expected) in [
        ("de.", "de.a.", &["de.b"][..]),
        // A directory with the usual delimiter, and a key like any other with this one.
        ("", "p/", &["p/q.", "p/s"]),
        ("de.", "de.a.x", &["de.a.", "de.b"]),
    ] {
        let first = names(tree.list(prefix).delimiter(b'.').start_after(after));
        let last = names(tree.list(prefix).start_after(after).delimiter(b'.'));
        assert_eq!(first, last, "behind {after}");
        assert_eq!(last, expected.iter().map(|name| name.as_bytes()).collect::<Vec<_>>());
    }
    assert_eq!(names(tree.list("").start_after("p/").start_after("a")), [] as [&[u8]; 0], "both count");
}

#[test]
#[allow(clippy::reversed_empty_ranges)]
fn ranges_that_hold_nothing() {
    let (_db, tree) = filled(&["a", "b", "c"]);
    assert_eq!(tree.range("c".."a").count(), 0);
    assert_eq!(tree.range("c"..="a").rev().count(), 0);
    assert_eq!(tree.range("b".."b").count(), 0);
    assert_eq!(tree.range("b"..="b").count(), 1);
    assert_eq!(tree.range("bb"..).rev().count(), 1);
    assert_eq!(tree.range(.."").count(), 0);
    assert_eq!(tree.range(..="").count(), 0);
    let excluded = (std::ops::Bound::Excluded("a"), std::ops::Bound::Excluded("c"));
    assert_eq!(tree.range::<&str>(excluded).count(), 1);
}

#[test]
fn a_scan_that_has_ended_stays_ended() {
    let (_db, tree) = filled(&["a", "b"]);
    let (mut scan, mut list) = (tree.scan(""), tree.list(""));
    assert_eq!(scan.by_ref().count() + list.by_ref().count(), 4);
    tree.put("c", "later").expect("puts");
    assert!(scan.next().is_none() && scan.next_back().is_none());
    assert!(scan.next_ref().expect("ended").is_none());
    assert!(list.next().is_none() && list.next_back().is_none());
    assert!(list.next_ref().expect("ended").is_none());
}

#[test]
fn a_scan_outlives_its_tree_and_database() {
    let scan = {
        let (_db, tree) = filled(&["a", "b"]);
        tree.scan("")
    };
    assert_eq!(scan.count(), 2);
}

#[test]
fn values_and_entries_say_what_they_are() {
    let (_db, tree) = filled(&["a/b"]);
    let value = tree.get("a/b").expect("reads").expect("is there");
    assert_eq!(value.as_ref(), b"value of a/b");
    assert_eq!(value.version().to_string(), value.version().number().to_string());
    assert_eq!(value.clone().into_vec(), b"value of a/b");
    let directory = tree.list("").next().expect("one").expect("lists");
    assert!(directory.is_prefix() && directory == Entry::Prefix(b"a/".to_vec()));
    let file = tree.list("a/").next().expect("one").expect("lists");
    assert!(!file.is_prefix());
    assert!(matches!(file, Entry::Key { key, version, .. } if key == b"a/b" && version == value.version()));
}

/// The codes are a promise: programs and the browser package compare them.
#[test]
fn every_error_has_its_stable_code_and_says_what_to_do() {
    let errors = [
        (Error::KeyTooLong { length_bytes: 1, limit_bytes: 2 }, "KeyTooLong"),
        (Error::ValueTooLarge { length_bytes: 1, limit_bytes: 2 }, "ValueTooLarge"),
        (Error::TreeName { length_bytes: 1, limit_bytes: 2 }, "TreeName"),
        (Error::TooManyTrees, "TooManyTrees"),
        (Error::NoSuchTree { name: "files".into() }, "NoSuchTree"),
        (Error::TargetExists, "TargetExists"),
        (Error::NotSpinney { reason: "r" }, "NotSpinney"),
        (Error::NewerFormat { found: 2, supported: 1 }, "NewerFormat"),
        (Error::Truncated { found_bytes: 1, expected_bytes: 2 }, "Truncated"),
        (Error::Corrupt { blob: 3, page: 4, reason: "r" }, "Corrupt"),
        (Error::ReadOnly, "ReadOnly"),
        (Error::OutOfSpace { limit_blobs: 5 }, "OutOfSpace"),
        (Error::SnapshotTooOld, "SnapshotTooOld"),
        (Error::BackupExists, "BackupExists"),
        (Error::from(std::io::Error::other("broken")), "Io"),
    ];
    for (error, code) in errors {
        assert_eq!(error.code(), code);
        assert!(error.to_string().len() > 10, "{error}");
    }
    let text = Error::Corrupt { blob: 3, page: 4, reason: "r" }.to_string();
    assert!(text.contains("blob 3") && text.contains("page 4"), "{text}");
    let source =
        std::error::Error::source(&Error::from(std::io::Error::other("broken"))).map(|e| e.to_string());
    assert_eq!(source.as_deref(), Some("broken"));
}

#[test]
fn handles_are_cheap_and_go_anywhere() {
    fn is_shareable<T: Send + Sync + Clone>(_: &T) {}
    fn is_movable<T: Send>(_: &T) {}
    let (db, tree) = filled(&["a"]);
    is_shareable(&db);
    is_shareable(&tree);
    is_movable(&tree.scan(""));
    is_movable(&tree.list(""));
    is_movable(&tree.scan("").keys());
    is_movable(&Error::TargetExists);
    let (db2, tree2) = (db.clone(), tree.clone());
    drop((db, tree));
    assert_eq!(keys(&tree2), [b"a"]);
    assert_eq!(db2.tree("files").expect("is there").scan("").count(), 1);
}
