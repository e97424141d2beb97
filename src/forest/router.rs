//! A whole router as a list of children, read from its trie and built into it.
//!
//! The list is what structure changes work on. Building is canonical: Forks breadth-first, so the shape
//! of a router depends on its separators alone.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::ops::Range;

use super::shared_key::{SharedKey, SharedKeys};
use super::walk::Bound;
use crate::art::build::DoesNotFit;
use crate::art::cursor::KEY_BYTES_MAX;
use crate::blob::fork::{Fork, Link};
use crate::blob::header::{self, BlobKind, FIRST_LINK_AT, LAST_LINK_AT, ROOT_SLOT};
use crate::blob::key::common_prefix;
use crate::blob::space::{self, Need};
use crate::blob::words::BLOB_WORDS;
use crate::blob::{Ref, RefSlot, Torn, Words};

/// One child blob: its lower bound, its id, and how many key bytes are spelled for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) lo: SharedKey,
    pub(crate) id: u32,
    pub(crate) base: usize,
}

/// The link of the last child.
pub(crate) fn last_bound(words: Words<'_>, root: Ref, base: usize) -> Bound {
    if root == 0 || Link::load(words, LAST_LINK_AT).is_none() {
        Bound::first(base)
    } else {
        Bound::last(base)
    }
}

/// How many bytes all keys from `lo` up to, but without, `hi` share, whatever keys there may be.
pub(crate) fn common_of_range(lo: &[u8], hi: Option<&[u8]>) -> usize {
    // Compare `lo` with the largest key below `hi`: its last byte less one, then 0xFF for ever.
    let shares_ff = |from: usize| lo[from.min(lo.len())..].iter().take_while(|&&byte| byte == 0xFF).count();
    let Some((&last, front)) = hi.and_then(|hi| hi.split_last()) else {
        return if hi.is_none() { shares_ff(0) } else { 0 };
    };
    let common = common_prefix(lo, front);
    if common < front.len() || last == 0 {
        return common;
    }
    if lo.get(common) == Some(&(last - 1)) { common + 1 + shares_ff(common + 1) } else { common }
}

/// The base of a blob whose bounds have become these: the old one, as far as they allow.
pub(crate) fn fit_base(old: usize, lo: &[u8], hi: Option<&[u8]>) -> usize {
    let least = hi.map_or(0, |hi| common_prefix(lo, hi));
    old.clamp(least, common_of_range(lo, hi).max(least))
}

struct Level<'a> {
    fork: Fork<'a>,
    next: usize,
    depth: usize,
    hi: Bound,
}

/// The children of a router that is being read.
struct Reading<'a> {
    words: Words<'a>,
    keys: SharedKeys,
    /// Id and base of each.
    places: Vec<(u32, usize)>,
}

impl Reading<'_> {
    /// What is built from the list relies on its order, which a hostile router may not have.
    fn add(&mut self, lo: &[u8], bound: Bound) -> Result<(), Torn> {
        if self.keys.last().is_some_and(|last| last >= lo) {
            return Err(Torn);
        }
        self.places.push(bound.follow(self.words)?);
        self.keys.push(lo);
        if self.places.len() > BLOB_WORDS { Err(Torn) } else { Ok(()) }
    }

    fn children(self) -> Vec<Child> {
        let places = self.places.into_iter();
        places.zip(self.keys.share()).map(|((id, base), lo)| Child { lo, id, base }).collect()
    }
}

/// Reads all children of the router at `words`, in order; the first one's lower bound is `lo`.
pub(crate) fn read(words: Words<'_>, base: usize, lo: &[u8]) -> Result<Vec<Child>, Torn> {
    let places = Vec::with_capacity((header::key_count(words) as usize).min(BLOB_WORDS));
    let mut reading = Reading { words, keys: SharedKeys::default(), places };
    reading.add(lo, Bound::first(base))?;
    let root = header::root(words);
    let mut key = lo[..base.min(lo.len())].to_vec();
    let mut levels: Vec<Level<'_>> = Vec::new();
    let mut entering = (root != 0).then_some((root, Bound::last(base)));
    let mut entered = 0;
    loop {
        if let Some((at, hi)) = entering.take() {
            let fork = Fork::load(words, at).ok_or(Torn)?;
            fork.append_prefix(&mut key);
            entered += 1;
            if key.len() > KEY_BYTES_MAX || entered > BLOB_WORDS {
                return Err(Torn);
            }
            let depth = key.len();
            if fork.branches() == 0 {
                reading.add(&key, hi)?;
            } else if fork.gap(0) != 0 {
                reading.add(&key, Bound { link_at: fork.gap(0), depth })?;
            }
            levels.push(Level { fork, next: 0, depth, hi });
        }
        let Some(level) = levels.last_mut() else {
            return Ok(reading.children());
        };
        key.truncate(level.depth);
        let (fork, index, depth) = (level.fork, level.next, level.depth);
        if index >= fork.branches() {
            levels.pop();
            continue;
        }
        level.next += 1;
        let hi = match index + 1 < fork.branches() {
            true => Bound { link_at: fork.gap(index + 1), depth },
            false => level.hi,
        };
        key.push(fork.byte(index));
        match fork.child(index) {
            0 => reading.add(&key, hi)?,
            child => entering = Some((child, hi)),
        }
    }
}

/// Separators `part` of the list, below `depth` spelled bytes, whose Fork's ref goes to `slot`.
struct Job {
    part: Range<usize>,
    depth: usize,
    slot: RefSlot,
}

/// Builds router `id` in the frame `words`, whatever that held before.
pub(crate) fn build(words: Words<'_>, id: u32, children: &[Child], base: usize) -> Result<(), DoesNotFit> {
    header::format(words, id, BlobKind::Router);
    if children.iter().any(|child| child.lo.len() > KEY_BYTES_MAX) {
        return Err(DoesNotFit);
    }
    // What was read from hostile routers may be in no order: then nothing is built.
    let link = |child: &Child, owner: usize| {
        let skip = child.base.checked_sub(owner).ok_or(DoesNotFit)?;
        Ok(Link { id: child.id, skip: skip as u16 })
    };
    let (Some(first), Some(last)) = (children.first(), children.last()) else {
        return Ok(());
    };
    link(first, base)?.store(words, FIRST_LINK_AT);
    if children.len() == 1 {
        return Ok(());
    }
    link(last, base)?.store(words, LAST_LINK_AT);
    let mut jobs = VecDeque::from([Job { part: 1..children.len(), depth: base, slot: ROOT_SLOT }]);
    let (mut groups, mut bytes): (Vec<Range<usize>>, Vec<u8>) = (Vec::new(), Vec::new());
    while let Some(Job { part, depth, slot }) = jobs.pop_front() {
        let (from, to) = (&children[part.start].lo, &children[part.end - 1].lo);
        let common = common_prefix(from, to);
        if common < depth {
            return Err(DoesNotFit);
        }
        let first = part.start + usize::from(from.len() == common);
        groups.clear();
        for index in first..part.end {
            match groups.last_mut() {
                Some(group) if children[group.start].lo.get(common) == children[index].lo.get(common) => {
                    group.end = index + 1;
                }
                _ => groups.push(index..index + 1),
            }
        }
        bytes.clear();
        for group in &groups {
            bytes.push(*children[group.start].lo.get(common).ok_or(DoesNotFit)?);
        }
        let gaps = groups.len().saturating_sub(1) + usize::from(first > part.start && !groups.is_empty());
        let size = Fork::size_words(bytes.len(), common - depth);
        if !space::fits(words, Need { inner: (size + gaps) as u32, leaf: 0 }) {
            return Err(DoesNotFit);
        }
        let at = space::take_inner(words, size);
        words.zero(at, size);
        let fork = Fork::write(words, at, &from[depth..common], &bytes);
        words.store_ref(slot, at);
        if first > part.start && !groups.is_empty() {
            words.store_ref(fork.gap_slot(0), link(&children[part.start], common)?.add(words));
        }
        for (index, group) in groups.drain(..).enumerate() {
            if index > 0 {
                words.store_ref(fork.gap_slot(index), link(&children[group.start - 1], common)?.add(words));
            }
            if group.len() > 1 || children[group.start].lo.len() > common + 1 {
                jobs.push_back(Job { part: group, depth: common + 1, slot: fork.child_slot(index) });
            }
        }
    }
    header::set_counts(words, children.len() as u32, header::live_words(words));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::key::KeyBuf;
    use crate::blob::words::boxed_words;
    use crate::forest::walk::{walk, walk_before};

    const BYTES: [u8; 5] = [0, 1, b'/', b'a', 255];

    fn random_separators(seed: u64, limit: usize) -> Vec<Vec<u8>> {
        let mut state = seed;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % limit
        };
        let count = below(limit);
        let mut out: Vec<Vec<u8>> =
            (0..count).map(|_| (0..1 + below(5)).map(|_| BYTES[below(BYTES.len())]).collect()).collect();
        out.sort();
        out.dedup();
        out
    }

    fn children_of(separators: &[Vec<u8>]) -> Vec<Child> {
        let mut los = vec![Vec::new()];
        los.extend_from_slice(separators);
        let hi = |index: usize| los.get(index + 1).map(Vec::as_slice);
        (0..los.len())
            .map(|i| Child {
                lo: los[i].as_slice().into(),
                id: 10 + i as u32,
                base: fit_base(i % 3, &los[i], hi(i)),
            })
            .collect()
    }

    #[test]
    fn every_key_finds_its_range_from_both_sides() {
        for seed in 0..if cfg!(miri) { 3 } else { 600 } {
            let children = children_of(&random_separators(seed, 40));
            let memory = boxed_words();
            let words = Words::new(&memory);
            build(words, 1, &children, 0).expect("fits");
            assert_eq!(read(words, 0, b"").expect("sound"), children);
            let root = header::root(words);
            let mut probes = random_separators(seed + 7777, 300);
            probes.extend(children.iter().map(|child| child.lo.to_vec()));
            for probe in &probes {
                let mut buffer = KeyBuf::empty();
                let key = buffer.fill_whole(probe);
                let index =
                    children.iter().rposition(|child| *child.lo <= probe[..]).expect("the first is empty");
                let bound = walk(words, root, &key, 0).expect("sound");
                assert_eq!(bound.follow(words), Ok((children[index].id, children[index].base)));
                if probe.is_empty() {
                    continue;
                }
                let before =
                    children.iter().rposition(|child| *child.lo < probe[..]).expect("the first is empty");
                let (bound, exact) = walk_before(words, root, &key, 0).expect("sound");
                assert_eq!(bound.follow(words), Ok((children[before].id, children[before].base)));
                let upper = children.get(before + 1).map(|child| child.lo.as_slice());
                assert_eq!(exact, upper == Some(probe), "{probe:?}");
            }
        }
    }

    /// Whoever builds from the list relies on it.
    #[test]
    fn what_is_read_of_a_hostile_router_ascends() {
        let separators: Vec<Vec<u8>> = ["ab", "abx", "abya", "b", "bc"].map(|text| text.into()).into();
        let children = children_of(&separators);
        let memory = boxed_words();
        let words = Words::new(&memory);
        build(words, 1, &children, 0).expect("fits");
        let (first, end) = (header::root(words), header::root(words) + 60);
        let mut refused = 0;
        for at in first..end {
            let sound = words.load(at);
            for shift in (0..64).step_by(8) {
                for byte in [0, 0x61, 0x62, 0x78, 0xFF_u64] {
                    words.store(at, sound & !(0xFF << shift) | (byte << shift));
                    match read(words, 0, b"") {
                        Ok(found) => {
                            assert!(found.is_sorted_by(|one, other| *one.lo < *other.lo), "{found:?}")
                        }
                        Err(Torn) => refused += 1,
                    }
                }
            }
            words.store(at, sound);
        }
        assert!(refused > 0);
        assert_eq!(read(words, 0, b"").expect("sound"), children);
    }

    #[test]
    fn the_common_prefix_of_a_range_is_that_of_all_keys_it_could_hold() {
        type Case = (&'static [u8], Option<&'static [u8]>, usize);
        let cases: [Case; 9] = [
            (b"", None, 0),
            (b"\xFF\xFFa", None, 2),
            (b"a/b", Some(b"a/c"), 3),
            (b"a/b", Some(b"a/d"), 2),
            (b"a/b\xFF\xFFx", Some(b"a/c"), 5),
            (b"a/b", Some(b"a/b\0"), 3),
            (b"a/b", Some(b"a/b\x01"), 3),
            (b"a/b\0", Some(b"a/b\x01"), 4),
            (b"a", Some(b"b\0"), 0),
        ];
        for (lo, hi, expected) in cases {
            assert_eq!(common_of_range(lo, hi), expected, "{lo:?} {hi:?}");
        }
    }
}
