//! Somewhere else, for tests: brings what is wanted, and counts trips and bytes.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;

use spinney::backend::FetchedBackend;
use spinney::{Db, Error, Result};

/// After so many trips for one call something is asked for again and again.
const TRIPS_MAX: u32 = 1000;

/// What was fetched so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spent {
    pub trips: u32,
    pub requests: u32,
    pub bytes: u64,
}

pub struct Shop<'a> {
    image: &'a [u8],
    pub backend: Arc<FetchedBackend>,
    spent: Cell<Spent>,
}

impl<'a> Shop<'a> {
    pub fn new(image: &'a [u8]) -> Self {
        let backend = Arc::new(FetchedBackend::new(image.len() as u64));
        Shop { image, backend, spent: Cell::default() }
    }

    pub fn open(&self) -> Result<Db> {
        Db::builder().open_backend(self.backend.clone())
    }

    pub fn spent(&self) -> Spent {
        self.spent.get()
    }

    /// Makes a call until nothing is missing.
    pub fn run<T>(&self, mut call: impl FnMut() -> Result<T>) -> Result<T> {
        for _ in 0..TRIPS_MAX {
            match call() {
                Err(Error::NotFetched) => self.fetch(),
                answer => return answer,
            }
        }
        panic!("it does not come to an end");
    }

    fn fetch(&self) {
        let mut spent = self.spent.get();
        spent.trips += 1;
        let wanted = self.backend.take_wanted();
        assert!(!wanted.is_empty(), "nothing is wanted");
        if std::env::var_os("SPINNEY_SHOW_TRIPS").is_some() {
            let run = |range: &std::ops::Range<u64>| {
                (range.start >> 19, (range.start >> 12) & 127, (range.end - range.start) >> 12)
            };
            println!(
                "trip {}: blob, page, pages {:?}",
                spent.trips,
                wanted.iter().map(run).collect::<Vec<_>>()
            );
        }
        for range in wanted {
            spent.requests += 1;
            spent.bytes += range.end - range.start;
            let bytes = &self.image[range.start as usize..range.end as usize];
            self.backend.hand_in(range.start, bytes).expect("pages of it");
        }
        self.spent.set(spent);
    }
}

/// Paths of a made-up catalog, with values as long as those of an index of objects.
pub struct Catalog {
    pub image: Vec<u8>,
    keys: usize,
}

/// Keys of a directory of three.
const KEYS_OF_DIRECTORY: usize = 1000;

fn key(number: usize) -> String {
    let (directory, rest) = (number / (3 * KEYS_OF_DIRECTORY), number % (3 * KEYS_OF_DIRECTORY));
    format!("d{directory:03}/s{}/f{:05}", rest / KEYS_OF_DIRECTORY, rest % KEYS_OF_DIRECTORY)
}

impl Catalog {
    pub fn packed(keys: usize) -> Self {
        let db = Db::memory();
        fill(&db, keys, 1);
        db.compact().expect("memory");
        Catalog { image: db.image().expect("memory"), keys }
    }

    /// Put in an order that scatters leaves, and not packed.
    pub fn scattered(keys: usize) -> Self {
        let db = Db::memory();
        fill(&db, keys, 7919);
        Catalog { image: db.image().expect("memory"), keys }
    }

    pub fn open(&self) -> Db {
        Db::from_image(&self.image).expect("sound")
    }

    /// A directory of 1000 keys in some part of ten.
    pub fn directory(&self, parts: usize, nth: usize) -> String {
        let number = self.keys / parts + nth * KEYS_OF_DIRECTORY;
        let key = key(number);
        key[..key.rfind('/').expect("there is one") + 1].to_string()
    }
}

fn fill(db: &Db, keys: usize, step: usize) {
    let files = db.tree("files").expect("a name");
    for number in 0..keys {
        let number = number * step % keys;
        let value = format!("{:016x}{:016x} size {number}", number * 0x9E37_79B9, number * 0x85EB_CA6B);
        files.put(key(number), value).expect("memory");
    }
    for name in ["owners", "tags"] {
        db.tree(name).expect("a name").put("a", "b").expect("memory");
    }
}
