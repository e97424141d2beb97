//! Counters that several threads raise, and values that several threads move to and fro.

#![forbid(unsafe_code)]

use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};

use spinney::{Db, Tree};

use crate::Crowd;
use crate::common::Random;

/// Fills and empties the neighbourhood of `names`, so that their blobs split and join.
fn churn(tree: &Tree, crowd: &Crowd, names: &[Vec<u8>]) {
    let mut random = Random::new(9);
    let neighbour = |name: &[u8], number: usize| [name, format!("#{number:03}").as_bytes()].concat();
    for season in 0.. {
        let value = vec![season as u8; 100 + 150 * (season % 3)];
        let mut order: Vec<(usize, usize)> =
            (0..names.len()).flat_map(|name| (0..12_000 / names.len()).map(move |n| (name, n))).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        for &(name, number) in &order {
            tree.put(neighbour(&names[name], number), &value).expect("puts");
            if crowd.is_over() {
                return;
            }
        }
        for &(name, number) in &order {
            let removed = tree.remove(neighbour(&names[name], number)).expect("removes");
            assert!(removed.is_some(), "season {season}: what was put is gone");
            if crowd.is_over() {
                return;
            }
        }
        if !crowd.goes_on() {
            return;
        }
    }
}

fn assert_churned(db: &Db, what: &str) {
    let (stats, report) = (db.stats(), db.check().expect("checks"));
    assert!(report.is_clean(), "{:?}", report.problems);
    assert!(stats.splits > 0 && stats.joins > 0, "{stats:?}");
    eprintln!("{what}: {stats:?}");
}

#[test]
fn counters_end_at_the_number_of_steps() {
    let db = Db::memory();
    let tree = db.tree("counters").expect("made");
    let names: Vec<Vec<u8>> = (0..12).map(|n| format!("{}/counter-{n}", n * 7 % 12).into_bytes()).collect();
    let steps: Vec<AtomicU64> = names.iter().map(|_| AtomicU64::new(0)).collect();
    for name in &names {
        tree.put(name, 0u64.to_le_bytes()).expect("puts");
    }
    let raise = |seed: u64, crowd: &Crowd| {
        let mut random = Random::new(seed);
        let mut seen = vec![0; names.len()];
        while crowd.goes_on() {
            let at = random.below(names.len());
            let found = tree.get(&names[at]).expect("reads").expect("never removed");
            let count = u64::from_le_bytes(found[..8].try_into().expect("a number"));
            assert!(count >= seen[at], "counter {at} went back from {} to {count}", seen[at]);
            seen[at] = count;
            // Longer now and then, so that the value moves.
            let mut value = (count + 1).to_le_bytes().to_vec();
            value.resize(8 + (count % 5) as usize * 9, 1);
            let put = tree.compare_and_put(&names[at], found.version(), value).expect("puts");
            if let Some(version) = put {
                assert!(version > found.version());
                steps[at].fetch_add(1, SeqCst);
                seen[at] += 1;
            }
        }
    };
    let raise = &raise;
    let mut jobs: Vec<crate::Job<'_>> = vec![Box::new(|crowd| churn(&tree, crowd, &names))];
    jobs.extend((0..3).map(|seed| Box::new(move |crowd: &Crowd| raise(seed, crowd)) as crate::Job<'_>));
    Crowd::run(jobs);
    for (name, steps) in names.iter().zip(&steps) {
        let found = tree.get(name).expect("reads").expect("never removed");
        assert_eq!(u64::from_le_bytes(found[..8].try_into().expect("a number")), steps.load(SeqCst));
        assert!(steps.load(SeqCst) > 100, "too few steps to say anything");
    }
    assert_eq!(tree.scan("").count(), names.len());
    assert_churned(&db, "counters");
}

const PAIRS: usize = 150;

/// Where value `n` lies at first, and where it is moved to: far away in the order of keys, or close by.
fn pair(n: usize) -> [Vec<u8>; 2] {
    let other = if n.is_multiple_of(3) { "left" } else { "right" };
    [format!("left/{n:04}/a").into_bytes(), format!("{other}/{:04}/b", n * 31 % PAIRS).into_bytes()]
}

fn moved_value(n: usize) -> Vec<u8> {
    (0..n * 7 % 900).map(|at| (at + n) as u8).collect()
}

/// Takes one of two places, or both, for a moment when nobody moves anything.
fn assert_one_place(tree: &Tree, n: usize, moves: i64) {
    let [a, b] = pair(n).map(|key| tree.get(key).expect("reads"));
    let (here, there) = if moves == 0 { (a, b) } else { (b, a) };
    assert!(there.is_none(), "value {n} is where it should not be after {moves} moves");
    assert!(here.is_some_and(|value| *value == *moved_value(n)), "value {n} is lost after {moves} moves");
}

#[test]
fn a_renamed_value_is_always_in_one_of_its_places() {
    let db = Db::memory();
    let tree = db.tree("moves").expect("made");
    for n in 0..PAIRS {
        tree.put(&pair(n)[0], moved_value(n)).expect("puts");
    }
    let moves: Vec<AtomicI64> = (0..PAIRS).map(|_| AtomicI64::new(0)).collect();
    let count = AtomicU64::new(0);
    // Held shared by who moves, alone by who looks.
    let quiet = RwLock::new(());
    let rename = |seed: u64, crowd: &Crowd| {
        let mut random = Random::new(seed);
        while crowd.goes_on() {
            let n = random.below(PAIRS);
            let [a, b] = pair(n);
            let forward = random.percent(50);
            let _moving = quiet.read().expect("not poisoned");
            let renamed = if forward { tree.rename(&a, &b) } else { tree.rename(&b, &a) };
            if renamed.expect("one of the two is free").is_some() {
                moves[n].fetch_add(if forward { 1 } else { -1 }, SeqCst);
                count.fetch_add(1, SeqCst);
            }
        }
    };
    let look = |crowd: &Crowd| {
        let mut random = Random::new(77);
        while crowd.goes_on() {
            std::thread::sleep(std::time::Duration::from_millis(1));
            let _quiet = quiet.write().expect("not poisoned");
            for n in (0..12).map(|_| random.below(PAIRS)) {
                assert_one_place(&tree, n, moves[n].load(SeqCst));
            }
        }
    };
    let read = |crowd: &Crowd| {
        let mut random = Random::new(78);
        while crowd.goes_on() {
            let n = random.below(PAIRS);
            for value in pair(n).iter().filter_map(|key| tree.get(key).expect("reads")) {
                assert!(*value == *moved_value(n), "value {n} is torn");
            }
        }
    };
    let names: Vec<Vec<u8>> = (0..PAIRS).flat_map(pair).collect();
    let (rename, names) = (&rename, &names);
    let mut jobs: Vec<crate::Job<'_>> = vec![Box::new(look), Box::new(read)];
    jobs.push(Box::new(|crowd| churn(&tree, crowd, names)));
    jobs.extend((0..2).map(|seed| Box::new(move |crowd: &Crowd| rename(seed, crowd)) as crate::Job<'_>));
    Crowd::run(jobs);
    for (n, moves) in moves.iter().enumerate() {
        assert_one_place(&tree, n, moves.load(SeqCst));
    }
    assert_eq!(tree.scan("").count(), PAIRS);
    assert!(count.load(SeqCst) > 1_000, "too few moves to say anything");
    eprintln!("{} moves", count.load(SeqCst));
    assert_churned(&db, "renames");
}
