//! Images: round trips, damage, hostile bytes, and the bytes of the format themselves.
//!
//! * `damage`: every flipped bit, cut and misplaced page is an error that names its blob and page.
//! * `hostile`: damage under good checksums gives errors or answers, never a panic and never a hang.
//! * `long`: the same of files made of long values and what is left of them.
//! * `golden`: an image that this version of the format once was still opens, and is still written so.
//!
//! `SPINNEY_IMAGE_BIT_STEP` (11; 1 is every bit) sets which bits of a page are flipped, and
//! `SPINNEY_IMAGE_HOSTILE` (2,000) how many hostile images are tried, `SPINNEY_IMAGE_FIRST` which seed comes
//! first. `SPINNEY_FIXTURES=write` writes the golden files.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

mod common;
#[path = "image/damage.rs"]
mod damage;
#[path = "image/golden.rs"]
mod golden;
#[path = "image/hostile.rs"]
mod hostile;
#[path = "image/long.rs"]
mod long;
#[path = "image/samples.rs"]
mod samples;

use common::in_parallel;
use common::world::World;

#[test]
fn equal_work_gives_equal_bytes_and_a_copy_goes_on_like_its_original() {
    in_parallel("seed", 0..6, |seed| {
        let (mut one, mut two, mut moving) = (World::new(seed), World::new(seed), World::new(seed));
        for step in 1..=30_000 {
            for world in [&mut one, &mut two, &mut moving] {
                world.step();
            }
            if step % 10_000 == 0 {
                let image = one.db.image().expect("writes");
                assert!(image == two.db.image().expect("writes"), "seed {seed}, operation {step}");
                assert!(image == moving.reopen(), "seed {seed}, operation {step}: after a copy");
            }
        }
        one.verify();
        moving.verify();
    });
}
