//! The rounds of the case: in each of them every store does everything once, so that a slow minute of the
//! machine meets all of them.

#![forbid(unsafe_code)]

use super::contestant::Contestant;
use super::metrics::{
    BYTES_RANDOM, BYTES_SORTED, FILL_RANDOM, FILL_SORTED, HOPS_RANDOM, HOPS_SORTED, KEPT, KEPT_BUSY,
    ONE_READER, PUT_RANDOM, PUT_SORTED, READER_ALONE, READER_BESIDE, SCALING, SCALING_BUSY, TWO_READERS,
    WRITER_BESIDE,
};
use super::phases::read_phases;
use super::world::{Order, World};
use crate::measure;
use crate::options::Options;
use crate::report::Notes;

pub type Contestants = [Box<dyn Contestant>];

/// Up to so many keys, building takes so little time that there are more rounds of it.
const FEW_KEYS: usize = 100_000;
const FEW_KEYS_BUILDS: usize = 5;

/// Builds every store anew in each round; the last ones are verified, and stay for the other rounds.
pub fn build(contestants: &mut Contestants, world: &World, options: &Options, notes: &mut Notes<'_>) {
    let rounds = match world.family.len() {
        _ if !world.family.is_paths => 1,
        ..=FEW_KEYS => options.builds * FEW_KEYS_BUILDS,
        _ => options.builds,
    };
    for &order in world.orders() {
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
        for contestant in contestants.iter() {
            notes.take(contestant.name(), "verification", contestant.verify(world, order));
        }
    }
}

/// Space and form, before anything is overwritten. No rounds: they are the same each time.
pub fn shapes(contestants: &Contestants, world: &World, notes: &mut Notes<'_>) {
    let per_key = |bytes: u64| bytes as f64 / world.family.len() as f64;
    for contestant in contestants {
        let name = contestant.name();
        for &order in world.orders() {
            let (bytes, fill, hops) = match order {
                Order::Random => (BYTES_RANDOM, FILL_RANDOM, HOPS_RANDOM),
                Order::Sorted => (BYTES_SORTED, FILL_SORTED, HOPS_SORTED),
            };
            let Some(shape) = notes.take(name, "shape", contestant.shape(order)) else {
                continue;
            };
            for (metric, value) in [(bytes, shape.bytes.map(per_key)), (fill, shape.fill), (hops, shape.hops)]
            {
                if let Some(value) = value {
                    notes.table.add(metric, name, value);
                }
            }
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

/// The stores hold what the writers left.
pub fn verify_after_writers(contestants: &Contestants, world: &World, notes: &mut Notes<'_>) {
    for contestant in contestants {
        let result = contestant.verify_after_writers(world);
        notes.take(contestant.name(), "verification after the writers", result);
    }
}
