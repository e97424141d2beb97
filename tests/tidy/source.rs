//! Reading Rust sources for the tidy test: the files of the repository, and their tokens.
//!
//! A small lexer, so that strings, characters and comments are never taken for code. It must know no
//! rule: those are in `tidy.rs` and in `modules.rs`.

#![forbid(unsafe_code)]

use std::{fs, path::Path};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Word,
    Mark,
    Literal,
    Comment,
}

/// A token; `line` counts from one and is where the token begins.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub text: String,
    pub line: usize,
}

/// One file. `path` is relative to the repository, with `/` on every system.
#[derive(Clone, Debug)]
pub struct Source {
    pub path: String,
    pub text: String,
    /// All tokens but the comments.
    pub code: Vec<Token>,
    pub comments: Vec<Token>,
}

impl Source {
    pub fn new(path: &str, text: &str) -> Self {
        let (comments, code) = lex(text).into_iter().partition(|token| token.kind == Kind::Comment);
        Source { path: path.to_string(), text: text.to_string(), code, comments }
    }

    /// Is the token at `at` this word or mark? Past the end nothing is; a literal never is.
    pub fn is(&self, at: usize, text: &str) -> bool {
        self.code.get(at).is_some_and(|token| token.kind != Kind::Literal && token.text == text)
    }

    /// Do the tokens from `at` on spell these words and marks?
    pub fn spells(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(i, text)| self.is(at + i, text))
    }

    pub fn word(&self, at: usize) -> Option<&str> {
        self.code.get(at).filter(|token| token.kind == Kind::Word).map(|token| token.text.as_str())
    }

    pub fn literal(&self, at: usize) -> Option<&str> {
        let token = self.code.get(at).filter(|token| token.kind == Kind::Literal)?;
        Some(token.text.trim_matches('"'))
    }

    /// The token that closes the `{`, `(` or `[` at `open`; the last token if none does.
    pub fn closing(&self, open: usize) -> usize {
        let mut depth = 0;
        for at in open..self.code.len() {
            if ["{", "(", "["].iter().any(|mark| self.is(at, mark)) {
                depth += 1;
            } else if ["}", ")", "]"].iter().any(|mark| self.is(at, mark)) {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
        }
        self.code.len() - 1
    }

    /// A complaint about this file, in the form that editors can follow.
    pub fn complaint(&self, line: usize, message: &str) -> String {
        format!("{}:{line}: {message}", self.path)
    }
}

/// All `.rs` files below the given folders, sorted by path.
pub fn read_all(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        read_folder(root, folder, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn read_folder(root: &Path, folder: &str, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("a folder can be listed");
        let name = entry.file_name().into_string().expect("file names are text");
        let path = format!("{folder}/{name}");
        if entry.file_type().expect("a file has a type").is_dir() {
            if name != "target" && name != "fixtures" && name != "corpus" && !name.starts_with('.') {
                read_folder(root, &path, found);
            }
        } else if name.ends_with(".rs") {
            let bytes = fs::read(entry.path()).unwrap_or_else(|error| panic!("{path}: {error}"));
            found.push(Source::new(&path, &String::from_utf8_lossy(&bytes)));
        }
    }
}

/// Split a text into tokens. Numbers are words. A lifetime is a mark and a word. `::` is one mark; every
/// other mark is one character. A literal keeps its quotes.
pub fn lex(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let (kind, end) = token_at(bytes, at);
        let part = String::from_utf8_lossy(&bytes[at..end]).into_owned();
        let newlines = part.matches('\n').count();
        if !part.trim().is_empty() {
            tokens.push(Token { kind, text: part, line });
        }
        line += newlines;
        at = end;
    }
    tokens
}

fn token_at(bytes: &[u8], at: usize) -> (Kind, usize) {
    let rest = &bytes[at..];
    let find = |from: usize, what: &[u8]| {
        let found = rest[from..].windows(what.len()).position(|window| window == what);
        found.map_or(bytes.len(), |i| at + from + i + what.len())
    };
    if rest.starts_with(b"//") {
        let newline = rest.iter().position(|&byte| byte == b'\n');
        return (Kind::Comment, newline.map_or(bytes.len(), |i| at + i));
    }
    if rest.starts_with(b"/*") {
        return (Kind::Comment, at + block_comment_len(rest));
    }
    let prefix = rest.iter().take_while(|byte| matches!(byte, b'b' | b'c' | b'r')).count();
    let raw = prefix > 0 && rest[prefix - 1] == b'r';
    let hashes = rest[prefix..].iter().take_while(|&&byte| byte == b'#').count();
    if raw && prefix <= 2 && rest.get(prefix + hashes) == Some(&b'"') {
        let close = [&b"\""[..], &vec![b'#'; hashes]].concat();
        return (Kind::Literal, find(prefix + hashes + 1, &close));
    }
    if raw && prefix == 1 && hashes == 1 {
        return (Kind::Word, at + 2 + word_len(&rest[2..]));
    }
    if prefix <= 1 && rest.get(prefix) == Some(&b'"') {
        return (Kind::Literal, at + quoted_len(rest, prefix, b'"'));
    }
    if prefix <= 1 && rest.get(prefix) == Some(&b'\'') && is_character(&rest[prefix..]) {
        return (Kind::Literal, at + quoted_len(rest, prefix, b'\''));
    }
    match word_len(rest) {
        0 if rest.starts_with(b"::") => (Kind::Mark, at + 2),
        0 => (Kind::Mark, at + 1),
        len => (Kind::Word, at + len),
    }
}

fn word_len(rest: &[u8]) -> usize {
    rest.iter().take_while(|&&byte| byte == b'_' || byte >= 0x80 || byte.is_ascii_alphanumeric()).count()
}

fn block_comment_len(rest: &[u8]) -> usize {
    let (mut depth, mut i) = (0, 0);
    while i < rest.len() {
        if rest[i..].starts_with(b"/*") {
            (depth, i) = (depth + 1, i + 2);
        } else if rest[i..].starts_with(b"*/") {
            (depth, i) = (depth - 1, i + 2);
            if depth == 0 {
                break;
            }
        } else {
            i += 1;
        }
    }
    i
}

/// The length of a literal that opens with `quote` at `from` and may hold escapes.
fn quoted_len(rest: &[u8], from: usize, quote: u8) -> usize {
    let mut i = from + 1;
    while i < rest.len() && rest[i] != quote {
        i += if rest[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(rest.len())
}

/// Does a character literal begin here, and not a lifetime?
fn is_character(rest: &[u8]) -> bool {
    match rest.get(1) {
        Some(b'\\') => true,
        Some(&first) => {
            let len = match first {
                0..0x80 => 1,
                0x80..0xE0 => 2,
                0xE0..0xF0 => 3,
                _ => 4,
            };
            rest.get(1 + len) == Some(&b'\'')
        }
        None => false,
    }
}
