//! What JavaScript calls: functions of numbers, nothing else.
//!
//! The classes that users see are JavaScript, in `pkg-template/face`. They write keys and values into buffers
//! of this module, call a function here with handles and lengths, and read from its buffers what came of it.
//! So a call costs one crossing of some nanoseconds, no JavaScript object enters the module, and nothing here
//! calls back but to read and write files: no code of a user can run while something is borrowed.
//!
//! | File | What |
//! |---|---|
//! | `memory.rs` | the buffers, and the table of numbers that says where they lie |
//! | `page.rs`, `scan.rs` | entries, packed for one crossing |
//! | `handles.rs` | what a handle stands for: databases, and all that was made from them |
//! | `refusal.rs`, `json.rs`, `report.rs` | errors, and what else leaves as an object |
//! | `remote.rs` | databases whose pages JavaScript brings |
//! | `database.rs`, `read.rs` | the functions that every database answers |
//! | `own.rs`, `write.rs`, `cursor.rs`, `batch.rs`, `transaction.rs`, `snapshot.rs` | the others |
//! | `opfs/` | databases in files of the browser; no other functions of JavaScript are called from here |
//!
//! `scripts/package` compiles it twice: whole, and with `--cfg spinney_remote_only`, without the last two
//! rows. That leaves two thirds of the module away: what only reads over HTTP should be fetched soon.
//!
//! Every function returns a number: 0 and up is the answer, [`ABSENT`] that there is nothing, [`FAILED`] that
//! the text of the output buffer says why, [`AWAITED`] that pages have to be brought first. Whatever the
//! numbers are that it is given, it does not panic: a wrong handle is one of something that was closed.
//!
//! Other places to read from have a file of their own beside `own.rs`, which makes a `Db` of them and
//! puts it among the handles; the rest stays as it is. None of it may know what a key or a blob looks like.

// Macros of wasm-bindgen generate `unsafe`; none is written here.
#![allow(unsafe_code)]

mod database;
mod handles;
mod json;
mod memory;
mod page;
mod read;
mod refusal;
mod remote;
mod scan;

cfg_if::cfg_if! {
    if #[cfg(not(spinney_remote_only))] {
        mod batch;
        mod cursor;
        mod opfs;
        mod own;
        mod report;
        mod snapshot;
        mod transaction;
        mod write;
    }
}

use std::cell::RefCell;

use handles::{Databases, Open};
use memory::Memory;
use refusal::Outcome;

/// There is no such thing, or a condition does not hold.
const ABSENT: f64 = -1.0;
/// It was refused, and the output buffer says why.
const FAILED: f64 = -2.0;
/// An earlier call has trapped, and nothing more can be said.
const BROKEN: f64 = -3.0;
/// Pages are missing: fetch what is wanted, hand it in, and make the call again.
const AWAITED: f64 = -4.0;

struct Module {
    memory: Memory,
    databases: Databases,
}

impl Module {
    fn new() -> Self {
        Module { memory: Memory::new(), databases: Databases::new() }
    }
}

thread_local! {
    static MODULE: RefCell<Module> = RefCell::new(Module::new());
}

/// Runs a call.
fn call(run: impl FnOnce(&mut Memory, &mut Databases) -> Outcome<f64>) -> f64 {
    MODULE.with(|module| {
        // Only a trap, which unwinds nothing, leaves it borrowed.
        let Ok(mut module) = module.try_borrow_mut() else {
            return BROKEN;
        };
        let Module { memory, databases } = &mut *module;
        let outcome = run(memory, databases);
        outcome.unwrap_or_else(|refusal| {
            if refusal.is_not_fetched() {
                return AWAITED;
            }
            memory.lend_text(refusal.to_json());
            FAILED
        })
    })
}

/// Runs a call of an open database.
fn call_on(database: u32, run: impl FnOnce(&mut Memory, &mut Open) -> Outcome<f64>) -> f64 {
    call(|memory, databases| run(memory, databases.get(database)?))
}

/// What JavaScript has of a boolean.
fn number_of(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// What JavaScript has of a version that there may be.
fn number_of_version(version: Option<crate::value::Version>) -> f64 {
    version.map_or(ABSENT, |version| version.number() as f64)
}
