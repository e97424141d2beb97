//! Prints the keys themselves, for a look at them or for other programs.

#![forbid(unsafe_code)]

use super::{Case, Verdict, families};
use crate::keys::Family;
use crate::options::Options;
use crate::stores::Result;
use std::io::{self, BufWriter, Write};

pub const CASE: Case = Case {
    name: "keys",
    about: "print the keys themselves, sorted, one a line (objects; 20000 of them)",
    takes: &["--keys", "--families", "--paths", "--seed"],
    run,
};

/// Keys of a family, where the command line names no size.
const SIZES: &[usize] = &[20_000];

fn run(options: &Options) -> Result<Verdict> {
    let mut out = BufWriter::new(io::stdout().lock());
    families::each(options, SIZES, |family| {
        // Bytes that are no text are printed only when they are asked for.
        if family.is_paths || !options.families.is_empty() {
            print(&family, &mut out)?;
        }
        Ok(())
    })?;
    out.flush()?;
    Ok(Verdict::Right)
}

/// Paths as they are, other keys in hexadecimal digits.
fn print(family: &Family, out: &mut impl Write) -> io::Result<()> {
    for key in family.sorted.iter() {
        if family.is_paths {
            out.write_all(key)?;
        } else {
            key.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
        }
        out.write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(family: &Family) -> Vec<String> {
        let mut out = Vec::new();
        print(family, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_key_is_one_line() {
        let objects = Family::objects(30, 1);
        let lines = printed(&objects);
        assert!(lines.iter().map(String::as_bytes).eq(objects.sorted.iter()));
        let lines = printed(&Family::random32(30, 1));
        assert!(lines.len() == 30 && lines.iter().all(|line| line.len() == 64));
    }
}
