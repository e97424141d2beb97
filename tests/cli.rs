//! The command line tool as its users meet it: answers, exit codes, complaints, and nothing but these.

#![cfg(all(unix, feature = "cli", not(miri)))]
#![forbid(unsafe_code)]

#[path = "durable/folder.rs"]
mod folder;
#[path = "cli/streams.rs"]
mod streams;
#[path = "cli/tool.rs"]
mod tool;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;

use serde_json::json;
use tool::{Place, contents, spinney};

const PHOTOS: &[&str] =
    &["photos/2025/a.jpg", "photos/2025/b.jpg", "photos/2026/c.jpg", "photos/cover.jpg", "readme"];

/// Commands that read, each with what it needs.
const READING: &[(&str, &[&str])] = &[
    ("get", &["readme"]),
    ("ls", &[]),
    ("tree", &[]),
    ("du", &[]),
    ("count", &[]),
    ("export", &[]),
    ("trees", &[]),
    ("stat", &[]),
    ("check", &[]),
    ("blobs", &[]),
];

/// Commands that change what is there.
const CHANGING: &[(&str, &[&str])] =
    &[("rm", &["readme"]), ("mv", &["readme", "other"]), ("rmdir", &["photos", "--yes"])];

fn every_command() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    READING.iter().chain(CHANGING).copied()
}

#[test]
fn wrong_usage_is_told_from_help() {
    for (arguments, code) in [
        (&[][..], 2),
        (&["nonsense"], 2),
        (&["ls"], 2),
        (&["get", "x.spinney"], 2),
        (&["ls", "x.spinney", "--limit", "many"], 2),
        (&["demo", "--keys", "0"], 2),
        (&["demo-catalog", "x.spinney", "--paths", "0"], 2),
        (&["help"], 0),
        (&["help", "import"], 0),
        (&["--version"], 0),
    ] {
        let ran = spinney(arguments, b"");
        assert_eq!(ran.code, code, "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout.is_empty(), code != 0, "{arguments:?}");
    }
    for (command, _) in every_command().chain([("put", &[][..]), ("import", &[]), ("bench", &[])]) {
        let help = spinney(&[command, "--help"], b"").ok();
        assert!(help.contains(&format!("Usage: spinney {command}")), "{help}");
    }
}

#[test]
fn a_file_that_is_missing_is_named_and_not_made() {
    let place = Place::new("missing");
    for (command, arguments) in every_command() {
        let ran = place.run(command, arguments);
        ran.fails(3, &[place.db.to_str().unwrap(), "there is no such file", "import"]);
        assert!(!place.db.exists(), "{command}");
    }
    let nowhere = place.folder.join("none/x.spinney");
    for command in ["put", "get"] {
        let arguments = [OsStr::new(command), nowhere.as_os_str(), OsStr::new("a"), OsStr::new("b")];
        let arguments = if command == "get" { &arguments[..3] } else { &arguments };
        spinney(arguments, b"").fails(3, &["there is no folder", "/none"]);
    }
    place.run("put", &["a", "b", "--tree", ""]).fails(3, &["a tree name has 1 to 255 bytes"]);
}

#[test]
fn another_file_is_refused_and_left_alone() {
    let place = Place::new("foreign");
    for bytes in [b"hello, I am a text".to_vec(), vec![0x55; 600_000], Vec::new()] {
        fs::write(&place.db, &bytes).unwrap();
        for (command, arguments) in every_command() {
            place.run(command, arguments).fails(3, &[place.db.to_str().unwrap(), "not a Spinney database"]);
        }
        assert_eq!(fs::read(&place.db).unwrap(), bytes);
    }
    let folder = spinney(&[OsStr::new("ls"), place.folder.as_os_str()], b"");
    folder.fails(3, &[place.folder.to_str().unwrap()]);
}

#[test]
fn a_database_that_is_open_elsewhere_is_not_waited_for_long() {
    let place = Place::with_keys("locked", PHOTOS);
    let db = spinney::Db::open(&place.db).unwrap();
    std::thread::scope(|scope| {
        for (command, arguments) in [("get", &["readme"][..]), ("put", &["a", "b"]), ("check", &[])] {
            let place = &place;
            scope.spawn(move || {
                place.run(command, arguments).fails(3, &["is open elsewhere: close it there"])
            });
        }
    });
    db.close().unwrap();
    // Readers do not disturb each other.
    let reader = spinney::Db::builder().read_only(true).open(&place.db).unwrap();
    assert_eq!(place.ok("get", &["readme"]), "readme");
    drop(reader);
}

#[test]
fn keys_are_put_got_and_removed() {
    let place = Place::new("keys");
    assert_eq!(place.ok("put", &["a/b", "value"]), "");
    assert_eq!(place.run_with("put", &["a/c"], b"from\0stdin\n").code, 0);
    assert_eq!(place.ok("get", &["a/b"]), "value");
    assert_eq!(place.run("get", &["a/c"]).stdout, b"from\0stdin\n");
    assert_eq!(place.json("get", &["a/b"]), [json!({"key": "a/b", "value": "value", "version": 2})]);
    place.run("get", &["a"]).fails(1, &["a: no such key"]);
    place.run("put", &["a/b", "other", "--if-absent"]).fails(1, &["a/b: the key is there already"]);
    assert_eq!(place.ok("get", &["a/b"]), "value");
    let version = place.json("put", &["a/b", "other"])[0]["version"].as_u64().unwrap();
    assert!(version > 3);
    place.run("rm", &["a/b", "nothing"]).fails(1, &["nothing: no such key"]);
    place.run("get", &["a/b"]).fails(1, &[]);
    assert_eq!(place.json("rm", &["a/c"]), [json!({"removed": 1, "missing": 0})]);
    place.run("put", &[&"k".repeat(65_001), "v"]).fails(3, &["the key has 65001 bytes"]);
    let longest = spinney::VALUE_BYTES_MAX;
    place.run_with("put", &["k"], &vec![0; longest + 1]).fails(3, &["a value has at most 64 MiB"]);
    assert_eq!(place.run_with("put", &["k"], &[7; 65_535]).code, 0);
    assert_eq!(contents(&place.db), [(b"k".to_vec(), vec![7; 65_535])]);
}

/// From a file to a file, and counted without being read.
#[test]
fn long_values_come_from_files_and_go_to_stdout() {
    let place = Place::new("long");
    let value: Vec<u8> = (0..3_000_001u64).map(|at| (at * at / 4096) as u8).collect();
    let file = place.folder.join("video");
    std::fs::write(&file, &value).unwrap();
    let path = file.to_str().unwrap();
    place.ok("put", &["a/video", "--from", path]);
    assert_eq!(place.run("put", &["a/video", "value", "--from", path]).code, 2);
    place.run("put", &["a/other", "--from", "/nonexistent"]).fails(3, &["/nonexistent"]);
    assert!(place.run("get", &["a/video"]).stdout == value);
    assert_eq!(place.json("ls", &["a/"])[0]["size_bytes"], 3_000_001);
    assert_eq!(place.json("ls", &["-R"])[0]["size_bytes"], 3_000_001);
    assert_eq!(place.json("ls", &["a/video"])[0]["size_bytes"], 3_000_001);
    let du = place.json("du", &[]);
    assert_eq!((&du[0]["keys"], &du[0]["value_bytes"]), (&json!(1), &json!(3_000_001)));
    assert_eq!(place.json("trees", &[]).len(), 1);
    assert_eq!(place.json("rm", &["a/video"]), [json!({"removed": 1, "missing": 0})]);
    place.ok("check", &[]);
}

#[test]
fn keys_may_be_any_bytes() {
    let place = Place::new("bytes");
    let raw = OsString::from_vec(b"dir/\xff\xfe\n\\x".to_vec());
    assert_eq!(place.run_with("put", &[&raw, &raw], b"").code, 0);
    assert_eq!(place.run_with("get", &[&raw], b"").stdout, b"dir/\xff\xfe\n\\x");
    assert_eq!(place.ok("get", &["--json", "--escaped", r"dir/\xff\xFE\n\\x"]).lines().count(), 1);
    assert_eq!(place.run("ls", &["dir"]).stdout, b"\xff\xfe\n\\x\n");
    assert_eq!(place.ok("ls", &["dir", "--escaped"]), "\\xff\\xfe\\n\\\\x\n");
    assert_eq!(place.json("ls", &["dir"])[0]["key_base64"], "ZGlyL//+Clx4");
    assert_eq!(place.run("put", &["--escaped", r"\x00", "nul"]).code, 0);
    assert_eq!(contents(&place.db)[0], (vec![0], b"nul".to_vec()));
    assert_eq!(place.ok("rm", &["--escaped", r"\x00"]), "");
    place.run("get", &["--escaped", r"\q"]).fails(2, &["has an escape that is none of"]);
    // What a complaint quotes cannot break its line.
    place.run("get", &["a\nb"]).fails(1, &["a\\nb: no such key"]);
}

#[test]
fn directories_are_listed() {
    let place = Place::with_keys("ls", PHOTOS);
    assert_eq!(place.ok("ls", &[]), "photos/\nreadme\n");
    for name in ["photos", "photos/"] {
        assert_eq!(place.ok("ls", &[name]), "2025/\n2026/\ncover.jpg\n");
    }
    assert_eq!(place.ok("ls", &["readme"]), "readme\n");
    assert_eq!(place.ok("ls", &["-R", "photos"]), "2025/a.jpg\n2025/b.jpg\n2026/c.jpg\ncover.jpg\n");
    let long = "      2 keys           -  2025/\n       1 key           -  2026/\n".to_string()
        + "          16           5  cover.jpg\n";
    assert_eq!(place.ok("ls", &["-l", "photos"]), long);
    // A page at a time; what was printed is where the next page begins.
    assert_eq!(place.ok("ls", &["photos", "--limit", "1"]), "2025/\n");
    assert_eq!(place.ok("ls", &["photos", "--limit", "1", "--after", "2025/"]), "2026/\n");
    assert_eq!(place.ok("ls", &["photos", "--after", "2026/"]), "cover.jpg\n");
    assert_eq!(place.ok("ls", &["photos", "--after", "cover.jpg"]), "");
    // JSON has whole names, and goes on behind them.
    let after = &["photos", "--limit", "1", "--after", "photos/2025/"];
    assert_eq!(place.json("ls", after)[0]["directory"], "photos/2026/");
    assert_eq!(
        place.json("ls", &["photos", "-R", "--after", "photos/2026/c.jpg"])[0]["key"],
        "photos/cover.jpg"
    );
    assert_eq!(place.ok("ls", &["-R", "photos", "--after", "2025/b.jpg", "--limit", "1"]), "2026/c.jpg\n");
    place.run("ls", &["nothing"]).fails(1, &["nothing/: no such key or directory"]);
    place.run("ls", &["--tree", "nothing"]).fails(1, &["no tree \"nothing\"", "spinney trees"]);
    assert_eq!(
        place.json("ls", &["photos", "-l"]),
        [
            json!({"directory": "photos/2025/", "keys": 2}),
            json!({"directory": "photos/2026/", "keys": 1}),
            json!({"key": "photos/cover.jpg", "size_bytes": 16, "version": 5}),
        ]
    );
    // A key with the very name of the directory.
    place.ok("put", &["photos/", "marker"]);
    assert_eq!(place.ok("ls", &["photos", "--limit", "2"]), "./\n2025/\n");
    assert_eq!(place.ok("ls", &["photos", "--limit", "1", "--after", "./"]), "2025/\n");
}

#[test]
fn trees_are_drawn() {
    let place = Place::with_keys("tree", PHOTOS);
    let drawn = "\
.
|-- photos/
|   |-- 2025/
|   |   |-- a.jpg
|   |   `-- b.jpg
|   |-- 2026/
|   |   `-- c.jpg
|   `-- cover.jpg
`-- readme
";
    assert_eq!(place.ok("tree", &[]), drawn);
    assert_eq!(place.ok("tree", &["--depth", "1"]), ".\n|-- photos/  (4 keys)\n`-- readme\n");
    let cut = "photos/\n|-- 2025/\n|   |-- a.jpg\n|   `-- ...\n`-- ...\n";
    assert_eq!(place.ok("tree", &["photos", "--limit", "1"]), cut);
    assert_eq!(place.json("tree", &[]).len(), 8);
    assert_eq!(place.json("tree", &["-d", "1"])[0], json!({"depth": 1, "directory": "photos/", "keys": 4}));
    place.run("tree", &["nothing"]).fails(1, &["nothing/: no such directory"]);
    let boxes = tool::command().arg("tree").arg(&place.db).env("LC_ALL", "C.UTF-8").output().unwrap();
    let boxes = String::from_utf8(boxes.stdout).unwrap();
    assert!(
        boxes.ends_with("\u{2502}   \u{2514}\u{2500}\u{2500} cover.jpg\n\u{2514}\u{2500}\u{2500} readme\n")
    );
}

#[test]
fn keys_and_bytes_are_summed_up() {
    let place = Place::with_keys("du", PHOTOS);
    let head = "        keys     key bytes   value bytes\n";
    let photos = "           4          67 B          67 B  photos/\n";
    let expected = format!("{photos}           1           6 B           6 B  readme\n");
    assert_eq!(
        place.ok("du", &[]),
        format!("{head}{expected}           5          73 B          73 B  total\n")
    );
    assert_eq!(
        place.json("du", &["photos"])[0],
        json!({"directory": "photos/2025/", "keys": 2, "key_bytes": 34, "value_bytes": 34})
    );
    assert_eq!(place.json("du", &["photos"]).len(), 4);
    place.run("du", &["nothing", "--json"]).fails(1, &["no such directory"]);
    assert_eq!(place.ok("count", &[]), "5\n");
    assert_eq!(place.ok("count", &["photos/2"]), "3\n");
    assert_eq!(place.ok("count", &["nothing"]), "0\n");
    assert_eq!(place.json("count", &["photos/"]), [json!({"prefix": "photos/", "keys": 4})]);
    assert_eq!(place.ok("trees", &[]), "files\n");
    place.ok("put", &["--tree", "users", "ada", "1"]);
    assert_eq!(place.json("trees", &[])[1], json!({"tree": "users", "keys": 1}));
    assert_eq!(place.ok("get", &["--tree", "users", "ada"]), "1");
}

#[test]
fn a_sum_of_nothing_has_no_head() {
    let place = Place::with_keys("no-sum", PHOTOS);
    let ran = place.run("du", &["none"]);
    assert_eq!(ran.stdout, b"", "nothing comes before the error");
    ran.fails(1, &["none/: no such directory"]);
}

#[test]
fn keys_and_directories_are_moved_and_removed() {
    let place = Place::with_keys("mv", PHOTOS);
    place.ok("mv", &["readme", "README"]);
    assert_eq!(place.json("mv", &["photos/2025/", "old/"])[0]["keys"], 2);
    assert_eq!(
        place.ok("ls", &["-R"]),
        "README\nold/a.jpg\nold/b.jpg\nphotos/2026/c.jpg\nphotos/cover.jpg\n"
    );
    assert_eq!(place.ok("get", &["old/a.jpg"]), "photos/2025/a.jpg");
    place.run("mv", &["old/", "photos/"]).fails(3, &["photos/: the target of the rename exists"]);
    place.run("mv", &["old/", "old/er/"]).fails(3, &["choose a target outside"]);
    place.run("mv", &["README", "photos/cover.jpg"]).fails(3, &["photos/cover.jpg: the target"]);
    place.run("mv", &["README", "old/"]).fails(2, &["both names end with /"]);
    place.run("mv", &["nothing", "x"]).fails(1, &["nothing: no such key"]);
    place.run("mv", &["nothing/", "x/"]).fails(1, &["nothing/: no key begins so"]);
    place.ok("mv", &["--prefix", "old/", "very-"]);
    assert_eq!(place.ok("rmdir", &["photos"]), "2 keys removed\n");
    assert_eq!(place.ok("ls", &[]), "README\nvery-a.jpg\nvery-b.jpg\n");
    // A directory is not the keys whose names begin like it.
    place.run("rmdir", &["very-"]).fails(1, &["very-/: no key begins so"]);
    place.run("rmdir", &[""]).fails(2, &["the name is empty"]);
    assert_eq!(place.json("rmdir", &["--prefix", ""]), [json!({"prefix": "", "removed": 3})]);
    assert_eq!(place.ok("ls", &[]), "");
}

#[test]
fn a_file_is_shortened() {
    let keys: Vec<String> = (0..30_000).map(|number| format!("part/{:03}/{number}", number % 300)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let place = Place::with_keys("compact", &keys);
    let length = |place: &Place| fs::metadata(&place.db).unwrap().len();
    place.ok("rmdir", &["--prefix", "part/0"]);
    place.ok("rmdir", &["--prefix", "part/2"]);
    let (before, left) = (length(&place), contents(&place.db));
    let report = &place.json("compact", &[])[0];
    assert!(length(&place) < before);
    assert_eq!(report["size_bytes"], length(&place));
    assert!(contents(&place.db) == left && left.len() == 10_000);
    assert!(place.ok("compact", &[]).ends_with(" now\n"));
    assert!(place.ok("check", &[]).starts_with("clean: "));
}

#[test]
fn a_backup_is_a_database_and_replaces_nothing_unasked() {
    let place = Place::with_keys("backup", &["a/1", "a/2", "b"]);
    let copy = place.folder.join("copy.spinney");
    let to = copy.to_str().unwrap();
    let before = fs::read(&place.db).unwrap();
    let report = &place.json("backup", &[to])[0];
    assert_eq!(report["size_bytes"], fs::metadata(&copy).unwrap().len());
    assert_eq!(contents(&copy), contents(&place.db));
    assert!(fs::read(&place.db).unwrap() == before, "what is copied stays as it is");
    place.run("backup", &[to]).fails(2, &["copy.spinney", "--overwrite"]);
    place.ok("put", &["c", "new"]);
    place.ok("backup", &[to, "--overwrite"]);
    assert_eq!(contents(&copy), contents(&place.db));
    place.run("backup", &["/nowhere/copy.spinney"]).fails(3, &["/nowhere/copy.spinney"]);
}

#[test]
fn databases_are_described_and_checked() {
    let keys: Vec<String> = (0..20_000).map(|number| format!("part/{:03}/{number}", number % 300)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let place = Place::with_keys("stat", &keys);
    let stat = &place.json("stat", &[])[0];
    assert_eq!((&stat["keys"], &stat["trees"]), (&json!(20_000), &json!(1)));
    assert_eq!(stat["size_bytes"], fs::metadata(&place.db).unwrap().len());
    assert!(place.ok("stat", &[]).starts_with("keys          20,000 in 1 tree\nsize          "));
    let blobs = place.json("blobs", &[]);
    assert_eq!(blobs.len() as u64, stat["total_blobs"].as_u64().unwrap());
    let in_blobs: u64 = blobs.iter().map(|blob| blob["keys"].as_u64().unwrap()).sum();
    assert_eq!(in_blobs, 20_001, "the name of the tree is one");
    let map = place.ok("blobs", &["--width", "2"]);
    assert!(map.starts_with("       0  D") && map.contains("R separators"), "{map}");
    assert_eq!(place.ok("blobs", &["-l"]).lines().count(), 1 + blobs.len());
    assert!(place.ok("check", &[]).starts_with("clean: 20,001 keys"));
    assert_eq!(place.json("check", &[])[0]["clean"], true);

    // One byte of a leaf page of the last blob that holds keys.
    let range = blobs.iter().rfind(|blob| blob["kind"] == "range").unwrap();
    let offset = (range["id"].as_u64().unwrap() as usize + 1) * 524_288 - 100;
    let mut bytes = fs::read(&place.db).unwrap();
    bytes[offset] ^= 1;
    fs::write(&place.db, bytes).unwrap();
    let ran = place.run("check", &["--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (1, ""));
    let report: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(report["clean"], false);
    assert_eq!(report["problems"][0]["blob"], range["id"]);
    let ran = place.run("check", &[]);
    assert_eq!(ran.code, 1);
    assert!(String::from_utf8(ran.stdout).unwrap().contains("1 problem: "));
    let ran = place.run("export", &[]);
    assert_eq!(ran.code, 3);
    ran.complains(&["is damaged", "restore from a backup"]);
}

#[test]
fn the_demo_and_the_bench_run() {
    let place = Place::new("demo");
    let folder = place.folder.to_str().unwrap();
    let text = spinney(&["demo", "--keys", "20000", "--folder", folder], b"").ok();
    assert!(text.contains("then kill -9") && text.contains("Everything above was verified"), "{text}");
    assert_eq!(fs::read_dir(&place.folder).unwrap().count(), 0, "nothing is left behind");

    let text = spinney(&["demo", "--keys", "2000", "--folder", folder, "--keep", "--json"], b"").ok();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(report["steps"].as_array().unwrap().len() > 10);
    assert!(report["acknowledged"].as_u64().unwrap() > 0);
    let kept = report["file"].as_str().unwrap();
    let counted = spinney(&["count", kept], b"").ok();
    let expected = 1500 + report["recovered"].as_u64().unwrap();
    assert_eq!(counted.trim().parse::<u64>().unwrap(), expected);

    let text = spinney(&["bench", "--keys", "2000", "--folder", folder, "--json"], b"").ok();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(report["steps"].as_array().unwrap().iter().all(|step| step["nanos"].as_u64().is_some()));
    spinney(&["demo", "--folder", "/nonexistent"], b"").fails(3, &["/nonexistent"]);
}

#[test]
fn a_catalog_to_look_at_is_made() {
    let place = Place::new("catalog");
    let report = &place.json("demo-catalog", &["--paths", "3000"])[0];
    assert_eq!(report["loaded"], 3_000);
    assert_eq!(report["bytes"], fs::metadata(&place.db).unwrap().len());
    assert_eq!(place.ok("count", &[]).trim(), "3000");
    assert_eq!(place.ok("ls", &[]), "debian/\nlogs/\nmaps/\nmusic/\nnpm/\nphotos/\n");
    let value = place.ok("get", &["maps/tiles/0/0/0.pbf"]);
    let value: serde_json::Value = serde_json::from_str(&value).unwrap();
    assert!(value["size"].as_u64().unwrap() > 0 && value["mtime"].as_str().unwrap().starts_with("2026-"));
    // Another one does not take its place.
    place.run("demo-catalog", &["--paths", "200"]).fails(3, &["it is there already"]);
}
