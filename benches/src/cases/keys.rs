//! Prints the keys themselves, for a look at them or for other programs.

#![forbid(unsafe_code)]

use super::Case;
use crate::keys::Family;
use crate::options::Options;
use crate::stores::Result;
use std::io::{self, BufWriter, Write as _};

pub const CASE: Case = Case { name: "keys", about: "print the keys themselves, sorted, one a line", run };

fn run(options: &Options) -> Result<bool> {
    let mut out = BufWriter::new(io::stdout().lock());
    for &size in &options.keys {
        for key in Family::objects(size, options.seed).sorted.iter() {
            out.write_all(key)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(true)
}
