//! Object paths of about 68 bytes: tenants, buckets, dates, services, packages, shards, in directories of one
//! to some thousand files.
//!
//! Every draw comes from one source of random numbers, so their order is part of the data set: a draw added
//! or moved changes all keys after it, and no result can be compared with earlier ones.

#![forbid(unsafe_code)]

mod vocabulary;

use super::Family;
use crate::random::Random;
use std::collections::HashSet;
use vocabulary::{BUCKETS, EXTENSIONS, NOUNS, PACKAGES, PLATFORMS, SERVICES, TENANTS, ZONES};

/// The name of the family.
pub const OBJECTS: &str = "objects";

impl Family {
    pub fn objects(count: usize, seed: u64) -> Self {
        let mut maker = Objects { random: Random::new(seed), seen: HashSet::with_capacity(count), count };
        maker.make();
        Self::of_paths(OBJECTS, seed, maker.seen.into_iter().collect())
    }
}

struct Objects {
    random: Random,
    seen: HashSet<Vec<u8>>,
    count: usize,
}

impl Objects {
    fn make(&mut self) {
        // 50 directories that share a quarter of all keys: what listing without skipping would walk.
        if self.count >= 2_000 {
            self.topics(50, self.count / 250);
            // Directories with exactly 100 child directories of a few keys each.
            for k in 0..(self.count / 10_000).clamp(2, 100) {
                self.shards(k);
            }
        }
        while self.seen.len() < self.count {
            let tenant = *self.random.pick_skewed(&TENANTS);
            let bucket = *self.random.pick_skewed(&BUCKETS);
            let files = self.directory_size();
            match self.random.below(10) {
                0..=5 => self.dated(tenant, bucket, files),
                6..=7 => self.albums(tenant, bucket, files),
                8 => self.packages(tenant),
                _ => self.inbox(tenant, bucket, files),
            }
        }
    }

    fn add(&mut self, key: String) {
        if self.seen.len() < self.count {
            self.seen.insert(key.into_bytes());
        }
    }

    /// Mostly small directories, some of hundreds, few of thousands.
    fn directory_size(&mut self) -> usize {
        let most = (self.count / 200).max(8);
        let size = match self.random.below(100) {
            0..=39 => self.random.between(1, 8),
            40..=79 => self.random.between(9, 64),
            80..=95 => self.random.between(65, 300),
            _ => self.random.between(301, 3000),
        };
        size.min(most)
    }

    fn date(&mut self) -> (usize, usize, usize) {
        (2021 + self.random.below(6), 1 + self.random.below(12), 1 + self.random.below(28))
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = format!("{:016x}", self.random.next());
        text.truncate(digits);
        text
    }

    /// tenant/bucket/year/month/day/service/zone/name-XXXX.ext
    fn dated(&mut self, tenant: &str, bucket: &str, files: usize) {
        let (year, month, day) = self.date();
        let service = *self.random.pick(&SERVICES);
        let zone = *self.random.pick(&ZONES);
        let noun = *self.random.pick(&NOUNS);
        let extension = *self.random.pick(&EXTENSIONS);
        let folder = format!("{tenant}/{bucket}/{year}/{month:02}/{day:02}/{service}/{zone}");
        let counted = self.random.below(2) == 0;
        let mut number = self.random.below(5000);
        for _ in 0..files {
            number += self.random.between(1, 3);
            let tail = if counted { format!("{number:05}") } else { self.hex(7) };
            self.add(format!("{folder}/{noun}-{tail}.{extension}"));
        }
    }

    /// tenant/bucket/users/u-ID/YEAR-NAME/IMG_NNNN.ext
    fn albums(&mut self, tenant: &str, bucket: &str, files: usize) {
        let user = self.random.below(self.count / 20 + 10);
        let year = 2015 + self.random.below(12);
        let (first, second) = (*self.random.pick(&NOUNS), *self.random.pick(&SERVICES));
        let extension = *self.random.pick(&["jpg", "heic", "mp4", "png"]);
        let folder = format!("{tenant}/{bucket}/users/u-{user:06}/{year}-{first}-{second}");
        let mut number = self.random.below(9000);
        for _ in 0..files {
            number += self.random.between(1, 4);
            self.add(format!("{folder}/IMG_{number:05}.{extension}"));
        }
    }

    /// tenant/artifacts/NAME/VERSION/NAME-VERSION-PLATFORM.ext
    fn packages(&mut self, tenant: &str) {
        let name = *self.random.pick(&PACKAGES);
        let major = self.random.below(9);
        for minor in 0..self.random.between(1, 12) {
            let version = format!("{major}.{minor}.{}", self.random.below(40));
            for platform in PLATFORMS {
                for extension in ["tar.gz", "sha256"] {
                    self.add(format!(
                        "{tenant}/artifacts/{name}/{version}/{name}-{version}-{platform}.{extension}"
                    ));
                }
            }
        }
    }

    /// tenant/bucket/inbox/DATE/UUID.ext
    fn inbox(&mut self, tenant: &str, bucket: &str, files: usize) {
        let (year, month, day) = self.date();
        let extension = *self.random.pick(&EXTENSIONS);
        for _ in 0..files {
            let (a, b, c) = (self.hex(8), self.hex(4), self.hex(12));
            self.add(format!("{tenant}/{bucket}/inbox/{year}-{month:02}-{day:02}/{a}-{b}-{c}.{extension}"));
        }
    }

    fn topics(&mut self, topics: usize, each: usize) {
        for topic in 0..topics {
            let service = SERVICES[topic % SERVICES.len()];
            let folder = format!("acme/lake/events/{service}-{topic:02}");
            let mut left = each;
            while left > 0 {
                let (year, month, day) = self.date();
                for part in 0..self.random.between(1, 40).min(left) {
                    let tag = self.hex(8);
                    self.add(format!("{folder}/{year}/{month:02}/{day:02}/part-{part:04}-{tag}.parquet"));
                    left -= 1;
                }
            }
        }
    }

    fn shards(&mut self, k: usize) {
        let tenant = TENANTS[k % TENANTS.len()];
        let bucket = BUCKETS[k / TENANTS.len() % BUCKETS.len()];
        let noun = NOUNS[k % NOUNS.len()];
        for shard in 0..100 {
            for _ in 0..self.random.between(1, 6) {
                let tag = self.hex(16);
                self.add(format!("{tenant}/{bucket}/cache/{noun}-{k:03}/{shard:02}/{tag}.bin"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_keys_everywhere() {
        let keys = |seed| Family::objects(2_500, seed).sorted;
        let hash = |seed| {
            let fold = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
            keys(seed).iter().fold(0xCBF2_9CE4_8422_2325, |hash, key| key.iter().fold(hash, fold))
        };
        assert_eq!((keys(1).len(), hash(1)), (2_500, 16_997_455_384_301_706_303));
        assert_ne!(hash(1), hash(2));
    }

    #[test]
    fn there_is_something_to_list() {
        let directories = Family::objects(20_000, 1).directories;
        assert_eq!(directories.hundreds.len(), 2);
        assert_eq!(directories.fifty.map(|directory| directory.children), Some(50));
        assert!(!directories.flat.is_empty());
    }
}
