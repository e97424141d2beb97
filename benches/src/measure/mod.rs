//! Clocks, rates, medians, and what else the machine can say. Must know nothing of the stores and the cases.

mod clock;
mod machine;
mod rate;
mod samples;

pub use clock::{Clock, Whose, nanos_per_op, use_wall};
pub use machine::{Neighbours, allocated};
pub use rate::{Rate, rate};
pub use samples::Samples;

/// The order in which round `round` visits so many contestants: nobody is always first.
pub fn order(round: usize, contestants: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |i| (i + round) % contestants)
}
