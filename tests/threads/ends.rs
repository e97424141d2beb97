//! Questions with one answer, about keys that are always there, wherever they have just been moved to.

#![forbid(unsafe_code)]

use spinney::{Db, Tree};

use crate::Crowd;

fn filled(db: &Db, name: &str, prefix: &str, keys: usize) -> Tree {
    let tree = db.tree(name).expect("made");
    for number in 0..keys {
        tree.put(format!("{prefix}{number:06}"), [1; 100]).expect("writes");
    }
    tree
}

/// The nearest ancestor moves between two blobs.
#[test]
fn a_prefix_that_is_always_there_is_found() {
    let db = Db::memory();
    let tree = filled(&db, "mounts", "p/a", 30_000);
    tree.put("p", "mount").expect("writes");
    let (mover, reader) = (tree.clone(), tree);
    Crowd::run(vec![
        Box::new(move |crowd| {
            while crowd.goes_on() {
                mover.rename("p", "p/q").expect("moves");
                mover.rename("p/q", "p").expect("moves");
            }
        }),
        Box::new(move |crowd| {
            while crowd.goes_on() {
                let found = reader.longest_prefix("p/q/r").expect("reads");
                assert!(found.is_some_and(|(_, value)| &*value == b"mount"));
            }
        }),
    ]);
}

/// All keys move to where a walk from either end has been, or has yet to come.
#[test]
fn a_tree_that_is_never_empty_is_never_empty() {
    let db = Db::memory();
    let tree = filled(&db, "files", "a/", 20_000);
    let (mover, reader) = (tree.clone(), tree);
    Crowd::run(vec![
        Box::new(move |crowd| {
            while crowd.goes_on() {
                assert!(mover.rename_prefix("a/", "z/").expect("moves").is_some());
                assert!(mover.rename_prefix("z/", "a/").expect("moves").is_some());
            }
        }),
        Box::new(move |crowd| {
            while crowd.goes_on() {
                assert!(!reader.is_empty().expect("reads"));
                assert!(reader.first().expect("reads").is_some());
                assert!(reader.last().expect("reads").is_some());
            }
        }),
    ]);
}
