//! A log that is torn at its end, which is forgiven, and one that is damaged before something that was known
//! to be durable, which is not.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::{Area, PAGE_BYTES, RING_TOTAL_BYTES};
use spinney::{Db, Durability, Error};

use crate::common::{in_parallel, setting};
use crate::disk::{Disk, Event, Image, Kept};
use crate::options;
use crate::script::{Step, TREE, contents, matches, put, shape_after};

/// What a process has left that died: a log of many groups, the last one with several writes.
struct Left {
    image: Image,
    steps: Vec<Step>,
    groups: Vec<Group>,
}

/// Where a group lies in the log area, and how much of it is not filling.
struct Group {
    at: usize,
    used_bytes: usize,
    len_bytes: usize,
}

const LAST_WRITES: usize = 3;
const SEGMENT_RECORD_BYTES: usize = 40;

fn left() -> Left {
    let disk = Disk::new(Image::default());
    let db = options().open_backend(disk.clone()).unwrap();
    let tree = db.tree(TREE).unwrap();
    let steps: Vec<Step> = (0..13).map(|at| put(at as u32 % 5, 30 + at * 7)).collect();
    for (at, &step) in steps.iter().enumerate() {
        let is_last = at + LAST_WRITES >= steps.len();
        let durability = if is_last { Durability::Buffered } else { Durability::Sync };
        step.run(&tree.with_durability(durability), at).unwrap();
    }
    db.sync().unwrap();
    disk.die();
    let image = disk.image();
    let groups: Vec<Group> = disk.take_events().iter().filter_map(group).collect();
    Left { image, steps, groups }
}

fn group(event: &Event) -> Option<Group> {
    let Event::Write { area: Area::Log, offset_bytes, bytes } = event else {
        return None;
    };
    // A place is made of nothing but zeros, and so is what follows the records of a group in the first lap.
    let used_bytes = bytes.iter().rposition(|&byte| byte != 0)? + 1;
    Some(Group { at: *offset_bytes, used_bytes, len_bytes: bytes.len() })
}

impl Left {
    /// What is left without the ring.
    fn without_ring(&self) -> Image {
        Image { ring: Some(vec![0; RING_TOTAL_BYTES]), ..self.image.clone() }
    }

    /// After how many writes this is the state.
    fn writes_in(&self, db: &Db) -> Option<usize> {
        let found = contents(db).unwrap();
        let mut all = (0..=self.steps.len()).rev();
        all.find(|&writes| matches(&shape_after(&self.steps[..writes]), &found))
    }
}

fn open(disk: &Arc<Disk>) -> Result<Db, Error> {
    options().open_backend(disk.clone())
}

/// The last group may be flushed twice over: what was in flight when the flusher ran is a group of its own.
fn last_groups(left: &Left) -> &[Group] {
    let writes_before = left.steps.len() - LAST_WRITES;
    // One for the tree itself.
    &left.groups[1 + writes_before..]
}

#[test]
fn a_log_torn_at_any_byte_of_its_last_group_loses_that_tail_alone() {
    let left = left();
    let before = left.steps.len() - LAST_WRITES;
    for group in last_groups(&left) {
        assert!(group.used_bytes > 40);
        in_parallel("torn at byte", 0..group.used_bytes as u64, |torn| {
            for filling in [0, 0xA5] {
                let mut image = left.without_ring();
                image.area(Area::Log)[group.at + torn as usize..group.at + group.len_bytes].fill(filling);
                let label = format!("byte {torn} of the group at {}, then {filling}", group.at);
                let _kept = Kept { image: &image, label: &label };
                let disk = Disk::forgetful(image.clone());
                let db = open(&disk).unwrap_or_else(|error| panic!("{label}: {error}"));
                let writes = left.writes_in(&db).unwrap_or_else(|| panic!("{label}: no state that ever was"));
                assert!((before..left.steps.len()).contains(&writes), "{label}: {writes} writes");
                assert!(db.check().unwrap().is_clean(), "{label}");
                disk.die();
                if torn % 16 != 0 {
                    continue;
                }
                // A reader sees the same, and changes nothing.
                let disk = Disk::forgetful(image.clone());
                let reader = options().read_only(true).open_backend(disk.clone()).unwrap();
                assert_eq!(left.writes_in(&reader), Some(writes), "{label}");
                assert!(disk.image() == image, "{label}");
            }
        });
    }
}

/// What damage to bytes before a position that was durable may come to: an error that has changed nothing, or
/// no loss at all, because nobody needs these bytes.
fn assert_not_forgiven(left: &Left, damaged: &Image, label: &str) -> bool {
    let _kept = Kept { image: damaged, label };
    let disk = Disk::forgetful(damaged.clone());
    let reader = options().read_only(true).open_backend(disk.clone()).map(|db| left.writes_in(&db));
    match open(&disk) {
        Ok(db) => {
            assert_eq!(left.writes_in(&db), Some(left.steps.len()), "{label}");
            assert_eq!(reader.unwrap(), Some(left.steps.len()), "{label}");
            disk.die();
            false
        }
        Err(Error::LogCorrupt { .. }) => {
            assert!(matches!(reader, Err(Error::LogCorrupt { .. })), "{label}");
            assert!(disk.image() == *damaged, "{label}: something was written");
            true
        }
        Err(other) => panic!("{label}: {other}"),
    }
}

#[test]
fn damage_before_what_was_durable_is_an_error_and_nothing_is_changed() {
    let left = left();
    let known = &left.groups[..1 + left.steps.len() - LAST_WRITES];
    let every = setting("SPINNEY_DAMAGE_EVERY", 8) as usize;
    let places = known.iter().flat_map(|group| (group.at..group.at + group.used_bytes).step_by(every));
    // Between the record that begins a segment and the end of its page there is nothing.
    let places: Vec<usize> = places.filter(|at| !(SEGMENT_RECORD_BYTES..PAGE_BYTES).contains(at)).collect();
    let errors = std::sync::atomic::AtomicUsize::new(0);
    in_parallel("flipped place", 0..places.len() as u64, |nth| {
        let at = places[nth as usize];
        let mut image = left.without_ring();
        image.area(Area::Log)[at] ^= 1 << (nth % 8);
        let is_error = assert_not_forgiven(&left, &image, &format!("byte {at} of the log flipped"));
        errors.fetch_add(usize::from(is_error), std::sync::atomic::Ordering::Relaxed);
        if nth % 8 == 0 {
            // The ring has it, too.
            let whole = Image { ring: left.image.ring.clone(), ..image };
            assert!(!assert_not_forgiven(&left, &whole, &format!("byte {at} flipped, with a ring")));
        }
    });
    let errors = errors.into_inner();
    // Zeros that fill a value up to a word are in no checksum.
    assert!(errors * 10 > places.len() * 9, "{errors} errors in {} places", places.len());
}

#[test]
fn pages_of_the_log_that_were_lost_exchanged_or_old_are_missed() {
    let left = left();
    let known = &left.groups[..1 + left.steps.len() - LAST_WRITES];
    let pages: Vec<usize> = known.iter().flat_map(|group| group.at..group.at + group.len_bytes).collect();
    let pages: Vec<usize> = pages.into_iter().step_by(PAGE_BYTES).collect();
    in_parallel("page of the log", 0..pages.len() as u64, |nth| {
        let nth = nth as usize;
        let (this, other) = (pages[nth], pages[(nth + 1 + nth % 3) % pages.len()]);
        let damage = |name: &str, change: &dyn Fn(&mut [u8])| {
            let mut image = left.without_ring();
            change(image.area(Area::Log));
            let label = format!("the log's page at {this} {name}");
            assert!(assert_not_forgiven(&left, &image, &label), "{label} was not noticed");
        };
        damage("lost", &|log| log[this..this + PAGE_BYTES].fill(0));
        damage("written elsewhere", &|log| log.copy_within(other..other + PAGE_BYTES, this));
        damage("exchanged", &|log| {
            let page = log[this..this + PAGE_BYTES].to_vec();
            log.copy_within(other..other + PAGE_BYTES, this);
            log[other..other + PAGE_BYTES].copy_from_slice(&page);
        });
    });
}
