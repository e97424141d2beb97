//! The house rules, enforced: layering, the fence around `unsafe`, sizes, ASCII, no dead files, examples.
//!
//! Each rule is a function from a source file to complaints of the form `file:line: message`. Each has two
//! tests: the repository obeys it, and a bad snippet is caught by it. What the rules are for is written in
//! `CONTRIBUTING.md`; a rule that turns out wrong is changed here, not worked around.

#![cfg(not(any(target_arch = "wasm32", miri)))]
#![forbid(unsafe_code)]

#[path = "tidy/examples.rs"]
mod examples;
#[path = "tidy/modules.rs"]
mod modules;
#[path = "tidy/source.rs"]
mod source;

use modules::module_path;
use source::{Kind, Source, read_all};
use std::{fs, path::Path};

const FOLDERS: &[&str] = &["src", "tests", "examples", "benches", "fuzz"];

const LINE_CHARS_MAX: usize = 110;
const FUNCTION_LINES_MAX: usize = 70;
const FILE_LINES_MAX: usize = 600;

/// Where `unsafe` may stand: a file, or all files whose path begins so.
const UNSAFE_FILES: &[&str] = &[
    "src/store/frames",
    "src/backend/buffer.rs",
    "src/backend/file.rs",
    "src/backend/file/",
    "src/blob/simd.rs",
    "benches/src/measure/clock.rs",
    "benches/src/measure/fresh_memory.rs",
    "benches/src/measure/machine.rs",
    "benches/src/measure/page_cache.rs",
    "benches/src/stores/disk/lmdb.rs",
    // Allocators that count or refuse can be written in no other way.
    "tests/memory.rs",
    "tests/out_of_memory.rs",
];

/// The crates' roots: they cannot forbid what their modules need.
const ROOTS: &[&str] = &["src/lib.rs", "benches/src/bench.rs"];

/// Files whose macros generate what `forbid(unsafe_code)` would refuse.
const UNSAFE_GENERATED: &[&str] = &["src/wasm"];

// ------------------------------------------------------------------- rules -----

fn opens_with_docs(source: &Source) -> Vec<String> {
    if source.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![source.complaint(1, "the file does not open with `//!`")]
}

fn lines_fit(source: &Source) -> Vec<String> {
    let numbered = source.text.lines().zip(1..);
    let long = numbered.filter(|(line, _)| line.chars().count() > LINE_CHARS_MAX);
    long.map(|(line, number)| {
        source
            .complaint(number, &format!("{} characters, {LINE_CHARS_MAX} are allowed", line.chars().count()))
    })
    .collect()
}

fn is_ascii(source: &Source) -> Vec<String> {
    let numbered = source.text.lines().zip(1..);
    let foreign = numbered.filter_map(|(line, number)| Some((line.chars().find(|c| !c.is_ascii())?, number)));
    foreign.map(|(c, number)| source.complaint(number, &format!("{c:?} is not ASCII"))).collect()
}

fn file_fits(source: &Source) -> Vec<String> {
    match source.text.lines().count() {
        0..=FILE_LINES_MAX => Vec::new(),
        lines => vec![source.complaint(lines, &format!("{lines} lines, {FILE_LINES_MAX} are allowed"))],
    }
}

fn functions_fit(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for at in 0..source.code.len() {
        let Some(name) = source.word(at + 1).filter(|_| source.is(at, "fn")) else {
            continue;
        };
        let Some(open) = body_of(source, at + 2) else {
            continue;
        };
        let line = source.code[at].line;
        let lines = source.code[source.closing(open)].line - line + 1;
        if lines > FUNCTION_LINES_MAX {
            let message = format!("fn {name} has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
            complaints.push(source.complaint(line, &message));
        }
    }
    complaints
}

/// The brace that opens the body of a function whose signature goes on at `at`, unless it has none.
fn body_of(source: &Source, mut at: usize) -> Option<usize> {
    while at < source.code.len() && !source.is(at, ";") {
        if source.is(at, "{") {
            return Some(at);
        }
        at = if source.is(at, "(") || source.is(at, "[") { source.closing(at) } else { at } + 1;
    }
    None
}

fn nothing_is_left_open(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for at in 0..source.code.len() {
        let found = match source.word(at) {
            Some(name @ ("todo" | "unimplemented" | "dbg")) if source.is(at + 1, "!") => format!("{name}!"),
            Some("ignore") if source.spells(at.saturating_sub(2), &["#", "["]) => "#[ignore]".to_string(),
            _ => continue,
        };
        complaints.push(source.complaint(source.code[at].line, &format!("{found} is not allowed")));
    }
    let words = source.code.iter().filter(|token| token.kind == Kind::Word);
    for token in source.comments.iter().chain(words) {
        for (offset, line) in token.text.lines().enumerate() {
            if let Some(marker) = ["TODO", "FIXME"].iter().find(|marker| line.contains(**marker)) {
                complaints.push(source.complaint(token.line + offset, &format!("{marker} is not allowed")));
            }
        }
    }
    complaints
}

fn unsafe_has_reasons(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().map(str::trim_start).collect();
    // Is there a reason in the comments and attributes right above this line?
    let reasoned = |line: usize| {
        let above = lines[..line - 1].iter().rev();
        above
            .take_while(|text| text.starts_with("//") || text.starts_with("#["))
            .any(|text| text.starts_with("// SAFETY: "))
    };
    let mut complaints = Vec::new();
    for at in 0..source.code.len() {
        if source.is(at, "unsafe") && (source.is(at + 1, "{") || source.is(at + 1, "impl")) {
            let first = statement_start(source, at);
            if !reasoned(source.code[at].line) && !reasoned(source.code[first].line) {
                complaints.push(source.complaint(source.code[at].line, "no `// SAFETY: ` comment above"));
            }
        }
    }
    complaints
}

fn statement_start(source: &Source, at: usize) -> usize {
    let ends = |i: usize| [";", "{", "}", ","].iter().any(|mark| source.is(i, mark));
    (0..at).rev().find(|&i| ends(i)).map_or(0, |i| i + 1)
}

/// `all` is needed to know which files are parents of those that hold `unsafe`: these cannot forbid it.
fn unsafe_is_fenced(source: &Source, all: &[Source]) -> Vec<String> {
    let begins = |path: &str, with: &[&str]| with.iter().any(|start| path.starts_with(start));
    let is_fenced = begins(&source.path, &["src/", "tests/", "examples/", "benches/src/"]);
    let may_hold = begins(&source.path, UNSAFE_FILES);
    if !is_fenced || may_hold || begins(&source.path, UNSAFE_GENERATED) {
        return Vec::new();
    }
    let words = source.code.iter().filter(|token| token.kind == Kind::Word && token.text == "unsafe");
    let mut complaints: Vec<String> =
        words.map(|token| source.complaint(token.line, "`unsafe` is not allowed in this file")).collect();
    let own = module_path(&source.path);
    let is_parent = begins(&source.path, &["src/", "benches/src/"])
        && all.iter().any(|other| {
            let holds = begins(&other.path, UNSAFE_FILES) || begins(&other.path, UNSAFE_GENERATED);
            let path = module_path(&other.path);
            holds && path.len() > own.len() && path.starts_with(&own)
        });
    let is_root = ROOTS.contains(&source.path.as_str());
    if !is_parent && !is_root && !source.text.lines().any(|line| line == "#![forbid(unsafe_code)]") {
        complaints.push(source.complaint(1, "`#![forbid(unsafe_code)]` is missing below the `//!` lines"));
    }
    complaints
}

// --------------------------------------------------------- the repository -----

fn repository() -> Vec<Source> {
    let all = read_all(Path::new(env!("CARGO_MANIFEST_DIR")), FOLDERS);
    assert!(
        all.iter().any(|source| source.path == "tests/tidy.rs"),
        "the sources are not where they should be"
    );
    all
}

fn check(rule: impl Fn(&Source) -> Vec<String>) {
    report(repository().iter().flat_map(rule).collect());
}

fn report(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn every_file_opens_with_docs() {
    check(opens_with_docs);
}

#[test]
fn every_line_fits() {
    check(lines_fit);
}

#[test]
fn every_file_is_ascii() {
    check(is_ascii);
}

#[test]
fn every_file_fits() {
    check(file_fits);
}

#[test]
fn every_function_fits() {
    check(functions_fit);
}

#[test]
fn no_marker_is_left() {
    check(nothing_is_left_open);
}

#[test]
fn every_unsafe_has_a_reason() {
    check(unsafe_has_reasons);
}

#[test]
fn unsafe_stays_behind_its_fence() {
    let all = repository();
    report(all.iter().flat_map(|source| unsafe_is_fenced(source, &all)).collect());
}

#[test]
fn imports_point_one_way() {
    check(modules::imports);
}

#[test]
fn foreign_names_stay_where_they_belong() {
    check(modules::foreign_names);
}

#[test]
fn every_public_item_has_an_example() {
    check(examples::examples);
}

#[test]
fn no_file_is_dead() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |folder: &str| fs::read_to_string(root.join(folder).join("Cargo.toml")).ok();
    let packages = ["", "benches/", "fuzz/"];
    let manifests: Vec<(String, String)> =
        packages.iter().filter_map(|folder| Some((folder.to_string(), read(folder)?))).collect();
    report(modules::dead_files(&repository(), &manifests));
}

// ------------------------------------------------------ the rules can fail -----

/// Exactly these lines of the snippet are complained about, in this order.
#[track_caller]
fn caught(rule: impl Fn(&Source) -> Vec<String>, path: &str, text: &str, lines: &[usize]) {
    let complaints = rule(&Source::new(path, text));
    let expected: Vec<String> = lines.iter().map(|line| format!("{path}:{line}: ")).collect();
    let matches = complaints.len() == expected.len()
        && complaints.iter().zip(&expected).all(|(complaint, start)| complaint.starts_with(start));
    assert!(matches, "expected {expected:?}, got {complaints:?}, in:\n{text}");
}

#[test]
fn missing_docs_are_caught() {
    caught(opens_with_docs, "src/a.rs", "//! Purpose.\n", &[]);
    caught(opens_with_docs, "src/a.rs", "use std::fs;\n//! Late.\n", &[1]);
    caught(opens_with_docs, "src/a.rs", "", &[1]);
}

#[test]
fn long_lines_are_caught() {
    caught(lines_fit, "src/a.rs", &"x".repeat(110), &[]);
    caught(lines_fit, "src/a.rs", &format!("\n{}\n", "x".repeat(111)), &[2]);
}

#[test]
fn other_characters_are_caught() {
    caught(is_ascii, "src/a.rs", "a\n// caf\u{e9}\n\"\u{2192}\"", &[2, 3]);
}

#[test]
fn long_files_are_caught() {
    caught(file_fits, "src/a.rs", &"\n".repeat(600), &[]);
    caught(file_fits, "src/a.rs", &"\n".repeat(601), &[601]);
}

#[test]
fn long_functions_are_caught() {
    let function =
        |lines: usize| format!("\nfn f(a: [u8; 4]) -> u8\nwhere\n{{{}}}\n", "\n".repeat(lines - 3));
    caught(functions_fit, "src/a.rs", &function(70), &[]);
    caught(functions_fit, "src/a.rs", &function(71), &[2]);
    // Braces in literals and comments count for nothing, and a declaration or a type has no body.
    let tricky = r##"'}' b'}' "}" "\"}" r#"}"# /* } /* } */ */ // }"##;
    caught(functions_fit, "src/a.rs", &format!("fn f<'a>() {{\n{tricky}\n{}}}", "\n".repeat(80)), &[1]);
    let bodiless =
        format!("trait T {{ fn f(&self) -> [u8; 2]; type F = fn(u8) -> u8; {} }}", "\n".repeat(80));
    caught(functions_fit, "src/a.rs", &bodiless, &[]);
}

#[test]
fn markers_are_caught() {
    caught(nothing_is_left_open, "src/a.rs", "todo!();\nunimplemented!();\ndbg!(1);", &[1, 2, 3]);
    caught(
        nothing_is_left_open,
        "src/a.rs",
        "#[ignore]\nfn a() {}\n#[ignore = \"slow\"]\nfn b() {}",
        &[1, 3],
    );
    caught(nothing_is_left_open, "src/a.rs", "// TODO: later\n/*\n FIXME\n*/\n/// TODO", &[1, 3, 5]);
    caught(nothing_is_left_open, "src/a.rs", "let ignore = [\"TODO\", \"todo!()\"]; // dbg!", &[]);
}

#[test]
fn unsafe_without_a_reason_is_caught() {
    caught(unsafe_has_reasons, "src/a.rs", "let x = unsafe { y() };", &[1]);
    caught(unsafe_has_reasons, "src/a.rs", "// SAFETY: ok.\n\nlet x =\n    unsafe { y() };", &[4]);
    caught(
        unsafe_has_reasons,
        "src/a.rs",
        "f();\n// SAFETY: ok.\n// Two lines.\nlet x =\n    unsafe { y() };",
        &[],
    );
    caught(unsafe_has_reasons, "src/a.rs", "let x = {\n    // SAFETY: ok.\n    unsafe { y() }\n};", &[]);
    let two = "// SAFETY: ok.\nunsafe impl Send for A {}\nunsafe impl Sync for A {}";
    caught(unsafe_has_reasons, "src/a.rs", two, &[3]);
    let attribute = "struct A;\n// SAFETY: ok.\n#[cfg(unix)]\nunsafe impl Send for A {}";
    caught(unsafe_has_reasons, "src/a.rs", attribute, &[]);
    caught(unsafe_has_reasons, "src/a.rs", "fn f() { g(\"unsafe {\"); } unsafe fn h() {}", &[]);
}

#[test]
fn a_breach_of_the_fence_is_caught() {
    let forbids = "//! A.\n\n#![forbid(unsafe_code)]\n";
    let alone = |source: &Source| unsafe_is_fenced(source, &[]);
    caught(alone, "src/art/find.rs", forbids, &[]);
    caught(alone, "src/art/find.rs", "//! A.\n// #![forbid(unsafe_code)]\n", &[1]);
    caught(alone, "src/art/find.rs", &format!("{forbids}// unsafe\n\"unsafe\"; unsafe {{}}"), &[5]);
    caught(alone, "src/store/frames/map.rs", "unsafe {}", &[]);
    caught(alone, "src/backend/file/uring.rs", "unsafe {}", &[]);
    caught(alone, "src/backend/files.rs", "//! A.\nunsafe {}", &[2, 1]);
    // A parent of a file that holds `unsafe` cannot forbid it, and yet must not hold any.
    let all = [Source::new("src/store/frames.rs", "unsafe {}")];
    let with_frames = |source: &Source| unsafe_is_fenced(source, &all);
    caught(with_frames, "src/store/mod.rs", "//! A.", &[]);
    caught(with_frames, "src/store/mod.rs", "//! A.\nunsafe {}", &[2]);
    caught(with_frames, "src/store/latch.rs", "//! A.", &[1]);
    caught(with_frames, "src/lib.rs", "//! A.", &[]);
    caught(with_frames, "tests/model.rs", "//! A.", &[1]);
    // The benches are fenced in the same way.
    let all = [Source::new("benches/src/measure/clock.rs", "unsafe {}")];
    let with_clock = |source: &Source| unsafe_is_fenced(source, &all);
    caught(with_clock, "benches/src/measure/clock.rs", "unsafe {}", &[]);
    caught(with_clock, "benches/src/measure/mod.rs", "//! A.", &[]);
    caught(with_clock, "benches/src/measure/rate.rs", "//! A.\nunsafe {}", &[2, 1]);
    caught(with_clock, "benches/src/bench.rs", "//! A.\nunsafe {}", &[2]);
}

#[test]
fn imports_against_the_direction_are_caught() {
    let imports = modules::imports;
    caught(imports, "src/blob/node.rs", "use crate::error::Error;\nuse crate::sync::AtomicU64;", &[]);
    caught(imports, "src/blob/node.rs", "use crate::art::find;", &[1]);
    caught(imports, "src/blob/node.rs", "use super::super::art::find;\nuse super::words;", &[1]);
    caught(imports, "src/art/find.rs", "use crate::{\n    blob::{a, b::c},\n    store::latch,\n};", &[3]);
    caught(imports, "src/art/mod.rs", "fn f() {\n    super::forest::g();\n}", &[2]);
    let nested = "mod tests {\n    use super::super::x;\n    use super::super::super::store;\n}";
    caught(imports, "src/art/find.rs", nested, &[3]);
    caught(imports, "src/backend/memory.rs", "use crate::log::Record;\nuse crate::Error;", &[1, 2]);
    caught(imports, "src/store/gate.rs", "use crate::{forest, log::ring, db::Db};", &[1, 1]);
    caught(imports, "src/forest/cut.rs", "pub(crate) use crate::store::frames;\nuse crate::wasm;", &[2]);
    caught(imports, "src/db.rs", "use crate::forest;\nuse crate::tree;\nuse crate::wasm::Db;", &[3]);
    caught(imports, "src/error.rs", "use crate::db::Db;", &[1]);
    caught(imports, "src/wasm/mod.rs", "use crate::db::Db;", &[]);
    caught(imports, "src/blob/node.rs", "// crate::art\n\"crate::art\"", &[]);
    caught(imports, "src/novel/a.rs", "", &[1]);
}

#[test]
fn foreign_names_are_caught() {
    let names = modules::foreign_names;
    caught(names, "src/db.rs", "use crate::backend::FileBackend;\nuse wasm_bindgen::JsValue;", &[2]);
    caught(names, "src/wasm/mod.rs", "use wasm_bindgen::JsValue;\nuse js_sys::Uint8Array;", &[]);
    caught(names, "src/backend/opfs.rs", "pub struct OpfsBackend;\nfn f(a: &js_sys::Array) {}", &[2]);
    let store =
        "use crate::backend::MemoryBackend;\n#[cfg(test)]\nmod tests {\n    type B = MemoryBackend;\n}";
    caught(names, "src/store/gate.rs", store, &[1]);
}

#[test]
fn missing_examples_are_caught() {
    let examples = examples::examples;
    let shown = "/// A.\n///\n/// ```\n/// a();\n/// ```\n";
    caught(examples, "src/a.rs", &format!("{shown}pub fn a() {{}}\n/// B.\npub fn b() {{}}"), &[8]);
    let attributes = "#[derive(Clone)]\n#[cfg_attr(\n    a,\n    b\n)]\n";
    caught(examples, "src/a.rs", &format!("{shown}{attributes}pub struct A;\n#[b]\npub enum B {{}}"), &[13]);
    caught(examples, "src/a.rs", "#![forbid(a)]\n// ```\npub trait A {}", &[3]);
    let kinds = "impl A {\n    pub const fn a() {}\n    pub(crate) fn b() {}\n    fn c() {}\n}\n";
    caught(examples, "src/a.rs", &format!("{kinds}pub const D: u8 = 1;\npub mod e;\npub use f::G;"), &[2]);
    caught(examples, "src/a.rs", "#[cfg(test)]\nmod tests {\n    pub fn a() {}\n}\npub fn b() {}", &[5]);
    caught(examples, "src/bin/tool/main.rs", "pub fn a() {}", &[]);
    caught(examples, "src/wasm/mod.rs", "pub fn a() {}", &[]);
    caught(examples, "tests/common/mod.rs", "pub fn a() {}", &[]);
}

#[test]
fn dead_files_are_caught() {
    let files = [
        ("src/lib.rs", "mod art;\nmod db;\nmod inner { mod deep; }\n// mod dead;"),
        ("src/art/mod.rs", "mod find;\n#[path = \"../other/place.rs\"]\nmod moved;"),
        ("src/art/find.rs", "#[cfg(test)]\nmod tests;"),
        ("src/art/find/tests.rs", ""),
        ("src/art/dead.rs", ""),
        ("src/db.rs", ""),
        ("src/dead.rs", "mod dead;"),
        ("src/inner/deep.rs", ""),
        ("src/other/place.rs", ""),
        ("src/bin/tool.rs", ""),
        ("tests/model.rs", "mod common;"),
        ("tests/common/mod.rs", "include!(\"table.rs\");"),
        ("tests/common/table.rs", ""),
        ("tests/common/dead.rs", ""),
        ("fuzz/targets/open.rs", ""),
        ("fuzz/targets/dead.rs", ""),
    ];
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    let manifests = [("", ""), ("fuzz/", "[[bin]]\npath = \"targets/open.rs\"")];
    let manifests = manifests.map(|(folder, text)| (folder.to_string(), text.to_string()));
    let complaints = modules::dead_files(&sources, &manifests);
    let dead = ["src/art/dead.rs", "src/dead.rs", "tests/common/dead.rs", "fuzz/targets/dead.rs"];
    let expected: Vec<String> = dead.map(|path| format!("{path}:1: no `mod` leads to this file")).to_vec();
    assert_eq!(complaints, expected);
}

#[test]
fn the_lexer_knows_literals_from_code() {
    let text =
        "a::b 'x' 'life '\\'' b'\\\\' r#type \"s\\\"\" r##\"\"#\"## b\"b\" /* /**/ */ cr\"c\" //! d\ne1";
    let expected = "a :: b 'x' ' life '\\'' b'\\\\' r#type \"s\\\"\" r##\"\"#\"## b\"b\" cr\"c\" e1";
    let source = Source::new("src/a.rs", text);
    let code: Vec<&str> = source.code.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(code.join(" "), expected);
    assert_eq!(source.comments.len(), 2);
    assert_eq!(source.code.last().map(|token| token.line), Some(2));
}
