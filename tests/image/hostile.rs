//! Hostile images: words changed under checksums that are made good again.
//!
//! Nothing protects these but the code: any answer and any error will do, a panic or a hang will not.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use spinney::{Db, Tree};

use crate::common::image::{
    BLOB_WORDS, blobs, is_listed, kind, regions, reseal, set_listed, set_word, word, word_of,
};
use crate::common::keys::{self, Keys};
use crate::common::{Random, setting, short, workers};
use crate::samples;

/// Far more than the slowest case should take on a busy machine.
const CASE_LIMIT: Duration = Duration::from_secs(30);
/// More entries than all blobs of a sample could hold, read in circles.
const ENTRIES_MAX: usize = 1_000_000;

/// What made a case panic, by place in the source.
type Panics = BTreeMap<String, (u64, u64, String)>;

static PANICS: Mutex<Panics> = Mutex::new(BTreeMap::new());

thread_local! {
    /// The seed of the hostile case that this thread is at.
    static CASE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Takes note of panics of hostile cases; leaves all others to the hook before.
fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let Some(seed) = CASE.get() else { return before(info) };
            let place = info.location().map_or("nowhere".into(), |at| format!("{}:{}", at.file(), at.line()));
            let text = info.payload().downcast_ref::<String>().cloned();
            let text = text.or_else(|| info.payload().downcast_ref::<&str>().map(|text| text.to_string()));
            if std::env::var_os("SPINNEY_IMAGE_BACKTRACE").is_some() {
                eprintln!("{place}\n{}", std::backtrace::Backtrace::force_capture());
            }
            let mut panics = PANICS.lock().expect("not poisoned");
            let entry = panics.entry(place).or_insert((0, seed, text.unwrap_or_default()));
            entry.0 += 1;
            entry.1 = entry.1.min(seed);
        }));
    });
}

/// A number that is often one of those that break things.
fn some_number(random: &mut Random) -> u64 {
    let all = random.next();
    match random.below(8) {
        0 => 0,
        1 => 1,
        2 => u64::MAX,
        3 => 0xFFFF,
        4 => 0xFFFF_FFFF,
        5 => all & 0xFFFF,
        6 => all & 0x0000_FFFF_0000_FFFF,
        _ => all,
    }
}

/// The word of the image that is to be changed.
fn some_word(image: &[u8], random: &mut Random) -> usize {
    let listed: Vec<usize> = (1..blobs(image)).filter(|&blob| is_listed(image, blob)).collect();
    let blob = if listed.is_empty() { 1 } else { *random.pick(&listed) };
    let (inner_end, leaf_start) = regions(image, blob);
    match random.below(100) {
        0..=14 => word_of(blob, 1 + random.below(9)),
        15..=17 => 5 + random.below(6),
        // The first nodes, on the way of most keys.
        18..=39 => word_of(blob, 256 + random.below(300)),
        40..=69 if inner_end > 256 => {
            let word_at = |random: &mut Random| word_of(blob, 256 + random.below(inner_end - 256));
            let looks_like_a_node = |&at: &usize| (1..=8).contains(&(word(image, at) & 0xFF));
            let tries: Vec<usize> = (0..8).map(|_| word_at(random)).collect();
            tries.iter().copied().find(looks_like_a_node).unwrap_or(tries[0])
        }
        70..=95 if leaf_start < BLOB_WORDS => {
            word_of(blob, leaf_start + random.below(BLOB_WORDS - leaf_start))
        }
        _ => word_of(blob, random.below(BLOB_WORDS)),
    }
}

/// A ref that names something, right or wrong.
fn some_ref(image: &[u8], blob: usize, random: &mut Random) -> u64 {
    let (inner_end, leaf_start) = regions(image, blob);
    match random.below(4) {
        0 => random.next() & 0xFFFF,
        1 => (leaf_start + random.below((BLOB_WORDS - leaf_start).max(1))) as u64 & 0xFFFF,
        _ => 256 + random.below(inner_end.max(257) - 256) as u64,
    }
}

fn change(image: &mut [u8], random: &mut Random) {
    let at = some_word(image, random);
    let old = word(image, at);
    let blob = at / BLOB_WORDS;
    let shift = 16 * random.below(4);
    let new = match random.below(10) {
        0 => some_number(random),
        1 => old ^ (1 << random.below(64)),
        2 => old & !(0xFF << (shift + 8)) | ((random.next() & 0xFF) << (shift + 8)),
        3 => old & !(0xFFFF_FFFF << (shift & 32)) | ((some_number(random) & 0xFFFF_FFFF) << (shift & 32)),
        4 => old.wrapping_add(1 << shift),
        5 => old.wrapping_sub(1 << shift),
        6 if random.percent(10) && blob > 0 => {
            let other = 1 + random.below(blobs(image) - 1);
            set_listed(image, other, random.next() % 2);
            old
        }
        7 if blob > 0 => {
            let other = some_word(image, random);
            word(image, other)
        }
        _ => old & !(0xFFFF << shift) | (some_ref(image, blob, random) << shift),
    };
    set_word(image, at, new);
}

/// Runs to the end of a scan, or to its error.
fn drain(mut next: impl FnMut() -> Option<bool>) {
    let mut count = 0;
    while let Some(true) = next() {
        count += 1;
        assert!(count < ENTRIES_MAX, "a scan that does not end");
    }
}

fn read_all(tree: &Tree, prefix: &[u8]) {
    let (mut forward, mut backward) = (tree.scan(prefix), tree.scan(prefix));
    drain(|| forward.next_ref().map(|entry| entry.is_some()).ok());
    drain(|| backward.next_back_ref().map(|entry| entry.is_some()).ok());
    let mut both = tree.scan(prefix).keys();
    drain(|| Some(both.next()?.is_ok() && both.next_back()?.is_ok()));
    let (mut list, mut reversed) = (tree.list(prefix), tree.list(prefix));
    drain(|| list.next_ref().map(|child| child.is_some()).ok());
    drain(|| Some(reversed.next_back()?.is_ok()));
}

fn write_some(db: &Db, tree: &Tree, known: &[Vec<u8>], random: &mut Random) {
    let source = Keys::new(random.next());
    for _ in 0..40 {
        let key = if random.percent(50) { random.pick(known).clone() } else { source.key(random) };
        let other = random.pick(known);
        // Whatever comes of it.
        let _ = match random.below(7) {
            0 | 1 => tree.put(&key, keys::value(random)).map(Some),
            2 => tree.put(source.near(&key, random), [7; 20_000]).map(Some),
            3 => tree.put_if_absent(&key, keys::value(random)),
            4 => tree.rename(&key, other),
            5 => tree.remove_if(&key, spinney::Version::from_number(random.below(500) as u64)),
            _ => tree.remove(&key),
        };
    }
    for key in known.iter().skip(random.below(5)).step_by(1 + random.below(9)) {
        let _ = tree.remove(key);
    }
    let _ = db.tree("new").and_then(|tree| tree.put("a", "b"));
}

/// Everything that can be done with a database, whatever it answers.
fn exercise(image: &[u8], known: &[Vec<u8>], random: &mut Random) {
    let Ok(db) = Db::from_image(image) else { return };
    let _ = (db.stats(), db.trees());
    let Ok(tree) = db.tree("files") else { return };
    for _ in 0..60 {
        let key = random.pick(known);
        let mut longer = key.clone();
        longer.extend_from_slice(random.pick(known).as_slice());
        longer.truncate(spinney::KEY_BYTES_MAX);
        let _ = (tree.get(key), tree.contains(&longer), tree.longest_prefix(&longer));
        let _ = tree.range(key.clone()..).limit(3).count();
        let _ = tree.range(..key.clone()).rev().take(3).count();
    }
    let _ = (tree.first(), tree.last(), tree.is_empty());
    read_all(&tree, b"");
    let _ = tree.rename_prefix(&random.pick(known)[..1], "moved/");
    read_all(&tree, &random.pick(known)[..1]);
    let _ = db.check();
    write_some(&db, &tree, known, random);
    let _ = db.check();
    let again = db.image();
    if random.percent(30) {
        let _ = db.drop_tree("files");
    }
    read_all(&tree, b"");
    if let Ok(copy) = again.and_then(Db::from_image) {
        let _ = copy.check();
    }
}

/// A sample and its keys.
struct Sample {
    image: Vec<u8>,
    known: Vec<Vec<u8>>,
}

fn samples() -> Vec<Sample> {
    let sample = |db: Db| {
        let image = db.image().expect("writes");
        assert!((1..blobs(&image)).all(|blob| kind(&image, blob) < 3));
        let files = db.tree("files").expect("is there");
        let known: Vec<Vec<u8>> = files.scan("").keys().map(|key| key.expect("scans")).collect();
        let mut sealed = image.clone();
        reseal(&mut sealed);
        assert!(sealed == image, "sealing is not what the crate does");
        Sample { image, known: known.into_iter().filter(|key| !key.is_empty()).collect() }
    };
    vec![sample(samples::plain()), sample(samples::routed())]
}

fn case(samples: &[Sample], seed: u64) {
    let mut random = Random::new(seed);
    let sample = &samples[usize::from(random.percent(40))];
    let mut image = sample.image.clone();
    let changes = if random.percent(30) { 12 } else { 3 };
    for _ in 0..1 + random.below(changes) {
        change(&mut image, &mut random);
    }
    reseal(&mut image);
    CASE.set(Some(seed));
    let _ = catch_unwind(AssertUnwindSafe(|| exercise(&image, &sample.known, &mut random)));
    CASE.set(None);
}

/// What the workers tell: a case was begun, or all are done.
enum News {
    Begun(usize, u64),
    Done(usize),
}

fn work(worker: usize, samples: Arc<Vec<Sample>>, seeds: Vec<u64>, news: mpsc::Sender<News>) {
    for seed in seeds {
        // Nobody listens any more once a case hangs.
        let _ = news.send(News::Begun(worker, seed));
        case(&samples, seed);
    }
    let _ = news.send(News::Done(worker));
}

/// Waits for all workers; returns the slowest case, or the case that hangs.
fn watch(workers: usize, news: &mpsc::Receiver<News>) -> Result<(Duration, u64), u64> {
    let mut at: Vec<Option<(u64, Instant)>> = vec![Some((0, Instant::now())); workers];
    let mut slowest = (Duration::ZERO, 0);
    while at.iter().any(Option::is_some) {
        let told = news.recv_timeout(Duration::from_millis(200));
        assert!(!matches!(told, Err(mpsc::RecvTimeoutError::Disconnected)), "a worker is gone");
        if let Ok(News::Begun(worker, _) | News::Done(worker)) = told {
            if let Some((seed, since)) = at[worker] {
                slowest = slowest.max((since.elapsed(), seed));
            }
            at[worker] = match told {
                Ok(News::Begun(_, seed)) => Some((seed, Instant::now())),
                _ => None,
            };
        }
        if let Some((seed, _)) = at.iter().flatten().find(|(_, since)| since.elapsed() > CASE_LIMIT) {
            return Err(*seed);
        }
    }
    Ok(slowest)
}

#[test]
fn changed_words_under_good_checksums_neither_panic_nor_hang() {
    watch_panics();
    let (cases, first) = (setting("SPINNEY_IMAGE_HOSTILE", 2_000), setting("SPINNEY_IMAGE_FIRST", 0));
    let samples = Arc::new(samples());
    let (tell, news) = mpsc::channel();
    for worker in 0..workers() {
        let seeds = (first..first + cases).skip(worker).step_by(workers()).collect();
        let (samples, tell) = (samples.clone(), tell.clone());
        // Not scoped: a case that hangs must not keep the test from saying so.
        std::thread::spawn(move || work(worker, samples, seeds, tell));
    }
    drop(tell);
    let watched = watch(workers(), &news);
    let panics = PANICS.lock().expect("not poisoned");
    for (place, (count, seed, text)) in panics.iter() {
        eprintln!("{place}: {count} panics, the first with seed {seed}: {}", short(text.as_bytes()));
    }
    match watched {
        Ok((time, seed)) => eprintln!("{cases} hostile images; the slowest was {seed} with {time:?}"),
        Err(seed) => panic!("SPINNEY_IMAGE_FIRST={seed} SPINNEY_IMAGE_HOSTILE=1 hangs"),
    }
    assert!(panics.is_empty(), "{} places panic", panics.len());
}

/// A link of the root router leads to the blob of other keys, with more or less of them spelled: what is
/// rebuilt from it counts on its bounds.
#[test]
fn links_that_lead_astray_do_not_panic() {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    for number in 0..16_000 {
        files.put(format!("dir{:02}/sub/{number:05}", number % 20), [7; 200]).expect("writes");
    }
    let image = db.image().expect("writes");
    let ids: Vec<u64> =
        (2..blobs(&image)).filter(|&blob| is_listed(&image, blob)).map(|id| id as u64).collect();
    let (inner_end, _) = regions(&image, 1);
    let last_link = word(&image, word_of(1, 9));
    let is_link = |at: &usize| {
        let link = word(&image, word_of(1, *at));
        link >> 48 == last_link >> 48 && ids.contains(&(link & 0xFFFF_FFFF))
    };
    let links: Vec<usize> = [8, 9].into_iter().chain(256..inner_end).filter(is_link).collect();
    assert!(links.len() > 5, "{links:?}");
    for (nth, &at) in links.iter().enumerate() {
        for skip in [0, 2, 5, 13, 65_535] {
            let mut hostile = image.clone();
            let other = ids[(nth + 1 + skip as usize) % ids.len()];
            set_word(&mut hostile, word_of(1, at), last_link >> 48 << 48 | skip << 32 | other);
            reseal(&mut hostile);
            let Ok(db) = Db::from_image(&hostile) else { continue };
            let Ok(files) = db.tree("files") else { continue };
            // Whatever comes of it.
            for number in 0..600 {
                let _ = files.put(format!("dir{:02}/sub/{number:05}x", number % 20), [8; 300]);
            }
            for from in [3, 7, 12] {
                let _ = files.rename_prefix(format!("dir{from:02}/"), format!("dir{from:02}-moved/further/"));
            }
            let _ =
                (files.is_empty(), files.first(), files.last(), files.longest_prefix("dir05/sub/00005/x"));
            let _ = files.remove_prefix("dir1");
            drain(|| files.scan("").next().map(|_| false));
        }
    }
}

/// The first node of a database with one tree of a few keys: a bucket, in blob 1.
fn bucket_of(image: &[u8]) -> usize {
    let at = word_of(1, word(image, word_of(1, 5)) as u16 as usize);
    assert_eq!(word(image, at) & 0xFF, 2, "a bucket");
    at
}

#[test]
fn a_bucket_with_more_leaves_than_room_is_corrupt_to_whoever_writes() {
    let db = Db::memory();
    let files = db.tree("files").expect("made");
    for number in 0..6 {
        files.put([b'a' + number], "value").expect("puts");
    }
    let sound = db.image().expect("writes");
    let (at, count) = (bucket_of(&sound), word(&sound, bucket_of(&sound)) >> 16 & 0xFFFF);
    for (more, refused) in [(0, false), (9 - count, true), (40, true), (0xFF00, true)] {
        let mut image = sound.clone();
        set_word(&mut image, at, word(&sound, at) + (more << 16));
        reseal(&mut image);
        let db = Db::from_image(&image).expect("nothing else is wrong");
        let files = db.tree("files").expect("is there");
        let before: Vec<_> = (0..6).map(|number| files.get([b'a' + number])).collect();
        let outcomes = [
            files.put("new", "value").map(drop),
            files.put("a", "another value, which is longer").map(drop),
            files.remove("b").map(drop),
            files.rename("c", "d2").map(drop),
            db.batch().put(&files, "e", "1").remove(&files, "f").commit().map(drop),
        ];
        for outcome in outcomes {
            assert_eq!(
                matches!(outcome, Err(spinney::Error::Corrupt { blob: 1, .. })),
                refused,
                "{outcome:?}"
            );
        }
        let after: Vec<_> = (0..6).map(|number| files.get([b'a' + number])).collect();
        assert!(!refused || format!("{before:?}") == format!("{after:?}"));
        assert_eq!(db.check().expect("reads").problems.is_empty(), !refused);
    }
}

#[test]
fn a_file_at_the_end_of_counting_is_not_made_unreadable() {
    let db = Db::memory();
    db.tree("files").expect("made").put("a", "value").expect("puts");
    let mut image = db.image().expect("writes");
    set_word(&mut image, 6, 1 << 62);
    reseal(&mut image);
    let db = Db::from_image(&image).expect("it can still be read");
    assert!(db.image().is_ok(), "nothing was counted");
    let files = db.tree("files").expect("is there");
    files.put("b", "value").expect("puts");
    assert!(matches!(db.image(), Err(spinney::Error::Corrupt { blob: 0, .. })));
    assert_eq!(files.get("b").expect("reads").as_deref(), Some(&b"value"[..]));
}
