//! What can go wrong with a call of a backend, and with which.
//!
//! Must not know: what is on the disk.

#![forbid(unsafe_code)]

use crate::backend::Area;

/// A kind of call of a backend.
///
/// ```
/// use spinney::backend::{Area, Backend, sim::{Call, Fault, FaultBackend, When}};
///
/// let disk = FaultBackend::new(1);
/// disk.inject(When::nth(0), Fault::EIO);
/// assert!(disk.sync(Area::Data).is_err());
/// assert_eq!(disk.struck()[0].0, Call::Sync);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Call {
    /// [`Backend::read`](crate::backend::Backend::read)
    Read,
    /// [`Backend::write`](crate::backend::Backend::write), of zeros too
    Write,
    /// [`Backend::write_durable`](crate::backend::Backend::write_durable)
    WriteDurable,
    /// [`Backend::sync`](crate::backend::Backend::sync)
    Sync,
    /// [`Backend::set_len`](crate::backend::Backend::set_len)
    SetLen,
    /// [`Backend::ring`](crate::backend::Backend::ring)
    Ring,
    /// [`Backend::remove_side_files`](crate::backend::Backend::remove_side_files)
    RemoveSideFiles,
    /// [`Backend::sync_directory`](crate::backend::Backend::sync_directory)
    SyncDirectory,
}

/// How much of a call that fails was done nevertheless.
///
/// ```
/// use spinney::backend::{Area, Backend, sim::{Done, Fault, FaultBackend, When}};
///
/// let disk = FaultBackend::new(1);
/// disk.inject(When::nth(0), Fault::Fails { errno: 5, done: Done::All });
/// assert!(disk.set_len(Area::Data, 4096).is_err());
/// assert_eq!(disk.len(Area::Data)?, 4096);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing.
    Nothing,
    /// Some of it, as of a short transfer: what is chosen from the seed, in sectors.
    Part,
    /// All of it: only the answer is wrong.
    All,
}

/// What happens to a call.
///
/// ```
/// use spinney::backend::{Area, Backend, sim::{Fault, FaultBackend, When}};
///
/// let disk = FaultBackend::new(1);
/// disk.inject(When::nth(0), Fault::Lost);
/// disk.set_len(Area::Data, 4096)?; // says that all is well
/// assert_eq!(disk.len(Area::Data)?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing: the call is counted as struck, and that is all.
    Nothing,
    /// It is an error with this number of the operating system. After a sync that fails, what was to be
    /// synced can be read, and never becomes stable by syncing again.
    Fails {
        /// The number: 5 is EIO, 28 is ENOSPC on Linux.
        errno: i32,
        /// What was done.
        done: Done,
    },
    /// A write says that all is well, but only some sectors of each page were written.
    Torn,
    /// A write says that all is well, and nothing was written.
    Lost,
    /// A write says that all is well, and has gone to other pages of the same area.
    Misdirected,
    /// A read answers with what was there before the last write.
    Stale,
    /// A read answers with one bit flipped, once.
    FlippedOnRead,
    /// One bit of what was written or read flips where it lies.
    FlippedAtRest,
}

impl Fault {
    /// An error of the disk, EIO.
    pub const EIO: Fault = Fault::Fails { errno: 5, done: Done::Nothing };
    /// No space left, ENOSPC.
    pub const ENOSPC: Fault = Fault::Fails { errno: 28, done: Done::Nothing };
    /// A transfer that stops in the middle.
    pub const SHORT: Fault = Fault::Fails { errno: 5, done: Done::Part };
}

/// Which calls something happens to.
///
/// ```
/// use spinney::backend::Area;
/// use spinney::backend::sim::{Call, When};
///
/// let third_sync_of_the_log = When::nth(2).of(Call::Sync).in_area(Area::Log);
/// let all_from_the_tenth_on = When::nth(9).for_good();
/// # let _ = (third_sync_of_the_log, all_from_the_tenth_on);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct When {
    nth: u64,
    for_good: bool,
    call: Option<Call>,
    area: Option<Area>,
    takes_space: bool,
}

impl When {
    /// The nth call from now on, counted from 0.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Fault, FaultBackend, When}};
    ///
    /// let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(1), Fault::EIO);
    /// let went_well = [0, 1, 2].map(|_| disk.sync(Area::Data).is_ok());
    /// assert_eq!(went_well, [true, false, true]);
    /// ```
    pub fn nth(nth: u64) -> When {
        When { nth, for_good: false, call: None, area: None, takes_space: false }
    }

    /// Only calls of this kind count.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Call, Fault, FaultBackend, When}};
    ///
    /// let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0).of(Call::Sync), Fault::EIO);
    /// assert!(disk.set_len(Area::Data, 4096).is_ok() && disk.sync(Area::Data).is_err());
    /// ```
    pub fn of(mut self, call: Call) -> When {
        self.call = Some(call);
        self
    }

    /// Only calls to this area count.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Fault, FaultBackend, When}};
    ///
    /// let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0).in_area(Area::Log), Fault::EIO);
    /// assert!(disk.sync(Area::Data).is_ok() && disk.sync(Area::Log).is_err());
    /// ```
    pub fn in_area(mut self, area: Area) -> When {
        self.area = Some(area);
        self
    }

    /// That call, and all after it.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Fault, FaultBackend, When}};
    ///
    /// let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(1).for_good(), Fault::EIO);
    /// let went_well = [0, 1, 2].map(|_| disk.sync(Area::Data).is_ok());
    /// assert_eq!(went_well, [true, false, false]);
    /// ```
    pub fn for_good(mut self) -> When {
        self.for_good = true;
        self
    }

    /// Only calls that may take space on the medium count.
    ///
    /// ```
    /// use spinney::backend::{Area, Backend, sim::{Fault, FaultBackend, When}};
    ///
    /// let disk = FaultBackend::new(1);
    /// disk.inject(When::nth(0).taking_space(), Fault::ENOSPC);
    /// assert!(disk.sync(Area::Data).is_ok() && disk.set_len(Area::Data, 4096).is_err());
    /// ```
    pub fn taking_space(mut self) -> When {
        self.takes_space = true;
        self
    }

    fn counts(&self, call: Call, area: Option<Area>) -> bool {
        // What is written durably was written full of zeros before.
        let may_take = matches!(call, Call::Write | Call::SetLen | Call::Ring);
        self.call.is_none_or(|wanted| wanted == call)
            && (self.area.is_none() || self.area == area)
            && (may_take || !self.takes_space)
    }
}

/// A fault that waits for its call.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    when: When,
    fault: Fault,
    seen: u64,
}

impl Rule {
    pub(super) fn new(when: When, fault: Fault) -> Rule {
        Rule { when, fault, seen: 0 }
    }

    /// Counts a call, and says whether it is struck.
    pub(super) fn meet(&mut self, call: Call, area: Option<Area>) -> Option<Fault> {
        if !self.when.counts(call, area) {
            return None;
        }
        let number = self.seen;
        self.seen += 1;
        let is_struck = number == self.when.nth || number > self.when.nth && self.when.for_good;
        is_struck.then_some(self.fault)
    }
}
