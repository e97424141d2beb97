//! The calls that rows are made of, and what each does to a plain map.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

pub type State = BTreeMap<Vec<u8>, Arc<[u8]>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Put,
    Overwrite,
    Remove,
    Batch,
    RenamePrefix,
    RemovePrefix,
    Load,
    Checkpoint,
    Compact,
    Sync,
    Close,
}

use Operation::*;

pub const ALL: [Operation; 11] =
    [Put, Overwrite, Remove, Batch, RenamePrefix, RemovePrefix, Load, Checkpoint, Compact, Sync, Close];

impl Operation {
    pub fn named(name: &str) -> Operation {
        let found = ALL.into_iter().find(|operation| format!("{operation:?}") == name);
        found.unwrap_or_else(|| panic!("no operation is called {name}"))
    }
}

/// A value that says which call it is of, and differs from page to page.
pub fn value(at: usize, bytes: usize) -> Arc<[u8]> {
    let mut value = format!("call {at} ").into_bytes();
    let mut word = at as u32;
    while value.len() < bytes {
        word = word.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        value.extend_from_slice(&word.to_le_bytes());
    }
    value.truncate(bytes.max(8));
    value.into()
}

/// One write: what becomes of a key.
pub type Change = (Vec<u8>, Option<Arc<[u8]>>);

/// What a call comes to, decided by what is there.
pub enum Effect {
    Keys(Vec<Change>),
    Rename(Vec<u8>, Vec<u8>),
    RemovePrefix(Vec<u8>),
    Load(Vec<u8>, Vec<Change>),
    Nothing,
}

fn directory(key: &[u8]) -> Vec<u8> {
    let end = key.iter().position(|&byte| byte == b'/').map_or(key.len(), |at| at + 1);
    key[..end].to_vec()
}

/// What the nth call does where this is there; `bytes` is how long its values are.
pub fn effect(operation: Operation, nth: usize, state: &State, bytes: usize) -> Effect {
    let first = state.keys().next().cloned().unwrap_or_else(|| b"a/0".to_vec());
    let last = state.keys().next_back().cloned().unwrap_or_else(|| b"a/0".to_vec());
    let middle = state.keys().nth(state.len() / 2).cloned().unwrap_or_else(|| b"a/1".to_vec());
    match operation {
        Put => Effect::Keys(vec![(format!("a/new-{nth}").into_bytes(), Some(value(nth, bytes)))]),
        Overwrite => Effect::Keys(vec![(middle, Some(value(nth, bytes / 2 + nth % 50)))]),
        Remove => Effect::Keys(vec![(last, None)]),
        Batch => {
            let put = |name: String, part: usize| (name.into_bytes(), Some(value(nth * 10 + part, bytes)));
            let mut changes = vec![put(format!("b/{nth}"), 1), put(format!("c/{nth}"), 2), (first, None)];
            if changes.iter().all(|(key, _)| *key != middle) {
                changes.push((middle, Some(value(nth * 10 + 3, 40))));
            }
            Effect::Keys(changes)
        }
        RenamePrefix => Effect::Rename(directory(&middle), format!("m{nth}/to/").into_bytes()),
        RemovePrefix => Effect::RemovePrefix(directory(&first)),
        Load => {
            let prefix = format!("l{nth}/").into_bytes();
            let key = |part: usize| [&prefix[..], format!("{part:03}").as_bytes()].concat();
            let items = (0..9).map(|part| (key(part), Some(value(nth * 10 + part, bytes)))).collect();
            Effect::Load(prefix, items)
        }
        Checkpoint | Compact | Sync | Close => Effect::Nothing,
    }
}

/// The state after it.
pub fn after(state: &State, effect: &Effect) -> State {
    let mut state = state.clone();
    let take = |state: &mut State, prefix: &[u8]| {
        let keys: Vec<Vec<u8>> = state.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        let take_one = |key: Vec<u8>| state.remove_entry(&key);
        keys.into_iter().filter_map(take_one).collect::<Vec<_>>()
    };
    match effect {
        Effect::Keys(changes) | Effect::Load(_, changes) => {
            for (key, value) in changes {
                match value {
                    Some(value) => drop(state.insert(key.clone(), value.clone())),
                    None => drop(state.remove(key)),
                }
            }
        }
        Effect::Rename(from, to) => {
            for (key, value) in take(&mut state, from) {
                state.insert([to, &key[from.len()..]].concat(), value);
            }
        }
        Effect::RemovePrefix(prefix) => drop(take(&mut state, prefix)),
        Effect::Nothing => {}
    }
    state
}

/// A number for all that is there.
pub fn hash<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> u64 {
    entries.fold(7, |all, (key, value)| {
        let entry = xxh3_64(key) ^ xxh3_64(value).rotate_left(17);
        (all ^ entry).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    })
}

pub fn hash_of(state: &State) -> u64 {
    hash(state.iter().map(|(key, value)| (&key[..], &value[..])))
}
