//! The phases of a read round, in their order.

#![forbid(unsafe_code)]

use super::contestant::Contestant;
use super::lists::ListForm;
use super::metrics::{
    GET, GET_INTO, GET_MANY, LIST, LIST_CACHED, LIST_FIFTY, LIST_FLAT, LIST_OWNED, LIST_SAMPLE, LIST_SPREAD,
    MISS, OVERWRITE, PAGE, SCAN, SCAN_OWNED, SCAN_SORTED, SCAN_SORTED_OWNED,
};
use super::rounds;
use super::scans::ScanForm;
use super::world::{Order, World};
use crate::keys::Directory;
use crate::report::Metric;
use crate::stores::Result;

type Run<'a> = Box<dyn Fn(&mut dyn Contestant) -> Result<f64> + 'a>;

/// What all contestants do, one after the other, before the next phase begins.
pub struct Phase<'a> {
    pub metric: Metric,
    pub run: Run<'a>,
}

impl<'a> Phase<'a> {
    fn new(metric: Metric, run: impl Fn(&mut dyn Contestant) -> Result<f64> + 'a) -> Self {
        Self { metric, run: Box::new(run) }
    }

    fn scan(metric: Metric, world: &'a World, order: Order, form: ScanForm) -> Self {
        Self::new(metric, move |contestant| contestant.scan(world, order, form))
    }

    fn list(metric: Metric, directories: Vec<&'a Directory>, form: ListForm) -> Self {
        Self::new(metric, move |contestant| contestant.list(&directories, form))
    }
}

/// `generation` must be another in each round.
pub fn read_phases(world: &World, generation: u32) -> Vec<Phase<'_>> {
    let mut phases = vec![
        Phase::new(GET, |contestant| contestant.get(world)),
        Phase::new(GET_INTO, |contestant| contestant.get_into(world)),
        Phase::new(GET_MANY, |contestant| contestant.get_many(world)),
        Phase::new(MISS, |contestant| contestant.miss(world)),
        Phase::new(OVERWRITE, move |contestant| contestant.overwrite(world, generation)),
        Phase::scan(SCAN, world, Order::Random, ScanForm::Lending),
        Phase::scan(SCAN_OWNED, world, Order::Random, ScanForm::Owned),
        Phase::new(PAGE, |contestant| contestant.page(world)),
    ];
    if rounds::keeps_both_orders(&world.family) {
        phases.push(Phase::scan(SCAN_SORTED, world, Order::Sorted, ScanForm::Lending));
        phases.push(Phase::scan(SCAN_SORTED_OWNED, world, Order::Sorted, ScanForm::Owned));
    }
    if world.family.is_paths {
        phases.extend(list_phases(world));
    }
    phases
}

/// Of the directories that the family has: a family of real paths may lack some of the kinds.
fn list_phases(world: &World) -> Vec<Phase<'_>> {
    let directories = &world.family.directories;
    let mut phases = Vec::new();
    if let Some(one) = directories.hundreds.first() {
        // One directory again and again, or all of them by turns, whose nodes then lie in no cache.
        let all = directories.hundreds.iter().collect();
        phases.push(Phase::list(LIST, vec![one], ListForm::Lending));
        phases.push(Phase::list(LIST_SPREAD, all, ListForm::Lending));
        phases.push(Phase::list(LIST_OWNED, vec![one], ListForm::Owned));
        phases.push(Phase::list(LIST_CACHED, vec![one], ListForm::Cached));
    }
    if let Some(fifty) = &directories.fifty {
        phases.push(Phase::list(LIST_FIFTY, vec![fifty], ListForm::Lending));
    }
    if !directories.sample.is_empty() {
        let sample = directories.sample.iter().collect();
        phases.push(Phase::list(LIST_SAMPLE, sample, ListForm::Lending));
    }
    if !directories.flat.is_empty() {
        let flat: Vec<&Directory> = directories.flat.iter().collect();
        // The directories are of different sizes, so only the time per key says something.
        let keys = flat.iter().map(|directory| directory.keys).sum::<usize>() as f64 / flat.len() as f64;
        phases.push(Phase::new(LIST_FLAT, move |contestant| {
            let micros = contestant.list(&flat, ListForm::Lending)?;
            Ok(micros * 1e3 / keys)
        }));
    }
    phases
}
