//! A collection of files that was never there, but looks so: the packages of a distribution, photos by day,
//! npm packages, logs by service and hour, tiles of maps, music.
//!
//! Invariants: a number of paths gives the same collection in every run and on every machine; no path comes
//! twice; files are in the order of their paths, as a bulk load takes them.

#![forbid(unsafe_code)]

mod kinds;
mod words;

use std::fmt;

use crate::made_up::mix;
use kinds::Maker;

/// The last day on which anything was changed: 2026-10-31, in days since 1970.
const TODAY: u32 = 20_757;

/// How many paths there may be.
pub const PATHS_MAX: u64 = 20_000_000;

/// A file as a catalog knows it.
pub struct File {
    pub path: String,
    pub size_bytes: u64,
    /// When it was changed, in seconds since 1970.
    pub seconds: u64,
}

impl File {
    /// What is stored for it: its size, when it was changed, and what would be a hash of its contents.
    pub fn value(&self) -> String {
        let (size, seconds) = (self.size_bytes, self.seconds);
        let date = Date::of((seconds / 86_400) as u32);
        let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        let etag = mix(self.path.bytes().fold(size ^ seconds, |hash, byte| mix(hash ^ u64::from(byte))));
        let mtime = format!("{date}T{hour:02}:{minute:02}:{second:02}Z");
        format!("{{\"size\":{size},\"mtime\":\"{mtime}\",\"etag\":\"{etag:016x}\"}}")
    }
}

/// So many files, in the order of their paths.
pub fn collect(paths: usize) -> Vec<File> {
    let mut maker = Maker::new(paths);
    let share = |percent: usize| paths * percent / 100;
    maker.take(share(22), Maker::distribution);
    maker.take(share(26), Maker::photos);
    maker.take(share(22), Maker::packages);
    maker.take(share(18), Maker::logs);
    maker.take(share(6), Maker::maps);
    maker.take(paths - maker.files.len(), Maker::music);
    maker.files.sort_unstable_by(|one, other| one.path.cmp(&other.path));
    maker.files
}

/// A day of the calendar.
struct Date {
    year: u32,
    month: u32,
    day: u32,
}

impl Date {
    /// The day that lies so many days behind 1970-01-01.
    fn of(mut days: u32) -> Self {
        let mut year = 1970;
        let is_leap =
            |year: u32| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        while days >= 365 + u32::from(is_leap(year)) {
            days -= 365 + u32::from(is_leap(year));
            year += 1;
        }
        let february = 28 + u32::from(is_leap(year));
        let mut month = 1;
        for of_month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
            if days < of_month {
                break;
            }
            days -= of_month;
            month += 1;
        }
        Date { year, month, day: days + 1 }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_as_many_as_wanted_in_order_and_none_comes_twice() {
        for paths in [100, 1_001, 60_000] {
            let files = collect(paths);
            assert_eq!(files.len(), paths);
            assert!(files.windows(2).all(|pair| pair[0].path < pair[1].path));
        }
    }

    #[test]
    fn a_collection_is_the_same_everywhere() {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        let files = collect(5_000);
        let bytes = files.iter().flat_map(|file| [file.path.clone(), file.value()].concat().into_bytes());
        assert_eq!(bytes.fold(0xCBF2_9CE4_8422_2325, fold), 17_350_126_967_159_855_619);
    }

    #[test]
    fn values_say_what_a_listing_shows() {
        let file = File { path: "a".into(), size_bytes: 7, seconds: 86_400 * 20_757 + 3_661 };
        let value = file.value();
        assert!(value.starts_with("{\"size\":7,\"mtime\":\"2026-10-31T01:01:01Z\",\"etag\":\""), "{value}");
    }

    #[test]
    fn days_have_dates() {
        let date = |days| Date::of(days).to_string();
        let dates = [0, 58, 59, 11_016, 11_017, TODAY].map(date);
        assert_eq!(
            dates,
            ["1970-01-01", "1970-02-28", "1970-03-01", "2000-02-29", "2000-03-01", "2026-10-31"]
        );
    }
}
