//! How long batches take, by size and way of I/O. Nothing is demanded of the times: they are printed.
//!
//! `SPINNEY_IO_ROUNDS=20000 cargo test --release --lib file::tests::speed -- --nocapture`
//!
//! Invariants: as in the parent.
//!
//! Must not know: which way ought to win.

#![forbid(unsafe_code)]

use super::*;

const FILE_PAGES: u64 = 16 * 1024;

#[test]
fn batches_take_their_time() {
    let rounds = std::env::var("SPINNEY_IO_ROUNDS").map_or(20, |text| text.parse().unwrap());
    let folder = Folder::new();
    {
        let backend = open(&folder.db(), &auto());
        backend.set_len(Area::Data, FILE_PAGES * PAGE).unwrap();
        backend.write_zeros(Area::Data, 0, FILE_PAGES * PAGE).unwrap();
    }
    println!("operations, microseconds per batch of random pages: read/write by default, read/write plainly");
    for ops in [1, 2, 4, 16, 64, 128] {
        let times = [IoChoice::Auto, IoChoice::Plain].map(|io| {
            let backend = open(&folder.db(), &options(io));
            // The first batch makes a ring.
            batches(&backend, ops, 1);
            batches(&backend, ops, (rounds / ops as u32).max(3))
        });
        let [[read, write], [plain_read, plain_write]] = times;
        println!("{ops:4}: {read:6.0} / {write:6.0}   {plain_read:6.0} / {plain_write:6.0}");
    }
}

/// Microseconds of a batch of reads and of one of writes.
fn batches(backend: &FileBackend, ops: usize, rounds: u32) -> [f64; 2] {
    let mut lease = backend.buffers().lease().unwrap();
    let mut number = 1u64;
    let mut offset_bytes = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) % FILE_PAGES * PAGE
    };
    let area = Area::Data;
    let mut times = [Duration::ZERO; 2];
    for _ in 0..rounds {
        let read = |buf| ReadOp { area, offset_bytes: offset_bytes(), buf };
        let mut batch: Vec<_> = lease.chunks_mut(PAGE_BYTES).take(ops).map(read).collect();
        let start = Instant::now();
        backend.read(&mut batch).unwrap();
        times[0] += start.elapsed();
        let write = |buf| WriteOp { area, offset_bytes: offset_bytes(), buf };
        let batch: Vec<_> = lease.chunks(PAGE_BYTES).take(ops).map(write).collect();
        let start = Instant::now();
        backend.write(&batch).unwrap();
        times[1] += start.elapsed();
    }
    times.map(|time| time.as_secs_f64() * 1e6 / f64::from(rounds))
}
