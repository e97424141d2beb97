//! What is asked for ahead of a walk, compared with what the walk then reads.

#![forbid(unsafe_code)]

use crate::Db;
use crate::art::ahead::{Found, Stretch, leaf_pages};
use crate::art::cursor::{Cursor, Direction, Item};
use crate::blob::Words;
use crate::blob::key::KeyBuf;
use crate::blob::presence::{Presence, SomePages};
use crate::forest::scan::successor;
use crate::store::ROOT_BLOB;

const KEYS: usize = 2000;

/// A packed blob of directories: what is asked for lies together.
fn sample() -> Db {
    let db = Db::memory();
    let files = db.tree("files").expect("a name");
    for number in 0..KEYS {
        let key = format!("d{:02}/s{}/file-{number:05}", number % 20, number % 3);
        files.put(key, [7; 80]).expect("room");
    }
    db.compact().expect("memory");
    db
}

/// The pages that a walk reads, and how many entries it has.
fn walked(words: Words<'_>, stretch: Stretch<'_>) -> Found {
    let mut cursor = Cursor::new();
    cursor.read_values(true);
    if let Some((delimiter, from)) = stretch.delimiter {
        cursor.stop_at_directories(delimiter, from);
    }
    let presence = SomePages::new(u128::MAX);
    let mut buffer = KeyBuf::empty();
    let forward = stretch.direction == Direction::Forward;
    let bound = buffer.fill_whole(if forward { stretch.start } else { stretch.end });
    cursor.seek(words, &bound, 0, stretch.direction, &presence).expect("sound");
    let mut entries = 0;
    while entries < stretch.entries_max {
        let item = if forward { cursor.next(words, &presence) } else { cursor.prev(words, &presence) };
        let Some(Item::Leaf | Item::Directory) = item.expect("sound") else { break };
        if !(stretch.start..stretch.end).contains(&cursor.key()) && !stretch.start.starts_with(cursor.key()) {
            break;
        }
        entries += 1;
    }
    assert_eq!(presence.missed(), 0);
    Found { pages: presence.read(), entries }
}

#[test]
fn every_page_that_a_walk_reads_is_named_and_few_others() {
    let db = sample();
    let forest = db.forest();
    let frame = forest.store.frames.get(ROOT_BLOB).expect("the root");
    for direction in [Direction::Forward, Direction::Backward] {
        for prefix in ["", "d0", "d07/", "d07/s1/", "d19/s2/file-0"] {
            for (delimiter, entries_max) in [(None, 30), (None, usize::MAX), (Some(b'/'), usize::MAX)] {
                let start = [&[0, 0, 0, 1], prefix.as_bytes()].concat();
                let end = successor(&start).expect("there is one");
                let delimiter = delimiter.map(|byte| (byte, start.len()));
                let stretch =
                    Stretch { direction, start: &start, end: &end, delimiter, entries_max, pages_max: 128 };
                let (guess, real) = (leaf_pages(frame.words, &[], stretch), walked(frame.words, stretch));
                let case = format!("{direction:?} {prefix:?} {delimiter:?} {entries_max}");
                assert_eq!(real.pages & !guess.pages, 0, "{case}: {guess:x?} {real:x?}");
                let most = real.pages.count_ones() + 3;
                assert!(guess.pages.count_ones() <= most, "{case}: {guess:x?} {real:x?}");
            }
        }
    }
}

#[test]
fn a_search_ends_where_enough_was_found() {
    let db = sample();
    let frame = db.forest().store.frames.get(ROOT_BLOB).expect("the root");
    let stretch = Stretch {
        direction: Direction::Forward,
        start: &[0, 0, 0, 1],
        end: &[0, 0, 0, 2],
        delimiter: None,
        entries_max: usize::MAX,
        pages_max: 5,
    };
    let found = leaf_pages(frame.words, &[], stretch);
    assert!((5..9).contains(&found.pages.count_ones()), "{found:x?}");
}
