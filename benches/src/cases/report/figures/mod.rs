//! The plots: which numbers each shows, and what they come to.

#![forbid(unsafe_code)]

mod bars;
mod curves;
mod headline;

use super::lines::Sets;

pub struct Figure {
    pub name: &'static str,
    /// What the numbers say.
    pub title: String,
    pub svg: String,
}

/// The plots of a block for which there are numbers.
pub fn of_block(block: &str, sets: &Sets) -> Vec<Figure> {
    let all = match block {
        "scale" => vec![curves::scale(sets)],
        "durable" => vec![curves::threads(sets)],
        "stall" => vec![curves::latency(sets)],
        "amplify" => vec![bars::written(sets), bars::space(sets), bars::opened(sets)],
        "cold" => vec![bars::cold(sets)],
        "warm" => vec![curves::warm(sets)],
        "directories" => vec![bars::directories(sets)],
        "browser" => vec![bars::browser(sets)],
        _ => Vec::new(),
    };
    all.into_iter().flatten().collect()
}
