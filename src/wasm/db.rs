//! The class `Spinney`: a database.

use std::cell::Cell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::error::Outcome;
use super::handle::{Shared, Which};
use super::iterate::Kind;
use super::tree::{Handle, Tree};
use super::{glue, keys, report};
use crate::db::Db;

/// A database in memory.
///
/// Its keys lie in trees, see `tree`. The methods for keys are those of the tree called `default`, which the
/// first `put` makes. A call that fails throws a `SpinneyError`: its `code` says why, and is stable.
#[wasm_bindgen]
pub struct Spinney {
    default: Handle,
}

thread_local! {
    static ATTACHED: Cell<bool> = const { Cell::new(false) };
}

fn opened(db: Db) -> Spinney {
    if !ATTACHED.replace(true) {
        glue::attach(wasm_bindgen::memory(), over(Shared::closed()).into());
    }
    over(Shared::new(db))
}

fn over(shared: Shared) -> Spinney {
    let default = Handle::new(Rc::new(shared), Which::Default);
    Spinney { default }
}

fn from_image(bytes: &JsValue) -> Outcome<Spinney> {
    let bytes = keys::own_bytes(bytes, "image")?;
    Ok(opened(Db::from_image(bytes)?))
}

#[wasm_bindgen]
impl Spinney {
    /// An empty database.
    pub fn memory() -> Spinney {
        opened(Db::memory())
    }

    /// Opens a copy of an image: what `image` returned, or the bytes of a database file.
    ///
    /// Every checksum is verified first. Throws `NotSpinney`, `NewerFormat`, `Truncated` or `Corrupt`.
    #[wasm_bindgen(js_name = fromImage)]
    pub fn from_image(bytes: &JsValue) -> Result<Spinney, JsValue> {
        Ok(from_image(bytes)?)
    }

    /// The whole database as a `Uint8Array`: the bytes of a database file, the same on every platform.
    pub fn image(&self) -> Result<JsValue, JsValue> {
        let image = self.default.shared.with(|open| Ok(open.db.image()?))?;
        Ok(keys::give(&image))
    }

    /// The tree of this name, made if it does not exist.
    pub fn tree(&self, name: &JsValue) -> Result<Tree, JsValue> {
        let name = keys::tree_name(name)?;
        let shared = self.default.shared.clone();
        let slot = shared.with(|open| {
            let tree = open.db.tree(&name)?;
            Ok(open.trees.put(tree))
        })?;
        Ok(Tree::new(Handle::new(shared, Which::Slot(slot))))
    }

    /// The names of all trees, in order.
    pub fn trees(&self) -> Result<Vec<String>, JsValue> {
        Ok(self.default.shared.with(|open| Ok(open.db.trees()?))?)
    }

    /// Removes a tree and all its keys. False if there is none of this name.
    #[wasm_bindgen(js_name = dropTree)]
    pub fn drop_tree(&self, name: &JsValue) -> Result<bool, JsValue> {
        let name = keys::tree_name(name)?;
        Ok(self.default.shared.with(|open| open.drop_tree(&name))?)
    }

    /// Sets the value of a key; returns the version it got.
    pub fn put(&self, key: &JsValue, value: &JsValue) -> Result<f64, JsValue> {
        Ok(self.default.put(key, value)?)
    }

    /// The value of a key, as a `Uint8Array` of its own; `undefined` if the key is not there.
    pub fn get(&self, key: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.default.get(key)?)
    }

    /// Copies the value of a key into `target` and returns its length; `undefined` if the key is not there.
    ///
    /// A value that is longer than `target` is not copied: make `target` that long and call again.
    #[wasm_bindgen(js_name = getInto)]
    pub fn get_into(&self, key: &JsValue, target: &JsValue) -> Result<Option<f64>, JsValue> {
        Ok(self.default.get_into(key, target)?)
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &JsValue) -> Result<bool, JsValue> {
        Ok(self.default.contains(key)?)
    }

    /// Removes a key. False if it was not there.
    pub fn remove(&self, key: &JsValue) -> Result<bool, JsValue> {
        Ok(self.default.remove(key)?)
    }

    /// An iterator over the children of a directory; see `Tree.list`.
    pub fn list(&self, prefix: &JsValue, options: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.default.iterate(Kind::List, prefix, options)?)
    }

    /// An iterator over all keys that begin with `prefix`, in order; see `Tree.scan`.
    pub fn scan(&self, prefix: &JsValue, options: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.default.iterate(Kind::Scan, prefix, options)?)
    }

    /// How large the database is, and what it did so far: an object of numbers.
    pub fn stats(&self) -> Result<JsValue, JsValue> {
        let stats = self.default.shared.with(|open| Ok(open.db.stats()))?;
        Ok(report::stats(&stats))
    }

    /// Looks at every blob. Returns `{ isClean, problems, keys, rangeBlobs, routerBlobs }`, in which each
    /// problem is `{ blob, text }`.
    pub fn check(&self) -> Result<JsValue, JsValue> {
        let report = self.default.shared.with(|open| Ok(open.db.check()?))?;
        Ok(report::check(&report))
    }

    /// Closes the database and gives its memory back. From then on every call of it, of its trees and of
    /// their iterators throws `Closed`, save `close` itself. `free` and `Symbol.dispose` do the same.
    pub fn close(&self) {
        self.default.shared.close();
    }
}
