//! What a check found.

#![forbid(unsafe_code)]

use crate::forest::check::Findings;

/// One violation of the structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The blob concerned.
    pub blob: u32,
    /// What is wrong with it.
    pub text: String,
}

/// The result of [`Db::check`](crate::Db::check).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Everything that is wrong, up to a hundred entries.
    pub problems: Vec<Problem>,
    /// Keys that were seen, in all trees, names of trees included.
    pub keys: u64,
    /// Blobs that hold keys.
    pub range_blobs: u32,
    /// Blobs that hold separators.
    pub router_blobs: u32,
}

impl CheckReport {
    pub(crate) fn new(findings: Findings) -> Self {
        let problems = findings.problems.into_iter().map(|(blob, text)| Problem { blob, text }).collect();
        CheckReport {
            problems,
            keys: findings.keys,
            range_blobs: findings.range_blobs,
            router_blobs: findings.router_blobs,
        }
    }

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
