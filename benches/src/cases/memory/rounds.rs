//! The rounds of the case: in each of them every store does everything once, so that a slow minute of the
//! machine meets all of them.

#![forbid(unsafe_code)]

use super::contestant::Contestant;
use super::metrics::{
    BYTES_RANDOM, BYTES_SORTED, DEPTH_RANDOM, DEPTH_SORTED, FILL_RANDOM, FILL_SORTED, HOPS_RANDOM,
    HOPS_SORTED, KEPT, KEPT_BUSY, ONE_READER, PUT_RANDOM, PUT_SORTED, READER_ALONE, READER_BESIDE, REMOVE,
    SCALING, SCALING_BUSY, TWO_READERS, WRITER_BESIDE,
};
use super::phases::read_phases;
use super::world::{Order, World};
use crate::keys::Family;
use crate::measure;
use crate::options::Options;
use crate::report::Notes;

pub type Contestants = [Box<dyn Contestant>];

/// Rounds that the command line did not count. Few keys take so little time that there are more rounds; with
/// many keys a round lasts so long that the neighbours of a shared machine disturb it less.
const ROUNDS: usize = 5;
const BUILDS: usize = 3;
const FEW_KEYS: usize = 100_000;
const FEW_KEYS_BUILDS: usize = 5;
const MANY_KEYS: usize = 500_000;
const MANY_KEYS_ROUNDS: usize = 3;
const MANY_KEYS_BUILDS: usize = 2;
/// Of more keys, memory does not hold what was built in both orders.
const BOTH_ORDERS_KEYS_MAX: usize = 3_000_000;

/// Whether what was built in order stays for the scans.
///
/// Of bytes that are no paths, it goes before the others come: there they differ in space alone, and holt
/// takes gigabytes for a million such keys.
pub fn keeps_both_orders(family: &Family) -> bool {
    family.is_paths && family.len() <= BOTH_ORDERS_KEYS_MAX
}

/// How many rounds of everything but the builds there are.
pub fn rounds(options: &Options, keys: usize) -> usize {
    let default = if keys >= MANY_KEYS { MANY_KEYS_ROUNDS } else { ROUNDS };
    options.rounds.unwrap_or(default)
}

fn builds(options: &Options, keys: usize) -> usize {
    match keys {
        ..=FEW_KEYS => options.builds.unwrap_or(BUILDS) * FEW_KEYS_BUILDS,
        MANY_KEYS.. => options.builds.unwrap_or(MANY_KEYS_BUILDS),
        _ => options.builds.unwrap_or(BUILDS),
    }
}

/// Builds every store anew in each round; the last ones are verified, and stay for the other rounds.
pub fn build(contestants: &mut Contestants, world: &World, options: &Options, notes: &mut Notes<'_>) {
    let rounds = builds(options, world.family.len());
    for order in [Order::Sorted, Order::Random] {
        let metric = match order {
            Order::Random => PUT_RANDOM,
            Order::Sorted => PUT_SORTED,
        };
        for round in 0..rounds {
            for i in measure::order(round, contestants.len()) {
                let contestant = &mut contestants[i];
                let result = contestant.build(world, order);
                notes.add(metric, contestant.name(), result);
            }
        }
        for contestant in contestants.iter_mut() {
            notes.take(contestant.name(), "verification", contestant.verify(world, order));
            shape(contestant.as_ref(), order, world, notes);
            if order == Order::Sorted && !keeps_both_orders(&world.family) {
                contestant.drop_sorted();
            }
        }
    }
}

/// Space and form, before anything is overwritten. No rounds: they are the same each time.
fn shape(contestant: &dyn Contestant, order: Order, world: &World, notes: &mut Notes<'_>) {
    let per_key = |bytes: u64| bytes as f64 / world.family.len() as f64;
    let name = contestant.name();
    let [bytes, fill, hops, depth] = match order {
        Order::Random => [BYTES_RANDOM, FILL_RANDOM, HOPS_RANDOM, DEPTH_RANDOM],
        Order::Sorted => [BYTES_SORTED, FILL_SORTED, HOPS_SORTED, DEPTH_SORTED],
    };
    let Some(shape) = notes.take(name, "shape", contestant.shape(order)) else {
        return;
    };
    let space = [(bytes, shape.bytes.map(per_key)), (fill, shape.fill)];
    let form = [(hops, shape.hops), (depth, shape.depth)];
    for (metric, value) in space.into_iter().chain(form) {
        if let Some(value) = value {
            notes.table.add(metric, name, value);
        }
    }
}

/// One round of the phases of one thread.
pub fn read(contestants: &mut Contestants, world: &World, round: usize, notes: &mut Notes<'_>) {
    // Generation 0 is what was built.
    for phase in read_phases(world, round as u32 + 1) {
        for i in measure::order(round, contestants.len()) {
            let contestant = &mut contestants[i];
            let result = (phase.run)(contestant.as_mut());
            notes.add(phase.metric, contestant.name(), result);
        }
    }
}

/// One round of the phases of several threads. `share` is how much of the fresh keys may be put by its end.
pub fn threads(
    contestants: &mut Contestants,
    world: &World,
    round: usize,
    share: f64,
    notes: &mut Notes<'_>,
) {
    for i in measure::order(round, contestants.len()) {
        let contestant = &contestants[i];
        let name = contestant.name();
        let one = notes.take(name, ONE_READER.name, contestant.readers(world, 1));
        let two = notes.take(name, TWO_READERS.name, contestant.readers(world, 2));
        if let Some((one, two)) = one.zip(two) {
            notes.table.add(ONE_READER, name, one.wall);
            notes.table.add(TWO_READERS, name, two.wall);
            notes.table.add(SCALING, name, two.wall / one.wall);
            notes.table.add(SCALING_BUSY, name, two.busy / one.busy);
        }
    }
    for i in measure::order(round, contestants.len()) {
        let contestant = &mut contestants[i];
        let name = contestant.name();
        if let Some(rates) = notes.take(name, KEPT.name, contestant.beside(world, share)) {
            notes.table.add(READER_ALONE, name, rates.alone.wall);
            notes.table.add(READER_BESIDE, name, rates.beside.wall);
            notes.table.add(KEPT, name, rates.beside.wall / rates.alone.wall * 100.0);
            notes.table.add(KEPT_BUSY, name, rates.beside.busy / rates.alone.busy * 100.0);
            notes.table.add(WRITER_BESIDE, name, rates.writer.wall);
        }
    }
}

/// One round of removals. Each store gets its keys back before the next one begins.
pub fn removes(contestants: &mut Contestants, world: &World, round: usize, notes: &mut Notes<'_>) {
    for i in measure::order(round, contestants.len()) {
        let contestant = &mut contestants[i];
        let result = contestant.remove(world);
        notes.add(REMOVE, contestant.name(), result);
    }
}

/// The stores hold what the writers left.
pub fn verify_after_writers(contestants: &Contestants, world: &World, notes: &mut Notes<'_>) {
    for contestant in contestants {
        let result = contestant.verify_after_writers(world);
        notes.take(contestant.name(), "verification after the writers", result);
    }
}
