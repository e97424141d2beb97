//! Directories and trees where they cannot go, and loads that cannot be taken: each has its own error, and
//! nothing has changed.

#![forbid(unsafe_code)]

use spinney::{Db, Error, KEY_BYTES_MAX, VALUE_BYTES_MAX};

use crate::{assert_key_too_long, filled, keys};

#[test]
fn a_directory_cannot_be_moved_into_itself() {
    let (db, tree) = filled(&["a/b/1", "a/b/2", "c"]);
    let last = db.stats().last_version;
    for (from, to) in
        [("a/", "a/"), ("a/", "a/b/"), ("a", "a/new"), ("", ""), ("", "anywhere"), ("no", "no/such")]
    {
        let moved = tree.rename_prefix(from, to);
        assert!(matches!(moved, Err(Error::RenameIntoItself)), "{from} to {to}: {moved:?}");
    }
    assert_eq!((db.stats().last_version, keys(&tree).len()), (last, 3));
    // The other way round is no such thing.
    assert!(tree.rename_prefix("a/b/", "a/").expect("moves").is_some());
    assert_eq!(keys(&tree), [&b"a/1"[..], b"a/2", b"c"]);
}

#[test]
fn a_directory_cannot_be_moved_to_where_keys_are() {
    let (db, tree) = filled(&["a/1", "b", "c/d/1", "cc"]);
    let last = db.stats().last_version;
    for to in ["b", "c/", "c/d/1", "c", ""] {
        let moved = tree.rename_prefix("a/", to);
        assert!(matches!(moved, Err(Error::TargetExists)), "{to}: {moved:?}");
    }
    assert_eq!(tree.rename_prefix("no/", "c/").expect("nothing to move"), None);
    assert_eq!((db.stats().last_version, keys(&tree).len()), (last, 4));
    assert!(tree.rename_prefix("a/", "b/").expect("a key is no directory").is_some());
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn a_directory_cannot_be_moved_to_keys_that_are_too_long() {
    let (db, tree) = filled(&["a/1", "b"]);
    let longest = [b"a/".as_slice(), &vec![b'k'; KEY_BYTES_MAX - 2]].concat();
    tree.put(&longest, "v").expect("the longest key");
    let last = db.stats().last_version;
    assert_key_too_long(tree.rename_prefix("a/", "one/"), KEY_BYTES_MAX + 2);
    let longer = vec![b'x'; KEY_BYTES_MAX + 1];
    assert_key_too_long(tree.rename_prefix("a/", &longer), KEY_BYTES_MAX + 1);
    assert_key_too_long(tree.rename_prefix(&longer, "b/"), KEY_BYTES_MAX + 1);
    assert_key_too_long(tree.remove_prefix(&longer), KEY_BYTES_MAX + 1);
    assert_eq!((db.stats().last_version, keys(&tree).len()), (last, 3));
    assert!(tree.rename_prefix("a/", "c/").expect("as long as before").is_some());
}

#[test]
fn a_load_that_cannot_be_taken_leaves_nothing() {
    let (db, tree) = filled(&["a/1", "b"]);
    let last = db.stats().last_version;
    let longer = format!("n/{}", "k".repeat(KEY_BYTES_MAX));
    assert!(matches!(tree.load("a/", [("a/2", "")]), Err(Error::TargetExists)));
    assert!(matches!(tree.load("", [("c", "")]), Err(Error::TargetExists)));
    for (items, named) in [
        ([("n/2", ""), ("n/1", "")], "n/1"),
        ([("n/1", ""), ("n/1", "")], "n/1"),
        ([("n/1", ""), ("o/1", "")], "o/1"),
        ([("m", ""), ("n/1", "")], "m"),
    ] {
        let refused = tree.load("n/", items);
        assert!(
            matches!(&refused, Err(Error::LoadRefused { key, .. }) if key == named.as_bytes()),
            "{refused:?}"
        );
    }
    assert_key_too_long(tree.load("n/", [("n/1", ""), (longer.as_str(), "")]), KEY_BYTES_MAX + 2);
    assert_key_too_long(tree.load(&longer, [("n/1", "")]), KEY_BYTES_MAX + 2);
    let large = tree.load("n/", [("n/1", vec![0; 70_000]), ("n/2", vec![0; VALUE_BYTES_MAX + 1])]);
    match large {
        Err(Error::ValueTooLarge { length_bytes, limit_bytes }) => {
            assert_eq!((length_bytes, limit_bytes), (VALUE_BYTES_MAX + 1, VALUE_BYTES_MAX));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(tree.load_with("n/", [("n/1", "")], |_| false), Err(Error::Cancelled)));
    assert_eq!(tree.load("n/", Vec::<(&str, &str)>::new()).expect("nothing to load"), 0);
    assert_eq!((db.stats().last_version, keys(&tree).len()), (last, 2));
    assert!(db.check().expect("checks").is_clean());
}

#[test]
fn a_tree_is_renamed_to_a_name_that_may_be_and_is_not_taken() {
    let (db, tree) = filled(&["a"]);
    db.tree("other").expect("made");
    let last = db.stats().last_version;
    for (to, length) in [(String::new(), 0), ("n".repeat(256), 256)] {
        for from in ["files", "no such tree"] {
            match db.rename_tree(from, &to) {
                Err(Error::TreeName { length_bytes, limit_bytes: 255 }) => assert_eq!(length_bytes, length),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(db.snapshot().tree(&to), Err(Error::TreeName { .. })));
    }
    assert!(matches!(db.rename_tree("files", "other"), Err(Error::TargetExists)));
    assert!(!db.rename_tree("no such tree", "other").expect("there is none"));
    assert!(db.rename_tree("files", "files").expect("is there"));
    assert!(!db.rename_tree("", "new").expect("there can be none"));
    assert!(!db.rename_tree(&"n".repeat(70_000), "new").expect("there can be none"));
    assert_eq!((db.stats().last_version, keys(&tree).len()), (last, 1));
}

/// The trees of one database are no trees of another, even of one that was made from its image.
#[test]
fn trees_of_another_database_are_told() {
    let (db, tree) = filled(&["a"]);
    let copy = Db::from_image(db.image().expect("writes")).expect("sound");
    let strange = copy.batch().put(&tree, "a", "x").commit();
    assert!(matches!(strange, Err(Error::OtherDatabase)), "{strange:?}");
    let strange = copy.transact(|tx| tx.get(&tree, "a").map(drop));
    assert!(matches!(strange, Err(Error::OtherDatabase)), "{strange:?}");
    assert_eq!(
        copy.tree("files").expect("is there").get("a").expect("reads").as_deref(),
        Some(&b"value of a"[..])
    );
}
