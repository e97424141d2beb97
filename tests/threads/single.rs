//! What a single key may answer while others write, and what a scan has to show.
//!
//! An owned key has one writer, which numbers its operations on it: a multiple of four is a removal (0: not
//! there yet), any other number a value that carries it. The writer says a number before and after the
//! operation, so a reader knows between which two numbers the answer has to lie. A common key is written by
//! all and never removed; its versions say which answers are older.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use spinney::{Db, Tree};

use crate::Crowd;
use crate::common::{Random, short};

const WRITERS: usize = 2;
const OWNED: usize = 24_000;
const COMMON: usize = 1_200;
/// Seasons of growth and decay that even a slow machine has to finish.
const SEASONS_MIN: u64 = 2;
/// The bits of a common key's number that count; the writer stands above.
const COUNT_BITS: u32 = 48;

/// What stands in one key: whose it is, and the number of the operation.
fn value(id: usize, number: u64) -> Vec<u8> {
    let len = 16 + [0, 40, 40, 330][(number % 4) as usize] + id % 50;
    let mut value = [number.to_le_bytes(), (id as u64).to_le_bytes()].concat();
    value.extend((16..len).map(|at| (number as usize + id * 31 + at) as u8));
    value
}

/// The number in a value, which must be whole and of this key.
fn number_of(id: usize, found: &[u8]) -> u64 {
    let number = found.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    assert!(found == value(id, number), "key {id}, number {number}: {} is torn", short(found));
    number
}

fn owned_key(id: usize) -> Vec<u8> {
    format!("dir-{:02}/sub-{:03}/{id:06}", id % 9, id % 117).into_bytes()
}

fn common_key(id: usize) -> Vec<u8> {
    format!("dir-{:02}/sub-{:03}/{:06}-common", id % 9, id % 117, id * (OWNED / COMMON)).into_bytes()
}

/// Which key this is: `Ok` with an owned one's id, `Err` with a common one's.
fn id_of(key: &[u8]) -> Result<usize, usize> {
    let name = std::str::from_utf8(key).expect("text");
    let last = name.rsplit('/').next().unwrap_or_default();
    let is_common = last.ends_with("-common");
    let number: usize = last[..6].parse().unwrap_or_else(|_| panic!("a key of no origin: {name}"));
    let id = if is_common { number * COMMON / OWNED } else { number };
    let expected = if is_common { common_key(id) } else { owned_key(id) };
    assert!(expected == key, "a key of no origin: {name}");
    if is_common { Err(id) } else { Ok(id) }
}

/// Whether a removal lies between these numbers: then the key may be missing.
fn may_be_missing(done: u64, begun: u64) -> bool {
    begun / 4 * 4 >= done
}

/// What all threads know.
struct Board {
    db: Db,
    tree: Tree,
    /// For every owned key, the number of the last operation that was begun, and of the last one done.
    begun: Vec<AtomicU64>,
    done: Vec<AtomicU64>,
    /// For every common key, a version that has been written for certain.
    floor: Vec<AtomicU64>,
    reads: AtomicU64,
    scans: AtomicU64,
}

/// The last (version, number) that a writer gave each common key.
type Commons = Vec<(u64, u64)>;

impl Board {
    fn new() -> Self {
        let db = Db::memory();
        let tree = db.tree("paths").expect("made");
        let zeros = |count: usize| (0..count).map(|_| AtomicU64::new(0)).collect::<Vec<_>>();
        let floor = zeros(COMMON);
        for (id, floor) in floor.iter().enumerate() {
            let version = tree.put(common_key(id), value(id, 0)).expect("puts");
            floor.store(version.number(), SeqCst);
        }
        let (begun, done) = (zeros(OWNED), zeros(OWNED));
        Board { db, tree, begun, done, floor, reads: AtomicU64::new(0), scans: AtomicU64::new(0) }
    }

    // ---------------------------------------------------------------- writers -----

    /// The next operation on an owned key: a removal, or the next value.
    fn operate(&self, id: usize, removes: bool) {
        let before = self.done[id].load(SeqCst);
        let number = if removes { before / 4 * 4 + 4 } else { before + 1 };
        self.begun[id].store(number, SeqCst);
        let key = owned_key(id);
        let is_done = match number % 4 {
            0 => self.tree.remove(&key).expect("removes").is_some(),
            1 => self.tree.put_if_absent(&key, value(id, number)).expect("puts").is_some(),
            _ => self.tree.put(&key, value(id, number)).is_ok(),
        };
        assert!(is_done, "key {id}: its own writer's operation {number} was refused");
        self.done[id].store(number, SeqCst);
    }

    fn write_common(&self, writer: usize, commons: &mut Commons, random: &mut Random) {
        let id = random.below(COMMON);
        let (last_version, last_number) = commons[id];
        let count = (last_number & ((1 << COUNT_BITS) - 1)) + 1;
        let number = ((writer as u64 + 1) << COUNT_BITS) | count;
        let version = self.tree.put(common_key(id), value(id, number)).expect("puts").number();
        assert!(version > last_version.max(self.floor[id].load(SeqCst).min(last_version + 1) - 1));
        self.floor[id].fetch_max(version, SeqCst);
        commons[id] = (version, number);
    }

    /// Grows and shrinks again and again; returns what it wrote last into the common keys.
    fn write(&self, writer: usize, crowd: &Crowd) -> Commons {
        let mut random = Random::new(writer as u64);
        let mut commons = vec![(0, 0); COMMON];
        let mut own: Vec<usize> = (0..OWNED).filter(|id| id % WRITERS == writer).collect();
        for season in 0.. {
            for at in (1..own.len()).rev() {
                own.swap(at, random.below(at + 1));
            }
            // First they come, then two thirds change their size, then most of them go.
            for pass in 0..4 {
                for &id in &own {
                    let last = self.done[id].load(SeqCst) % 4;
                    match pass {
                        0 if last == 0 => self.operate(id, false),
                        1 | 2 if (1..3).contains(&last) && id % 3 != 0 => self.operate(id, false),
                        3 if last != 0 && random.percent(95) => self.operate(id, true),
                        _ => {}
                    }
                    if id % 5 == 0 {
                        self.write_common(writer, &mut commons, &mut random);
                    }
                    if crowd.is_over() {
                        return commons;
                    }
                }
            }
            if season + 1 >= SEASONS_MIN && !crowd.goes_on() {
                break;
            }
        }
        commons
    }

    // ---------------------------------------------------------------- readers -----

    fn read_owned(&self, id: usize, seen: &mut [(u64, u64)]) {
        let done = self.done[id].load(SeqCst);
        let found = self.tree.get(owned_key(id)).expect("reads");
        let begun = self.begun[id].load(SeqCst);
        let Some(found) = found else {
            return assert!(may_be_missing(done, begun), "key {id} is missing between {done} and {begun}");
        };
        let (version, number) = (found.version().number(), number_of(id, &found));
        assert!((done..=begun).contains(&number), "key {id}: {number} is not between {done} and {begun}");
        assert!(number % 4 != 0, "key {id}: {number} was never written");
        assert!(version >= seen[id].0 && number >= seen[id].1, "key {id} went back from {:?}", seen[id]);
        seen[id] = (version, number);
    }

    fn read_common(&self, id: usize, seen: &mut [(u64, [u64; WRITERS])]) {
        let floor = self.floor[id].load(SeqCst);
        let found = self.tree.get(common_key(id)).expect("reads");
        let found = found.unwrap_or_else(|| panic!("common key {id} is missing"));
        let (version, number) = (found.version().number(), number_of(id, &found));
        assert!(version >= floor, "common key {id}: version {version}, {floor} was written before");
        assert!(version >= seen[id].0, "common key {id} went back from {} to {version}", seen[id].0);
        seen[id].0 = version;
        if let Some(writer) = (number >> COUNT_BITS).checked_sub(1) {
            let (last, count) = (&mut seen[id].1[writer as usize], number & ((1 << COUNT_BITS) - 1));
            assert!(count >= *last, "common key {id}: writer {writer} went back from {last} to {count}");
            *last = count;
        }
    }

    fn read(&self, seed: u64, crowd: &Crowd) {
        let mut random = Random::new(seed);
        let mut owned = vec![(0, 0); OWNED];
        let mut common = vec![(0, [0; WRITERS]); COMMON];
        while crowd.goes_on() {
            let id = random.below(OWNED);
            self.read_owned(id, &mut owned);
            self.read_common(id % COMMON, &mut common);
            if random.percent(10) {
                let path = [common_key(id % COMMON).as_slice(), b"/below"].concat();
                let (key, _) = self.tree.longest_prefix(path).expect("reads").expect("is always there");
                assert!(key == common_key(id % COMMON), "the longest prefix is {}", short(&key));
                assert!(self.tree.contains(key).expect("reads"));
            }
            self.reads.fetch_add(1, SeqCst);
        }
    }

    // --------------------------------------------------------------- scanners -----

    /// Looks at a whole tree, in the way of this round; every key that is there all the time must show
    /// once, in order. `tree` is the board's own, or a copy of a moment since.
    fn scan(&self, tree: &Tree, round: usize, done: &[u64]) {
        let entries = match round % 4 {
            0 => lent(tree),
            1 => backward(tree),
            2 => from_both_ends(tree),
            _ => listed(tree),
        };
        let begun: Vec<u64> = self.begun.iter().map(|begun| begun.load(SeqCst)).collect();
        assert!(entries.is_sorted_by(|one, two| one.0 < two.0), "round {round}: out of order, or twice");
        let mut shown = vec![false; OWNED];
        let mut commons = 0;
        for (key, found) in &entries {
            match id_of(key) {
                Ok(id) => {
                    let number = number_of(id, found);
                    let (done, begun) = (done[id], begun[id]);
                    let can_be = !number.is_multiple_of(4) && (done..=begun).contains(&number);
                    assert!(can_be, "round {round}, key {id}: {number} is not between {done} and {begun}");
                    shown[id] = true;
                }
                Err(id) => {
                    number_of(id, found);
                    commons += 1;
                }
            }
        }
        assert_eq!(commons, COMMON, "round {round}: a common key did not show");
        for id in (0..OWNED).filter(|&id| !shown[id]) {
            let missing = may_be_missing(done[id], begun[id]);
            assert!(missing, "round {round}: key {id} did not show between {} and {}", done[id], begun[id]);
        }
    }

    fn scan_on(&self, offset: usize, crowd: &Crowd) {
        for round in offset.. {
            let done: Vec<u64> = self.done.iter().map(|done| done.load(SeqCst)).collect();
            if round % 10 == 9 {
                let report = self.db.check().expect("checks");
                assert!(report.is_clean(), "{:?}", report.problems);
                let copy = Db::from_image(self.db.image().expect("writes")).expect("sound");
                assert!(copy.check().expect("checks").is_clean());
                self.scan(&copy.tree("paths").expect("is there"), round, &done);
            } else {
                self.scan(&self.tree, round, &done);
            }
            self.scans.fetch_add(1, SeqCst);
            if !crowd.goes_on() {
                break;
            }
        }
    }
}

type Entries = Vec<(Vec<u8>, Vec<u8>)>;

fn lent(tree: &Tree) -> Entries {
    let mut entries = Vec::new();
    let mut scan = tree.scan("dir-");
    while let Some(entry) = scan.next_ref().expect("scans") {
        entries.push((entry.key().to_vec(), entry.value().to_vec()));
    }
    entries
}

fn backward(tree: &Tree) -> Entries {
    let pairs = tree.range::<&str>(..).rev().map(|pair| pair.expect("scans"));
    let mut entries: Entries = pairs.map(|(key, value)| (key, value.into_vec())).collect();
    entries.reverse();
    entries
}

fn from_both_ends(tree: &Tree) -> Entries {
    let (mut front, mut back) = (Vec::new(), Vec::new());
    let mut scan = tree.scan("");
    loop {
        // In strides of unequal length, so that both ends change blobs at different times.
        let mut next = (0..7).map_while(|_| scan.next()).map(|pair| pair.expect("scans")).collect::<Vec<_>>();
        let last = (0..3).map_while(|_| scan.next_back()).map(|pair| pair.expect("scans"));
        let last = last.collect::<Vec<_>>();
        if next.is_empty() && last.is_empty() {
            break;
        }
        front.append(&mut next);
        back.extend(last);
    }
    front.extend(back.into_iter().rev());
    front.into_iter().map(|(key, value)| (key, value.into_vec())).collect()
}

/// Walks down all directories.
fn listed(tree: &Tree) -> Entries {
    let mut entries = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(directory) = open.pop() {
        let mut below = Vec::new();
        for child in tree.list(&directory) {
            match child.expect("lists") {
                spinney::Entry::Prefix(prefix) => below.push(prefix),
                spinney::Entry::Key { key, value, .. } => entries.push((key, value.into_vec())),
            }
        }
        assert!(below.is_sorted_by(|one, two| one < two), "a directory shows twice");
        open.extend(below.into_iter().rev());
    }
    entries
}

#[test]
fn single_keys_never_tear_go_back_or_vanish_and_scans_miss_nothing() {
    let board = Board::new();
    let written: [std::sync::Mutex<Commons>; WRITERS] = Default::default();
    let mut jobs: Vec<crate::Job<'_>> = Vec::new();
    for (writer, written) in written.iter().enumerate() {
        let board = &board;
        jobs.push(Box::new(move |crowd| *written.lock().expect("nobody else") = board.write(writer, crowd)));
    }
    for seed in 10..12 {
        let board = &board;
        jobs.push(Box::new(move |crowd| board.read(seed, crowd)));
    }
    for offset in [0, 2] {
        let board = &board;
        jobs.push(Box::new(move |crowd| board.scan_on(offset, crowd)));
    }
    Crowd::run(jobs);
    // Now that all is quiet, everything is known exactly.
    let done: Vec<u64> = board.done.iter().map(|done| done.load(SeqCst)).collect();
    for round in 0..4 {
        board.scan(&board.tree, round, &done);
    }
    let last: Vec<Commons> = written.into_iter().map(|list| list.into_inner().expect("ended well")).collect();
    for id in 0..COMMON {
        let (version, number) = last.iter().map(|commons| commons[id]).max().expect("two writers");
        let found = board.tree.get(common_key(id)).expect("reads").expect("never removed");
        if version > 0 {
            let found = (found.version().number(), number_of(id, &found));
            assert_eq!(found, (version, number), "common key {id}: an update was lost");
        }
    }
    let (stats, report) = (board.db.stats(), board.db.check().expect("checks"));
    assert!(report.is_clean(), "{:?}", report.problems);
    let (reads, scans) = (board.reads.load(SeqCst), board.scans.load(SeqCst));
    eprintln!("single: {reads} reads, {scans} scans; {stats:?}");
    assert!(stats.splits > 0 && stats.shares > 0 && stats.joins > 0 && stats.compactions > 0, "{stats:?}");
    assert!(reads > 1_000 && scans > 2, "too few to say anything");
}
