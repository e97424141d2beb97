//! Objects as JSON: for what leaves seldom.

use std::fmt::Write;

/// An object that is being written.
pub(super) struct Object {
    text: String,
}

impl Object {
    pub(super) fn new() -> Self {
        Object { text: String::from("{") }
    }

    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        push_quoted(&mut self.text, name);
        self.text.push(':');
    }

    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        self.name(name);
        push_quoted(&mut self.text, text);
        self
    }

    /// A number. Fractions are left to JavaScript: to format them takes 20 KB of code.
    pub(super) fn number(self, name: &str, number: impl Into<u64>) -> Self {
        self.raw(name, &number.into().to_string())
    }

    pub(super) fn boolean(self, name: &str, is_so: bool) -> Self {
        self.raw(name, if is_so { "true" } else { "false" })
    }

    /// What is JSON already.
    pub(super) fn raw(mut self, name: &str, json: &str) -> Self {
        self.name(name);
        self.text.push_str(json);
        self
    }

    pub(super) fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

fn push_quoted(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            '\0'..='\x1F' => {
                let written = write!(json, "\\u{:04x}", u32::from(c));
                debug_assert!(written.is_ok(), "a String takes everything");
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}
