//! `import` and `export`: formats, faults in the input, files of a folder, and that all comes back.

#![forbid(unsafe_code)]

use std::fs;
use std::process::Stdio;

use crate::tool::{Place, command, contents};

fn pairs(of: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    of.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Keys that formats stumble over.
fn hurtful() -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let texts = [
        "",
        "key",
        "key,value",
        "a,b",
        "\"",
        "\"\"",
        "a\"b\"",
        "\r\n",
        "a\r",
        "\n\n",
        "{\"key\":1}",
        "null",
        "\\",
        "\\n",
        "\\x00",
        "\u{feff}",
        "\u{feff}key",
        "\u{2028}",
        "\u{1f600}",
        " lead",
        "trail ",
        "\t",
        "a//b",
        "/",
        "//",
        "../x",
        "-",
        "--json",
    ];
    keys.extend(texts.map(|text| text.as_bytes().to_vec()));
    keys.extend([vec![0xFF; 300], vec![0; 70], (0..=255).collect(), vec![b'"'; 65_000]]);
    keys.extend([b"\xed\xa0\x80".to_vec(), b"\xc3".to_vec(), b"a\xffb/c".to_vec()]);
    keys.sort();
    keys.dedup();
    keys
}

#[test]
fn what_is_exported_comes_back() {
    let place = Place::new("round");
    let db = spinney::Db::open(&place.db).unwrap();
    let files = db.tree("files").unwrap().with_durability(spinney::Durability::Buffered);
    let keys = hurtful();
    for (nth, key) in keys.iter().enumerate() {
        files.put(key, &keys[(nth * 7 + 3) % keys.len()]).unwrap();
    }
    files.put("longest short value", vec![b'\n'; 65_535]).unwrap();
    files.put("long text", vec![b'\n'; 3_000_000]).unwrap();
    files.put("long bytes", (0..3_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<u8>>()).unwrap();
    drop(files);
    db.close().unwrap();
    let expected = contents(&place.db);
    assert_eq!(expected.len(), keys.len() + 3);
    for format in ["csv", "jsonl"] {
        let exported = place.run("export", &["--format", format]);
        assert_eq!((exported.code, exported.stderr.as_str()), (0, ""));
        let other = Place::new(&format!("round-{format}"));
        let imported = other.run_with("import", &["--format", format], &exported.stdout);
        assert!(imported.ok().starts_with(&format!("{} keys put in ", expected.len())));
        assert!(contents(&other.db) == expected, "{format} lost or changed something");
        // And the stream of that is the same again.
        assert!(other.run("export", &["--format", format]).stdout == exported.stdout, "{format}");
    }
}

#[test]
fn lines_carry_keys_alone() {
    let place = Place::new("lines");
    place.run_with("import", &["--value", "v"], b"b/2\na\n\nb/1\r").ok();
    assert_eq!(contents(&place.db), pairs(&[("", "v"), ("a", "v"), ("b/1\r", "v"), ("b/2", "v")]));
    assert_eq!(place.ok("export", &["--format", "lines"]), "\na\nb/1\r\nb/2\n");
    assert_eq!(place.ok("export", &["--format", "lines", "b/"]), "b/1\r\nb/2\n");
    place.run_with("import", &["-0"], b"c\nd\0e\0").ok();
    place.run("export", &["--format", "lines", "c"]).fails(3, &["c\\nd", "-0", "--format csv"]);
    assert_eq!(place.run("export", &["-0", "c"]).stdout, b"c\nd\0");
    place.run_with("import", &["--prefix", "new/"], b"f\n").ok();
    assert_eq!(place.ok("count", &["new/f"]), "1\n");
}

/// What `export` writes without options is not taken for keys, wherever it comes from.
#[test]
fn another_format_is_not_taken_for_lines() {
    let place = Place::new("not-lines");
    place.run_with("import", &["--format", "jsonl"], b"{\"key\":\"a/b\",\"value\":\"c\"}\n").ok();
    let other = Place::new("not-lines-other");
    for (format, said) in [("jsonl", "--format jsonl"), ("csv", "--format csv")] {
        let stream = place.run("export", &["--format", format]).stdout;
        other.run_with("import", &[] as &[&str], &stream).fails(2, &[said, "--format lines"]);
        let path = place.folder.join("dump");
        fs::write(&path, &stream).unwrap();
        other.run("import", &[path.to_str().unwrap()]).fails(2, &[said]);
        assert!(!other.db.exists(), "and makes no database");
        let upper = place.folder.join(format!("DUMP.{}", format.to_uppercase()));
        fs::rename(&path, &upper).unwrap();
        assert_eq!(other.json("import", &[upper.to_str().unwrap()])[0]["imported"], 1);
        assert_eq!(contents(&other.db), pairs(&[("a/b", "c")]));
        fs::remove_file(&other.db).unwrap();
    }
    // Who says so gets lines.
    other.run_with("import", &["--format", "lines"], b"key,value\n").ok();
    assert_eq!(contents(&other.db), pairs(&[("key,value", "")]));
}

#[test]
fn formats_are_guessed_from_names() {
    let place = Place::new("guess");
    for (name, text) in
        [("a.csv", "a,1\n"), ("b.jsonl", "{\"key\":\"b\",\"value\":\"2\"}\n"), ("c.txt", "c,3\n")]
    {
        let path = place.folder.join(name);
        fs::write(&path, text).unwrap();
        let report = place.json("import", &[path.to_str().unwrap()]);
        assert_eq!(report[0]["imported"], 1);
    }
    assert_eq!(contents(&place.db), pairs(&[("a", "1"), ("b", "2"), ("c,3", "")]));
}

#[test]
fn a_fault_in_the_input_is_named() {
    let place = Place::new("faults");
    let long = "x".repeat(70_000);
    for (format, text, said) in [
        ("csv", "a,1\nb\n".to_string(), "line 2: there is no comma"),
        ("csv", "a,1\nb,\"2\n\n".to_string(), "line 2: a quote is opened"),
        ("jsonl", "{\"key\":\"a\"}\n\n{\"kee\":1}\n".to_string(), "line 3: there is no \"key\""),
        ("csv", "a,1\n\n\nb\n".to_string(), "line 4: there is no comma"),
        ("jsonl", "{\"key\":\"a\"}\nnot json\n".to_string(), "line 2: it is no JSON"),
        ("jsonl", format!("{{\"key\":\"a\"}}\n{{\"key\":\"{long}\"}}\n"), "the limit is 65000"),
        ("lines", format!("a\n{long}\n"), "line 2: it has more than 65000 bytes"),
    ] {
        let ran = place.run_with("import", &["--format", format], text.as_bytes());
        ran.fails(3, &[said, "put before: 1 key"]);
        assert_eq!(contents(&place.db).len(), 1, "what came before it is in");
    }
    let none = Place::new("no-input");
    none.run("import", &["/nonexistent/input"]).fails(3, &["/nonexistent/input", "No such file"]);
    none.run("import", &["--walk", "/nonexistent"]).fails(3, &["/nonexistent", "No such file"]);
    assert!(!none.db.exists(), "an input that is missing makes no database");
    none.run("import", &["--format", "csv", "-0"]).fails(2, &["-0"]);
    assert_eq!(none.run("import", &["--content"]).code, 2);
}

#[test]
fn sorted_keys_are_loaded_all_or_none() {
    let place = Place::new("load");
    assert!(
        place.run_with("load", &["--value", "v"], b"\na\nb/1\nb/2\n").ok().starts_with("4 keys loaded in ")
    );
    assert_eq!(contents(&place.db), pairs(&[("", "v"), ("a", "v"), ("b/1", "v"), ("b/2", "v")]));
    place.run_with("load", &["--format", "csv", "--prefix", "c/"], b"x,1\ny,2\n").ok();
    assert_eq!(contents(&place.db)[4..], pairs(&[("c/x", "1"), ("c/y", "2")]));
    place.run_with("load", &["--prefix", "c/"], b"z\n").fails(3, &["keys that begin with \"c/\"", "import"]);
    place.run_with("load", &["--prefix", "d/"], b"b\na\n").fails(3, &["line 2: the key", "LC_ALL=C sort"]);
    // A fault in the input, in the first record and later.
    for text in ["{\"key\":1}\n", "{\"key\":\"a\"}\n{\"key\":\"b\"}\nnot json\n"] {
        let ran = place.run_with("load", &["--format", "jsonl", "--prefix", "d/"], text.as_bytes());
        ran.fails(3, &["line ", "nothing was loaded"]);
    }
    assert_eq!(place.ok("count", &["d/"]), "0\n");
    // What export writes is in order.
    let exported = place.run("export", &[]).stdout;
    let other = Place::new("load-other");
    other.run_with("load", &["--format", "jsonl"], &exported).ok();
    assert_eq!(contents(&other.db), contents(&place.db));
}

#[test]
fn files_of_a_folder_are_put() {
    let place = Place::new("walk");
    let (db, folder) = (place.db.clone(), place.folder.to_str().unwrap().to_string());
    fs::create_dir_all(place.folder.join("a/b")).unwrap();
    fs::create_dir_all(place.folder.join("empty")).unwrap();
    fs::write(place.folder.join("a/b/one"), "1").unwrap();
    fs::write(place.folder.join("two"), "22").unwrap();
    std::os::unix::fs::symlink("/etc", place.folder.join("link")).unwrap();
    place.ok("import", &["--walk", &folder]);
    // Neither the link nor the files of the database itself.
    let found = contents(&db);
    let keys: Vec<&[u8]> = found.iter().map(|(key, _)| &key[..]).collect();
    assert_eq!(keys, [&b"a/b/one"[..], b"two"]);
    let value: serde_json::Value = serde_json::from_slice(&found[1].1).unwrap();
    assert_eq!(value["size"], 2);
    assert!(value["mtime"].as_i64().unwrap() > 1_600_000_000);

    fs::write(place.folder.join("large"), vec![0; spinney::VALUE_BYTES_MAX + 1]).unwrap();
    let ran = place.run("import", &["--walk", &folder, "--content", "--prefix", "c/"]);
    assert_eq!(ran.code, 3);
    assert!(ran.stderr.contains("large: longer than") && ran.stderr.contains("1 file longer than"));
    assert_eq!(contents(&db)[1..3], pairs(&[("c/a/b/one", "1"), ("c/two", "22")]));
}

/// `spinney export x | head` ends without a word, and soon.
#[test]
fn a_reader_that_goes_away_is_no_error() {
    let keys: Vec<String> = (0..50_000).map(|number| format!("directory/{number:08}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let place = Place::with_keys("head", &keys);
    for arguments in [&["export"][..], &["ls", "-R"], &["ls", "--json", "-R"], &["tree"]] {
        let mut command = command();
        let mut child = command.arg(arguments[0]).arg(&place.db).args(&arguments[1..]).spawn().unwrap();
        let mut first = [0; 10];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn an_output_that_cannot_be_written_is_an_error() {
    let place = Place::with_keys("full", &["a", "b"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = command().arg("export").arg(&place.db).stdout(Stdio::from(full)).output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(said.starts_with("spinney: the output cannot be written: "), "{said}");
}
