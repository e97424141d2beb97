//! The stores that are measured, each behind the same small face.
//!
//! Timed loops are generic over [`Store`], so that no store pays for a virtual call. A new store is one more
//! file here and one more line in [`visit_all`]. Those that keep their data in files are in `disk`.

mod blart;
mod btreemap;
#[cfg(unix)]
pub mod disk;
mod holt;
mod seek;
#[cfg(feature = "spinney")]
mod spinney;
mod versions;

pub use versions::version;

use crate::options::Options;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// The delimiter of paths.
pub const DELIMITER: u8 = b'/';

/// Where a store lives.
#[derive(Clone, Copy)]
pub enum Place {
    /// In memory, and about this many bytes of keys and values are to come.
    Memory { raw_bytes: usize },
}

/// One thing that a listing finds.
#[derive(Clone, Copy)]
pub enum Child<'a> {
    Key(&'a [u8]),
    Prefix(&'a [u8]),
}

/// What a store says about its own form.
#[derive(Clone, Copy, Default, Debug)]
pub struct Shape {
    /// Bytes that hold the data; where a store cannot say, the allocator is asked.
    pub bytes: Option<u64>,
    /// Used share of its blobs.
    pub fill: Option<f64>,
    /// Blobs below the root on the way to the deepest key.
    pub hops: Option<f64>,
    /// Blobs from the root to a blob, both counted, on the average of all blobs that hold keys.
    pub depth: Option<f64>,
}

/// A store. Whatever it answers is verified by the caller.
pub trait Store: Sized + Send + Sync + 'static {
    const NAME: &'static str;

    /// The form that several threads use at once.
    type Shared<'a>: Shared
    where
        Self: 'a;

    fn open(place: Place) -> Result<Self>;

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Replaces the value of a key that is there by one of the same length.
    fn overwrite(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.put(key, value)
    }

    /// Whether the key was there.
    fn remove(&mut self, key: &[u8]) -> Result<bool>;

    /// The ordinary get, whatever it gives: `see` looks at the value.
    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>;

    /// Get into a buffer that the caller keeps.
    fn get_into(&self, key: &[u8], buffer: &mut Vec<u8>) -> Result<bool>;

    /// The values of several keys: one key after the other, unless the store knows better.
    fn get_many(&self, keys: &[&[u8]], mut see: impl FnMut(usize, &[u8])) -> Result<()> {
        for (place, key) in keys.iter().enumerate() {
            self.get(key, |value| see(place, value))?;
        }
        Ok(())
    }

    /// Every entry in order, in the cheapest form the store has.
    fn scan(&self, see: impl FnMut(&[u8], &[u8])) -> Result<()>;

    /// Every entry in order, each key and value owned.
    fn scan_owned(&self, see: impl FnMut(Vec<u8>, &[u8])) -> Result<()>;

    /// One level below `prefix`, in the cheapest form that walks the tree.
    fn list(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()>;

    /// One level below `prefix`, each name owned.
    fn list_owned(&self, prefix: &[u8], see: impl FnMut(Child<'_>)) -> Result<()>;

    /// One level below `prefix`, `limit` names at most, which the store may answer from a cache of
    /// earlier listings.
    fn list_cached(&self, prefix: &[u8], limit: usize, see: impl FnMut(Child<'_>)) -> Result<()> {
        let _ = limit;
        self.list(prefix, see)
    }

    /// The first `limit` keys above `after`, whatever their directories, in the cheapest form.
    fn page(&self, after: &[u8], limit: usize, see: impl FnMut(&[u8])) -> Result<()>;

    /// Lends the store to several threads.
    fn share(&mut self) -> Self::Shared<'_>;

    fn shape(&self) -> Result<Shape>;
}

/// A store that several threads read and write at once.
pub trait Shared: Sync {
    fn put(&self, key: &[u8], value: &[u8]) -> Result<()>;
    fn get<R>(&self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>;
}

/// Something to do with each kind of store. A trait, because no closure can be generic.
pub trait Visitor {
    fn visit<S: Store>(&mut self);
}

/// Shows the visitor every store that the options choose, in the order of the columns.
pub fn visit_all(options: &Options, visitor: &mut impl Visitor) {
    fn visit<S: Store>(options: &Options, visitor: &mut impl Visitor) {
        if options.wants_store(S::NAME) {
            visitor.visit::<S>();
        }
    }
    #[cfg(feature = "spinney")]
    visit::<spinney::Spinney>(options, visitor);
    visit::<holt::Holt>(options, visitor);
    visit::<btreemap::Btree>(options, visitor);
    visit::<blart::Art>(options, visitor);
}

/// The names of the stores that the options choose. A name that no store has is an error.
pub fn names(options: &Options) -> Result<Vec<&'static str>> {
    struct Names(Vec<&'static str>);
    impl Visitor for Names {
        fn visit<S: Store>(&mut self) {
            self.0.push(S::NAME);
        }
    }
    let mut names = Names(Vec::new());
    visit_all(&Options::default(), &mut names);
    chosen(options, names.0)
}

/// Those of `all` that the options choose.
fn chosen(options: &Options, all: Vec<&'static str>) -> Result<Vec<&'static str>> {
    if let Some(name) = options.filter.iter().find(|name| !all.contains(&name.as_str())) {
        return Err(format!("no store {name} here; there are {}", all.join(" ")).into());
    }
    Ok(all.into_iter().filter(|name| options.wants_store(name)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_is_not_there_is_an_error() {
        let named = |names: &[&str]| {
            let filter = names.iter().map(|&name| name.to_owned()).collect();
            names_of(&Options { filter, ..Options::default() })
        };
        fn names_of(options: &Options) -> std::result::Result<Vec<&'static str>, String> {
            chosen(options, vec!["a", "b"]).map_err(|error| error.to_string())
        }
        assert_eq!(named(&[]), Ok(vec!["a", "b"]));
        assert_eq!(named(&["b"]), Ok(vec!["b"]));
        assert_eq!(named(&["b", "c"]), Err("no store c here; there are a b".to_owned()));
    }
}
