//! A catalog of made-up paths that look like real ones, as many as wanted, the same in every run.
//!
//! Invariants: no path comes twice; a path and its value follow from its number, so that everything that is
//! read can be compared; consecutive puts lie far apart.

#![forbid(unsafe_code)]

/// The directories at the top, and how many of 20 paths each has.
pub const SHARES: [(&str, u64); 5] =
    [("photos/", 6), ("logs/", 5), ("home/", 4), ("packages/", 3), ("datasets/", 2)];
const ROUND: u64 = 20;

/// A prime above every number of paths: counting by it meets each once.
const STRIDE: u64 = 2_654_435_761;
pub const KEYS_MAX: u64 = 100_000_000;

const PLACES: [&str; 12] = [
    "alps", "baltic", "canyon", "dublin", "estuary", "fjords", "garden", "harbour", "island", "jungle",
    "kyoto", "lagoon",
];
const SERVICES: [&str; 12] = [
    "auth", "billing", "cache", "cart", "feed", "gateway", "mail", "orders", "search", "session", "upload",
    "web",
];
const PEOPLE: [&str; 16] = [
    "ada",
    "barbara",
    "donald",
    "edsger",
    "frances",
    "grace",
    "john",
    "katherine",
    "ken",
    "leslie",
    "linus",
    "margaret",
    "niklaus",
    "radia",
    "sophie",
    "tony",
];
const WORDS: [&str; 16] = [
    "atlas", "beacon", "cobalt", "delta", "ember", "falcon", "granite", "horizon", "indigo", "jasper",
    "kestrel", "lantern", "meridian", "nimbus", "opal", "prism",
];

/// See the head of this file.
#[derive(Clone, Copy)]
pub struct Catalog {
    pub keys: u64,
}

impl Catalog {
    /// The number of the path that is put as the `nth`.
    pub fn nth(&self, nth: u64) -> u64 {
        (u128::from(nth) * u128::from(STRIDE) % u128::from(self.keys)) as u64
    }

    /// The path of this number, without what was in `path`.
    pub fn path(&self, number: u64, path: &mut String) {
        use std::fmt::Write;
        path.clear();
        let (directory, number) = place(number);
        let mixed = mix(number);
        let pick = |shift: u64, of: u64| (mixed >> shift) % of;
        let written = match directory {
            0 => {
                let (year, month) = (2019 + pick(0, 8), 1 + pick(8, 12));
                let place = PLACES[pick(16, 12) as usize];
                write!(path, "photos/{year}/{month:02}/{place}/IMG_{number:07}.jpg")
            }
            1 => {
                let (service, month, day) =
                    (SERVICES[pick(0, 12) as usize], 1 + pick(8, 12), 1 + pick(16, 28));
                write!(path, "logs/{service}/2026-{month:02}-{day:02}/host-{number:07}.log.zst")
            }
            2 => {
                let (person, project) = (PEOPLE[pick(0, 16) as usize], WORDS[pick(8, 16) as usize]);
                let module = WORDS[pick(16, 16) as usize];
                write!(path, "home/{person}/projects/{project}/src/{module}/part_{number:07}.rs")
            }
            3 => {
                let (name, major) = (WORDS[pick(0, 16) as usize], pick(8, 10));
                let minor = pick(16, 30);
                write!(path, "packages/{name}/{major}.{minor}/{name}-{major}.{minor}-{number:07}.tar.gz")
            }
            _ => {
                let (name, year) = (WORDS[pick(0, 16) as usize], 2015 + pick(8, 12));
                write!(path, "datasets/{name}/{year}/part-{number:07}.parquet")
            }
        };
        written.expect("a string takes everything");
    }

    /// The value that belongs to a number.
    pub fn value(&self, number: u64, value: &mut String) {
        use std::fmt::Write;
        value.clear();
        let mixed = mix(!number);
        let size = mixed % 10_000_000;
        write!(value, "{{\"size\":{size},\"etag\":\"{mixed:016x}\"}}").expect("a string takes everything");
    }

    /// How many paths lie in the directory at the top with this index in [`SHARES`].
    pub fn keys_in(&self, directory: usize) -> u64 {
        let before: u64 = SHARES[..directory].iter().map(|share| share.1).sum();
        let share = SHARES[directory].1;
        self.keys / ROUND * share + (self.keys % ROUND).saturating_sub(before).min(share)
    }
}

/// The directory at the top that a number belongs to, and the number within that.
fn place(number: u64) -> (usize, u64) {
    let mut at = number % ROUND;
    for (index, (_, share)) in SHARES.iter().enumerate() {
        if at < *share {
            return (index, number / ROUND * share + at);
        }
        at -= share;
    }
    unreachable!("the shares add up to a round")
}

/// Spreads a number over 64 bits (the end of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_path_comes_twice_and_the_shares_are_right() {
        assert_eq!(SHARES.iter().map(|share| share.1).sum::<u64>(), ROUND);
        for keys in [1, 19, 20, 1007, 20_000] {
            let (catalog, mut path, mut seen) = (Catalog { keys }, String::new(), BTreeSet::new());
            for nth in 0..keys {
                catalog.path(catalog.nth(nth), &mut path);
                assert!(seen.insert(path.clone()), "{path}");
            }
            for (index, (directory, _)) in SHARES.iter().enumerate() {
                let found = seen.iter().filter(|path| path.starts_with(directory)).count() as u64;
                assert_eq!(found, catalog.keys_in(index), "{directory} of {keys}");
            }
        }
    }
}
