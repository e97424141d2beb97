//! The kinds of directories in a collection, each a function that adds files until it has its share.
//!
//! Invariant: no path comes twice, because names are counted through and not drawn. What is drawn comes from
//! one source of random numbers, so a draw that is added or moved changes all files after it.

#![forbid(unsafe_code)]

use super::words::{ADJECTIVES, FAMILIES, HEADS, NOUNS, PLACES, SCOPES, SERVICES, SOURCES, TAILS};
use super::{Date, File, TODAY};
use crate::made_up::mix;

/// A prime above every number of names: counting by it meets each name once, far from the one before.
const STRIDE: usize = 1_000_003;

pub(super) struct Maker {
    pub files: Vec<File>,
    most: usize,
    drawn: u64,
}

impl Maker {
    pub fn new(paths: usize) -> Self {
        Maker { files: Vec::with_capacity(paths), most: 0, drawn: 0 }
    }

    /// Adds so many files of one kind.
    pub fn take(&mut self, files: usize, kind: impl FnOnce(&mut Maker)) {
        self.most = self.files.len() + files;
        kind(self);
        assert!(self.is_full(), "a kind of directories has fewer files than its share");
    }

    fn is_full(&self) -> bool {
        self.files.len() == self.most
    }

    fn below(&mut self, bound: usize) -> usize {
        self.drawn += 1;
        (mix(self.drawn) % bound as u64) as usize
    }

    /// From `low` to `high`, both included.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A file of about this size, changed on this day.
    fn add(&mut self, path: String, about_bytes: usize, day: u32) {
        if !self.is_full() {
            let size_bytes = self.between(about_bytes / 4, about_bytes * 2) as u64;
            let seconds = u64::from(day) * 86_400 + self.below(86_400) as u64;
            self.files.push(File { path, size_bytes, seconds });
        }
    }

    /// debian/pool/main/LETTER/SOURCE/PACKAGE_VERSION_MACHINE.deb
    pub fn distribution(&mut self) {
        for number in 0.. {
            if self.is_full() {
                return;
            }
            let source = format!("{}{}", FAMILIES[number % FAMILIES.len()], project(number / FAMILIES.len()));
            let letter = if source.starts_with("lib") { &source[..4] } else { &source[..1] };
            let folder = format!("debian/pool/main/{letter}/{source}");
            let major = self.below(9);
            for minor in 0..self.between(1, 4) {
                let version = format!("{major}.{minor}.{}", self.below(20));
                let day = TODAY - self.below(3_000) as u32;
                self.add(format!("{folder}/{source}_{version}.orig.tar.xz"), 900_000, day);
                self.add(format!("{folder}/{source}_{version}-1.debian.tar.xz"), 12_000, day);
                self.add(format!("{folder}/{source}_{version}-1.dsc"), 2_000, day);
                self.add(format!("{folder}/{source}-doc_{version}-1_all.deb"), 300_000, day);
                for machine in ["amd64", "arm64", "armhf", "riscv64"] {
                    for part in ["", "-dev"] {
                        let path = format!("{folder}/{source}{part}_{version}-1_{machine}.deb");
                        self.add(path, 400_000, day);
                    }
                }
            }
        }
    }

    /// photos/YEAR/DATE PLACE/IMG_NUMBER.jpg, and what nobody has sorted yet, in one large directory.
    pub fn photos(&mut self) {
        let unsorted = (self.most - self.files.len()) / 50;
        for number in 0..unsorted {
            self.add(format!("photos/unsorted/PXL_{number:06}.jpg"), 3_500_000, TODAY - 40);
        }
        // Counted on from album to album, as cameras do.
        let mut number = 1_000;
        while !self.is_full() {
            let day = TODAY - self.below(17 * 365) as u32;
            let (date, place) = (Date::of(day), self.pick(&PLACES));
            let folder = format!("photos/{}/{date} {place}", date.year);
            let is_raw = self.below(4) == 0;
            for _ in 0..self.between(8, 240) {
                number += 1;
                self.add(format!("{folder}/IMG_{number:06}.jpg"), 4_000_000, day);
                if is_raw {
                    self.add(format!("{folder}/IMG_{number:06}.cr3"), 28_000_000, day);
                }
            }
        }
    }

    /// npm/PACKAGE/VERSION/..., a third of them in a scope.
    pub fn packages(&mut self) {
        for number in 0.. {
            if self.is_full() {
                return;
            }
            let name = project(number);
            let package = match number % 3 {
                0 => format!("{}/{name}", SCOPES[number % SCOPES.len()]),
                _ => name,
            };
            let (major, sources) = (self.below(12), self.between(3, SOURCES.len()));
            for minor in 0..self.between(1, 6) {
                let folder = format!("npm/{package}/{major}.{minor}.{}", self.below(15));
                let day = TODAY - self.below(2_500) as u32;
                for (name, about_bytes) in
                    [("LICENSE", 1_070), ("README.md", 6_000), ("package.json", 1_400), ("index.d.ts", 3_000)]
                {
                    self.add(format!("{folder}/{name}"), about_bytes, day);
                }
                for source in &SOURCES[..sources] {
                    self.add(format!("{folder}/dist/{source}.js"), 7_000, day);
                    self.add(format!("{folder}/dist/{source}.js.map"), 16_000, day);
                }
            }
        }
    }

    /// logs/SERVICE/YEAR/MONTH/DAY/HOST-HOUR.log.zst, from today back.
    pub fn logs(&mut self) {
        for day in (0..TODAY).rev() {
            let date = Date::of(day);
            for (index, service) in SERVICES.iter().enumerate() {
                for host in 0..1 + index % 3 {
                    for hour in 0..24 {
                        if self.is_full() {
                            return;
                        }
                        let Date { year, month, day: of_month } = date;
                        let folder = format!("logs/{service}/{year}/{month:02}/{of_month:02}");
                        self.add(format!("{folder}/{service}-{host}-{hour:02}.log.zst"), 700_000, day);
                    }
                }
            }
        }
    }

    /// maps/tiles/ZOOM/X/Y.pbf
    pub fn maps(&mut self) {
        for zoom in 0..16 {
            for x in 0..1 << zoom {
                for y in 0..1 << zoom {
                    if self.is_full() {
                        return;
                    }
                    self.add(format!("maps/tiles/{zoom}/{x}/{y}.pbf"), 9_000, TODAY - 12);
                }
            }
        }
    }

    /// music/ARTIST/YEAR ALBUM/NN TITLE.flac
    pub fn music(&mut self) {
        for number in 0.. {
            let artist = artist(number);
            let mut year = self.between(1965, 2015);
            for _ in 0..self.between(1, 7) {
                if self.is_full() {
                    return;
                }
                year += self.between(1, 3);
                let album = format!("{year} {} {}", self.pick(&ADJECTIVES), self.pick(&NOUNS));
                let day = TODAY - self.below(4_000) as u32;
                for track in 1..=self.between(7, 16) {
                    let title = format!("{} {}", self.pick(&ADJECTIVES), self.pick(&NOUNS));
                    self.add(format!("music/{artist}/{album}/{track:02} {title}.flac"), 24_000_000, day);
                }
            }
        }
    }
}

/// The name of a band: another for every number.
fn artist(number: usize) -> String {
    let names = ADJECTIVES.len() * NOUNS.len();
    let (adjective, noun) =
        (ADJECTIVES[number % ADJECTIVES.len()], NOUNS[number / ADJECTIVES.len() % NOUNS.len()]);
    match number / names {
        0 => format!("The {adjective} {noun}"),
        1 => format!("{adjective} {noun}"),
        2 => format!("{adjective} {noun} Trio"),
        round => format!("{adjective} {noun} {round}"),
    }
}

/// The name of a project: another for every number.
fn project(number: usize) -> String {
    let names = HEADS.len() * TAILS.len();
    let at = number % names * STRIDE % names;
    let (head, tail) = (HEADS[at % HEADS.len()], TAILS[at / HEADS.len()]);
    match number / names {
        0 => format!("{head}-{tail}"),
        round => format!("{head}-{tail}{}", round + 1),
    }
}
