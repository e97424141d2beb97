//! Several threads in one database, each in trees of its own: what one does must not show in another,
//! though their trees lie in the same blobs.

#![forbid(unsafe_code)]

use std::sync::Mutex;

use spinney::Db;

use crate::Crowd;
use crate::common::world::{Trees, World};

const OWNERS: [Trees; 3] =
    [&[("a", 95), ("d", 5)], &[("b", 90), ("e", 10)], &[("c", 60), ("aa", 38), ("f", 2)]];

#[test]
fn everyone_finds_in_its_own_trees_what_it_wrote() {
    let db = Db::memory();
    let worlds: Vec<Mutex<World>> =
        OWNERS.iter().zip(100..).map(|(trees, seed)| Mutex::new(World::beside(&db, seed, trees))).collect();
    let work = |world: &Mutex<World>, crowd: &Crowd| {
        let mut world = world.lock().expect("nobody else has it");
        let mut steps = 0;
        while crowd.goes_on() {
            world.step();
            steps += 1;
            if steps % 2_000 == 0 {
                world.verify();
            }
        }
    };
    Crowd::run(worlds.iter().map(|world| Box::new(move |crowd: &Crowd| work(world, crowd)) as _).collect());
    let mut keys = 0;
    for world in &worlds {
        let mut world = world.lock().expect("all have ended well");
        world.verify();
        keys += world.keys();
    }
    let (stats, report) = (db.stats(), db.check().expect("checks"));
    assert!(report.is_clean(), "{:?}", report.problems);
    assert_eq!(stats.keys, keys);
    eprintln!("own: {stats:?}");
}
