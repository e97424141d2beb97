//! The faults of one operation, and blobs that have to stay whole for a while.

#![forbid(unsafe_code)]

use super::{Fault, HeaderCounts, Want, merge};
use crate::error::{Error, Result};
use crate::store::Store;
use crate::store::frames::{Frame, Pin};

/// From so many faults of one operation on a blob, all of it is loaded at once.
const FAULTS_TO_WHOLE: u32 = 6;
/// After so many faults an operation keeps the blobs that it has asked for, so that it comes to an end
/// however small the cache is.
const FAULTS_TO_PINNED: u32 = 12;

/// Failures of one operation that may be due to an old way. (One was too few once, on a busy machine: a
/// thread met a blob that had fallen free twice.)
const DOUBTS_MAX: u32 = 16;

/// Keeps a blob in memory. None where everything is always in memory.
pub(crate) type Pinned<'a> = Option<Pin<'a>>;

/// Counts the faults of one operation.
pub(crate) struct Faults<'a> {
    store: &'a Store,
    blob: u32,
    /// Faults on that blob.
    times: u32,
    /// Faults in all.
    count: u32,
    pins: Vec<Pin<'a>>,
    /// How often a blob could not be loaded.
    doubts: u32,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Faults { store, blob: 0, times: 0, count: 0, pins: Vec::new(), doubts: 0 }
    }

    /// Loads what is missing. The caller holds neither gate nor latch.
    pub(crate) fn resolve(&mut self, fault: Fault) -> Result<()> {
        self.resolve_with(fault, Vec::new())
    }

    /// The same, with others that will be met soon.
    #[cold]
    pub(crate) fn resolve_with(&mut self, mut fault: Fault, mut others: Vec<Fault>) -> Result<()> {
        self.times = if self.blob == fault.blob { self.times + 1 } else { 1 };
        self.blob = fault.blob;
        self.count += 1;
        if self.times >= FAULTS_TO_WHOLE {
            fault.want = Want::Whole;
        }
        if self.count > FAULTS_TO_PINNED && self.pins.iter().all(|pin| pin.frame.id != fault.blob) {
            self.pins.extend(self.store.frames.get(fault.blob).map(|frame| frame.hold().pin()));
        }
        others.push(fault);
        match self.store.load(&merge(others)) {
            // The way there may be an old one: the blob may have fallen free since. Where directories move
            // all the time, so may the next that is found. What is damaged stays so.
            Err(Error::Corrupt { blob, .. }) if self.doubts < self.doubts_max(blob) => {
                self.doubts += 1;
                Ok(())
            }
            other => other,
        }
    }

    /// A blob that is not stored has most likely fallen free. One that is stored is read once more.
    fn doubts_max(&self, blob: u32) -> u32 {
        match self.store.is_stored(blob) {
            _ if self.store.is_remote() => 0,
            true => 1,
            false => DOUBTS_MAX,
        }
    }
}

impl Store {
    /// Whether the backend holds a blob of this id.
    pub(crate) fn is_stored(&self, id: u32) -> bool {
        self.residency.as_ref().is_some_and(|residency| residency.directory.get(id) != 0)
    }

    /// Whether what is not in memory is somewhere else, a trip away.
    pub(crate) fn is_remote(&self) -> bool {
        self.residency.as_ref().is_some_and(|residency| residency.is_remote)
    }

    /// What the headers of blobs count, which are read for it and not taken in.
    pub(crate) fn survey(&self, blobs: &[u32], each: impl FnMut(u32, HeaderCounts)) -> Result<()> {
        self.residency.as_ref().map_or(Ok(()), |residency| residency.survey(&self.frames, blobs, each))
    }

    /// Resolves faults as one batch. The caller holds neither gate nor latch.
    pub(crate) fn load(&self, faults: &[Fault]) -> Result<()> {
        match (&self.residency, faults.first()) {
            (Some(residency), _) => residency.load(&self.frames, faults),
            // Here no frame was ever cold.
            (None, Some(fault)) => Err(Error::corrupt(fault.blob, "a link to a blob that does not exist")),
            (None, None) => Ok(()),
        }
    }

    /// Makes a blob whole and keeps it so.
    pub(crate) fn pin_whole(&self, id: u32) -> Result<Pinned<'_>> {
        if self.residency.is_none() {
            return Ok(None);
        }
        let mut pin: Pinned<'_> = self.frames.get(id).map(|frame: Frame<'_>| frame.hold().pin());
        self.load(&[Fault::whole(id)])?;
        while pin.is_none() {
            // There was no frame to pin before.
            let held = self.frames.get(id).map(Frame::hold);
            pin = held.filter(|held| held.frame.is_whole()).map(|held| held.pin());
            self.load(&[Fault::whole(id)])?;
        }
        Ok(pin)
    }
}
