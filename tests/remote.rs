//! Databases that are read from somewhere else: every answer is that of the database itself, whatever arrives
//! when; and how many trips and bytes it takes.

#![forbid(unsafe_code)]
#![cfg(not(target_arch = "wasm32"))]

#[path = "remote/shop.rs"]
mod shop;

use spinney::{Db, Entry, Error, Tree};

use shop::{Catalog, Shop};

type Answer = Vec<(Vec<u8>, Option<Vec<u8>>)>;

fn listed(entries: impl Iterator<Item = spinney::Result<Entry>>) -> spinney::Result<Answer> {
    let pair = |entry: Entry| match entry {
        Entry::Key { key, value, .. } => (key, Some(value.to_vec())),
        Entry::Prefix(prefix) => (prefix, None),
    };
    entries.map(|entry| entry.map(pair)).collect()
}

/// All kinds of reads, each with a name; made again and again until all is there.
fn reads(tree: &Tree, prefix: &str) -> Vec<(&'static str, spinney::Result<String>)> {
    let told = |answer: spinney::Result<Answer>| answer.map(|answer| format!("{answer:?}"));
    let pairs = |scan: spinney::Scan| {
        let pairs: spinney::Result<Answer> =
            scan.map(|pair| pair.map(|(k, v)| (k, Some(v.to_vec())))).collect();
        told(pairs)
    };
    let key = format!("{prefix}f00003");
    let many: Vec<String> = (0..40).map(|number| format!("{prefix}f{:05}", number * 7)).collect();
    vec![
        ("get", tree.get(&key).map(|value| format!("{value:?}"))),
        ("miss", tree.get(format!("{prefix}nothing")).map(|value| format!("{value:?}"))),
        ("get_many", tree.get_many(&many).map(|values| format!("{values:?}"))),
        ("list", told(listed(tree.list(prefix)))),
        ("list backwards", told(listed(tree.list(prefix).rev()))),
        ("list a page", told(listed(tree.list(prefix).start_after(&key).limit(5)))),
        ("scan", pairs(tree.scan(prefix))),
        ("scan a page", pairs(tree.scan(prefix).start_after(&key).limit(5))),
        ("count", tree.count(prefix).map(|count| count.to_string())),
        ("last", tree.scan(prefix).next_back().transpose().map(|last| format!("{last:?}"))),
        ("longest", tree.longest_prefix(format!("{key}/behind/it")).map(|found| format!("{found:?}"))),
    ]
}

#[test]
fn all_answers_are_those_of_the_database_itself() {
    for catalog in [Catalog::packed(60_000), Catalog::scattered(20_000), Catalog::packed(40)] {
        let (db, shop) = (catalog.open(), Shop::new(&catalog.image));
        let tree = db.tree("files").expect("it is there");
        let far = shop.run(|| shop.open()).expect("sound");
        let far_tree = shop.run(|| far.tree("files")).expect("it is there");
        assert_eq!(shop.run(|| far.trees()).expect("sound"), db.trees().expect("sound"));
        for prefix in ["", "d003/", "d017/s1/", "d019/s2/", "none/"] {
            for (at, (what, expected)) in reads(&tree, prefix).into_iter().enumerate() {
                let found = shop.run(|| reads_one(&far_tree, prefix, at));
                assert_eq!(found.expect("sound"), expected.expect("sound"), "{what} {prefix}");
            }
        }
    }
}

fn reads_one(tree: &Tree, prefix: &str, at: usize) -> spinney::Result<String> {
    reads(tree, prefix).swap_remove(at).1
}

#[test]
fn a_directory_takes_few_trips_and_bytes() {
    let catalog = Catalog::packed(200_000);
    let shop = Shop::new(&catalog.image);
    let far = shop.run(|| shop.open()).expect("sound");
    let opened = shop.spent();
    let files = shop.run(|| far.tree("files")).expect("it is there");
    let children = shop.run(|| listed(files.list(catalog.directory(10, 0).as_str()))).expect("sound").len();
    let listed_one = shop.spent();
    shop.run(|| listed(files.list(catalog.directory(10, 1).as_str()))).expect("sound");
    let listed_two = shop.spent();
    println!(
        "{children} children; opened {opened:?}, listed {listed_one:?}, and its neighbour {listed_two:?}"
    );
    assert!(opened.trips <= 2 && opened.bytes <= 150_000, "{opened:?}");
    assert!(listed_one.trips <= 5 && listed_one.bytes < 300_000, "{listed_one:?}");
    assert!(listed_two.trips <= listed_one.trips + 2, "{listed_two:?}");
}

#[test]
fn a_small_cache_comes_to_an_end_as_well() {
    let catalog = Catalog::packed(60_000);
    let shop = Shop::new(&catalog.image);
    let open = || Db::builder().cache_bytes(256 << 10).open_backend(shop.backend.clone());
    let far = shop.run(open).expect("sound");
    let files = shop.run(|| far.tree("files")).expect("it is there");
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let last = found.last().cloned();
        let scan = || last.iter().fold(files.scan(""), |scan, last| scan.start_after(last)).limit(500).keys();
        let page: Vec<Vec<u8>> = shop.run(|| scan().collect()).expect("sound");
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found.len(), 60_000);
}

#[test]
fn long_values_come_in_parts_from_anywhere() {
    let db = Db::memory();
    let (files, long) = (db.tree("files").expect("a name"), vec![7; 3_000_000]);
    files.put("a", "short").expect("memory");
    files.put("video", &long).expect("memory");
    let image = db.image().expect("memory");
    let shop = Shop::new(&image);
    let far = shop.run(|| shop.open()).expect("sound");
    let far = shop.run(|| far.tree("files")).expect("it is there");
    let value = shop.run(|| far.get("video")).expect("sound").expect("it is there");
    assert!(value[..] == long[..]);
    let pairs = shop.run(|| far.scan("").collect::<spinney::Result<Vec<_>>>()).expect("sound");
    assert!(pairs.len() == 2 && pairs[1].1[..] == long[..]);
}

#[test]
fn what_is_no_published_database_is_refused() {
    let catalog = Catalog::packed(1000);
    let refused = |image: &[u8]| {
        let shop = Shop::new(image);
        shop.run(|| shop.open()).map(drop).expect_err("it is none")
    };
    let with = |at: usize, change: u8| {
        let mut image = catalog.image.clone();
        image[at] ^= change;
        image
    };
    assert!(matches!(refused(&[0; 1 << 20]), Error::NotSpinney { .. }));
    assert!(matches!(refused(&catalog.image[..300_000]), Error::NotSpinney { .. }));
    assert!(matches!(refused(&catalog.image[..1 << 19]), Error::Truncated { .. }));
    for at in [9, 4096 + 9, 2 * 4096 + 9] {
        assert!(matches!(refused(&with(at, 1)), Error::Corrupt { blob: 0, .. }), "byte {at}");
    }
    assert!(matches!(refused(&with((1 << 19) + 100, 1)), Error::Corrupt { blob: 1, .. }));
    let db = catalog.open();
    let error = db.tree("files").expect("there").put("a", "b").map(drop);
    assert!(error.is_ok(), "the copy in memory can be written");
    let shop = Shop::new(&catalog.image);
    let far = shop.run(|| shop.open()).expect("sound");
    let files = shop.run(|| far.tree("files")).expect("there");
    assert!(matches!(files.put("a", "b"), Err(Error::ReadOnly)));
    assert!(matches!(shop.run(|| far.tree("others")), Err(Error::NoSuchTree { .. })));
}

#[test]
fn damage_is_found_where_it_is_read() {
    let catalog = Catalog::packed(20_000);
    let mut image = catalog.image.clone();
    for byte in image[(2 << 19) + 60 * 4096..(3 << 19)].chunks_mut(4096) {
        byte[77] ^= 4;
    }
    let shop = Shop::new(&image);
    let far = shop.run(|| shop.open());
    let scanned = far.and_then(|far| {
        let files = shop.run(|| far.tree("files"))?;
        shop.run(|| files.scan("").try_for_each(|pair| pair.map(drop)))
    });
    assert!(matches!(scanned, Err(Error::Corrupt { blob: 2, .. })), "{scanned:?}");
}
