//! The tidy rule about documentation: what the library offers has an example. That it compiles, and that its
//! assertions hold, is the business of the documentation tests.

#![forbid(unsafe_code)]

use crate::modules::test_lines;
use crate::source::Source;

/// Not for users of the library.
const OTHERS: &[&str] = &["src/bin/", "src/wasm/"];

/// Every public function, structure, enumeration and trait has an example in the lines above it.
pub fn examples(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || OTHERS.iter().any(|start| source.path.starts_with(start)) {
        return Vec::new();
    }
    let tests = test_lines(source);
    let mut complaints = Vec::new();
    for at in 0..source.code.len() {
        let line = source.code[at].line;
        let in_test = tests.iter().any(|lines| lines.contains(&line));
        let Some(name) = declared(source, at).filter(|_| !in_test) else {
            continue;
        };
        if !has_example(source, at) {
            complaints.push(source.complaint(line, &format!("`{name}` is public and has no example")));
        }
    }
    complaints
}

/// The name of what is declared public at `at`, if it is of these kinds.
fn declared(source: &Source, at: usize) -> Option<&str> {
    if !source.is(at, "pub") {
        return None;
    }
    let is_one_of = |i: usize, words: &[&str]| words.iter().any(|word| source.is(i, word));
    let kind = (at + 1..source.code.len()).find(|&i| !is_one_of(i, &["const", "unsafe", "async"]))?;
    source.word(kind + 1).filter(|_| is_one_of(kind, &["fn", "struct", "enum", "trait"]))
}

/// Is there an example above the declaration at `at`? Its attributes may lie between.
fn has_example(source: &Source, at: usize) -> bool {
    let mut first = at;
    while first > 0 && source.is(first - 1, "]") {
        let open = (0..first).rev().find(|&i| source.is(i, "[") && source.closing(i) == first - 1);
        match open {
            Some(open) if open > 0 && source.is(open - 1, "#") => first = open - 1,
            _ => break,
        }
    }
    let before = first.checked_sub(1).map_or(0, |last| source.code[last].line);
    let mut between = source.comments.iter().filter(|comment| {
        let is_between = comment.line > before && comment.line < source.code[at].line;
        is_between && comment.text.starts_with("///")
    });
    between.any(|comment| comment.text.contains("```"))
}
