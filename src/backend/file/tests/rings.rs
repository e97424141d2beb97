//! The ring beside the data file.
//!
//! Invariants: as in the parent.
//!
//! Must not know: what a log keeps there.

#![forbid(unsafe_code)]

use super::*;
use crate::backend::RING_TOTAL_BYTES;

fn ring_path(folder: &Folder) -> PathBuf {
    with_suffix(&folder.db(), "-ring")
}

/// A ring that outlives its process, or `None` where there is no such thing, which is said.
fn mapped(backend: &FileBackend, fresh: bool) -> Option<Arc<dyn RingMemory>> {
    let ring = backend.ring(fresh).unwrap();
    assert_eq!(ring.words().len() * 8, RING_TOTAL_BYTES);
    let reason = backend.io_path().mapped_ring;
    assert_eq!(ring.outlives_process(), reason.is_on());
    if !reason.is_on() {
        println!("no mapped ring here: {reason}");
    }
    reason.is_on().then_some(ring)
}

#[test]
fn a_ring_is_found_again() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    assert_eq!(backend.ring(false).unwrap_err().kind(), ErrorKind::NotFound);
    let Some(ring) = mapped(&backend, true) else { return };
    assert!(ring.words().iter().all(|word| word.load(Ordering::Relaxed) == 0));
    ring.words()[1].store(11, Ordering::Relaxed);
    ring.words()[RING_TOTAL_BYTES / 8 - 1].store(12, Ordering::Relaxed);
    assert_eq!(format!("{ring:?}"), format!("MappedRing {{ words: {} }}", RING_TOTAL_BYTES / 8));
    drop((ring, backend));

    for options in [reader(), auto()] {
        let backend = open(&folder.db(), &options);
        let ring = backend.ring(false).unwrap();
        assert_eq!(ring.outlives_process(), !options.read_only);
        assert_eq!(ring.words()[1].load(Ordering::Relaxed), 11);
        assert_eq!(ring.words()[RING_TOTAL_BYTES / 8 - 1].load(Ordering::Relaxed), 12);
        // What a reader stores is its own affair.
        ring.words()[2].store(13, Ordering::Relaxed);
        drop(ring);
        let ring = backend.ring(false).unwrap();
        assert_eq!(ring.words()[2].load(Ordering::Relaxed) == 13, !options.read_only);
    }
}

#[test]
fn a_fresh_ring_leaves_the_old_one_to_its_holders() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    let Some(old) = mapped(&backend, true) else { return };
    old.words()[5].store(5, Ordering::Relaxed);
    let fresh = backend.ring(true).unwrap();
    assert_eq!(fresh.words()[5].load(Ordering::Relaxed), 0);
    assert_eq!(old.words()[5].load(Ordering::Relaxed), 5);
    backend.remove_side_files().unwrap();
    fresh.words()[5].store(6, Ordering::Relaxed);
    drop(backend);
    assert_eq!(fresh.words()[5].load(Ordering::Relaxed), 6);
}

#[test]
fn a_ring_of_another_size_is_refused() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    for bytes in [0, RING_TOTAL_BYTES - PAGE_BYTES, RING_TOTAL_BYTES + 1] {
        fs::write(ring_path(&folder), vec![0; bytes]).unwrap();
        let error = backend.ring(false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains(&format!("-ring has {bytes} bytes, not 4198400")), "{error}");
    }
}

#[test]
fn a_ring_with_holes_is_never_mapped() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    let file = fs::File::create(ring_path(&folder)).unwrap();
    file.set_len(RING_TOTAL_BYTES as u64).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[7; 8], 4096).unwrap();
    let ring = backend.ring(false).unwrap();
    assert!(!ring.outlives_process());
    assert_eq!(ring.words()[512].load(Ordering::Relaxed), u64::from_ne_bytes([7; 8]));
    assert!(!backend.io_path().mapped_ring.is_on());
}

#[test]
fn a_fresh_ring_has_no_holes() {
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    if mapped(&backend, true).is_some() {
        let found = fs::metadata(ring_path(&folder)).unwrap();
        assert_eq!(found.len(), RING_TOTAL_BYTES as u64);
        assert!(found.blocks() * 512 >= RING_TOTAL_BYTES as u64);
    }
}

#[test]
fn the_log_is_written_from_a_ring() {
    // Its memory cannot be lent as bytes, so a group goes through a leased buffer: the very copy is tested.
    let folder = Folder::new();
    let backend = open(&folder.db(), &auto());
    let ring = backend.ring(true).unwrap();
    ring.words()[512].store(0x0102_0304_0506_0708, Ordering::Relaxed);
    backend.set_len(Area::Log, PAGE).unwrap();
    let mut lease = backend.buffers().lease().unwrap();
    for (bytes, word) in lease[..PAGE_BYTES].as_chunks_mut::<8>().0.iter_mut().zip(&ring.words()[512..]) {
        *bytes = word.load(Ordering::Relaxed).to_le_bytes();
    }
    let buf = &lease[..PAGE_BYTES];
    backend.write_durable(WriteOp { area: Area::Log, offset_bytes: 0, buf }).unwrap();
    assert_eq!(read_page(&backend, Area::Log, 0).unwrap(), 8);
}

#[test]
fn a_ring_that_took_its_own_places_is_as_it_was() {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..RING_TOTAL_BYTES).map(|at| (at / 7 + at / PAGE_BYTES) as u8).collect();
    fs::write(ring_path(&folder), &bytes).unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(ring_path(&folder)).unwrap();
    ring::take_own_places(&file).unwrap();
    assert!(fs::read(ring_path(&folder)).unwrap() == bytes);
}
