//! What goes to stdout: for people, for other programs (`--json`), in colours only on a terminal.
//!
//! Invariant: nothing is lost without notice; a failed write ends the command.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io::{BufWriter, IsTerminal, Stdout, Write};
use std::os::unix::ffi::OsStrExt;

use serde_json::{Map, Value, json};

use crate::base64;
use crate::failure::{Failure, Result};
use crate::text;

/// How to answer; the same for all commands.
#[derive(clap::Args, Clone, Copy)]
pub struct Style {
    /// Answer in JSON: one object, or one for each line
    #[arg(long, global = true)]
    pub json: bool,
    /// Keys are given and shown with the escapes \n \r \t \\ \xNN, so that any bytes can be named
    #[arg(long, global = true)]
    pub escaped: bool,
}

/// See the head of this file.
pub struct Output {
    stdout: BufWriter<Stdout>,
    style: Style,
    pub is_terminal: bool,
    has_colours: bool,
}

impl Output {
    pub fn new(style: Style) -> Self {
        let stdout = std::io::stdout();
        let is_terminal = stdout.is_terminal();
        let stdout = BufWriter::with_capacity(64 << 10, stdout);
        Output { stdout, style, is_terminal, has_colours: is_terminal && wants_colours() }
    }

    pub fn is_json(&self) -> bool {
        self.style.json
    }

    /// The key that an argument names.
    pub fn key(&self, argument: &OsStr) -> Result<Vec<u8>> {
        let bytes = argument.as_bytes();
        if !self.style.escaped {
            return Ok(bytes.to_vec());
        }
        text::unescape(bytes).ok_or_else(|| {
            let shown = argument.to_string_lossy();
            Failure::Usage(format!("{shown:?} has an escape that is none of \\n \\r \\t \\\\ \\xNN"))
        })
    }

    /// A key as it is shown: as it is, but with escapes where they were wanted, and on a terminal for what
    /// would disturb it.
    pub fn name<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        let disturbs = |text: &str| text.chars().any(char::is_control);
        let is_plain = std::str::from_utf8(key).is_ok_and(|text| !disturbs(text));
        if self.style.escaped || (self.is_terminal && !is_plain) {
            Cow::Owned(text::escape(key).into_bytes())
        } else {
            Cow::Borrowed(key)
        }
    }

    /// A directory's name, which is blue where there are colours.
    pub fn directory<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        let name = self.name(key);
        if self.has_colours { Cow::Owned([b"\x1b[1;34m", &*name, b"\x1b[0m"].concat()) } else { name }
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stdout.write_all(bytes)?)
    }

    pub fn line(&mut self, line: impl AsRef<[u8]>) -> Result<()> {
        self.stdout.write_all(line.as_ref())?;
        Ok(self.stdout.write_all(b"\n")?)
    }

    pub fn json(&mut self, value: &Value) -> Result<()> {
        serde_json::to_writer(&mut self.stdout, value)?;
        self.line("")
    }

    /// One answer, in words or as an object.
    pub fn say(&mut self, text: &str, value: Value) -> Result<()> {
        if self.style.json { self.json(&value) } else { self.line(text) }
    }

    pub fn flush(&mut self) -> Result<()> {
        Ok(self.stdout.flush()?)
    }
}

/// Adds bytes to an object: as text if they are some, else in base64 under a name that says so.
pub fn insert_bytes(object: &mut Map<String, Value>, name: &str, bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.insert(name.to_string(), json!(text)),
        Err(_) => object.insert(format!("{name}_base64"), json!(base64::encode(bytes))),
    };
}

/// An object about a key.
pub fn key_object(name: &str, key: &[u8]) -> Map<String, Value> {
    let mut object = Map::new();
    insert_bytes(&mut object, name, key);
    object
}

/// See <https://no-color.org>.
fn wants_colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The failure of a command, on stderr.
pub fn complain(message: &str) {
    let stderr = std::io::stderr();
    let is_red = stderr.is_terminal() && wants_colours();
    let (red, plain) = if is_red { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    // One line, whatever a file name or a key brings; if stderr is closed there is nobody to tell.
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let _ = writeln!(stderr.lock(), "{red}spinney:{plain} {message}");
}
