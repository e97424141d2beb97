//! Hostile logs: all records behind the last checkpoint written anew, as an input says, with good checksums.
//!
//! Payloads are those that were there, changed, or the input's own. The ring is empty, as after a loss of
//! power, so what stands in the area is what counts.

#![forbid(unsafe_code)]

use xxhash_rust::xxh3::xxh3_64;

use spinney::backend::sim::Storage;
use spinney::backend::{Area, PAGE_BYTES};

use crate::bases::{DIED, disk_with, known, options};
use crate::bytes::Bytes;
use crate::exercise::exercise;

const SEGMENT_BYTES: u64 = 4 << 20;
const RECORDS_MAX: usize = 40;
const KINDS: [u8; 13] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 16, 17, 18];

/// One record, without what follows from its place.
#[derive(Clone)]
struct Record {
    kind: u8,
    /// Seqs that it takes.
    seqs: u64,
    payload: Vec<u8>,
}

/// Which log it is, and where its writes begin.
#[derive(Clone, Copy)]
struct Log {
    id: u64,
    incarnation: u64,
    position: u64,
    next_seq: u64,
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at * 8..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word))
}

fn log_of(storage: &Storage) -> Log {
    let superblock = storage.page(Area::Data, 0);
    let incarnation = word(&superblock, 7) & 0xFFFF_FFFF;
    let (position, next_seq) = (word(&superblock, 5), word(&superblock, 6));
    Log { id: word(&superblock, 8), incarnation, position, next_seq }
}

impl Log {
    fn checksum(self, head: &[u8], payload: &[u8], position: u64) -> u64 {
        let words = [word(head, 0), word(head, 1), word(head, 2), xxh3_64(payload), self.id];
        let all = words.into_iter().chain([self.incarnation, position]);
        xxh3_64(&all.flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
    }

    /// The records from the position on; `area` is the log area, which holds that segment alone.
    fn records(self, area: &[u8]) -> Vec<Record> {
        let (mut at, mut records, mut seqs) =
            ((self.position % SEGMENT_BYTES) as usize, Vec::new(), Vec::new());
        loop {
            let head = area.get(at..at + 24).unwrap_or_default();
            let payload_bytes = word(head, 0) as u32 as usize;
            let position = self.position / SEGMENT_BYTES * SEGMENT_BYTES + at as u64;
            let payload = area.get(at + 24..).and_then(|rest| rest.get(..payload_bytes)).unwrap_or_default();
            let end = at + 24 + payload_bytes.next_multiple_of(8);
            let is_sound =
                self.checksum(head, payload, position) == word(area.get(end..).unwrap_or_default(), 0);
            if is_sound && head.len() == 24 {
                seqs.push(word(head, 1));
                records.push(Record { kind: head[4], seqs: 1, payload: payload.to_vec() });
                at = end + 8;
            } else if at % PAGE_BYTES != 0 {
                at = at.next_multiple_of(PAGE_BYTES);
            } else {
                break;
            }
        }
        for (record, pair) in records.iter_mut().zip(seqs.windows(2)) {
            record.seqs = pair[1] - pair[0];
        }
        records
    }

    /// The bytes of these records, one behind the other.
    fn encode(self, records: &[Record], bytes: &mut Bytes<'_>) -> Vec<u8> {
        let (mut encoded, mut seq) = (Vec::new(), self.next_seq);
        for record in records {
            let is_write = !matches!(record.kind, 1 | 2 | 17);
            let number = if is_write { seq } else { seq - 1 };
            let position = self.position + encoded.len() as u64;
            // Now and then a record promises that more was durable than there is.
            let durable =
                if bytes.byte() == 255 { position + u64::from(bytes.short()) * 8 } else { self.position };
            let kind = u64::from(record.kind) << 32;
            let words = [record.payload.len() as u64 | kind, number, durable];
            let head: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            encoded.extend_from_slice(&head);
            encoded.extend_from_slice(&record.payload);
            encoded.resize(encoded.len().next_multiple_of(8), 0);
            encoded.extend_from_slice(&self.checksum(&head, &record.payload, position).to_le_bytes());
            seq += if is_write { record.seqs } else { 0 };
        }
        encoded
    }
}

/// Changes the list of records.
fn change(records: &mut Vec<Record>, bytes: &mut Bytes<'_>) {
    if records.is_empty() {
        records.push(Record { kind: 4, seqs: 1, payload: Vec::new() });
    }
    let at = bytes.below(records.len());
    let end = records[at].payload.len();
    match bytes.below(9) {
        0 => drop(records.remove(at)),
        1 => records.insert(at, records[bytes.below(records.len())].clone()),
        2 => records[at].kind = *bytes.pick(&KINDS),
        3 => records[at].seqs = u64::from(bytes.byte()),
        4 if end > 0 => records[at].payload[bytes.below(end)] = bytes.byte(),
        5 if end > 4 => {
            let from = bytes.below(end.min(40) - 4);
            let number = (bytes.number() as u32).to_le_bytes();
            records[at].payload[from..from + 4].copy_from_slice(&number);
        }
        6 => records[at].payload.truncate(bytes.below(end + 1)),
        7 => {
            let count = bytes.byte().into();
            records[at].payload.extend_from_slice(bytes.take(count));
        }
        _ => {
            let (kind, count) = (*bytes.pick(&KINDS), bytes.byte().into());
            records.insert(at, Record { kind, seqs: 1, payload: bytes.take(count).to_vec() });
        }
    }
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut storage = DIED.clone();
    let log = log_of(&storage);
    let mut area = storage.area(Area::Log);
    let mut records = log.records(&area);
    assert!(records.len() > 8, "the base has lost its log");
    for _ in 0..=bytes.below(8) {
        change(&mut records, &mut bytes);
    }
    records.truncate(RECORDS_MAX);
    let encoded = log.encode(&records, &mut bytes);
    let from = (log.position % SEGMENT_BYTES) as usize;
    let room = area.len() - from;
    area[from..].fill(0);
    area[from..from + encoded.len().min(room)].copy_from_slice(&encoded[..encoded.len().min(room)]);
    storage.set_area(Area::Log, &area);
    let ring = storage.ring().map(|ring| vec![0; ring.len()]);
    storage.set_ring(ring.as_deref());
    let options = options().read_only(bytes.below(8) == 7);
    if let Ok(db) = options.open_backend(disk_with(storage)) {
        exercise(db, &known(), &mut bytes);
    }
}
