//! The payloads of single writes, as bytes: what replay needs to do them again.
//!
//! ```text
//! Put            key bytes u32 | value bytes u32 | key | value
//! Remove         key
//! Rename         key bytes u32 | key from | key to
//! MovePrefix     bytes u32 | prefix from | prefix to
//! Load           keys u64 | prefix
//! RemovePrefix   bytes u32 | prefix | another key that was removed, or nothing
//! MoveAway       bytes u32 | prefix from | bytes u32 | prefix to | another key that was removed
//! ```
//!
//! What a batch looks like is told in [`super::batch`].
//!
//! Keys are whole: they begin with the id of their tree.

#![forbid(unsafe_code)]

use super::batch::{Ticket, Writes};
use super::record::Kind;

/// A write, as the log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write<'a> {
    Put {
        key: &'a [u8],
        value: &'a [u8],
    },
    Remove {
        key: &'a [u8],
    },
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    MovePrefix {
        from: &'a [u8],
        to: &'a [u8],
    },
    RemovePrefix {
        prefix: &'a [u8],
        also: Option<&'a [u8]>,
    },
    MoveAway {
        from: &'a [u8],
        to: &'a [u8],
        also: &'a [u8],
    },
    /// Only in a batch: `pointer` says where the value lies.
    PutLong {
        key: &'a [u8],
        pointer: &'a [u8],
    },
    Load {
        prefix: &'a [u8],
        keys: u64,
    },
    Batch(Writes<'a>),
    /// The batch whose parts lie in the log already.
    BatchCommit(Ticket),
}

impl<'a> Write<'a> {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Write::Put { .. } => Kind::Put,
            Write::Remove { .. } => Kind::Remove,
            Write::Rename { .. } => Kind::Rename,
            Write::MovePrefix { .. } => Kind::MovePrefix,
            Write::RemovePrefix { .. } => Kind::RemovePrefix,
            Write::MoveAway { .. } => Kind::MoveAway,
            Write::PutLong { .. } => Kind::PutLong,
            Write::Load { .. } => Kind::Load,
            Write::Batch(_) => Kind::Batch,
            Write::BatchCommit(_) => Kind::BatchCommit,
        }
    }

    /// How many seqs it takes.
    pub(crate) fn seqs(self) -> u64 {
        match self {
            Write::Batch(writes) => writes.count(),
            Write::BatchCommit(ticket) => u64::from(ticket.writes),
            _ => 1,
        }
    }

    /// Puts the payload into `bytes`, whose old content goes.
    pub(crate) fn encode(self, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self {
            Write::Put { key, value } | Write::PutLong { key, pointer: value } => {
                bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
                bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
                bytes.extend_from_slice(key);
                bytes.extend_from_slice(value);
            }
            Write::Remove { key } => bytes.extend_from_slice(key),
            Write::Rename { from, to } | Write::MovePrefix { from, to } => encode_two(bytes, from, to),
            // Every key begins with a tree id, so an empty one is none.
            Write::RemovePrefix { prefix, also } => encode_two(bytes, prefix, also.unwrap_or_default()),
            Write::MoveAway { from, to, also } => {
                encode_two(bytes, from, &(to.len() as u32).to_le_bytes());
                bytes.extend_from_slice(to);
                bytes.extend_from_slice(also);
            }
            Write::Load { prefix, keys } => {
                bytes.extend_from_slice(&keys.to_le_bytes());
                bytes.extend_from_slice(prefix);
            }
            Write::Batch(writes) => bytes.extend_from_slice(writes.bytes()),
            Write::BatchCommit(ticket) => ticket.encode(bytes),
        }
    }

    /// Reads a payload; none if it is not one of this kind.
    pub(crate) fn decode(kind: Kind, payload: &'a [u8]) -> Option<Write<'a>> {
        match kind {
            Kind::Put => {
                let (key_bytes, rest) = split_u32(payload)?;
                let (value_bytes, rest) = split_u32(rest)?;
                let (key, value) = rest.split_at_checked(key_bytes)?;
                (value.len() == value_bytes).then_some(Write::Put { key, value })
            }
            Kind::Remove => Some(Write::Remove { key: payload }),
            Kind::Rename => decode_two(payload).map(|(from, to)| Write::Rename { from, to }),
            Kind::MovePrefix => decode_two(payload).map(|(from, to)| Write::MovePrefix { from, to }),
            Kind::RemovePrefix => {
                let (prefix, also) = decode_two(payload)?;
                Some(Write::RemovePrefix { prefix, also: Some(also).filter(|also| !also.is_empty()) })
            }
            Kind::MoveAway => {
                let (from, rest) = decode_two(payload)?;
                let (to, also) = decode_two(rest)?;
                Some(Write::MoveAway { from, to, also })
            }
            Kind::Load => {
                let (keys, prefix) = payload.split_first_chunk()?;
                Some(Write::Load { prefix, keys: u64::from_le_bytes(*keys) })
            }
            Kind::Batch => Writes::decode(payload).map(Write::Batch),
            Kind::BatchCommit => Ticket::decode(payload).map(Write::BatchCommit),
            Kind::Segment | Kind::Jump | Kind::BatchPart | Kind::PutLong => None,
        }
    }
}

fn encode_two(bytes: &mut Vec<u8>, first: &[u8], second: &[u8]) {
    bytes.extend_from_slice(&(first.len() as u32).to_le_bytes());
    bytes.extend_from_slice(first);
    bytes.extend_from_slice(second);
}

fn decode_two(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first_bytes, rest) = split_u32(payload)?;
    rest.split_at_checked(first_bytes)
}

/// A number, and what is behind it.
pub(super) fn split_u32(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*first) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_come_back_and_nonsense_does_not() {
        let mut bytes = vec![1, 2, 3];
        for write in [
            Write::Put { key: b"a/b", value: b"" },
            Write::Put { key: b"", value: b"v" },
            Write::Remove { key: b"a" },
            Write::Rename { from: b"a", to: b"" },
            Write::Rename { from: b"", to: b"b/c" },
            Write::MovePrefix { from: b"treea/", to: b"treeb/" },
            Write::RemovePrefix { prefix: b"tree", also: None },
            Write::Load { prefix: b"treea/", keys: 3_000_000_000 },
            Write::RemovePrefix { prefix: b"tree", also: Some(b"namename") },
            Write::MoveAway { from: b"tree", to: b"away", also: b"namename" },
        ] {
            write.encode(&mut bytes);
            assert_eq!(Write::decode(write.kind(), &bytes), Some(write));
        }
        assert_eq!(Write::decode(Kind::Put, &[9, 0, 0, 0, 1, 0, 0, 0, 1]), None);
        assert_eq!(Write::decode(Kind::Rename, &[9, 0, 0, 0, 1]), None);
        assert_eq!(Write::decode(Kind::Rename, &[9, 0]), None);
        assert_eq!(Write::decode(Kind::MoveAway, &[1, 0, 0, 0, 1, 2, 0, 0, 0, 1]), None);
        assert_eq!(Write::decode(Kind::Jump, &[]), None);
    }
}
