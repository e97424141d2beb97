//! File paths of about 65 bytes, as homes and source trees have them: deep, with few names that come again
//! and again, extensions, many small directories and a few large ones.
//!
//! Every draw comes from one source of random numbers, so their order is part of the data set: a draw added
//! or moved changes all keys after it, and no result can be compared with earlier ones.

#![forbid(unsafe_code)]

mod vocabulary;

use super::Family;
use crate::random::Random;
use std::collections::HashSet;
use vocabulary::{
    CACHES, FOLDERS, LANGUAGES, MAILBOXES, PACKAGE_HEADS, PACKAGE_PARTS, PACKAGE_TAILS, PAPER_ENDS, PAPERS,
    PARTS, PLACES, PROJECTS, SHELVES, STEMS, TOP_FILES, USERS,
};

/// The name of the family.
pub const FILES: &str = "files";

/// The ends of the names of one language's files.
type Ends = [&'static str];

impl Family {
    pub fn files(count: usize, seed: u64) -> Self {
        let random = Random::new(seed ^ 0x6669_6C65);
        let mut maker = Files { random, seen: HashSet::with_capacity(count), count };
        maker.make();
        Self::of_paths(FILES, seed, maker.seen.into_iter().collect())
    }
}

struct Files {
    random: Random,
    seen: HashSet<Vec<u8>>,
    count: usize,
}

impl Files {
    fn make(&mut self) {
        // As among the objects: 50 directories that share a fifth of all keys, and some with exactly 100
        // child directories.
        if self.count >= 2_000 {
            for package in 0..50 {
                self.system_source(package, self.count / 250);
            }
            for k in 0..(self.count / 10_000).clamp(2, 48) {
                self.cache(k);
            }
        }
        while self.seen.len() < self.count {
            let user = *self.random.pick(&USERS);
            match self.random.below(100) {
                0..=34 => self.project(user),
                35..=54 => self.packages(user),
                55..=74 => self.photos(user),
                75..=84 => self.papers(user),
                85..=94 => self.repository(user),
                _ => self.mail(user),
            }
        }
    }

    fn add(&mut self, key: String) {
        if self.seen.len() < self.count {
            self.seen.insert(key.into_bytes());
        }
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text =
            format!("{:016x}{:016x}{:016x}", self.random.next(), self.random.next(), self.random.next());
        text.truncate(digits);
        text
    }

    /// Large directories grow with the data set, up to some thousand files.
    fn many(&mut self, low: usize, high: usize) -> usize {
        self.random.between(low, high).min((self.count / 200).max(8))
    }

    /// Few names for small data sets, so that projects have neighbours; enough of them for large ones.
    fn project_folder(&mut self, user: &str) -> String {
        let name = *self.random.pick(&PROJECTS);
        match self.random.below(self.count / 10_000 + 4) {
            0 => format!("home/{user}/src/{name}"),
            number => format!("home/{user}/src/{name}-{number}"),
        }
    }

    fn project(&mut self, user: &str) {
        let folder = self.project_folder(user);
        let ends = *self.random.pick(&LANGUAGES);
        for name in TOP_FILES.iter().take(self.random.between(2, TOP_FILES.len())) {
            self.add(format!("{folder}/{name}"));
        }
        for part in PARTS.iter().take(self.random.between(1, 5)) {
            self.tree(&format!("{folder}/{part}"), 5, ends);
        }
    }

    /// A folder, and mostly one or two below it, down to so many levels.
    fn tree(&mut self, folder: &str, levels: usize, ends: &Ends) {
        self.sources(folder, ends);
        if levels == 0 {
            return;
        }
        for _ in 0..self.random.below(4) {
            let name = *self.random.pick_skewed(&FOLDERS);
            self.tree(&format!("{folder}/{name}"), levels - 1, ends);
        }
    }

    /// Mostly a handful of files, sometimes dozens, seldom hundreds that are numbered.
    fn sources(&mut self, folder: &str, ends: &Ends) {
        let files = match self.random.below(100) {
            0..=74 => self.random.between(1, 8),
            75..=97 => self.random.between(9, 40),
            _ => {
                let stem = *self.random.pick(&STEMS);
                let end = *self.random.pick(ends);
                return (0..self.many(100, 600))
                    .for_each(|i| self.add(format!("{folder}/{stem}_{i:04}.{end}")));
            }
        };
        for _ in 0..files {
            let stem = *self.random.pick_skewed(&STEMS);
            let end = *self.random.pick_skewed(ends);
            if self.random.below(3) == 0 {
                let second = *self.random.pick(&STEMS);
                self.add(format!("{folder}/{stem}_{second}.{end}"));
            } else {
                self.add(format!("{folder}/{stem}.{end}"));
            }
        }
    }

    /// home/USER/src/PROJECT/node_modules/PACKAGE/PART/...
    fn packages(&mut self, user: &str) {
        let folder = self.project_folder(user);
        for _ in 0..self.many(20, 200) {
            let head = *self.random.pick_skewed(&PACKAGE_HEADS);
            let tail = *self.random.pick_skewed(&PACKAGE_TAILS);
            let package = format!("{folder}/node_modules/{head}-{tail}");
            for name in ["package.json", "README.md", "LICENSE", "index.js"] {
                self.add(format!("{package}/{name}"));
            }
            let part = *self.random.pick_skewed(&PACKAGE_PARTS);
            self.tree(&format!("{package}/{part}"), 1, LANGUAGES[2]);
        }
    }

    /// home/USER/Pictures/YEAR/DATE PLACE/IMG_NNNN.ext
    fn photos(&mut self, user: &str) {
        let (year, month, day) =
            (2009 + self.random.below(16), self.random.between(1, 12), self.random.between(1, 28));
        let place = *self.random.pick(&PLACES);
        let folder = format!("home/{user}/Pictures/{year}/{year}-{month:02}-{day:02}{place}");
        let raw = self.random.below(3) == 0;
        let mut number = self.random.below(9_000);
        for _ in 0..self.many(5, 400) {
            number += self.random.between(1, 3);
            self.add(format!("{folder}/IMG_{number:04}.JPG"));
            if raw {
                self.add(format!("{folder}/IMG_{number:04}.CR2"));
            }
        }
    }

    /// home/USER/Documents/SHELF/YEAR/PAPER NN.ext
    fn papers(&mut self, user: &str) {
        let shelf = *self.random.pick(&SHELVES);
        let year = 2005 + self.random.below(20);
        for _ in 0..self.random.between(1, 30) {
            let paper = *self.random.pick(&PAPERS);
            let number = self.random.between(1, 60);
            let end = *self.random.pick_skewed(&PAPER_ENDS);
            self.add(format!("home/{user}/Documents/{shelf}/{year}/{paper} {number:02}.{end}"));
        }
    }

    /// home/USER/src/PROJECT/.git/objects/XX/38 digits
    fn repository(&mut self, user: &str) {
        let folder = self.project_folder(user);
        for name in ["HEAD", "config", "index", "logs/HEAD", "refs/heads/main", "refs/tags/v1.0"] {
            self.add(format!("{folder}/.git/{name}"));
        }
        for _ in 0..self.many(50, 1_000) {
            let (first, rest) = (self.hex(2), self.hex(38));
            self.add(format!("{folder}/.git/objects/{first}/{rest}"));
        }
    }

    /// home/USER/Mail/BOX/cur/SECONDS.MNNNPNNN.host,S=SIZE:2,S
    fn mail(&mut self, user: &str) {
        let folder = *self.random.pick(&MAILBOXES);
        let mut seconds = 1_300_000_000 + self.random.below(400_000_000);
        for _ in 0..self.many(100, 3_000) {
            seconds += self.random.below(90_000);
            let (micros, process) = (self.random.below(1_000_000), self.random.below(32_768));
            let size = self.random.between(800, 60_000);
            self.add(format!(
                "home/{user}/Mail/{folder}/cur/{seconds}.M{micros}P{process}.delta,S={size}:2,S"
            ));
        }
    }

    /// usr/src/PACKAGE-N/...: at least so many files.
    fn system_source(&mut self, package: usize, files: usize) {
        let name = PROJECTS[package % PROJECTS.len()];
        let folder = format!("usr/src/{name}-{}", package / PROJECTS.len());
        let ends = LANGUAGES[package % LANGUAGES.len()];
        let most = (self.seen.len() + files).min(self.count);
        let mut number = 0;
        while self.seen.len() < most {
            let part = PARTS[number % PARTS.len()];
            let levels = 4.min(files / 20);
            self.tree(&format!("{folder}/{part}/{}", number / PARTS.len()), levels, ends);
            number += 1;
        }
    }

    /// home/USER/.cache/NAME/NN/digits.png
    fn cache(&mut self, k: usize) {
        let user = USERS[k % USERS.len()];
        let name = CACHES[k / USERS.len() % CACHES.len()];
        for shard in 0..100 {
            for _ in 0..self.random.between(1, 6) {
                let tag = self.hex(32);
                self.add(format!("home/{user}/.cache/{name}/{shard:02}/{tag}.png"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_keys_everywhere() {
        let keys = |seed| Family::files(2_500, seed).sorted;
        let hash = |seed| {
            let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            keys(seed).iter().fold(0xCBF2_9CE4_8422_2325, |hash, key| key.iter().fold(hash, fold))
        };
        assert_eq!((keys(1).len(), hash(1)), (2_500, 6_549_730_482_993_301_114));
        assert_ne!(hash(1), hash(2));
    }

    #[test]
    fn there_is_something_to_list() {
        let family = Family::files(20_000, 1);
        assert_eq!(family.directories.hundreds.len(), 2);
        assert_eq!(family.directories.fifty.map(|directory| directory.children), Some(50));
        assert!(!family.directories.flat.is_empty());
    }
}
