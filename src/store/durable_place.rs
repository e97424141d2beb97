//! The place in a store for what makes it durable. It is filled when the store begins to write.
//!
//! The wasm module that only reads (`--cfg spinney_remote_only`, see `src/wasm/mod.rs`) has one that nothing
//! can be put into. So the compiler sees that log, checkpoints and recovery are never come to, and leaves
//! them out: with the functions for writing that is two thirds of the module.

#![forbid(unsafe_code)]

use super::durable::Durable;

cfg_if::cfg_if! {
    if #[cfg(not(spinney_remote_only))] {
        pub(crate) type Place = std::sync::OnceLock<Durable>;
    } else {
        pub(crate) struct Place(());

        impl Place {
            pub(super) fn new() -> Self {
                Place(())
            }

            #[inline(always)]
            pub(crate) fn get(&self) -> Option<&Durable> {
                None
            }

            #[inline(always)]
            #[allow(clippy::result_large_err)] // as of what it stands for
            pub(crate) fn set(&self, durable: Durable) -> Result<(), Durable> {
                Err(durable)
            }
        }
    }
}
