//! What storage may hold after a loss of power: all that was synced, any sectors of what was not, and every
//! page of the ring as it was at any earlier moment. A file that was made is there for sure once the
//! directory was synced.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

use spinney::backend::{Area, PAGE_BYTES, RING_TOTAL_BYTES};

use crate::common::Random;
use crate::disk::{Event, Image};

const SECTOR_BYTES: usize = 512;

/// Follows a disk's events, and can lose power after each of them.
#[derive(Default)]
pub struct Power {
    stable: Image,
    unsynced: Vec<Event>,
    /// Versions of each page of the ring, oldest first. None if there is no ring.
    ring: Option<Vec<Vec<Vec<u8>>>>,
    /// Whether log, journal and ring, in this order, have a name that may still be lost.
    nameless: [bool; 3],
}

const SIDE_AREAS: [Area; 2] = [Area::Log, Area::Journal];
const RING: usize = 2;

impl Power {
    /// Of a disk on which all of this is stable.
    pub fn new(image: Image) -> Power {
        let ring = image.ring.as_ref();
        let ring = ring.map(|bytes| bytes.chunks(PAGE_BYTES).map(|page| vec![page.to_vec()]).collect());
        Power { stable: Image { ring: None, ..image }, ring, ..Power::default() }
    }

    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Write { .. } => self.unsynced.push(event.clone()),
            Event::SetLen { area, .. } => {
                if let Some(at) = SIDE_AREAS.iter().position(|side| side == area) {
                    let is_new = self.stable.areas[*area as usize].is_empty();
                    let is_first = !self.unsynced.iter().any(|event| area_of(event) == Some(*area));
                    self.nameless[at] |= is_new && is_first;
                }
                self.unsynced.push(event.clone());
            }
            Event::SyncDirectory => self.nameless = [false; 3],
            Event::Sync(area) => {
                let (now, later) = std::mem::take(&mut self.unsynced)
                    .into_iter()
                    .partition(|event| area_of(event) == Some(*area));
                self.unsynced = later;
                let now: Vec<Event> = now;
                now.iter().for_each(|event| self.stable.apply(event));
            }
            Event::FreshRing => {
                self.ring = Some(vec![vec![vec![0; PAGE_BYTES]]; RING_TOTAL_BYTES / PAGE_BYTES]);
                self.nameless[RING] = true;
            }
            Event::Ring(pages) => {
                for (page, bytes) in pages {
                    if let Some(ring) = &mut self.ring {
                        ring[*page].push(bytes.clone());
                    }
                }
            }
            Event::RemoveSideFiles => {
                self.stable.apply(event);
                self.unsynced.retain(|event| area_of(event) == Some(Area::Data));
                self.ring = None;
                self.nameless = [false; 3];
            }
            Event::Begun(_) | Event::Acknowledged { .. } | Event::Wrote { .. } => {}
        }
    }

    /// What is there when the power is back.
    pub fn lose(&self, random: &mut Random) -> Image {
        let mut image = self.stable.clone();
        // Of 8: mostly nothing or everything, else some.
        let share = [0, 8, 1, 4, 7, 4][random.next() as usize % 6];
        for event in &self.unsynced {
            match event {
                Event::SetLen { .. } if random.next() % 8 < share => image.apply(event),
                Event::Write { area, offset_bytes, bytes } => {
                    let there = image.area(*area);
                    for (sector, bytes) in bytes.chunks(SECTOR_BYTES).enumerate() {
                        let from = offset_bytes + sector * SECTOR_BYTES;
                        if random.next() % 8 < share && from + SECTOR_BYTES <= there.len() {
                            there[from..from + SECTOR_BYTES].copy_from_slice(bytes);
                        }
                    }
                }
                _ => {}
            }
        }
        let share = random.next() % 5;
        image.ring = self.ring.as_ref().map(|pages| {
            let mut ring = Vec::with_capacity(RING_TOTAL_BYTES);
            for versions in pages {
                let last = versions.len() - 1;
                let chosen =
                    if random.next() % 4 < share { last } else { random.next() as usize % versions.len() };
                ring.extend_from_slice(&versions[chosen]);
            }
            ring
        });
        self.lose_names(&mut image, random);
        image
    }

    fn lose_names(&self, image: &mut Image, random: &mut Random) {
        for (at, area) in SIDE_AREAS.into_iter().enumerate() {
            if self.nameless[at] && random.percent(50) {
                image.area(area).clear();
            }
        }
        if self.nameless[RING] && random.percent(50) {
            image.ring = None;
        }
    }
}

fn area_of(event: &Event) -> Option<Area> {
    match event {
        Event::Write { area, .. } | Event::SetLen { area, .. } | Event::Sync(area) => Some(*area),
        _ => None,
    }
}
