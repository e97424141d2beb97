//! A store with its state of this case, behind a face that can be put into one list.
//!
//! Every method is one phase, done by the function of the phase's own file, so the virtual call is outside of
//! each timed loop.

#![forbid(unsafe_code)]

use super::beside::Beside;
use super::lists::ListForm;
use super::scans::ScanForm;
use super::world::{Order, World};
use super::{beside, gets, lists, overwrites, pages, puts, readers, removes, scans, verify};
use crate::keys::Directory;
use crate::measure::{self, Rate};
use crate::options::Options;
use crate::stores::{self, Result, Shape, Store, Visitor};

/// No store takes more of paths than so many times their bytes.
const MEMORY_FACTOR: usize = 4;

pub trait Contestant {
    fn name(&self) -> &'static str;
    /// A new store, filled in that order; nanoseconds per put.
    fn build(&mut self, world: &World, order: Order) -> Result<f64>;
    fn verify(&self, world: &World, order: Order) -> Result<()>;
    /// The store that was filled in order is not needed any more.
    fn drop_sorted(&mut self);
    fn shape(&self, order: Order) -> Result<Shape>;
    fn get(&self, world: &World) -> Result<f64>;
    fn get_into(&self, world: &World) -> Result<f64>;
    fn get_many(&self, world: &World) -> Result<f64>;
    fn miss(&self, world: &World) -> Result<f64>;
    fn overwrite(&mut self, world: &World, generation: u32) -> Result<f64>;
    fn scan(&self, world: &World, order: Order, form: ScanForm) -> Result<f64>;
    /// Microseconds per call.
    fn list(&self, directories: &[&Directory], form: ListForm) -> Result<f64>;
    /// Microseconds per page.
    fn page(&self, world: &World) -> Result<f64>;
    /// Nanoseconds per key.
    fn remove(&mut self, world: &World) -> Result<f64>;
    /// Gets of all threads together.
    fn readers(&self, world: &World, threads: usize) -> Result<Rate>;
    fn beside(&mut self, world: &World, share: f64) -> Result<Beside>;
    fn verify_after_writers(&self, world: &World) -> Result<()>;
}

/// Every store that the options choose.
pub fn contestants(options: &Options) -> Vec<Box<dyn Contestant>> {
    struct Contestants(Vec<Box<dyn Contestant>>);
    impl Visitor for Contestants {
        fn visit<S: Store>(&mut self) {
            self.0.push(Box::new(Run::<S> { random: None, sorted: None, fresh_used: 0 }));
        }
    }
    let mut all = Contestants(Vec::new());
    stores::visit_all(options, &mut all);
    all.0
}

struct Run<S> {
    random: Option<puts::Built<S>>,
    sorted: Option<puts::Built<S>>,
    /// How many of the fresh keys the writers have put so far.
    fresh_used: usize,
}

impl<S: Store> Run<S> {
    fn built(&self, order: Order) -> Result<&puts::Built<S>> {
        let built = match order {
            Order::Random => &self.random,
            Order::Sorted => &self.sorted,
        };
        built.as_ref().ok_or_else(|| "was not built".into())
    }

    fn store(&self, order: Order) -> Result<&S> {
        Ok(&self.built(order)?.store)
    }

    fn random_mut(&mut self) -> Result<&mut S> {
        let built = self.random.as_mut();
        built.map(|built| &mut built.store).ok_or_else(|| "was not built".into())
    }
}

impl<S: Store> Contestant for Run<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn build(&mut self, world: &World, order: Order) -> Result<f64> {
        let place = match order {
            Order::Random => &mut self.random,
            Order::Sorted => &mut self.sorted,
        };
        // The old one goes before the new one comes, so that memory never holds both.
        *place = None;
        self.fresh_used = 0;
        measure::even_out(MEMORY_FACTOR * world.family.raw_bytes());
        let (built, nanos) = puts::build(world, order)?;
        *place = Some(built);
        Ok(nanos)
    }

    fn verify(&self, world: &World, order: Order) -> Result<()> {
        verify::everything(self.store(order)?, world)
    }

    fn drop_sorted(&mut self) {
        self.sorted = None;
    }

    fn shape(&self, order: Order) -> Result<Shape> {
        self.built(order)?.shape()
    }

    fn get(&self, world: &World) -> Result<f64> {
        gets::time_hits(self.store(Order::Random)?, world)
    }

    fn get_into(&self, world: &World) -> Result<f64> {
        gets::time_hits_into(self.store(Order::Random)?, world)
    }

    fn get_many(&self, world: &World) -> Result<f64> {
        gets::time_many(self.store(Order::Random)?, world)
    }

    fn miss(&self, world: &World) -> Result<f64> {
        gets::time_misses(self.store(Order::Random)?, world)
    }

    fn overwrite(&mut self, world: &World, generation: u32) -> Result<f64> {
        overwrites::time(self.random_mut()?, world, generation)
    }

    fn scan(&self, world: &World, order: Order, form: ScanForm) -> Result<f64> {
        scans::time(self.store(order)?, world, form)
    }

    fn list(&self, directories: &[&Directory], form: ListForm) -> Result<f64> {
        lists::time(self.store(Order::Random)?, directories, form)
    }

    fn page(&self, world: &World) -> Result<f64> {
        pages::time(self.store(Order::Random)?, &world.pages)
    }

    fn remove(&mut self, world: &World) -> Result<f64> {
        let used = self.fresh_used;
        removes::time(self.random_mut()?, world, used)
    }

    fn readers(&self, world: &World, threads: usize) -> Result<Rate> {
        readers::together(self.store(Order::Random)?, world, threads)
    }

    fn beside(&mut self, world: &World, share: f64) -> Result<Beside> {
        let mut used = self.fresh_used;
        let result = beside::reader_beside_writer(self.random_mut()?, world, share, &mut used);
        self.fresh_used = used;
        result
    }

    fn verify_after_writers(&self, world: &World) -> Result<()> {
        verify::after_writers(self.store(Order::Random)?, world, self.fresh_used)
    }
}
