//! The document: blocks that are made, between two comments each, and what people wrote around them.

#![forbid(unsafe_code)]

use crate::stores::Result;

/// What stands before and behind a block.
pub fn marks(block: &str) -> (String, String) {
    (format!("<!-- scripts/bench makes what follows: {block} -->"), format!("<!-- end of {block} -->"))
}

/// The same document with another block.
pub fn replace(text: &str, block: &str, made: &str) -> Result<String> {
    let (begin, end) = marks(block);
    let missing = || format!("the document has no place for {block}: {begin} and {end}");
    let (above, rest) = text.split_once(&begin).ok_or_else(missing)?;
    let (_, below) = rest.split_once(&end).ok_or_else(missing)?;
    Ok(format!("{above}{begin}\n\n{made}\n\n{end}{below}"))
}

/// A document of empty blocks, each below its heading.
pub fn new(blocks: &[(&str, &str)]) -> String {
    let mut text = String::from("# Benchmarks\n");
    for (block, heading) in blocks {
        let (begin, end) = marks(block);
        text.push_str(&format!("\n## {heading}\n\n{begin}\n{end}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_made_again_and_again() {
        let empty = new(&[("a", "First"), ("b", "Second")]);
        let once = replace(&empty, "b", "made").unwrap();
        assert!(once.contains("## First") && once.contains("\n\nmade\n\n"));
        assert_eq!(replace(&once, "b", "made").unwrap(), once);
        let twice = replace(&once, "b", "other").unwrap();
        assert!(twice.contains("other") && !twice.contains("made\n"));
        assert!(replace(&once, "c", "made").unwrap_err().to_string().contains("no place for c"));
    }
}
