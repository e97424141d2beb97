//! The bytes of format version 1, held by files in `tests/fixtures/format-1`.
//!
//! `*.runs` are real images, stored without their zeros; `pages.txt` has the checksum of every page that is
//! not all zero, also of a larger image. An image that was written once must open for ever; and what is
//! written now must be the same bytes, or else the version has to be raised.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::{env, fs};

use spinney::Db;
use xxhash_rust::xxh3::xxh3_64;

use crate::common::image::{PAGES, blobs, decode, encode, page};
use crate::samples::{self, contents};

const VERSION: u8 = 1;

const WHAT_TO_DO: &str = "\
Equal work no longer gives the bytes that are stored for this format version.
* If any byte has another meaning or place now: raise FORMAT_VERSION, keep the files of the version before
  together with the code that reads it, and write new files beside them.
* If only a choice has changed (when to cut, which form of node), old readers read the new bytes and the
  version stays: write the files anew with `SPINNEY_FIXTURES=write cargo test --test image golden`, and
  say in CHANGELOG.md what has changed.";

fn fixture(name: &str) -> PathBuf {
    let folder = format!("tests/fixtures/format-{VERSION}");
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)
}

fn is_writing() -> bool {
    env::var("SPINNEY_FIXTURES").is_ok_and(|what| what == "write")
}

fn read(name: &str) -> Vec<u8> {
    let path = fixture(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn write(name: &str, bytes: &[u8]) {
    let path = fixture(name);
    let folder = path.parent().expect("a folder of fixtures");
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    fs::write(&path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// The images that are stored whole.
fn stored() -> [(&'static str, Db); 2] {
    [("plain", samples::plain()), ("routed", samples::routed())]
}

/// One line for every page that is not all zero: image, blob, page, checksum.
fn page_lines(name: &str, image: &[u8]) -> Vec<String> {
    let all = (0..blobs(image)).flat_map(|blob| (0..PAGES).map(move |number| (blob, number)));
    let used = all.filter(|&(blob, number)| page(image, blob, number).iter().any(|&byte| byte != 0));
    used.map(|(blob, number)| format!("{name} {blob} {number} {:016x}", xxh3_64(page(image, blob, number))))
        .collect()
}

#[test]
fn equal_work_gives_the_bytes_that_are_stored_for_this_version() {
    let mut lines = Vec::new();
    for (name, db) in stored() {
        let image = db.image().expect("writes");
        assert_eq!(image[7], VERSION, "the files of a new version go into a folder of their own");
        let encoded = encode(&image);
        assert!(decode(&encoded) == image);
        if is_writing() {
            write(&format!("{name}.runs"), &encoded);
        }
        lines.extend(page_lines(name, &image));
    }
    lines.extend(page_lines("catalog", &samples::catalog().image().expect("writes")));
    if is_writing() {
        write("pages.txt", format!("{}\n", lines.join("\n")).as_bytes());
    }
    let stored = String::from_utf8(read("pages.txt")).expect("text");
    let expected: Vec<&str> = stored.lines().collect();
    let page_of = |line: &str| line.rsplit_once(' ').map(|(page, _)| page.to_string());
    let new = lines.iter().filter(|line| !expected.contains(&line.as_str())).filter_map(|line| page_of(line));
    let gone = expected.iter().filter(|line| !lines.iter().any(|new| new == *line));
    let mut changed: Vec<String> = new.chain(gone.filter_map(|line| page_of(line))).collect();
    changed.dedup();
    let shown = &changed[..changed.len().min(12)];
    assert!(changed.is_empty(), "{} pages, among them {shown:?}.\n{WHAT_TO_DO}", changed.len());
}

#[test]
fn images_of_this_version_open_and_hold_what_they_held() {
    if is_writing() {
        return;
    }
    for (name, db) in stored() {
        let image = decode(&read(&format!("{name}.runs")));
        let old = Db::from_image(&image).unwrap_or_else(|error| panic!("{name}: {error}"));
        let report = old.check().expect("checks");
        assert!(report.is_clean(), "{name}: {:?}", report.problems);
        assert_eq!(contents(&old), contents(&db), "{name}");
        assert_eq!(old.stats().last_version, db.stats().last_version, "{name}");
        for pair in old.tree("files").expect("is there").scan("") {
            let (key, value) = pair.expect("scans");
            let now = db.tree("files").expect("is there").get(&key).expect("reads");
            assert_eq!(now.map(|now| now.version()), Some(value.version()), "{name}: version of {key:?}");
        }
        assert!(old.image().expect("writes") == image, "{name}: written again, it has other bytes");
        let files = old.tree("files").expect("is there");
        for number in 0..2_000 {
            files.put(format!("new/{number:05}"), [7; 300]).expect("an old image can be written to");
        }
        assert!(old.check().expect("checks").is_clean(), "{name}: after writing");
    }
}
