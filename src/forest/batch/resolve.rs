//! What the steps of a batch come to: a refusal, or one change for each key.
//!
//! Each step sees those before it. What several steps do to one key is one change in the end, with the number
//! of the last of them.

#![forbid(unsafe_code)]

use std::borrow::Cow;

use super::plan::Plan;
use super::{Emptiness, Step, What};
use crate::blob::leaf::Payload;
use crate::forest::long::Pointer;
use crate::forest::write::{Condition, Try};
use crate::log::batch::BATCH_BYTES_MAX;

/// What a leaf holds, or is to hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Content<'p> {
    pub(super) bytes: Cow<'p, [u8]>,
    /// It is no value, but says where one lies.
    pub(super) is_pointer: bool,
}

impl Content<'_> {
    pub(super) fn payload(&self) -> Payload<'_> {
        Payload { bytes: &self.bytes, is_pointer: self.is_pointer }
    }

    /// Where the value lies, if it is a long one.
    pub(super) fn pointer(&self) -> Option<Pointer> {
        if self.is_pointer { Pointer::decode(&self.bytes) } else { None }
    }
}

/// What becomes of one key.
pub(super) struct Change<'p> {
    /// Its index in the plan.
    pub(super) key: usize,
    /// None to remove it.
    pub(super) value: Option<Content<'p>>,
    /// The number of the write, counted from the first of the batch.
    pub(super) ordinal: u32,
}

/// See the head of this file.
pub(super) enum Resolved<'p> {
    /// In the order of keys; and for each step the number of its write, if it has an effect.
    Changes(Vec<Change<'p>>, Vec<Option<u32>>),
    Refused {
        index: usize,
        reason: &'static str,
    },
    /// With the values that renames move, the batch is too large.
    TooLarge {
        encoded_bytes: usize,
    },
}

/// What is stored.
pub(super) trait Stored {
    /// The version of a key of the plan.
    fn version(&self, key: usize) -> Try<Option<u64>>;

    /// What its leaf holds; empty if it is not there.
    fn value(&self, key: usize) -> Try<Content<'static>>;
}

/// What has become of a key so far.
#[derive(Clone)]
enum Now<'p> {
    AsStored,
    Absent,
    Put(Content<'p>),
}

/// What a step sees of a key.
enum Seen {
    Nothing,
    Stored(u64),
    /// An earlier step has put it.
    Own,
}

impl Seen {
    fn is_there(&self) -> bool {
        !matches!(self, Seen::Nothing)
    }

    /// Why the condition does not hold, if so.
    fn objection(&self, condition: Condition) -> Option<&'static str> {
        let holds = match (condition, self) {
            (Condition::Always, _) => true,
            (Condition::Absent, seen) => !seen.is_there(),
            (Condition::Present, seen) => seen.is_there(),
            (Condition::Version(version), Seen::Stored(found)) => *found == version,
            (Condition::Version(_), _) => false,
        };
        let reason = match condition {
            Condition::Absent => "the key exists",
            Condition::Present => "the key does not exist",
            _ => "the key does not have that version",
        };
        (!holds).then_some(reason)
    }
}

struct Resolver<'r, 'p, S> {
    plan: &'r Plan<'p>,
    stored: &'r S,
    now: Vec<(Now<'p>, u32)>,
    moved_bytes: usize,
}

/// Goes through the steps.
pub(super) fn resolve<'p>(plan: &Plan<'p>, stored: &impl Stored, emptiness: &Emptiness) -> Try<Resolved<'p>> {
    let now = vec![(Now::AsStored, 0); plan.keys.len()];
    let mut resolver = Resolver { plan, stored, now, moved_bytes: 0 };
    let mut effects = Vec::with_capacity(plan.batch.len());
    let mut under_prefixes = emptiness.keys.iter();
    let mut ordinal = 0;
    for (index, (step, places)) in plan.steps().enumerate() {
        let done = match step.what {
            What::Empty => match under_prefixes.next() {
                Some(keys) if resolver.is_empty(plan.batch.first(step), keys) => Ok(false),
                _ => Err("a key begins with the prefix"),
            },
            _ => resolver.step(step, places, ordinal)?,
        };
        match done {
            Ok(has_effect) => effects.push(has_effect.then_some(ordinal)),
            Err(reason) => return Ok(Resolved::Refused { index, reason }),
        }
        ordinal += u32::from(!matches!(step.what, What::Key | What::Empty));
        let encoded_bytes = plan.batch.bytes() + resolver.moved_bytes;
        if encoded_bytes > BATCH_BYTES_MAX {
            return Ok(Resolved::TooLarge { encoded_bytes });
        }
    }
    Ok(Resolved::Changes(resolver.changes()?, effects))
}

impl<'p, S: Stored> Resolver<'_, 'p, S> {
    fn seen(&self, key: usize) -> Try<Seen> {
        Ok(match self.now[key].0 {
            Now::AsStored => self.stored.version(key)?.map_or(Seen::Nothing, Seen::Stored),
            Now::Absent => Seen::Nothing,
            Now::Put(_) => Seen::Own,
        })
    }

    /// Does one step; says whether it has an effect, or why it is refused.
    fn step(
        &mut self,
        step: &'p Step,
        [key, other]: [usize; 2],
        ordinal: u32,
    ) -> Try<Result<bool, &'static str>> {
        // A put that puts anyway need not know.
        let always_puts = step.what == What::Put && step.condition == Condition::Always;
        let seen = if always_puts { Seen::Nothing } else { self.seen(key)? };
        if let Some(reason) = seen.objection(step.condition) {
            return Ok(Err(reason));
        }
        match step.what {
            What::Put => {
                let bytes = Cow::Borrowed(self.plan.batch.second(step));
                self.now[key] = (Now::Put(Content { bytes, is_pointer: step.is_pointer }), ordinal);
                Ok(Ok(true))
            }
            What::Remove if seen.is_there() => {
                self.now[key] = (Now::Absent, ordinal);
                Ok(Ok(true))
            }
            What::Rename if seen.is_there() && key != other => {
                if self.seen(other)?.is_there() {
                    return Ok(Err("the target of the rename exists"));
                }
                let value = match std::mem::replace(&mut self.now[key], (Now::Absent, ordinal)).0 {
                    Now::Put(value) => value,
                    _ => self.stored.value(key)?,
                };
                self.moved_bytes += value.bytes.len();
                self.now[other] = (Now::Put(value), ordinal);
                Ok(Ok(true))
            }
            _ => Ok(Ok(false)),
        }
    }

    /// Whether nothing is left under a prefix, under which these keys are stored, or more.
    fn is_empty(&self, prefix: &[u8], stored: &[Vec<u8>]) -> bool {
        let own = self.plan.keys_under(prefix);
        let has_put = own.clone().any(|key| matches!(self.now[key].0, Now::Put(_)));
        let is_gone = |key: &Vec<u8>| match self.plan.keys[own.clone()].binary_search(&key.as_slice()) {
            Ok(at) => !matches!(self.now[own.start + at].0, Now::AsStored),
            Err(_) => false,
        };
        !has_put && stored.iter().all(is_gone)
    }

    fn changes(self) -> Try<Vec<Change<'p>>> {
        let mut changes = Vec::new();
        for (key, (now, ordinal)) in self.now.into_iter().enumerate() {
            let value = match now {
                Now::AsStored => continue,
                // What was put and taken away again never was.
                Now::Absent if self.stored.version(key)?.is_none() => continue,
                Now::Absent => None,
                Now::Put(value) => Some(value),
            };
            changes.push(Change { key, value, ordinal });
        }
        Ok(changes)
    }
}
