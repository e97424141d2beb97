//! What is measured: one module a case.

pub mod memory;
