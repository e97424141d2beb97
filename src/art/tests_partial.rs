//! Writes into a blob of which some pages are missing: they ask for whatever they need, and leave what the
//! same writes leave in a whole blob.

#![forbid(unsafe_code)]

use super::find::find;
use super::insert::{self, Refused};
use super::remove;
use super::tests::{Random, random_key};
use crate::blob::header::{self, BLOB_PAGES, BlobKind};
use crate::blob::key::KeyBuf;
use crate::blob::leaf::Payload;
use crate::blob::presence::{Presence, SomePages};
use crate::blob::words::{PAGE_WORDS, Ref, boxed_words};
use crate::blob::{Key, Words};

/// What stands in pages that are missing. As a ref it leads nowhere good, as a count or length too far.
const JUNK: u64 = 0xABAB_ABAB_ABAB_ABAB;

/// The same blob twice: as it should be, and with some pages that are not there.
struct Twice<'a> {
    whole: Words<'a>,
    partial: Words<'a>,
    present: u128,
    loads: usize,
}

impl Twice<'_> {
    fn words_of(page: usize) -> impl Iterator<Item = Ref> {
        (page * PAGE_WORDS..(page + 1) * PAGE_WORDS).map(|at| at as Ref)
    }

    /// Takes some pages of leaves away.
    fn evict(&mut self, random: &mut Random) {
        let inner_pages = (header::inner_end(self.whole) as usize).div_ceil(PAGE_WORDS);
        for page in inner_pages..BLOB_PAGES {
            if random.below(2) == 0 {
                Self::words_of(page).for_each(|at| self.partial.store_unnoted(at, JUNK));
                self.present &= !(1 << page);
            }
        }
    }

    fn load(&mut self, pages: u128) {
        assert_eq!(self.present & pages, 0, "pages that are there were asked for");
        for at in (0..BLOB_PAGES).filter(|page| pages & (1 << page) != 0).flat_map(Self::words_of) {
            self.partial.store_unnoted(at, self.whole.load(at));
        }
        self.present |= pages;
        self.loads += 1;
    }

    /// Runs a step on the partial blob until nothing is missing, and on the whole one: they agree.
    fn run<T: PartialEq + std::fmt::Debug>(
        &mut self,
        step: impl Fn(Words<'_>, &SomePages) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let outcome = loop {
            let presence = SomePages::new(self.present);
            match step(self.partial, &presence) {
                Err(Refused::Torn) => self.load(presence.missed()),
                outcome => break outcome,
            }
        };
        let everything = SomePages::new(u128::MAX);
        assert_eq!(step(self.whole, &everything), outcome);
        self.compare();
        outcome
    }

    fn compare(&self) {
        for page in (0..BLOB_PAGES).filter(|page| self.present & (1 << page) != 0) {
            let differs = |at: &Ref| self.whole.load(*at) != self.partial.load(*at);
            assert_eq!(Self::words_of(page).find(differs), None, "page {page}");
        }
        let absent = (0..BLOB_PAGES).filter(|page| self.present & (1 << page) == 0);
        let changed = |at: &Ref| self.partial.load(*at) != JUNK;
        assert_eq!(absent.flat_map(Self::words_of).find(changed), None, "a missing page was written");
    }
}

fn put(words: Words<'_>, key: &Key<'_>, value: &[u8], presence: &SomePages) -> Result<bool, Refused> {
    let spot = insert::prepare(words, key, 0, value.len(), 0, presence, || {})?;
    assert_eq!(presence.missed(), 0, "prepared, with something missing");
    Ok(insert::apply(words, spot, key, 0, Payload::value(value), 1))
}

fn take_out(words: Words<'_>, key: &Key<'_>, presence: &SomePages) -> Result<bool, Refused> {
    let place = remove::prepare(words, key, 0, presence);
    if presence.missed() != 0 {
        return Err(Refused::Torn);
    }
    let found = find(words, header::root(words), key, 0, presence)?.map(|leaf| leaf.at);
    let place = place?;
    assert_eq!(place.as_ref().map(|place| place.leaf.at), found);
    if let Some(place) = &place {
        remove::apply(words, place);
    }
    Ok(place.is_some())
}

fn run(seed: u64, operations: usize) -> usize {
    let (whole, partial) = (boxed_words(), boxed_words());
    let mut twice =
        Twice { whole: Words::new(&whole), partial: Words::new(&partial), present: u128::MAX, loads: 0 };
    header::format(twice.whole, 5, BlobKind::Range);
    header::format(twice.partial, 5, BlobKind::Range);
    let mut random = Random(seed);
    for operation in 0..operations {
        if operation % 8 == 0 {
            twice.evict(&mut random);
        }
        let key = random_key(&mut random, b"");
        let mut buffer = KeyBuf::empty();
        let key = buffer.fill_whole(&key);
        let value = vec![operation as u8; random.below(120)];
        let outcome = match random.below(4) {
            0 => twice.run(|words, presence| take_out(words, &key, presence)),
            _ => twice.run(|words, presence| put(words, &key, &value, presence)),
        };
        if let Err(refused) = outcome {
            assert!(matches!(refused, Refused::Full(_)));
            break;
        }
    }
    twice.load(!twice.present);
    let findings = super::check::check(twice.partial, b"");
    assert_eq!(findings.problems, Vec::<String>::new());
    twice.loads
}

#[test]
fn writes_ask_for_the_pages_that_they_need() {
    let (seeds, operations) = if cfg!(miri) { (1, 60) } else { (12, 4_000) };
    let loads: usize = (0..seeds).map(|seed| run(seed, operations)).sum();
    assert!(loads > seeds as usize * operations / 20, "hardly anything was ever missing: {loads} loads");
}
