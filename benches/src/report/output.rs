//! Where the words and where the JSON lines go.

#![forbid(unsafe_code)]

use std::io::Write as _;

/// Where the words and where the JSON lines go.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Words for people.
    pub fn say(&self, text: &str) {
        if self.json {
            eprintln!("{text}");
        } else {
            // A closed pipe is no reason to panic.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }

    /// Lines for programs.
    pub fn lines(&self, json: &str) {
        if self.json {
            // A run whose lines are lost has measured nothing.
            if let Err(error) = std::io::stdout().write_all(json.as_bytes()) {
                eprintln!("the lines cannot be written: {error}");
                std::process::exit(1);
            }
        }
    }
}
