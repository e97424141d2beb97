//! Tables, ratios, goals, JSON lines and plots.
//!
//! A case names its metrics, adds samples to a table for each data set, and states its goals; how they are
//! printed is decided here alone. Must know nothing of the stores and the cases.

#![forbid(unsafe_code)]

pub mod chart;
mod goal;
mod metric;
mod notes;
mod number;
mod output;
mod table;

pub use goal::Goal;
pub use metric::{Better, Metric};
pub use notes::Notes;
pub use number::{Unit, short};
pub use output::Output;
pub use table::Table;

/// The store that every ratio is about.
pub const HOME: &str = "spinney";
