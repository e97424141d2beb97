//! The data sets of a run: which families, in which sizes.

#![forbid(unsafe_code)]

use crate::keys::{FILES, Family, OBJECTS, RANDOM32};
use crate::options::Options;
use crate::stores::Result;

/// Makes each family that the options choose and hands it over, one after the other: the largest of them
/// would not fit into memory all at once.
pub fn each(
    options: &Options,
    default_sizes: &[usize],
    mut run: impl FnMut(Family) -> Result<()>,
) -> Result<()> {
    let seed = options.seed;
    if let Some(path) = &options.paths {
        let limits: Vec<Option<usize>> = match options.keys.as_slice() {
            [] => vec![None],
            sizes => sizes.iter().copied().map(Some).collect(),
        };
        return limits.into_iter().try_for_each(|limit| run(Family::from_file(path, limit, seed)?));
    }
    let sizes = if options.keys.is_empty() { default_sizes } else { &options.keys };
    if options.wants_family(OBJECTS) {
        sizes.iter().try_for_each(|&size| run(Family::objects(size, seed)))?;
    }
    if options.wants_family(FILES) {
        sizes.iter().try_for_each(|&size| run(Family::files(size, seed)))?;
    }
    if options.wants_family(RANDOM32) {
        sizes.iter().try_for_each(|&size| run(Family::random32(size, seed)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(options: &Options) -> Vec<(&'static str, usize)> {
        let mut made = Vec::new();
        each(options, &[10, 20], |family| {
            made.push((family.name, family.len()));
            Ok(())
        })
        .unwrap();
        made
    }

    #[test]
    fn every_family_comes_in_every_size() {
        let all = [OBJECTS, FILES, RANDOM32].map(|name| [(name, 10), (name, 20)]).concat();
        assert_eq!(made(&Options::default()), all);
    }

    #[test]
    fn the_options_choose() {
        let families = vec![RANDOM32.to_owned()];
        assert_eq!(made(&Options { families, keys: vec![30], ..Options::default() }), [(RANDOM32, 30)]);
    }
}
