//! The tree in one blob against a sorted map, over key families that hurt.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::cursor::{Cursor, Direction};
use super::entries::{Entries, Grain, Span};
use super::insert::Refused;
use super::{build, check, find, insert, remove};
use crate::blob::header::{self, BlobKind};
use crate::blob::key::KeyBuf;
use crate::blob::leaf::Payload;
use crate::blob::presence::Everything;
use crate::blob::words::boxed_words;
use crate::blob::{BLOB_WORDS, Words};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

pub(super) struct Random(pub(super) u64);

const SPAN: Span<'_> = Span { lo: b"", base: 0, hi: None, cuts: &[] };
const SPAN_B: Span<'_> = Span { lo: b"b", base: 1, hi: None, cuts: &[] };

impl Random {
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit
    }
}

/// A key of one of several families, all beginning with `base`.
pub(super) fn random_key(random: &mut Random, base: &[u8]) -> Vec<u8> {
    let mut key = base.to_vec();
    match random.below(7) {
        0 => {}
        1 => key.push([0, 1, b'/', 255][random.below(4)]),
        2 => key.extend((0..random.below(6)).map(|_| [0, b'a', 255][random.below(3)])),
        3 => key.extend(std::iter::repeat_n(b'x', random.below(300))),
        4 => key.extend(format!("dir/sub{}/file-{:04}.ext", random.below(3), random.below(500)).bytes()),
        5 => key.extend([b'w', random.below(256) as u8, random.below(3) as u8]),
        _ => key.extend((0..random.below(20)).map(|_| random.below(256) as u8)),
    }
    key
}

fn put(words: Words<'_>, base: usize, key: &[u8], value: &[u8], seq: u64) -> Result<bool, Refused> {
    let mut buffer = KeyBuf::empty();
    let key = buffer.fill_whole(key);
    let spot = insert::prepare(words, &key, base, value.len(), 0, &Everything, || {})?;
    Ok(insert::apply(words, spot, &key, base, Payload::value(value), seq))
}

fn compact(words: Words<'_>, base: &[u8]) {
    let mut entries = Entries::new();
    entries
        .add_blob(words, Span { lo: base, base: base.len(), hi: None, cuts: &[] }, Grain::Keys)
        .expect("sound");
    let scratch = boxed_words();
    let target = Words::new(&scratch);
    build::build(target, header::id(words), &entries, 0..entries.len(), base.len()).expect("fits");
    crate::blob::replace::replace(words, target);
}

fn walk(words: Words<'_>, base: &[u8], direction: Direction, from: Option<&[u8]>) -> Vec<Vec<u8>> {
    let mut cursor = Cursor::new();
    match from {
        None => cursor.seek_edge(base, direction),
        Some(from) => {
            let mut buffer = KeyBuf::empty();
            let key = buffer.fill_whole(from);
            cursor.seek(words, &key, base.len(), direction, &Everything).expect("sound");
        }
    }
    let mut keys = Vec::new();
    loop {
        let step = match direction {
            Direction::Forward => cursor.next(words, &Everything),
            Direction::Backward => cursor.prev(words, &Everything),
        };
        match step.expect("sound") {
            Some(_) => keys.push(cursor.key().to_vec()),
            None => return keys,
        }
    }
}

fn compare(words: Words<'_>, base: &[u8], model: &Model, probe: &[u8]) {
    let findings = check::check(words, base);
    assert_eq!(findings.problems, Vec::<String>::new());
    assert_eq!(findings.keys as usize, model.len());
    let keys: Vec<Vec<u8>> = model.keys().cloned().collect();
    assert_eq!(walk(words, base, Direction::Forward, None), keys);
    let back: Vec<Vec<u8>> = keys.iter().rev().cloned().collect();
    assert_eq!(walk(words, base, Direction::Backward, None), back);
    let above: Vec<Vec<u8>> = model.range(probe.to_vec()..).map(|(k, _)| k.clone()).collect();
    assert_eq!(walk(words, base, Direction::Forward, Some(probe)), above, "from {probe:?}");
    let below: Vec<Vec<u8>> = model.range(..probe.to_vec()).rev().map(|(k, _)| k.clone()).collect();
    assert_eq!(walk(words, base, Direction::Backward, Some(probe)), below, "before {probe:?}");
}

fn run(seed: u64, operations: usize, base: &[u8]) {
    let memory = boxed_words();
    let words = Words::new(&memory);
    header::format(words, 5, BlobKind::Range);
    let mut model = Model::new();
    let mut random = Random(seed);
    for seq in 1..=operations as u64 {
        let key = random_key(&mut random, base);
        let mut buffer = KeyBuf::empty();
        let padded = buffer.fill_whole(&key);
        if random.below(3) < 2 {
            let value = vec![seq as u8; random.below(40)];
            let done = put(words, base.len(), &key, &value, seq).or_else(|_| {
                compact(words, base);
                put(words, base.len(), &key, &value, seq)
            });
            match done {
                Ok(new) => assert_eq!(new, model.insert(key, (value, seq)).is_none()),
                Err(refused) => assert!(matches!(refused, Refused::Full { .. })),
            }
        } else {
            let removed = remove::remove(words, &padded, base.len()).expect("sound");
            assert_eq!(removed, model.remove(&key).is_some());
        }
        let probe = random_key(&mut random, base);
        let mut buffer = KeyBuf::empty();
        let padded = buffer.fill_whole(&probe);
        let found = find::find(words, header::root(words), &padded, base.len(), &Everything).expect("sound");
        let found = found.map(|leaf| {
            let mut value = Vec::new();
            leaf.append_value(words, &mut value);
            (value, leaf.seq(words))
        });
        assert_eq!(found.as_ref(), model.get(&probe));
        if seq % if cfg!(miri) { 20 } else { 500 } == 0 {
            compare(words, base, &model, &probe);
        }
        if seq % if cfg!(miri) { 40 } else { 2000 } == 0 {
            compact(words, base);
            compare(words, base, &model, &probe);
        }
    }
}

#[test]
fn random_operations_agree_with_a_sorted_map() {
    let operations = if cfg!(miri) { 40 } else { 20_000 };
    for seed in 0..if cfg!(miri) { 1 } else { 6 } {
        run(seed, operations, b"");
        run(seed + 100, operations, b"base/of/all");
    }
}

#[test]
fn a_rebuild_of_a_rebuild_is_the_same_and_splits_at_any_place() {
    let memory = boxed_words();
    let words = Words::new(&memory);
    header::format(words, 5, BlobKind::Range);
    let mut random = Random(9);
    // Miri puts fewer keys, looks at fewer words and cuts at fewer places.
    let (keys, step) = if cfg!(miri) { (60, 61) } else { (700, 1) };
    for seq in 1..=keys {
        let key = random_key(&mut random, b"b");
        put(words, 0, &key, &[7; 30], seq).expect("fits");
    }
    compact(words, b"");
    let image = || -> Vec<u64> { (0..BLOB_WORDS).step_by(step).map(|at| words.load(at as u16)).collect() };
    let before = image();
    compact(words, b"");
    assert_eq!(image(), before);
    cut_everywhere(words, Grain::Keys);
    cut_everywhere(words, Grain::Buckets { words_max: 2_000 });
    cut_everywhere(words, Grain::Buckets { words_max: 200 });
}

/// Cuts a blob, whose keys all begin with `b`, at many places, and puts the halves together again.
fn cut_everywhere(words: Words<'_>, grain: Grain) {
    let keys = walk(words, b"", Direction::Forward, None);
    let mut entries = Entries::new();
    entries.add_blob(words, SPAN, grain).expect("sound");
    // The few keys that Miri puts fill no bucket that would stay whole.
    assert_eq!(entries.has_wholes(), grain != Grain::Keys && !cfg!(miri));
    let step = if entries.len() > 400 || cfg!(miri) { 37 } else { 1 };
    for cut in (0..=entries.len()).step_by(step) {
        let (left, right) = (boxed_words(), boxed_words());
        let (left, right) = (Words::new(&left), Words::new(&right));
        build::build(left, 1, &entries, 0..cut, 1).expect("fits");
        build::build(right, 2, &entries, cut..entries.len(), 0).expect("fits");
        assert_eq!(check::check(left, b"b").problems, Vec::<String>::new());
        assert_eq!(check::check(right, b"").problems, Vec::<String>::new());
        let mut both = walk(left, b"b", Direction::Forward, None);
        both.extend(walk(right, b"", Direction::Forward, None));
        assert_eq!(both, keys);
        let mut rejoined = Entries::new();
        rejoined.add_blob(left, SPAN_B, Grain::Keys).expect("sound");
        rejoined.add_blob(right, SPAN, Grain::Keys).expect("sound");
        assert_eq!(rejoined.len(), keys.len());
        if cut > 0 && cut < entries.len() {
            let separator = entries.separator(cut);
            let last_left = walk(left, b"b", Direction::Backward, None).remove(0);
            let first_right = walk(right, b"", Direction::Forward, None).remove(0);
            assert!(last_left < separator && separator <= first_right);
            assert_eq!(entries.position(&separator), Some(cut));
        }
    }
}

#[test]
fn whole_buckets_stay_whole_unless_more_is_spelled_for_the_blob() {
    let memory = boxed_words();
    let words = Words::new(&memory);
    header::format(words, 5, BlobKind::Range);
    // The first two decide on the bucket's prefix.
    for key in (0..30).map(|n| n * 29 % 30) {
        put(words, 0, format!("dir/name-{key:02}").as_bytes(), b"value", 1).expect("fits");
    }
    let mut entries = Entries::new();
    entries.add_blob(words, SPAN, Grain::Buckets { words_max: 1_000 }).expect("sound");
    assert_eq!((entries.len(), entries.key(0)), (1, b"dir/name-".to_vec()));
    assert_eq!(entries.position(b"dir/name-17x"), None, "inside the bucket");
    assert_eq!((entries.position(b"dir/name"), entries.position(b"dir/namf")), (Some(0), Some(1)));
    let scratch = boxed_words();
    let target = Words::new(&scratch);
    assert!(build::build(target, 2, &entries, 0..1, 9).is_ok());
    assert_eq!(check::check(target, b"dir/name-").problems, Vec::<String>::new());
    assert_eq!(build::build(target, 2, &entries, 0..1, 10), Err(build::DoesNotFit));
    for (lo, hi, whole) in
        [("dir/name-0", None, false), ("", Some("dir/name-7"), false), ("dir/name-", None, true)]
    {
        let span = Span { lo: lo.as_bytes(), base: 0, hi: hi.map(str::as_bytes), cuts: &[] };
        let mut entries = Entries::new();
        entries.add_blob(words, span, Grain::Buckets { words_max: 1_000 }).expect("sound");
        assert_eq!(entries.has_wholes(), whole, "keys of a neighbour may belong between these");
    }
    for (cut, whole) in [("dir/name-17", false), ("dir/name-", true), ("dir/", true), ("dir/name0", true)] {
        let span = Span { cuts: &[b"a", cut.as_bytes()], ..SPAN };
        let mut entries = Entries::new();
        entries.add_blob(words, span, Grain::Buckets { words_max: 1_000 }).expect("sound");
        assert_eq!(entries.has_wholes(), whole, "a cut at {cut}");
        assert!(entries.position(cut.as_bytes()).is_some(), "a cut at {cut}");
    }
    let mut entries = Entries::new();
    entries.add_blob(words, SPAN, Grain::Buckets { words_max: 10 }).expect("sound");
    assert_eq!(entries.len(), 30, "too large to stay whole");
}

#[test]
fn ascending_writes_are_told_from_others() {
    let order = |keys: &[u32]| {
        let memory = boxed_words();
        let words = Words::new(&memory);
        header::format(words, 5, BlobKind::Range);
        for key in keys {
            put(words, 0, &key.to_be_bytes(), b"value", 1).expect("fits");
        }
        let mut entries = Entries::new();
        entries.add_blob(words, SPAN, Grain::Keys).expect("sound");
        let mut wholes = Entries::new();
        wholes.add_blob(words, SPAN, Grain::Buckets { words_max: 9_999 }).expect("sound");
        let before = entries.is_ascending();
        assert_eq!(wholes.is_ascending(), before);
        compact(words, b"");
        let mut entries = Entries::new();
        entries.add_blob(words, SPAN, Grain::Keys).expect("sound");
        assert!(!entries.is_ascending(), "a rebuild looks like nothing");
        before
    };
    let ascending: Vec<u32> = (0..500).collect();
    let random: Vec<u32> = (0..500).map(|i| i * 7919 % 500).collect();
    let descending: Vec<u32> = (0..500).rev().collect();
    assert!(order(&ascending));
    assert!(!order(&random) && !order(&descending));
    assert!(!order(&ascending[..100]), "too few to tell");
    // Enough of them that the newest are in the first eighth.
    let many_random: Vec<u32> = (0..5000).map(|i| 1000 + i * 7919 % 5000).collect();
    let many_ascending: Vec<u32> = (1000..6000).collect();
    assert!(order(&[many_random, ascending].concat()));
    assert!(!order(&[many_ascending, random].concat()));
}
