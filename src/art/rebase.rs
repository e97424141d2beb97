//! Changing how many bytes the router spells for a blob, without rebuilding it.
//!
//! Only the root node's prefix (or, if the root is a single leaf, its suffix) gets shorter.

#![forbid(unsafe_code)]

use crate::blob::header;
use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader, run_words};
use crate::blob::{Words, bucket, inner, space};

/// Whether the first `drop` bytes of all keys can be taken off by shortening the root's prefix.
pub(crate) fn can_drop(words: Words<'_>, drop: usize) -> bool {
    let root = header::root(words);
    root == 0 || NodeHeader::load(words, root).prefix_len() >= drop
}

/// Takes the first `drop` bytes off all keys; `can_drop` has said yes.
pub(crate) fn drop_front(words: Words<'_>, drop: usize) {
    let root = header::root(words);
    if root == 0 || drop == 0 {
        return;
    }
    let header = NodeHeader::load(words, root);
    let len = header.prefix_len();
    let prefix_at = match header.kind() {
        node::LEAF => return Leaf { at: root, header }.shorten(words, drop),
        node::BUCKET => bucket::prefix_at(root, header),
        _ => inner::prefix_at(root, header),
    };
    words.drop_front(prefix_at, len, drop);
    header.with_prefix_len(len - drop).store(words, root);
    space::free(words, run_words(len) - run_words(len - drop));
}
