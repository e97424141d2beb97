//! The class `Tree`, and the calls that it shares with `Spinney`.

use std::rc::Rc;

use wasm_bindgen::prelude::*;

use super::error::Outcome;
use super::handle::{Shared, Which};
use super::iterate::{Kind, iterate};
use super::keys::{self, with_buffers};

/// A handle to one tree: an ordered map from keys to values.
///
/// Keys are strings, stored as UTF-8, or `Uint8Array`s. Values are `Uint8Array`s. A version is the number of
/// the write that a value comes from: 1, 2, 3 ... for the life of the database, hence an exact `number`.
#[wasm_bindgen]
pub struct Tree {
    handle: Handle,
}

#[wasm_bindgen]
impl Tree {
    /// Sets the value of a key; returns the version it got.
    pub fn put(&self, key: &JsValue, value: &JsValue) -> Result<f64, JsValue> {
        Ok(self.handle.put(key, value)?)
    }

    /// The value of a key, as a `Uint8Array` of its own; `undefined` if the key is not there.
    pub fn get(&self, key: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.handle.get(key)?)
    }

    /// Copies the value of a key into `target` and returns its length; `undefined` if the key is not there.
    ///
    /// A value that is longer than `target` is not copied: make `target` that long and call again.
    #[wasm_bindgen(js_name = getInto)]
    pub fn get_into(&self, key: &JsValue, target: &JsValue) -> Result<Option<f64>, JsValue> {
        Ok(self.handle.get_into(key, target)?)
    }

    /// Whether a key is there.
    pub fn contains(&self, key: &JsValue) -> Result<bool, JsValue> {
        Ok(self.handle.contains(key)?)
    }

    /// Removes a key. False if it was not there.
    pub fn remove(&self, key: &JsValue) -> Result<bool, JsValue> {
        Ok(self.handle.remove(key)?)
    }

    /// An iterator over the children of a directory: its keys, and each directory below it once.
    ///
    /// The entries are `{ key, value, version, isPrefix }`; a directory has only a `key`, with the delimiter
    /// at its end, and `isPrefix` true. Options, all of them optional:
    ///
    /// * `startAfter`: go on behind this key or directory, in the order of the iteration;
    /// * `limit`: so many entries at most;
    /// * `reverse`: from the last to the first;
    /// * `delimiter`: another character than `/` between directories;
    /// * `values: false`: leave the values out;
    /// * `keys: "bytes"`: keys as `Uint8Array`s. Without it they are strings, save those that are not UTF-8.
    ///
    /// Entries are read ahead, up to 256 at a time; the values of such a bundle are views of one buffer that
    /// they share. Take a `slice()` of one to keep it alone.
    pub fn list(&self, prefix: &JsValue, options: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.handle.iterate(Kind::List, prefix, options)?)
    }

    /// An iterator over all keys that begin with `prefix`, in order. Entries and options are those of `list`,
    /// save the delimiter.
    pub fn scan(&self, prefix: &JsValue, options: &JsValue) -> Result<JsValue, JsValue> {
        Ok(self.handle.iterate(Kind::Scan, prefix, options)?)
    }
}

impl Tree {
    pub(super) fn new(handle: Handle) -> Self {
        Tree { handle }
    }
}

/// A database and one of its trees.
pub(super) struct Handle {
    pub(super) shared: Rc<Shared>,
    which: Which,
}

impl Handle {
    pub(super) fn new(shared: Rc<Shared>, which: Which) -> Self {
        Handle { shared, which }
    }

    pub(super) fn put(&self, key: &JsValue, value: &JsValue) -> Outcome<f64> {
        with_buffers(|buffers| {
            let (key, value) = buffers.pair(key, value)?;
            self.shared.with(|open| {
                let version = open.tree_to_write(self.which)?.put(key, value)?;
                Ok(version.number() as f64)
            })
        })
    }

    /// Whether the key is there. Its value is in `out` then.
    fn find(&self, key: &[u8], out: &mut Vec<u8>) -> Outcome<bool> {
        self.shared.with(|open| match open.tree(self.which)? {
            Some(tree) => Ok(tree.get_into(key, out)?.is_some()),
            None => Ok(false),
        })
    }

    pub(super) fn get(&self, key: &JsValue) -> Outcome<JsValue> {
        with_buffers(|buffers| {
            let (key, out) = buffers.key(key)?;
            let found = self.find(key, out)?;
            Ok(if found { keys::give(out) } else { JsValue::UNDEFINED })
        })
    }

    pub(super) fn get_into(&self, key: &JsValue, target: &JsValue) -> Outcome<Option<f64>> {
        with_buffers(|buffers| {
            let (key, out) = buffers.key(key)?;
            if !self.find(key, out)? {
                return Ok(None);
            }
            keys::copy_into(out, target)?;
            Ok(Some(out.len() as f64))
        })
    }

    pub(super) fn contains(&self, key: &JsValue) -> Outcome<bool> {
        with_buffers(|buffers| {
            let (key, _) = buffers.key(key)?;
            self.shared.with(|open| match open.tree(self.which)? {
                Some(tree) => Ok(tree.contains(key)?),
                None => Ok(false),
            })
        })
    }

    pub(super) fn remove(&self, key: &JsValue) -> Outcome<bool> {
        with_buffers(|buffers| {
            let (key, _) = buffers.key(key)?;
            self.shared.with(|open| match open.tree(self.which)? {
                Some(tree) => Ok(tree.remove(key)?.is_some()),
                None => Ok(false),
            })
        })
    }

    pub(super) fn iterate(&self, kind: Kind, prefix: &JsValue, options: &JsValue) -> Outcome<JsValue> {
        iterate(&self.shared, self.which, kind, prefix, options)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Which::Slot(slot) = self.which {
            self.shared.release(|open| drop(open.trees.take(slot)));
        }
    }
}
