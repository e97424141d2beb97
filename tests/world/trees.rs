//! Trees that are made, renamed and dropped.

#![forbid(unsafe_code)]

use spinney::Error;

use crate::common::world::Shelf;
use crate::common::{Random, short};
use crate::life::Life;

const TREES_MAX: usize = 7;

fn some_name(random: &mut Random) -> String {
    match random.below(12) {
        0 => "\0".into(),
        1 => "/".into(),
        2 => "\u{e9}t\u{e9}/\u{10FFFF}".into(),
        3 => "n".repeat(255),
        4 => "files".into(),
        5 => "file".into(),
        6 => "z".into(),
        number => format!("tree-{number}"),
    }
}

impl Life {
    pub fn change_trees(&mut self) {
        match self.world.random.below(10) {
            0..=3 => self.make_tree(),
            4 | 5 => self.drop_tree(),
            _ => self.rename_tree(),
        }
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        self.world.shelves.iter().position(|shelf| shelf.name == name)
    }

    pub fn make_tree(&mut self) {
        let name = some_name(&mut self.world.random);
        self.trace(&format!("make {}", short(name.as_bytes())));
        let known = self.place_of(&name);
        if known.is_none() && self.world.shelves.len() >= TREES_MAX {
            return;
        }
        let tree = self.world.db.tree(&name).expect("makes");
        let version = self.world.version;
        let world = &mut self.world;
        world.version = world.db.stats().last_version;
        assert_eq!(world.version, version + u64::from(known.is_none()), "{}", world.place());
        match known {
            // The same tree by another handle.
            Some(at) => world.shelves[at].tree = tree,
            None => {
                assert!(tree.is_empty().expect("reads"), "{}: a new tree", world.place());
                let weight = *world.random.pick(&[2, 10, 40]);
                world.shelves.push(Shelf::empty(&name, tree, weight));
                world.did("make tree");
            }
        }
    }

    pub fn drop_tree(&mut self) {
        let world = &mut self.world;
        if world.random.percent(20) {
            assert!(!world.db.drop_tree("no such tree").expect("reads"), "{}", world.place());
            return;
        }
        // Not the large one, else there would be no large one.
        let at = world.random.below(world.shelves.len());
        if world.shelves.len() < 3 || (world.shelves[at].weight > 50 && world.random.percent(80)) {
            return;
        }
        let shelf = world.shelves.remove(at);
        self.trace(&format!("drop {}", short(shelf.name.as_bytes())));
        let world = &mut self.world;
        assert!(world.db.drop_tree(&shelf.name).expect("drops"), "{}", world.place());
        assert!(shelf.tree.is_empty().expect("reads"), "{}: what was dropped", world.place());
        let version = world.version;
        world.version = world.db.stats().last_version;
        assert!(world.version > version, "{}", world.place());
        world.did("drop_tree");
    }

    pub fn rename_tree(&mut self) {
        let world = &mut self.world;
        let at = world.random.below(world.shelves.len());
        let is_there = world.random.percent(90);
        let from = if is_there { world.shelves[at].name.clone() } else { "no such tree".into() };
        let to = if world.random.percent(10) { from.clone() } else { some_name(&mut world.random) };
        self.trace(&format!("rename tree {} to {}", short(from.as_bytes()), short(to.as_bytes())));
        let taken = self.place_of(&to).is_some() && to != from;
        let renamed = self.world.db.rename_tree(&from, &to);
        let world = &mut self.world;
        let told = format!("{}: rename tree {from} to {to}: {renamed:?}", world.place());
        match renamed {
            Ok(false) => assert!(!is_there, "{told}"),
            Err(Error::TargetExists) => {
                assert!(is_there && taken, "{told}");
                world.refused("rename_tree refused");
            }
            Ok(true) => {
                assert!(is_there && !taken, "{told}");
                world.shelves[at].name = to;
                world.did("rename_tree");
            }
            Err(error) => panic!("{told}: {error}"),
        }
        world.version = world.db.stats().last_version;
    }
}
