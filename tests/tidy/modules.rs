//! The tidy rules that look at more than one file: who may import whom, and which files are alive.

#![forbid(unsafe_code)]

use crate::source::Source;
use std::collections::BTreeSet;

/// What each module below the face may import. A file directly in `src/`, or one in `src/bin/`, is the face
/// unless it is named here; the face may import anything but `wasm`, and `wasm` anything.
const LAYERS: &[(&str, &[&str])] = &[
    ("sync", &[]),
    ("hash", &[]),
    ("error", &[]),
    ("limits", &[]),
    ("blob", &["error", "hash", "sync"]),
    ("art", &["blob", "error"]),
    ("backend", &["error", "sync"]),
    ("log", &["backend", "error", "hash", "sync"]),
    ("store", &["backend", "blob", "error", "hash", "limits", "log", "sync"]),
    ("forest", &["art", "backend", "blob", "error", "limits", "log", "store"]),
];

/// The layers see the trait and its types, never one of these. Their unit tests may.
const BACKENDS: &[&str] = &["MemoryBackend", "FileBackend", "FaultBackend", "OpfsBackend", "HttpBackend"];

/// The module path of a file in `src/`: `src/art/find.rs` is `[art, find]`.
pub fn module_path(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_string).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

/// Imports point one way.
pub fn imports(source: &Source) -> Vec<String> {
    let Some(inner) = source.path.strip_prefix("src/") else {
        return Vec::new();
    };
    let own = module_path(&source.path);
    let module = own.first().map_or("lib", String::as_str);
    let layer = LAYERS.iter().find(|(name, _)| *name == module);
    let is_face = layer.is_none() && (!inner.contains('/') || module == "bin");
    let mut complaints = Vec::new();
    if layer.is_none() && !is_face && module != "wasm" {
        complaints.push(source.complaint(1, &format!("no import rule for `{module}`: add it to LAYERS")));
    }
    for (target, line) in crate_references(source, &own) {
        let allowed = match layer {
            _ if target == module || module == "wasm" => true,
            Some((_, targets)) => targets.contains(&target.as_str()),
            None => target != "wasm",
        };
        if !allowed {
            complaints.push(source.complaint(line, &format!("`{module}` must not import `crate::{target}`")));
        }
    }
    complaints
}

/// Only `wasm` talks to JavaScript; only the face names a backend.
pub fn foreign_names(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let module = module_path(&source.path).first().cloned().unwrap_or_default();
    let in_layer = module != "backend" && LAYERS.iter().any(|(name, _)| *name == module);
    let tests = test_lines(source);
    let mut complaints = Vec::new();
    for token in &source.code {
        let text = token.text.as_str();
        if module != "wasm" && matches!(text, "wasm_bindgen" | "js_sys" | "web_sys") {
            complaints.push(source.complaint(token.line, &format!("only src/wasm may name `{text}`")));
        }
        let in_test = tests.iter().any(|lines| lines.contains(&token.line));
        if in_layer && !in_test && BACKENDS.contains(&text) {
            complaints.push(source.complaint(token.line, &format!("`{module}` must not name `{text}`")));
        }
    }
    complaints
}

/// The lines of `#[cfg(test)]` items; all lines of a file that holds only tests.
pub fn test_lines(source: &Source) -> Vec<std::ops::RangeInclusive<usize>> {
    if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
        return vec![0..=usize::MAX];
    }
    let mut found = Vec::new();
    for at in 0..source.code.len() {
        let is_test = source.spells(at, &["#", "[", "cfg", "(", "test", ")", "]"])
            || source.spells(at, &["#", "[", "cfg", "(", "all", "(", "test", ","]);
        if is_test {
            let body = (at..source.code.len()).find(|&i| source.is(i, "{") || source.is(i, ";"));
            if let Some(open) = body.filter(|&i| source.is(i, "{")) {
                found.push(source.code[at].line..=source.code[source.closing(open)].line);
            }
        }
    }
    found
}

/// Every name that follows the crate's root in a path, with its line: `crate::x`, `crate::{x, y::z}` and
/// chains of `super` that climb to the root.
fn crate_references(source: &Source, own: &[String]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut inline = Vec::new();
    for at in 0..source.code.len() {
        if source.is(at, "{") {
            inline.push(at >= 2 && source.is(at - 2, "mod"));
        } else if source.is(at, "}") {
            inline.pop();
        }
        let supers = (at..).step_by(2).take_while(|&i| source.spells(i, &["super", "::"])).count();
        let depth = own.len() + inline.iter().filter(|is_module| **is_module).count();
        let inside =
            at > 0 && source.is(at - 1, "::") && !source.spells(at.saturating_sub(2), &["self", "::"]);
        if source.spells(at, &["crate", "::"]) {
            names(source, at + 2, &mut found);
        } else if supers > 0 && supers >= depth && !inside {
            names(source, at + 2 * supers, &mut found);
        }
    }
    found
}

/// The first name of a path, or of each path in a group.
fn names(source: &Source, at: usize, found: &mut Vec<(String, usize)>) {
    if !source.is(at, "{") {
        if let Some(token) = source.code.get(at) {
            found.push((token.text.clone(), token.line));
        }
        return;
    }
    let end = source.closing(at);
    let mut i = at + 1;
    while i < end {
        if !source.is(i, "self") {
            found.push((source.code[i].text.clone(), source.code[i].line));
        }
        while i < end && !source.is(i, ",") {
            i = if source.is(i, "{") { source.closing(i) } else { i } + 1;
        }
        i += 1;
    }
}

/// Every file is reached from a crate root by `mod` or `include!`. `manifests` pairs the folder of each
/// package ("" or "benches/") with the text of its `Cargo.toml`.
pub fn dead_files(sources: &[Source], manifests: &[(String, String)]) -> Vec<String> {
    let mut live: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<&Source> = sources.iter().filter(|source| is_root(&source.path, manifests)).collect();
    while let Some(source) = open.pop() {
        if live.insert(source.path.clone()) {
            let children = children(source, is_root(&source.path, manifests));
            open.extend(sources.iter().filter(|other| children.contains(&other.path)));
        }
    }
    let dead = sources.iter().filter(|source| !live.contains(&source.path));
    dead.map(|source| source.complaint(1, "no `mod` leads to this file")).collect()
}

fn is_root(path: &str, manifests: &[(String, String)]) -> bool {
    manifests.iter().any(|(folder, manifest)| {
        let Some(inner) = path.strip_prefix(folder.as_str()) else {
            return false;
        };
        let parts: Vec<&str> = inner.split('/').collect();
        match parts[..] {
            ["build.rs"] | ["src", "lib.rs" | "main.rs"] => true,
            ["src", "bin", _] | ["src", "bin", _, "main.rs"] => true,
            ["tests" | "examples" | "benches", _] => true,
            ["tests" | "examples" | "benches", _, "main.rs"] => true,
            _ => manifest.contains(&format!("path = \"{inner}\"")),
        }
    })
}

/// The paths at which the modules that this file declares may lie.
fn children(source: &Source, is_root: bool) -> Vec<String> {
    let (folder, file) = source.path.rsplit_once('/').unwrap_or(("", &source.path));
    let below = match file {
        "mod.rs" => folder.to_string(),
        _ if is_root => folder.to_string(),
        _ => source.path.trim_end_matches(".rs").to_string(),
    };
    let mut found = Vec::new();
    let mut scopes: Vec<Option<&str>> = Vec::new();
    for at in 0..source.code.len() {
        if source.is(at, "{") {
            scopes.push(if at >= 2 && source.is(at - 2, "mod") { source.word(at - 1) } else { None });
        } else if source.is(at, "}") {
            scopes.pop();
        } else if source.spells(at, &["path", "="]) && at >= 1 && source.is(at - 1, "[") {
            found.extend(source.literal(at + 2).map(|path| normal(&format!("{folder}/{path}"))));
        } else if source.spells(at, &["include", "!", "("]) {
            found.extend(source.literal(at + 3).map(|path| normal(&format!("{folder}/{path}"))));
        } else if source.is(at, "mod") && source.is(at + 2, ";") {
            let scope: String = scopes.iter().flatten().map(|name| format!("/{name}")).collect();
            let name = source.word(at + 1).unwrap_or_default();
            found.push(format!("{below}{scope}/{name}.rs"));
            found.push(format!("{below}{scope}/{name}/mod.rs"));
        }
    }
    found
}

/// A path without its `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
