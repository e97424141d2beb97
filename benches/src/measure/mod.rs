//! Clocks, rates, medians, and what else the machine can say. Must know nothing of the stores and the cases.

mod clock;
#[cfg(unix)]
mod confined;
#[cfg(unix)]
mod disk;
mod fresh_memory;
mod host;
#[cfg(unix)]
mod latencies;
mod machine;
#[cfg(unix)]
mod page_cache;
#[cfg(unix)]
mod process;
mod rate;
mod samples;

pub use clock::{Clock, Whose, nanos_per_op, use_wall};
#[cfg(unix)]
pub use confined::{can_confine, clear_after, confine};
#[cfg(unix)]
pub use disk::{bytes_on_disk, file_system, files, flushes};
pub use fresh_memory::even_out;
pub use host::host;
#[cfg(unix)]
pub use latencies::Latencies;
pub use machine::{Neighbours, allocated, trim};
#[cfg(unix)]
pub use page_cache::forget;
#[cfg(unix)]
pub use process::{Traffic, resident};
pub use rate::{Rate, rate};
pub use samples::Samples;

/// The order in which round `round` visits so many contestants: nobody is always first.
pub fn order(round: usize, contestants: usize) -> impl Iterator<Item = usize> {
    (0..contestants).map(move |i| (i + round) % contestants)
}
