//! A copy of the database that is kept up to date by `changes_since`, and compared with it.

#![forbid(unsafe_code)]

use spinney::{Error, Version};

use crate::follower::Follower;
use crate::homes::Home;
use crate::life::Life;

impl Life {
    /// Brings the copy up to date, or makes one.
    pub fn follow(&mut self) {
        self.trace("follow");
        let place = self.world.place();
        if matches!(self.home, Home::Memory) {
            let refused = self.world.db.changes_since(Version::from_number(0)).map(drop);
            return assert!(matches!(refused, Err(Error::NoChanges)), "{place}: {refused:?}");
        }
        self.world.db.sync().expect("syncs");
        let db = &self.world.db;
        let follower = self.follower.get_or_insert_with(|| {
            // What a load brings cannot be told from its prefix here.
            Follower { knows_loads: false, ..Follower::copy_of(db) }
        });
        let before = follower.applied;
        follower.catch_up(db).unwrap_or_else(|error| panic!("{place}: {error}"));
        let has_applied = follower.applied > before;
        // Which is compared with the maps all the time.
        follower.assert_same(db);
        self.world.did("follow");
        if has_applied {
            self.world.did("changes applied");
        }
    }
}
