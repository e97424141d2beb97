//! Walking a range blob in key order, forward or backward, with one growing and shrinking key buffer.
//!
//! A cursor is a stack of levels; each level is a node and a position between its items. Item 0 of an
//! inner node is the key that ends there, the others are its children. Only the part of the key that
//! changes is rewritten.
//!
//! The words may change under a cursor that holds no latch. Then it yields nonsense, which its user finds
//! out by the blob's version; what it guarantees by itself is that every call ends: keys cannot grow
//! beyond the limit, and one visit of a blob enters at most as many nodes as a blob can hold.
//!
//! Where some leaves may not be in memory, a cursor asks for all leaves of a bucket when it enters it. If any
//! is missing, the call fails, and the cursor has to be placed anew.

#![forbid(unsafe_code)]

use core::cmp::Ordering;

use crate::blob::leaf::Leaf;
use crate::blob::node::{self, NodeHeader};
use crate::blob::presence::Presence;
use crate::blob::{Key, Ref, Torn, Words, bucket, header, inner, simd, swar};

/// No key, tree id included, is longer than this.
pub(crate) const KEY_BYTES_MAX: usize = 65_004;

/// Nodes entered before the walk must be on words that are no tree.
const ENTERED_MAX: u32 = 65_536;

/// Leaves of one bucket that a forward walk is ahead with fetching: they lie scattered after random
/// writes. (Measured at 1 M keys: 28 ns an entry instead of 31; 6 and 12 leaves ahead are no better.)
const FETCHED_AHEAD: usize = 3;

/// Leaves of one bucket that are passed at once in the hope that a directory has ended there.
const NEAR: usize = 4;

/// Asks for the lines of a leaf that the walk will reach soon.
#[inline(always)]
fn fetch_ahead(words: Words<'_>, at: Ref, header: NodeHeader, index: usize) {
    let ahead = bucket::leaf_at(words, at, header, (index + FETCHED_AHEAD) % bucket::LIMIT);
    simd::prefetch(words, ahead);
    simd::prefetch(words, ahead.wrapping_add(8));
    simd::prefetch(words, ahead.wrapping_add(16));
}

/// The position in a bucket behind (or before) the leaves of a directory, which lie together at `position`.
/// Most directories in a bucket are small: it looks near the position first.
#[inline(always)]
fn pass_leaves(
    position: usize,
    count: usize,
    direction: Direction,
    is_inside: impl Fn(usize) -> bool,
) -> usize {
    if direction == Direction::Forward {
        let (mut low, mut high) = (position, count);
        while low + 2 * NEAR < count {
            if !is_inside(low + NEAR) {
                high = low + NEAR;
                break;
            }
            low += NEAR + 1;
        }
        while low < high {
            let middle = (low + high) / 2;
            if is_inside(middle) { low = middle + 1 } else { high = middle }
        }
        return low;
    }
    let (mut low, mut high) = (0, position);
    while high > 2 * NEAR {
        if !is_inside(high - 1 - NEAR) {
            low = high - NEAR;
            break;
        }
        high -= NEAR + 1;
    }
    while low < high {
        let middle = (low + high) / 2;
        if is_inside(middle) { high = middle } else { low = middle + 1 }
    }
    high
}

/// What lies behind a key in a buffer, for copies that end behind it.
pub(crate) const ROOM_BYTES: usize = 16;

/// Which way a cursor walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Backward,
}

/// What a step arrives at. It fits a register, and the cursor holds the rest: a leaf within the result was
/// taken from memory in other pieces than it was put there, for which processors wait (5 to 14 % of a scan).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A key, and its `leaf`.
    Leaf,
    /// All keys that begin with the cursor's key, which ends with the delimiter. Only if one is set.
    Directory,
    /// A `bucket`, whose keys all begin with the cursor's key. Only if they are asked for, and forward. The
    /// next step goes into it, unless it is passed.
    Bucket,
}

#[derive(Clone, Copy)]
struct Level {
    at: Ref,
    header: NodeHeader,
    /// Length of the key when this node's prefix has been spelled.
    depth: usize,
    /// Items before it are behind the cursor when it walks forward, ahead when backward.
    position: u16,
}

/// The level that stands for the blob itself: its one item is the root.
const ROOT_LEVEL: NodeHeader = NodeHeader(0);

/// A place between two keys of one range blob.
pub(crate) struct Cursor {
    levels: Vec<Level>,
    /// The key, and behind it the value, of the leaf that was yielded last; room for whole words behind.
    /// A leaf holds suffix and value side by side, so they come over in one copy of whole words.
    buffer: Vec<u8>,
    key_len: usize,
    value_len: usize,
    /// The leaf or the bucket that was yielded last.
    reached: (Ref, NodeHeader),
    with_values: bool,
    stops_at_buckets: bool,
    /// Where a delimiter byte counts, from some length of the key on: what lies below is one directory.
    delimiter: Option<(u8, usize)>,
    /// The first such byte in what the walk was started with: levels deeper than that lie in a directory.
    spelled_delimiter: Option<usize>,
    /// The length of the directory's name that was yielded last; its keys are not visited.
    directory: Option<usize>,
    /// Bytes of the key that the last step left as they were.
    kept: usize,
    entered: u32,
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Cursor {
            levels: Vec::new(),
            buffer: Vec::new(),
            key_len: 0,
            value_len: 0,
            reached: (0, ROOT_LEVEL),
            with_values: false,
            stops_at_buckets: false,
            delimiter: None,
            spelled_delimiter: None,
            directory: None,
            kept: 0,
            entered: 0,
        }
    }

    /// The full key of the leaf that was yielded last.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        &self.buffer[..self.key_len]
    }

    /// Copies the key from byte `kept` on to `out`, in pieces of `ROOM_BYTES`: a call for so few costs
    /// more, and so does what compilers make of a loop over words.
    #[inline]
    pub(crate) fn copy_key_end(&self, kept: usize, out: &mut [u8]) {
        for at in (kept..self.key_len).step_by(ROOM_BYTES) {
            out[at - kept..][..ROOM_BYTES].copy_from_slice(&self.buffer[at..][..ROOM_BYTES]);
        }
    }

    /// Its value, if values are read.
    #[inline]
    pub(crate) fn value(&self) -> &[u8] {
        &self.buffer[self.key_len..self.key_len + self.value_len]
    }

    /// The leaf that was yielded last, if none but keys are yielded.
    #[inline(always)]
    pub(crate) fn leaf(&self) -> Leaf {
        let (at, header) = self.reached;
        Leaf { at, header }
    }

    /// The bucket that was just yielded.
    #[inline(always)]
    pub(crate) fn bucket(&self) -> (Ref, NodeHeader) {
        self.reached
    }

    /// Whether values are read from now on.
    #[inline]
    pub(crate) fn read_values(&mut self, with_values: bool) {
        self.with_values = with_values;
    }

    /// From now on keys that share a byte string up to a delimiter, behind their first `from` bytes, are
    /// yielded once, as a directory, without visiting them.
    pub(crate) fn stop_at_directories(&mut self, delimiter: u8, from: usize) {
        self.delimiter = Some((delimiter, from));
    }

    /// What was said of directories.
    pub(crate) fn delimiter(&self) -> Option<(u8, usize)> {
        self.delimiter
    }

    /// From now on buckets are yielded before their leaves.
    pub(crate) fn stop_at_buckets(&mut self) {
        self.stops_at_buckets = true;
    }

    /// Goes behind the bucket that was just yielded.
    pub(crate) fn pass_bucket(&mut self) {
        self.levels.pop();
    }

    /// How many bytes at the front of the key are certainly the same as before the last step.
    #[inline]
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// Goes before the first key, or behind the last, of a blob whose keys begin with `base`.
    pub(crate) fn seek_edge(&mut self, base: &[u8], direction: Direction) {
        self.start(base, base.len());
        self.levels[0].position = u16::from(direction == Direction::Backward);
    }

    fn start(&mut self, spelled: &[u8], base: usize) {
        self.levels.clear();
        self.make_room(spelled.len());
        self.buffer[..spelled.len()].copy_from_slice(spelled);
        (self.key_len, self.value_len, self.kept, self.entered) = (0, 0, 0, 0);
        self.directory = None;
        self.spelled_delimiter = self.delimiter.and_then(|(delimiter, from)| {
            let behind = spelled.get(from..).unwrap_or_default();
            behind.iter().position(|&byte| byte == delimiter).map(|at| from + at)
        });
        self.levels.push(Level { at: 0, header: ROOT_LEVEL, depth: base, position: 0 });
    }

    /// Makes the buffer long enough for `len` bytes and what copies write and read behind them.
    #[inline]
    fn make_room(&mut self, len: usize) {
        if self.buffer.len() < len + ROOM_BYTES {
            self.buffer.resize((len + ROOM_BYTES).next_power_of_two(), 0);
        }
    }

    /// Goes between the keys below `bound` and the others. `bound` shares the blob's base.
    pub(crate) fn seek(
        &mut self,
        words: Words<'_>,
        bound: &Key<'_>,
        base: usize,
        direction: Direction,
        presence: &impl Presence,
    ) -> Result<(), Torn> {
        let forward = direction == Direction::Forward;
        // What the path spells on the way is what the bound begins with.
        self.start(bound.bytes(), base);
        let mut at = header::root(words);
        let mut depth = base;
        while at != 0 {
            if !presence.holds_node(at) {
                return Err(Torn);
            }
            let header = NodeHeader::load(words, at);
            let (prefix_at, len) = match header.kind() {
                node::BUCKET => (bucket::prefix_at(at, header), header.prefix_len()),
                node::INNER4 | node::INNER16 | node::INNER_MAP => {
                    (inner::prefix_at(at, header), header.prefix_len())
                }
                node::LEAF if !presence.holds_suffix(words, at) => return Err(Torn),
                node::LEAF => {
                    let below = Leaf { at, header }.compare(words, bound, depth) == Ordering::Less;
                    self.pass_item(below);
                    return Ok(());
                }
                _ => return Err(Torn),
            };
            let common = words.common_with_key(prefix_at, len, bound, depth);
            if common < len {
                let order = words.compare_with_key(prefix_at, len, bound, depth);
                self.pass_item(order == Ordering::Less);
                return Ok(());
            }
            // The bound goes on below this node: backward, what follows it in the parent stays behind.
            self.pass_item(forward);
            depth += len;
            let mut level = Level { at, header, depth, position: 0 };
            if header.kind() == node::BUCKET {
                if !bucket::holds_leaves(words, at, self.with_values, presence) {
                    return Err(Torn);
                }
                level.position = bucket::count_below(words, at, header, bound, depth) as u16;
                self.levels.push(level);
                return Ok(());
            }
            if depth == bound.len() {
                self.levels.push(level);
                return Ok(());
            }
            let byte = bound.byte(depth);
            level.position = 1 + inner::position_of(words, at, header, byte);
            self.levels.push(level);
            at = inner::child(words, at, header, byte);
            depth += 1;
        }
        Ok(())
    }

    /// Decides on which side of the cursor the item at the top level's position lies.
    fn pass_item(&mut self, before: bool) {
        if let (true, Some(level)) = (before, self.levels.last_mut()) {
            level.position += 1;
        }
    }

    /// Steps over the next key.
    #[inline]
    pub(crate) fn next(&mut self, words: Words<'_>, presence: &impl Presence) -> Result<Option<Item>, Torn> {
        if let Some(len) = self.directory.take() {
            self.pass_directory(words, len, Direction::Forward);
        }
        while let Some(level) = self.levels.last_mut() {
            let header = level.header;
            let (at, depth, position) = (level.at, level.depth, level.position);
            let child = match header.kind() {
                node::BUCKET => {
                    let index = usize::from(position);
                    if index >= bucket::count(header) {
                        None
                    } else {
                        level.position += 1;
                        let leaf = bucket::leaf(words, at, header, index);
                        fetch_ahead(words, at, header, index);
                        return self.arrive(words, leaf, depth).map(Some);
                    }
                }
                0 if position > 0 => None,
                0 => {
                    level.position = 1;
                    Some((header::root(words), None))
                }
                _ if position == 0 => {
                    level.position = 1;
                    Some((header.extra(), None))
                }
                _ => inner::step_forward(words, at, header, position - 1).map(|(byte, child, next)| {
                    level.position = next + 1;
                    (child, Some(byte))
                }),
            };
            let Some((child, byte)) = child else {
                self.levels.pop();
                continue;
            };
            if let Some(item) = self.enter(words, child, depth, byte, Direction::Forward, presence)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Steps back over the key before.
    pub(crate) fn prev(&mut self, words: Words<'_>, presence: &impl Presence) -> Result<Option<Item>, Torn> {
        if let Some(len) = self.directory.take() {
            self.pass_directory(words, len, Direction::Backward);
        }
        while let Some(level) = self.levels.last_mut() {
            let header = level.header;
            let (at, depth) = (level.at, level.depth);
            if level.position == 0 {
                self.levels.pop();
                continue;
            }
            let (child, byte) = match header.kind() {
                node::BUCKET => {
                    level.position -= 1;
                    let leaf = bucket::leaf(words, at, header, usize::from(level.position));
                    return self.arrive(words, leaf, depth).map(Some);
                }
                0 => {
                    level.position = 0;
                    (header::root(words), None)
                }
                _ => match inner::step_back(words, at, header, level.position - 1) {
                    Some((byte, child, before)) => {
                        level.position = before + 1;
                        (child, Some(byte))
                    }
                    None => {
                        level.position = 0;
                        (header.extra(), None)
                    }
                },
            };
            if let Some(item) = self.enter(words, child, depth, byte, Direction::Backward, presence)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Goes down into a child: a leaf is yielded, a node becomes the top level.
    fn enter(
        &mut self,
        words: Words<'_>,
        child: Ref,
        depth: usize,
        byte: Option<u8>,
        direction: Direction,
        presence: &impl Presence,
    ) -> Result<Option<Item>, Torn> {
        if child == 0 {
            return Ok(None);
        }
        if !presence.holds_node(child) {
            return Err(Torn);
        }
        let header = NodeHeader::load(words, child);
        self.kept = self.kept.min(depth);
        self.make_room(depth + 1);
        let spelled = depth;
        let mut depth = depth;
        if let Some(byte) = byte {
            self.buffer[depth] = byte;
            depth += 1;
        }
        let (prefix_at, end) = match header.kind() {
            node::LEAF if !self.holds(words, child, presence) => return Err(Torn),
            node::LEAF => return self.arrive(words, Leaf { at: child, header }, depth).map(Some),
            node::BUCKET => (bucket::prefix_at(child, header), bucket::count(header) as u16),
            node::INNER4 | node::INNER16 | node::INNER_MAP => {
                (inner::prefix_at(child, header), 1 + inner::end_position(header))
            }
            _ => return Err(Torn),
        };
        let len = header.prefix_len();
        self.entered += 1;
        if self.entered > ENTERED_MAX || depth + len > KEY_BYTES_MAX {
            return Err(Torn);
        }
        self.make_room(depth + len);
        words.copy_run(prefix_at, len, &mut self.buffer[depth..]);
        if self.ends_directory(spelled, depth + len) {
            return Ok(Some(Item::Directory));
        }
        let is_bucket = header.kind() == node::BUCKET;
        if is_bucket && !bucket::holds_leaves(words, child, self.with_values, presence) {
            return Err(Torn);
        }
        let position = if direction == Direction::Forward { 0 } else { end };
        self.levels.push(Level { at: child, header, depth: depth + len, position });
        if self.stops_at_buckets && is_bucket {
            (self.key_len, self.value_len) = (depth + len, 0);
            self.reached = (child, header);
            return Ok(Some(Item::Bucket));
        }
        Ok(None)
    }

    /// Whether all that will be read of a leaf is in memory.
    #[inline(always)]
    fn holds(&self, words: Words<'_>, leaf: Ref, presence: &impl Presence) -> bool {
        if self.with_values { presence.holds_leaf(words, leaf) } else { presence.holds_suffix(words, leaf) }
    }

    #[inline(always)]
    fn arrive(&mut self, words: Words<'_>, leaf: Leaf, depth: usize) -> Result<Item, Torn> {
        let suffix_len = leaf.suffix_len();
        let key_len = depth + suffix_len;
        if leaf.header.kind() != node::LEAF || key_len > KEY_BYTES_MAX {
            return Err(Torn);
        }
        self.kept = self.kept.min(depth);
        let value_len = if self.with_values { leaf.value_len() } else { 0 };
        self.make_room(key_len + value_len);
        if self.delimiter.is_some() {
            // The byte before belongs to what the step has spelled.
            words.copy_run(leaf.suffix_at(), suffix_len, &mut self.buffer[depth..]);
            if self.ends_directory(depth.saturating_sub(1), key_len) {
                return Ok(Item::Directory);
            }
        }
        (self.key_len, self.value_len) = (key_len, value_len);
        words.copy_run(leaf.suffix_at(), suffix_len + value_len, &mut self.buffer[depth..]);
        self.reached = (leaf.at, leaf.header);
        Ok(Item::Leaf)
    }

    /// Whether the bytes `spelled..end` of the buffer hold a delimiter that counts. The key then ends there.
    #[inline]
    fn ends_directory(&mut self, spelled: usize, end: usize) -> bool {
        let Some((delimiter, from)) = self.delimiter else { return false };
        // Whoever steps on from higher up has left what the walk was started with.
        self.spelled_delimiter = self.spelled_delimiter.filter(|&at| at < spelled);
        let at = match self.spelled_delimiter {
            Some(at) => at,
            None => {
                let found = swar::find_byte(&self.buffer, spelled.max(from), end, delimiter);
                let Some(at) = found else { return false };
                at
            }
        };
        (self.key_len, self.value_len) = (at + 1, 0);
        self.directory = Some(self.key_len);
        true
    }

    /// Goes behind (or before) all keys that share the first `len` bytes of the key, without visiting them.
    #[inline(always)]
    fn pass_directory(&mut self, words: Words<'_>, len: usize, direction: Direction) {
        while self.levels.last().is_some_and(|level| level.depth >= len) {
            self.levels.pop();
        }
        let Some(level) = self.levels.last_mut().filter(|level| level.header.kind() == node::BUCKET) else {
            return;
        };
        let (name, name_len) = (&self.buffer[level.depth..], len - level.depth);
        let (at, header) = (level.at, level.header);
        let (position, count) = (usize::from(level.position), bucket::count(header));
        let leaf = |index: usize| bucket::leaf(words, at, header, index);
        let passed = match name.first_chunk::<8>() {
            Some(bytes) if name_len <= 8 => {
                // Most names are this short: one word tells.
                let (start, behind) = (u64::from_le_bytes(*bytes), 64 - 8 * name_len as u32);
                pass_leaves(position, count, direction, |index| {
                    let leaf = leaf(index);
                    (words.load(leaf.suffix_at()) ^ start) << behind == 0 && leaf.suffix_len() >= name_len
                })
            }
            _ => pass_leaves(position, count, direction, |index| {
                let leaf = leaf(index);
                words.run_starts_with(leaf.suffix_at(), leaf.suffix_len(), name, name_len)
            }),
        };
        level.position = passed as u16;
    }

    /// Starts to measure `kept` anew.
    #[inline]
    pub(crate) fn mark_kept(&mut self) {
        self.kept = self.key_len;
    }
}
