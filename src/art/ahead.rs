//! Which pages of leaves a walk over a range blob is going to read, told from its inner nodes alone: where
//! every read is a trip to somewhere else, they are asked for together.
//!
//! It is a guess, and may be one: a leaf that is not in memory does not tell its key. What it misses is found
//! by the walk itself, and what it names too much is read for nothing. It ends on any words.

#![forbid(unsafe_code)]

use super::cursor::{Direction, KEY_BYTES_MAX};
use crate::blob::node::{self, NodeHeader};
use crate::blob::words::{BLOB_WORDS, PAGE_WORDS};
use crate::blob::{Ref, Words, bucket, header, inner};

/// Nodes entered before the search must be on words that are no tree.
const ENTERED_MAX: u32 = 65_536;

/// The part of a walk that lies before it.
#[derive(Clone, Copy)]
pub(crate) struct Stretch<'a> {
    pub(crate) direction: Direction,
    /// The keys from here on,
    pub(crate) start: &'a [u8],
    /// and below this.
    pub(crate) end: &'a [u8],
    /// Where a delimiter byte counts, from some length of the key on: what lies below is one directory.
    pub(crate) delimiter: Option<(u8, usize)>,
    /// So many entries at most.
    pub(crate) entries_max: usize,
    /// So many pages, or some more.
    pub(crate) pages_max: u32,
}

/// What was found in one blob.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// One bit for each page.
    pub(crate) pages: u128,
    pub(crate) entries: usize,
}

struct Level {
    at: Ref,
    header: NodeHeader,
    depth: usize,
    /// Where to go on: 0 is the key that ends here, the others are children.
    position: u16,
}

struct Search<'a> {
    words: Words<'a>,
    stretch: Stretch<'a>,
    leaf_start: u32,
    /// What a leaf takes most often, twice: so close to the end of its page it may go on in the next.
    leaf_words: usize,
    path: Vec<u8>,
    levels: Vec<Level>,
    entered: u32,
    found: Found,
    /// The search has come to the first key behind its end: a walk looks at that, too.
    is_beyond: bool,
    has_looked_beyond: bool,
}

/// Names the pages of a blob whose page 0 and inner nodes are in memory, and whose keys begin with `spelled`.
pub(crate) fn leaf_pages(words: Words<'_>, spelled: &[u8], stretch: Stretch<'_>) -> Found {
    let leaf_start = header::leaf_start(words);
    let average = (BLOB_WORDS as u32).saturating_sub(leaf_start) / header::key_count(words).max(1);
    let mut search = Search {
        words,
        stretch,
        leaf_start,
        leaf_words: (2 * average as usize).clamp(32, PAGE_WORDS),
        path: spelled.to_vec(),
        levels: Vec::new(),
        entered: 0,
        found: Found::default(),
        is_beyond: false,
        has_looked_beyond: false,
    };
    search.enter(header::root(words), spelled.len(), None);
    while let Some((child, depth, byte)) = search.next_child() {
        search.enter(child, depth, byte);
    }
    search.found
}

impl Search<'_> {
    fn is_done(&self) -> bool {
        self.found.entries >= self.stretch.entries_max
            || self.found.pages.count_ones() >= self.stretch.pages_max
            || self.entered > ENTERED_MAX
            || self.has_looked_beyond
    }

    /// The next child of the deepest level that has one; the length of what its parent spells; its byte.
    fn next_child(&mut self) -> Option<(Ref, usize, Option<u8>)> {
        while !self.is_done() {
            let level = self.levels.last_mut()?;
            let (at, header) = (level.at, level.header);
            let stepped = match (self.stretch.direction, level.position) {
                (Direction::Forward, 0) => Some((header.extra(), None, 1)),
                (Direction::Forward, position) => inner::step_forward(self.words, at, header, position - 1)
                    .map(|(byte, child, next)| (child, Some(byte), next + 1)),
                (Direction::Backward, 0) => None,
                (Direction::Backward, position) => inner::step_back(self.words, at, header, position - 1)
                    .map(|(byte, child, before)| (child, Some(byte), before + 1))
                    .or(Some((header.extra(), None, 0))),
            };
            match stepped {
                Some((child, byte, position)) => {
                    level.position = position;
                    return Some((child, level.depth, byte));
                }
                None => _ = self.levels.pop(),
            }
        }
        None
    }

    fn enter(&mut self, child: Ref, depth: usize, byte: Option<u8>) {
        self.entered += 1;
        self.path.truncate(depth);
        self.path.extend(byte);
        if child == 0 || self.passes() {
            return;
        }
        if u32::from(child) >= self.leaf_start {
            self.note(child);
            self.has_looked_beyond |= self.is_beyond;
            return;
        }
        let header = NodeHeader::load(self.words, child);
        let (prefix_at, end) = match header.kind() {
            node::BUCKET => (bucket::prefix_at(child, header), 0),
            node::INNER4 | node::INNER16 | node::INNER_MAP => {
                (inner::prefix_at(child, header), 1 + inner::end_position(header))
            }
            _ => return,
        };
        if self.path.len() + header.prefix_len() > KEY_BYTES_MAX {
            return;
        }
        self.words.append_to(prefix_at, 0, header.prefix_len(), &mut self.path);
        if self.passes() {
            return;
        }
        if self.is_inside_directory() {
            // Its name is all that the walk wants of it.
            self.found.entries += 1;
            self.has_looked_beyond |= self.is_beyond;
        } else if header.kind() == node::BUCKET {
            (0..bucket::count(header))
                .for_each(|at| self.note(bucket::leaf(self.words, child, header, at).at));
            self.has_looked_beyond |= self.is_beyond;
        } else {
            let position = if self.stretch.direction == Direction::Forward { 0 } else { end };
            self.levels.push(Level { at: child, header, depth: self.path.len(), position });
        }
    }

    /// Whether the walk does not look at any key that begins with the path.
    fn passes(&mut self) -> bool {
        let (path, Stretch { direction, start, end, .. }) = (self.path.as_slice(), self.stretch);
        let (is_before, is_behind) = (path < start && !start.starts_with(path), path >= end);
        let (passes, is_beyond) = match direction {
            Direction::Forward => (is_before, is_behind),
            Direction::Backward => (is_behind, is_before),
        };
        self.is_beyond |= is_beyond;
        passes
    }

    fn is_inside_directory(&self) -> bool {
        self.stretch.delimiter.is_some_and(|(delimiter, from)| {
            self.path.get(from..).is_some_and(|behind| behind.contains(&delimiter))
        })
    }

    fn note(&mut self, leaf: Ref) {
        let first = usize::from(leaf) / PAGE_WORDS;
        let last = (usize::from(leaf) + self.leaf_words - 1).min(BLOB_WORDS - 1) / PAGE_WORDS;
        self.found.pages |= 1 << first | 1 << last;
        self.found.entries += 1;
    }
}
