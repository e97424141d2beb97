//! What every backend must do, as tests over `&dyn Backend`. Each wants an empty one.
//!
//! Invariants:
//! * nothing here is special to a medium: a backend that fails one of these leaves other bytes than the
//!   others would.
//!
//! Must not know: which backend it has.

#![forbid(unsafe_code)]

use std::io::ErrorKind::{InvalidInput, UnexpectedEof};

use super::{AlignedBlobBuf, Area, BLOB_BYTES, Backend, BlobBufPool, PAGE_BYTES, ReadOp, WriteOp};

const PAGE: u64 = PAGE_BYTES as u64;
const BLOB: u64 = BLOB_BYTES as u64;

/// One demand on a backend.
pub(crate) type Demand = fn(&dyn Backend);

/// All demands but, where every byte takes its time, the largest; and in a browser, those that want threads
/// or more space than it gives. A backend is made anew for each.
pub(crate) fn demands() -> &'static [Demand] {
    const DEMANDS: [Demand; 11] = [
        threads_share_a_backend,
        growth_is_sparse_and_zero,
        pages_come_back_and_areas_are_apart,
        operations_cross_blobs,
        a_batch_fills_each_buffer,
        each_buffer_is_shown_full,
        what_was_cut_off_does_not_come_back,
        mistakes_are_errors_and_change_nothing,
        durable_writes_are_writes,
        zeros_are_written,
        batches_agree_with_an_oracle,
    ];
    let from = if cfg!(target_arch = "wasm32") { 2 } else { 0 };
    &DEMANDS[from..if cfg!(miri) { 9 } else { 11 }]
}

pub(super) fn write(backend: &dyn Backend, area: Area, offset_bytes: u64, mark: u8, pages: usize) {
    let mut lease = backend.buffers().lease_blocking();
    let buf = &mut lease[..pages * PAGE_BYTES];
    buf.fill(mark);
    backend.write(&[WriteOp { area, offset_bytes, buf }]).unwrap();
}

/// The marks of the pages that were read.
pub(super) fn read(backend: &dyn Backend, area: Area, offset_bytes: u64, pages: usize) -> Vec<u8> {
    let mut lease = backend.buffers().lease_blocking();
    let buf = &mut lease[..pages * PAGE_BYTES];
    buf.fill(0xEE);
    backend.read(&mut [ReadOp { area, offset_bytes, buf }]).unwrap();
    marks(buf)
}

/// The byte that fills each page.
fn marks(bytes: &[u8]) -> Vec<u8> {
    let mark = |page: &[u8]| {
        assert!(page == [page[0]; PAGE_BYTES], "a page of several marks");
        page[0]
    };
    bytes.chunks(PAGE_BYTES).map(mark).collect()
}

fn pages_come_back_and_areas_are_apart(backend: &dyn Backend) {
    for (mark, area) in (1..).zip(Area::ALL) {
        assert_eq!(backend.len(area).unwrap(), 0);
        backend.set_len(area, 3 * PAGE).unwrap();
        write(backend, area, PAGE, mark, 1);
    }
    for (mark, area) in (1..).zip(Area::ALL) {
        assert_eq!(backend.len(area).unwrap(), 3 * PAGE);
        assert_eq!(read(backend, area, 0, 3), [0, mark, 0]);
        backend.sync(area).unwrap();
        backend.sync(area).unwrap();
    }
}

fn operations_cross_blobs(backend: &dyn Backend) {
    backend.set_len(Area::Data, 3 * BLOB).unwrap();
    write(backend, Area::Data, BLOB - 2 * PAGE, 5, 4);
    assert_eq!(read(backend, Area::Data, BLOB - 3 * PAGE, 6), [0, 5, 5, 5, 5, 0]);
    // Up to the last byte of a blob and of the area.
    write(backend, Area::Data, 3 * BLOB - PAGE, 6, 1);
    assert_eq!(read(backend, Area::Data, 3 * BLOB - 2 * PAGE, 2), [0, 6]);
}

fn a_batch_fills_each_buffer(backend: &dyn Backend) {
    backend.set_len(Area::Data, 4 * PAGE).unwrap();
    backend.set_len(Area::Log, PAGE).unwrap();
    let mut lease = backend.buffers().lease().unwrap();
    let mut pages = lease.chunks_exact_mut(PAGE_BYTES);
    let (a, b) = (pages.next().unwrap(), pages.next().unwrap());
    a.fill(1);
    b.fill(2);
    let ops = [
        WriteOp { area: Area::Data, offset_bytes: 3 * PAGE, buf: a },
        WriteOp { area: Area::Log, offset_bytes: 0, buf: b },
    ];
    backend.write(&ops).unwrap();
    let mut ops = [
        ReadOp { area: Area::Log, offset_bytes: 0, buf: a },
        ReadOp { area: Area::Data, offset_bytes: 3 * PAGE, buf: b },
    ];
    backend.read(&mut ops).unwrap();
    assert_eq!((marks(a), marks(b)), (vec![2], vec![1]));
    backend.read(&mut []).unwrap();
    backend.write(&[]).unwrap();
}

fn each_buffer_is_shown_full(backend: &dyn Backend) {
    // More than a ring takes at once; where there is none, pools may have one buffer.
    const PAGES: usize = if cfg!(any(miri, target_arch = "wasm32")) { 9 } else { 300 };
    backend.set_len(Area::Data, PAGES as u64 * PAGE).unwrap();
    for page in 0..PAGES {
        write(backend, Area::Data, page as u64 * PAGE, page as u8, 1);
    }
    let mut buffers: Vec<AlignedBlobBuf> =
        (0..PAGES.div_ceil(128)).map(|_| backend.buffers().lease().unwrap()).collect();
    let free = buffers.iter_mut().flat_map(|buffer| buffer.chunks_exact_mut(PAGE_BYTES));
    // From the last to the first, so that a place in the batch is no page.
    let ops = free.zip((0..PAGES as u64).rev());
    let mut ops: Vec<ReadOp<'_>> =
        ops.map(|(buf, page)| ReadOp { area: Area::Data, offset_bytes: page * PAGE, buf }).collect();
    let mut shown = [false; PAGES];
    let mut filled = |place: usize, bytes: &[u8]| {
        assert_eq!(marks(bytes), [(PAGES - 1 - place) as u8]);
        shown[place] = true;
    };
    backend.read_each(&mut ops, &mut filled).unwrap();
    assert_eq!(shown, [true; PAGES]);
    ops[0].offset_bytes = PAGES as u64 * PAGE;
    let error = backend.read_each(&mut ops, &mut |_, _| ()).unwrap_err();
    assert_eq!(error.kind(), UnexpectedEof);
}

fn growth_is_sparse_and_zero(backend: &dyn Backend) {
    // Far beyond any memory, and within what file systems can count.
    backend.set_len(Area::Data, 1 << 43).unwrap();
    assert_eq!(read(backend, Area::Data, 1 << 42, 2), [0, 0]);
    write(backend, Area::Data, 1 << 42, 9, 1);
    assert_eq!(read(backend, Area::Data, 1 << 42, 2), [9, 0]);
}

fn what_was_cut_off_does_not_come_back(backend: &dyn Backend) {
    for area in Area::ALL {
        backend.set_len(area, 2 * BLOB).unwrap();
        write(backend, area, BLOB - 2 * PAGE, 7, 4);
        backend.set_len(area, BLOB - PAGE).unwrap();
        backend.set_len(area, 2 * BLOB).unwrap();
        assert_eq!(read(backend, area, BLOB - 2 * PAGE, 4), [7, 0, 0, 0]);
        backend.set_len(area, 0).unwrap();
        assert_eq!(backend.len(area).unwrap(), 0);
        backend.set_len(area, BLOB).unwrap();
        assert_eq!(read(backend, area, BLOB - 2 * PAGE, 1), [0]);
    }
}

fn mistakes_are_errors_and_change_nothing(backend: &dyn Backend) {
    backend.set_len(Area::Data, 2 * PAGE).unwrap();
    let mut lease = backend.buffers().lease().unwrap();
    lease.fill(3);
    let (good, bad) = lease.split_at_mut(PAGE_BYTES);
    let bad = &mut bad[..PAGE_BYTES];

    let (area, buf) = (Area::Data, &*bad);
    let first = WriteOp { area, offset_bytes: 0, buf: good };
    let beyond = WriteOp { area, offset_bytes: 2 * PAGE, buf };
    assert_eq!(backend.write(&[first, beyond]).unwrap_err().kind(), InvalidInput);
    assert_eq!(backend.write_durable(beyond).unwrap_err().kind(), InvalidInput);
    let askew = WriteOp { area, offset_bytes: 17, buf };
    assert_eq!(backend.write(&[first, askew]).unwrap_err().kind(), InvalidInput);
    let unmade = WriteOp { area: Area::Log, offset_bytes: 0, buf };
    assert_eq!(backend.write(&[first, unmade]).unwrap_err().kind(), InvalidInput);
    assert_eq!(read(backend, area, 0, 2), [0, 0]);

    for (area, offset_bytes) in [(area, 2 * PAGE), (Area::Journal, 0)] {
        let first = ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut *good };
        let mut batch = [first, ReadOp { area, offset_bytes, buf: &mut *bad }];
        assert_eq!(backend.read(&mut batch).unwrap_err().kind(), UnexpectedEof);
        assert_eq!(marks(good), [3]);
    }

    assert_eq!(backend.set_len(area, PAGE + 1).unwrap_err().kind(), InvalidInput);
    assert_eq!(backend.len(area).unwrap(), 2 * PAGE);
}

fn durable_writes_are_writes(backend: &dyn Backend) {
    let mut lease = backend.buffers().lease().unwrap();
    for (area, mark) in Area::ALL.into_iter().zip(1..) {
        backend.set_len(area, 2 * BLOB).unwrap();
        let buf = &mut lease[..3 * PAGE_BYTES];
        buf.fill(mark);
        backend.write_durable(WriteOp { area, offset_bytes: BLOB - PAGE, buf }).unwrap();
        assert_eq!(read(backend, area, BLOB - 2 * PAGE, 5), [0, mark, mark, mark, 0]);
    }
}

fn zeros_are_written(backend: &dyn Backend) {
    let area = Area::Log;
    let pages = 40 * 128 + 3;
    backend.set_len(area, pages * PAGE).unwrap();
    for offset_bytes in [0, PAGE, BLOB + PAGE, (pages - 2) * PAGE, (pages - 1) * PAGE] {
        write(backend, area, offset_bytes, 8, 1);
    }
    backend.write_zeros(area, PAGE, (pages - 2) * PAGE).unwrap();
    assert_eq!(read(backend, area, 0, 3), [8, 0, 0]);
    assert_eq!(read(backend, area, BLOB, 3), [0; 3]);
    assert_eq!(read(backend, area, (pages - 3) * PAGE, 3), [0, 0, 8]);
    backend.write_zeros(area, PAGE, 0).unwrap();
    for (offset_bytes, len_bytes) in [(PAGE, pages * PAGE), (1, PAGE), (0, 1), (u64::MAX - PAGE + 1, PAGE)] {
        let error = backend.write_zeros(area, offset_bytes, len_bytes).unwrap_err();
        assert_eq!(error.kind(), InvalidInput, "{error}");
    }
}

/// Some numbers, the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// Pages of each area in the test with an oracle.
const ORACLE_PAGES: [usize; 3] = [2400, 600, 300];

/// Some 300 runs of 1 to 12 pages that do not overlap, in random order: area, first page, pages.
fn random_runs(numbers: &mut Numbers) -> Vec<(Area, usize, usize)> {
    let mut runs = Vec::new();
    for area in Area::ALL {
        let mut page = 0;
        loop {
            let pages = 1 + numbers.below(12);
            if page + pages > ORACLE_PAGES[area as usize] {
                break;
            }
            runs.push((area, page, pages));
            page += pages + numbers.below(8);
        }
    }
    for i in (1..runs.len()).rev() {
        runs.swap(i, numbers.below(i + 1));
    }
    runs.truncate(300);
    runs
}

/// Cuts one buffer for each run out of leases.
fn cut<'a>(leases: &'a mut [AlignedBlobBuf], runs: &[(Area, usize, usize)]) -> Vec<&'a mut [u8]> {
    let mut leases = leases.iter_mut();
    let mut rest: &mut [u8] = &mut [];
    let cut_one = |&(_, _, pages): &(Area, usize, usize)| {
        if rest.len() < pages * PAGE_BYTES {
            rest = leases.next().expect("enough leases");
        }
        let (piece, left) = std::mem::take(&mut rest).split_at_mut(pages * PAGE_BYTES);
        rest = left;
        piece
    };
    runs.iter().map(cut_one).collect()
}

fn batches_agree_with_an_oracle(backend: &dyn Backend) {
    let mut numbers = Numbers(0x5EED);
    let mut oracle = ORACLE_PAGES.map(|pages| vec![0; pages * PAGE_BYTES]);
    for area in Area::ALL {
        backend.set_len(area, oracle[area as usize].len() as u64).unwrap();
    }
    // Half of the memory is none that the backend knows.
    let foreign = BlobBufPool::new(12);
    let mut leases: Vec<_> = (0..24)
        .map(|i| if i % 3 == 0 { backend.buffers() } else { &foreign }.lease_blocking())
        .take(18)
        .collect();
    for _ in 0..4 {
        let runs = random_runs(&mut numbers);
        let mut bufs = cut(&mut leases, &runs);
        for (buf, &(area, page, _)) in bufs.iter_mut().zip(&runs) {
            buf.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&numbers.next().to_le_bytes()));
            let start = page * PAGE_BYTES;
            oracle[area as usize][start..start + buf.len()].copy_from_slice(buf);
        }
        let ops = bufs.iter().zip(&runs).map(|(buf, &(area, page, _))| {
            let offset_bytes = page as u64 * PAGE;
            WriteOp { area, offset_bytes, buf }
        });
        backend.write(&ops.collect::<Vec<_>>()).unwrap();

        // Other runs than those that were written.
        let runs = random_runs(&mut numbers);
        let ops = cut(&mut leases, &runs).into_iter().zip(&runs).map(|(buf, &(area, page, _))| {
            let offset_bytes = page as u64 * PAGE;
            ReadOp { area, offset_bytes, buf }
        });
        let mut batch: Vec<_> = ops.collect();
        backend.read(&mut batch).unwrap();
        for op in batch {
            let wanted = &oracle[op.area as usize][op.offset_bytes as usize..][..op.buf.len()];
            assert!(op.buf == wanted, "{:?} at {}", op.area, op.offset_bytes);
        }
    }
}

fn threads_share_a_backend(backend: &dyn Backend) {
    const ROUNDS: u8 = if cfg!(miri) { 2 } else { 20 };
    backend.set_len(Area::Data, 8 * BLOB).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            scope.spawn(move || {
                let mut lease = backend.buffers().lease_blocking();
                let area = Area::Data;
                let start = u64::from(thread) * BLOB;
                for round in 0..ROUNDS {
                    let mark = thread * ROUNDS + round;
                    let (pages, copies) = lease[..8 * PAGE_BYTES].split_at_mut(4 * PAGE_BYTES);
                    pages.fill(mark);
                    let offsets = (0..).map(|page| start + page * 3 * PAGE);
                    let op = |(buf, offset_bytes)| WriteOp { area, offset_bytes, buf };
                    let batch: Vec<_> = pages.chunks(PAGE_BYTES).zip(offsets.clone()).map(op).collect();
                    backend.write(&batch).unwrap();
                    let op = |(buf, offset_bytes)| ReadOp { area, offset_bytes, buf };
                    let mut batch: Vec<_> = copies.chunks_mut(PAGE_BYTES).zip(offsets).map(op).collect();
                    backend.read(&mut batch).unwrap();
                    assert_eq!(marks(copies), [mark; 4]);
                }
            });
        }
    });
    assert_eq!(read(backend, Area::Data, BLOB, 2), [2 * ROUNDS - 1, 0]);
}
