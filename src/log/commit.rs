//! Group commit: who waits for durability first leads a group, and writes for all who wait with it.
//!
//! At most two groups are on their way to the disk, and they are acknowledged in order. While a group
//! waits for its turn, and for a moment after that if recent groups were larger, it gathers more waiters.
//! The next leader is woken before those whose group is done, so that the disk does not wait for them.
//!
//! Must not know: what a record is; where the log area lies.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::Arc;
// Counts that decide nothing: no model has to look at them.
use std::sync::atomic::AtomicU64;
#[cfg(not(loom))]
use std::time::{Duration, Instant};

use crate::sync::{AtomicU32, Condvar, Mutex, MutexGuard, OnceLock, Ordering};

/// Groups on their way to the disk.
const IN_FLIGHT_MAX: usize = 2;
/// How long a leader gathers while fewer wait than in recent groups.
#[cfg(not(loom))]
const GATHER_TIME_MAX: Duration = Duration::from_micros(40);

/// The log could not be made durable; the reason is kept elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failed;

/// Those who wait for one write.
#[derive(Default)]
struct Group {
    waiting: AtomicU32,
    outcome: OnceLock<Result<(), Failed>>,
}

struct InFlight {
    group: Arc<Group>,
    end: u64,
    is_done: bool,
}

struct State {
    /// The group that still takes waiters, and whether somebody leads it.
    open: Arc<Group>,
    open_is_led: bool,
    in_flight: VecDeque<InFlight>,
    /// Everything before this belongs to a group that was closed.
    closed: u64,
    durable: u64,
    /// How many wait in a group, going by the last ones.
    expected: u32,
    failed: bool,
}

/// See the head of this file.
pub(crate) struct Commit {
    state: Mutex<State>,
    /// A group has left the disk.
    turn: Condvar,
    groups: AtomicU64,
    waiters: AtomicU64,
}

/// What a group's leader does with the disk.
pub(crate) trait Writer {
    /// Ends the log at a page and returns that position.
    fn close(&self) -> u64;
    /// Writes the log between two positions, and returns when it is on stable storage.
    fn write(&self, from: u64, to: u64) -> Result<(), Failed>;
    /// Everything before `position` is durable. Called in order.
    fn publish(&self, position: u64);
}

impl Commit {
    pub(crate) fn new(durable: u64) -> Self {
        let state = State {
            open: Arc::default(),
            open_is_led: false,
            in_flight: VecDeque::new(),
            closed: durable,
            durable,
            expected: 1,
            failed: false,
        };
        let (groups, waiters) = (AtomicU64::new(0), AtomicU64::new(0));
        Commit { state: Mutex::new(state), turn: Condvar::new(), groups, waiters }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Groups that were written, and how many waited in them all together.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.groups.load(Ordering::Relaxed), self.waiters.load(Ordering::Relaxed))
    }

    /// Lets everybody who waits, and will wait, fail.
    pub(crate) fn fail(&self) {
        let mut state = self.state();
        state.failed = true;
        self.turn.notify_all();
    }

    /// Returns when everything before `end`, which was appended before this call, is durable.
    pub(crate) fn wait(&self, end: u64, writer: &impl Writer) -> Result<(), Failed> {
        let mut state = self.state();
        if state.durable >= end {
            return Ok(());
        }
        if state.failed {
            return Err(Failed);
        }
        let group = if end <= state.closed {
            let ahead = state.in_flight.iter().find(|flight| flight.end >= end);
            ahead.map(|flight| flight.group.clone()).expect("what is closed and not durable is in flight")
        } else if state.open_is_led {
            let group = state.open.clone();
            group.waiting.fetch_add(1, Ordering::Relaxed);
            group
        } else {
            state.open_is_led = true;
            state.open.waiting.store(1, Ordering::Relaxed);
            let group = self.lead(state, writer);
            return *group.outcome.wait();
        };
        drop(state);
        *group.outcome.wait()
    }

    /// Takes the open group to the disk.
    fn lead<'a>(&'a self, mut state: MutexGuard<'a, State>, writer: &impl Writer) -> Arc<Group> {
        while state.in_flight.len() >= IN_FLIGHT_MAX && !state.failed {
            state = self.turn.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
        let expected = state.expected;
        // Where there are no threads there may be no clock either: a leader that is alone never looks at it.
        if state.open.waiting.load(Ordering::Relaxed) < expected && !state.failed {
            let group = state.open.clone();
            drop(state);
            gather(&group, expected);
            state = self.state();
        }
        let group = std::mem::take(&mut state.open);
        state.open_is_led = false;
        if state.failed {
            drop(state);
            let _ = group.outcome.set(Err(Failed));
            return group;
        }
        let waiting = group.waiting.load(Ordering::Relaxed);
        state.expected = expected_after(waiting, expected);
        let from = state.closed;
        let end = writer.close();
        state.closed = end;
        state.in_flight.push_back(InFlight { group: group.clone(), end, is_done: false });
        drop(state);
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.waiters.fetch_add(u64::from(waiting), Ordering::Relaxed);
        let mut landing = Landing { commit: self, writer, end, outcome: Err(Failed) };
        landing.outcome = if from == end { Ok(()) } else { writer.write(from, end) };
        drop(landing);
        group
    }

    /// A write has come back: acknowledges all groups that have nothing before them any more.
    fn land(&self, end: u64, outcome: Result<(), Failed>, writer: &impl Writer) {
        let mut landed = Vec::new();
        let mut state = self.state();
        state.failed |= outcome.is_err();
        if let Some(flight) = state.in_flight.iter_mut().find(|flight| flight.end == end && !flight.is_done) {
            flight.is_done = true;
        }
        while state.in_flight.front().is_some_and(|flight| flight.is_done) {
            let Some(flight) = state.in_flight.pop_front() else { break };
            if !state.failed {
                state.durable = flight.end;
                writer.publish(flight.end);
            }
            landed.push((flight.group, if state.failed { Err(Failed) } else { Ok(()) }));
        }
        self.turn.notify_one();
        drop(state);
        for (group, outcome) in landed {
            let _ = group.outcome.set(outcome);
        }
    }
}

/// A group on its way. It lands when this is dropped: as a failure if the write has panicked, so that nobody
/// waits for it for ever.
struct Landing<'a, W: Writer> {
    commit: &'a Commit,
    writer: &'a W,
    end: u64,
    outcome: Result<(), Failed>,
}

impl<W: Writer> Drop for Landing<'_, W> {
    fn drop(&mut self) {
        self.commit.land(self.end, self.outcome, self.writer);
    }
}

/// How many to expect in the next group: as many as in this one, or a quarter fewer than before it.
fn expected_after(waiting: u32, expected: u32) -> u32 {
    waiting.max(expected - expected.div_ceil(4))
}

/// Gives way to others until as many wait as in recent groups, for a moment at most.
#[cfg(not(loom))]
fn gather(group: &Group, expected: u32) {
    let started = Instant::now();
    while group.waiting.load(Ordering::Relaxed) < expected && started.elapsed() < GATHER_TIME_MAX {
        std::thread::yield_now();
    }
}

/// Time means nothing to a model, which looks at every moment as it is.
#[cfg(loom)]
fn gather(_group: &Group, _expected: u32) {}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// A disk that counts, and fails from a position on.
    #[derive(Default)]
    struct Disk {
        appended: AtomicU64,
        written: Mutex<Vec<(u64, u64)>>,
        published: AtomicU64,
        fails_from: Option<u64>,
        panics: bool,
        /// Whoever has it lets writes wait that begin before this position.
        holds: Mutex<()>,
        held_before: u64,
    }

    impl Writer for Disk {
        fn close(&self) -> u64 {
            let pad = |end: u64| Some(end.next_multiple_of(8));
            let before = self.appended.fetch_update(Ordering::SeqCst, Ordering::SeqCst, pad);
            before.expect("always").next_multiple_of(8)
        }

        fn write(&self, from: u64, to: u64) -> Result<(), Failed> {
            std::thread::sleep(Duration::from_micros(50));
            assert!(!self.panics, "a disk that panics");
            if from < self.held_before {
                drop(self.holds.lock());
            }
            self.written.lock().expect("no panic").push((from, to));
            if self.fails_from.is_some_and(|at| to > at) { Err(Failed) } else { Ok(()) }
        }

        fn publish(&self, position: u64) {
            let before = self.published.swap(position, Ordering::SeqCst);
            assert!(before < position, "acknowledged in order");
        }
    }

    #[test]
    fn everybody_waits_until_his_own_is_durable_and_groups_are_shared() {
        let (disk, commit, lock) = (Disk::default(), Commit::new(0), Mutex::new(()));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let end = {
                            let _lock = lock.lock().expect("no panic");
                            disk.appended.fetch_add(1, Ordering::SeqCst) + 1
                        };
                        commit.wait(end, &disk).expect("the disk is sound");
                        assert!(disk.published.load(Ordering::SeqCst) >= end);
                    }
                });
            }
        });
        let mut written = disk.written.into_inner().expect("no panic");
        written.sort_unstable();
        for pair in written.windows(2) {
            assert_eq!(pair[0].1, pair[1].0, "every byte once");
        }
        let (groups, waiters) = commit.counts();
        assert!(groups < 1600 && waiters > groups, "{waiters} waited in {groups} groups");
        assert_eq!(groups as usize, written.len());
    }

    /// Waits until so many groups are in flight, of which the last is on its way or done.
    fn until_in_flight(commit: &Commit, groups: usize, is_done: bool) {
        loop {
            let state = commit.state();
            let is_last_done = state.in_flight.back().is_some_and(|flight| flight.is_done);
            if state.in_flight.len() == groups && is_last_done == is_done {
                return;
            }
            drop(state);
            std::thread::yield_now();
        }
    }

    type Waiter<'scope> = std::thread::ScopedJoinHandle<'scope, Result<(), Failed>>;

    fn append_and_wait<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        (disk, commit): (&'scope Disk, &'scope Commit),
        end: u64,
    ) -> Waiter<'scope> {
        disk.appended.store(end, Ordering::SeqCst);
        scope.spawn(move || commit.wait(end, disk))
    }

    /// Two groups on their way, up to 8 and up to 16, of which the second may be done.
    fn two_in_flight<'scope>(
        scope: &'scope std::thread::Scope<'scope, '_>,
        log: (&'scope Disk, &'scope Commit),
        is_second_done: bool,
    ) -> [Waiter<'scope>; 2] {
        let first = append_and_wait(scope, log, 8);
        until_in_flight(log.1, 1, false);
        let second = append_and_wait(scope, log, 16);
        until_in_flight(log.1, 2, is_second_done);
        [first, second]
    }

    #[test]
    fn a_group_that_lands_first_is_acknowledged_behind_the_one_before_it() {
        let (disk, commit) = (Disk { held_before: 1, ..Disk::default() }, Commit::new(0));
        let first_is_held = disk.holds.lock().expect("no panic");
        std::thread::scope(|scope| {
            let [first, second] = two_in_flight(scope, (&disk, &commit), true);
            assert_eq!((commit.state().durable, disk.published.load(Ordering::SeqCst)), (0, 0));
            drop(first_is_held);
            assert_eq!(first.join().expect("no panic"), Ok(()));
            assert_eq!(second.join().expect("no panic"), Ok(()));
        });
        assert_eq!(disk.published.load(Ordering::SeqCst), 16);
    }

    #[test]
    fn a_failure_elsewhere_fails_who_waits_for_a_turn_and_who_comes_later() {
        let (disk, commit) = (Disk { held_before: 100, ..Disk::default() }, Commit::new(0));
        let all_are_held = disk.holds.lock().expect("no panic");
        std::thread::scope(|scope| {
            let begun = two_in_flight(scope, (&disk, &commit), false);
            let waits_for_a_turn = append_and_wait(scope, (&disk, &commit), 24);
            while !commit.state().open_is_led {
                std::thread::yield_now();
            }
            commit.fail();
            assert_eq!(waits_for_a_turn.join().expect("no panic"), Err(Failed));
            let comes_later = append_and_wait(scope, (&disk, &commit), 32);
            assert_eq!(comes_later.join().expect("no panic"), Err(Failed));
            drop(all_are_held);
            for waiter in begun {
                assert_eq!(waiter.join().expect("no panic"), Err(Failed), "nobody knows what is durable");
            }
        });
        assert_eq!(disk.published.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn fewer_are_expected_little_by_little_and_more_at_once() {
        let cases =
            [((1, 1), 1), ((5, 1), 5), ((1, 8), 6), ((7, 8), 7), ((8, 8), 8), ((1, 2), 1), ((3, 5), 3)];
        for ((waiting, expected), after) in cases {
            assert_eq!(expected_after(waiting, expected), after, "{waiting} of {expected}");
        }
    }

    #[test]
    fn a_leader_gives_way_until_enough_wait_and_not_longer() {
        let time_of = |waiting| {
            let group = Group { waiting: AtomicU32::new(waiting), ..Group::default() };
            let started = Instant::now();
            gather(&group, 2);
            started.elapsed()
        };
        assert!(time_of(0) >= GATHER_TIME_MAX && time_of(1) >= GATHER_TIME_MAX);
        // The machine may take a while over anything once; the clock of Miri goes by what is executed.
        for enough in [2, 3] {
            assert!(cfg!(miri) || (0..1000).any(|_| time_of(enough) < GATHER_TIME_MAX / 4));
        }
    }

    #[test]
    fn nobody_waits_for_a_leader_that_has_panicked() {
        let (disk, commit) = (Disk { panics: true, ..Disk::default() }, Commit::new(0));
        disk.appended.store(8, Ordering::SeqCst);
        std::thread::scope(|scope| {
            let waiters: Vec<_> = (0..4).map(|_| scope.spawn(|| commit.wait(8, &disk))).collect();
            let outcomes: Vec<_> = waiters.into_iter().map(|waiter| waiter.join()).collect();
            assert!(outcomes.iter().any(|outcome| outcome.is_err()), "one has led");
            assert!(outcomes.iter().flatten().all(|outcome| *outcome == Err(Failed)));
        });
        assert_eq!(commit.wait(8, &disk), Err(Failed));
    }

    #[test]
    fn after_a_failure_nothing_more_is_acknowledged() {
        let disk = Disk { fails_from: Some(16), ..Disk::default() };
        let commit = Commit::new(0);
        disk.appended.store(16, Ordering::SeqCst);
        assert_eq!(commit.wait(16, &disk), Ok(()));
        disk.appended.store(17, Ordering::SeqCst);
        assert_eq!(commit.wait(17, &disk), Err(Failed));
        assert_eq!(commit.wait(17, &disk), Err(Failed));
        assert_eq!(commit.wait(10, &disk), Ok(()), "it was durable before");
        assert_eq!(disk.published.load(Ordering::SeqCst), 16);
        assert_eq!(disk.written.lock().expect("no panic").len(), 2, "a failed write is not tried again");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::thread;

    /// A log of words, and a disk that takes what was appended, or fails from a position on.
    struct Disk {
        appended: Mutex<u64>,
        written: Mutex<Vec<(u64, u64)>>,
        published: crate::sync::AtomicU64,
        fails_from: u64,
    }

    impl Writer for Disk {
        fn close(&self) -> u64 {
            *self.appended.lock().expect("no panic")
        }

        fn write(&self, from: u64, to: u64) -> Result<(), Failed> {
            self.written.lock().expect("no panic").push((from, to));
            if to > self.fails_from { Err(Failed) } else { Ok(()) }
        }

        fn publish(&self, position: u64) {
            let before = self.published.swap(position, Ordering::Relaxed);
            assert!(before < position, "acknowledged in order, and each group once");
        }
    }

    struct World {
        disk: Disk,
        commit: Commit,
    }

    impl World {
        fn append_and_wait(&self) -> (u64, Result<(), Failed>) {
            let end = {
                let mut appended = self.disk.appended.lock().expect("no panic");
                *appended += 1;
                *appended
            };
            let outcome = self.commit.wait(end, &self.disk);
            if outcome.is_ok() {
                assert!(self.disk.published.load(Ordering::Relaxed) >= end, "acknowledged, and not durable");
            }
            (end, outcome)
        }
    }

    /// Lets that many threads append, each that often, and wait for it; then the disk must have been asked to
    /// write everything once. loom itself tells if somebody waits for ever.
    fn run(threads: usize, writes: usize, fails_from: u64) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.check(move || {
            let disk = Disk {
                appended: Mutex::new(0),
                written: Mutex::new(Vec::new()),
                published: crate::sync::AtomicU64::new(0),
                fails_from,
            };
            let world = Arc::new(World { disk, commit: Commit::new(0) });
            let spawn = |_| {
                let world = world.clone();
                thread::spawn(move || (0..writes).map(|_| world.append_and_wait()).collect::<Vec<_>>())
            };
            let others: Vec<_> = (1..threads).map(spawn).collect();
            let mut all: Vec<_> = (0..writes).map(|_| world.append_and_wait()).collect();
            for other in others {
                all.extend(other.join().expect("no panic"));
            }
            let written = world.disk.written.lock().expect("no panic");
            let mut by_position = written.clone();
            by_position.sort_unstable();
            assert_eq!(by_position[0].0, 0);
            assert!(
                by_position.windows(2).all(|pair| pair[0].1 == pair[1].0),
                "every byte once: {written:?}"
            );
            for (end, outcome) in all {
                assert_eq!(outcome.is_ok(), end <= world.disk.published.load(Ordering::Relaxed));
                assert!(outcome.is_err() || end <= fails_from);
                assert!(outcome.is_ok() || fails_from < u64::MAX, "nothing has failed");
            }
        });
    }

    #[test]
    fn three_writers_share_groups_and_nobody_is_forgotten() {
        run(3, 1, u64::MAX);
    }

    #[test]
    fn two_writers_lead_in_turn() {
        run(2, 2, u64::MAX);
    }

    #[test]
    fn what_follows_a_failed_group_fails_and_what_came_before_does_not() {
        run(3, 1, 1);
        run(2, 2, 2);
    }
}
