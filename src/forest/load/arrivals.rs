//! The keys of a bulk load as they arrive, each looked at before it is taken: nothing that is out of order,
//! or too long, gets into a blob.

#![forbid(unsafe_code)]

use crate::error::{Error, Result};
use crate::limits::{KEY_BYTES_MAX, TREE_ID_BYTES, VALUE_BYTES_MAX};

/// See the head of this file.
pub(super) struct Arrivals<'p, I, V> {
    items: I,
    /// What every key begins with, tree id included.
    prefix: &'p [u8],
    /// The next key, tree id included, if there is a value.
    key: Vec<u8>,
    value: Option<V>,
    pub(super) key_bytes_max: usize,
}

impl<'p, I, K, V> Arrivals<'p, I, V>
where
    I: Iterator<Item = (K, V)>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    pub(super) fn new(prefix: &'p [u8], items: I) -> Result<Self> {
        let key = prefix[..TREE_ID_BYTES].to_vec();
        let mut arrivals = Arrivals { items, prefix, key, value: None, key_bytes_max: 0 };
        arrivals.advance()?;
        Ok(arrivals)
    }

    /// The next key, tree id included, and its value.
    pub(super) fn next(&self) -> Option<(&[u8], &[u8])> {
        self.value.as_ref().map(|value| (&self.key[..], value.as_ref()))
    }

    /// Goes on behind it.
    pub(super) fn advance(&mut self) -> Result<()> {
        let Some((key, value)) = self.items.next() else {
            self.value = None;
            return Ok(());
        };
        let is_first = self.key_bytes_max == 0;
        self.look_at(key.as_ref(), value.as_ref().len(), is_first)?;
        self.key.truncate(TREE_ID_BYTES);
        self.key.extend_from_slice(key.as_ref());
        self.key_bytes_max = self.key_bytes_max.max(self.key.len());
        self.value = Some(value);
        Ok(())
    }

    fn look_at(&self, key: &[u8], value_bytes: usize, is_first: bool) -> Result<()> {
        if key.len() > KEY_BYTES_MAX {
            return Err(Error::KeyTooLong { length_bytes: key.len(), limit_bytes: KEY_BYTES_MAX });
        }
        if value_bytes > VALUE_BYTES_MAX {
            let limit_bytes = VALUE_BYTES_MAX;
            return Err(Error::ValueTooLarge { length_bytes: value_bytes, limit_bytes });
        }
        let refused = |reason| Err(Error::LoadRefused { key: key.to_vec(), reason });
        if !key.starts_with(&self.prefix[TREE_ID_BYTES..]) {
            return refused("does not begin with the prefix");
        }
        match key.cmp(&self.key[TREE_ID_BYTES..]) {
            _ if is_first => Ok(()),
            std::cmp::Ordering::Greater => Ok(()),
            std::cmp::Ordering::Equal => refused("came twice"),
            std::cmp::Ordering::Less => refused("lies below the one before it"),
        }
    }
}
