//! Handles of a database that was closed, or is open for reading only: every call that would change something
//! says so, and nothing has changed then.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::MemoryBackend;
use spinney::{Db, Result, Tree};

/// What a call came to, without what it would have returned.
type Outcome = (&'static str, Result<()>);

fn filled(db: &Db) -> Tree {
    let tree = db.tree("files").expect("made");
    for key in ["a/1", "a/2", "b"] {
        tree.put(key, "value").expect("puts");
    }
    tree
}

/// Everything that changes a database with these trees and keys.
fn all_changes(db: &Db, tree: &Tree) -> Vec<Outcome> {
    let version = tree.get("b").expect("reads").expect("is there").version();
    vec![
        ("put", tree.put("b", "x").map(drop)),
        ("put_if_absent", tree.put_if_absent("c", "x").map(drop)),
        ("compare_and_put", tree.compare_and_put("b", version, "x").map(drop)),
        ("remove", tree.remove("b").map(drop)),
        ("remove_if", tree.remove_if("b", version).map(drop)),
        ("rename", tree.rename("b", "c").map(drop)),
        ("rename_prefix", tree.rename_prefix("a/", "c/").map(drop)),
        ("remove_prefix", tree.remove_prefix("a/").map(drop)),
        ("load", tree.load("new/", [("new/1", "x")]).map(drop)),
        ("a new tree", db.tree("new").map(drop)),
        ("rename_tree", db.rename_tree("files", "others").map(drop)),
        ("drop_tree", db.drop_tree("files").map(drop)),
        ("batch", db.batch().put(tree, "b", "x").commit().map(drop)),
        ("transact", db.transact(|tx| tx.put(tree, "b", "x"))),
        ("compact", db.compact().map(drop)),
    ]
}

fn assert_all(outcomes: Vec<Outcome>, code: &str) {
    for (call, outcome) in outcomes {
        let error = outcome.expect_err(call);
        // Where it cannot be made it is a name that is not there.
        let code = if (call, code) == ("a new tree", "ReadOnly") { "NoSuchTree" } else { code };
        assert_eq!(error.code(), code, "{call}: {error}");
    }
}

fn assert_unchanged(db: &Db) {
    let tree = db.tree("files").expect("is there");
    assert_eq!(tree.scan("").keys().map(Result::unwrap).collect::<Vec<_>>(), [&b"a/1"[..], b"a/2", b"b"]);
    assert_eq!(db.trees().expect("reads"), ["files"]);
}

#[test]
fn a_closed_handle_changes_nothing() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).expect("made");
    let tree = filled(&db);
    let (mut batch, other) = (db.batch(), db.clone());
    batch.put(&tree, "b", "x");
    db.clone().close().expect("closes");
    assert_all(all_changes(&db, &tree), "Closed");
    assert_all(
        vec![("checkpoint", db.checkpoint()), ("a batch from before", batch.commit().map(drop))],
        "Closed",
    );
    other.close().expect("again is no error");
    assert_unchanged(&Db::builder().open_backend(backend).expect("opens"));
}

#[test]
fn a_database_in_memory_can_be_closed_too() {
    let db = Db::memory();
    let tree = filled(&db);
    db.clone().close().expect("closes");
    assert_all(all_changes(&db, &tree), "Closed");
    assert_unchanged(&db);
}

#[test]
fn a_handle_for_reading_changes_nothing() {
    let backend = Arc::new(MemoryBackend::new());
    let db = Db::builder().open_backend(backend.clone()).expect("made");
    filled(&db);
    db.close().expect("closes");
    let db = Db::builder().read_only(true).open_backend(backend).expect("opens");
    let tree = db.tree("files").expect("is there");
    assert_all(all_changes(&db, &tree), "ReadOnly");
    assert_unchanged(&db);
    assert!(db.check().expect("checks").is_clean());
    assert_eq!(db.transact(|tx| tx.contains(&tree, "b")).ok(), Some(true), "reading alone is allowed");
}
