//! What JavaScript's objects share: one open database, and slots for all that was made from it.
//!
//! The objects hold slot numbers, so closing drops every tree handle and cursor, and with them the memory,
//! even while objects live on. They give their slots back when they are freed or collected.

use std::cell::RefCell;

use wasm_bindgen::JsValue;

use super::error::{Outcome, Refusal};
use super::glue;
use super::iterate::Source;
use crate::db::Db;
use crate::tree::Tree;

/// The tree that `Spinney`'s own methods work on.
const DEFAULT_TREE: &str = "default";

/// A database, open or closed.
pub(super) struct Shared {
    open: RefCell<Option<Open>>,
    /// Tells iterators in JavaScript that the database was closed.
    pub(super) token: JsValue,
}

/// An open database, and what was made from it.
pub(super) struct Open {
    pub(super) db: Db,
    /// The slot of the default tree, once it exists.
    default_tree: Option<usize>,
    pub(super) trees: Slots<Tree>,
    pub(super) cursors: Slots<Source>,
}

/// The tree that an object stands for.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// The one called "default", which is made by the first write.
    Default,
    /// The one in this slot.
    Slot(usize),
}

impl Shared {
    pub(super) fn new(db: Db) -> Self {
        let open = Open { db, default_tree: None, trees: Slots::new(), cursors: Slots::new() };
        Shared { open: RefCell::new(Some(open)), token: glue::token() }
    }

    /// A database that was closed from the start.
    pub(super) fn closed() -> Self {
        Shared { open: RefCell::new(None), token: JsValue::UNDEFINED }
    }

    /// Runs a call on the open database.
    pub(super) fn with<R>(&self, call: impl FnOnce(&mut Open) -> Outcome<R>) -> Outcome<R> {
        match &mut *self.open.borrow_mut() {
            Some(open) => call(open),
            None => Err(Refusal::Closed),
        }
    }

    /// Gives back a slot, unless all are gone.
    pub(super) fn release(&self, release: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut *self.open.borrow_mut() {
            release(open);
        }
    }

    /// Closes the database. Closing it again does nothing.
    pub(super) fn close(&self) {
        if self.open.take().is_some() {
            glue::close_token(&self.token);
        }
    }
}

impl Open {
    /// The tree to read. None: the default tree does not exist, and a read does not make it.
    pub(super) fn tree(&mut self, which: Which) -> Outcome<Option<&Tree>> {
        if let (Which::Default, None) = (which, self.default_tree)
            && !self.db.trees()?.iter().any(|name| name == DEFAULT_TREE)
        {
            return Ok(None);
        }
        self.tree_to_write(which).map(Some)
    }

    /// The tree to write.
    pub(super) fn tree_to_write(&mut self, which: Which) -> Outcome<&Tree> {
        let slot = match (which, self.default_tree) {
            (Which::Slot(slot), _) | (Which::Default, Some(slot)) => slot,
            (Which::Default, None) => {
                let slot = self.trees.put(self.db.tree(DEFAULT_TREE)?);
                self.default_tree = Some(slot);
                slot
            }
        };
        self.trees.get(slot).map(|tree| &*tree).ok_or(Refusal::Closed)
    }

    /// Removes a tree by name.
    pub(super) fn drop_tree(&mut self, name: &str) -> Outcome<bool> {
        if let Some(slot) = self.default_tree.take_if(|_| name == DEFAULT_TREE) {
            self.trees.take(slot);
        }
        Ok(self.db.drop_tree(name)?)
    }
}

/// A table whose places are used again.
pub(super) struct Slots<T> {
    places: Vec<Option<T>>,
    empty: Vec<usize>,
}

impl<T> Slots<T> {
    fn new() -> Self {
        Slots { places: Vec::new(), empty: Vec::new() }
    }

    pub(super) fn put(&mut self, item: T) -> usize {
        let slot = self.empty.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[slot] = Some(item);
        slot
    }

    pub(super) fn get(&mut self, slot: usize) -> Option<&mut T> {
        self.places.get_mut(slot)?.as_mut()
    }

    pub(super) fn take(&mut self, slot: usize) -> Option<T> {
        let item = self.places.get_mut(slot)?.take()?;
        self.empty.push(slot);
        Some(item)
    }
}
