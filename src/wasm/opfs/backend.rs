//! The three areas as three files of the origin private file system.
//!
//! Invariants:
//! * the files belong to this backend alone: the browser gives a file to one handle at a time. So their
//!   lengths are asked for once, and kept;
//! * what is short is an error, never an answer: a read, and a write that does not go on.
//!
//! The ring is memory of this worker, and dies with it: a buffered write outlives the worker once its group
//! was written. Must not know: promises, names of files, locks.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files;
use crate::backend::{Area, Backend, BlobBufPool, ReadOp, WriteOp, check_len};

/// All are filled with zeros when the first is asked for, and memory that was once used is never given back
/// here. More are made when more are asked for.
const BUFFER_SLOTS: usize = 1;

/// Three files that JavaScript has opened.
pub(super) struct OpfsBackend {
    /// Their place in its table.
    row: u32,
    lengths: [AtomicU64; Area::ALL.len()],
    buffers: BlobBufPool,
}

/// What JavaScript has returned, if it is no failure.
fn settled(answer: f64) -> io::Result<f64> {
    if answer >= 0.0 {
        return Ok(answer);
    }
    let kind = if answer == files::NO_SPACE { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
    Err(io::Error::new(kind, files::failure()))
}

impl OpfsBackend {
    pub(super) fn new(row: u32) -> io::Result<OpfsBackend> {
        let lengths: [AtomicU64; Area::ALL.len()] = Default::default();
        for area in Area::ALL {
            let bytes = settled(files::length(row, area as u32))? as u64;
            lengths[area as usize].store(bytes, Ordering::Relaxed);
        }
        Ok(OpfsBackend { row, lengths, buffers: BlobBufPool::new(BUFFER_SLOTS) })
    }

    fn length(&self, area: Area) -> u64 {
        self.lengths[area as usize].load(Ordering::Relaxed)
    }
}

impl Backend for OpfsBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(self.length(area))
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        check_len(area, bytes)?;
        settled(files::truncate(self.row, area as u32, bytes as f64))?;
        self.lengths[area as usize].store(bytes, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        batch.iter().try_for_each(|op| op.check(self.length(op.area)))?;
        for op in batch {
            let at = op.offset_bytes;
            // Whole numbers: the code that prints fractions is 9 KB of the module.
            let found_bytes = settled(files::read(self.row, op.area as u32, at as f64, op.buf))? as usize;
            if found_bytes < op.buf.len() {
                let text = format!("{found_bytes} of {} bytes at {at} of {:?}", op.buf.len(), op.area);
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
            }
        }
        Ok(())
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        batch.iter().try_for_each(|op| op.check(self.length(op.area)))?;
        for op in batch {
            settled(files::write(self.row, op.area as u32, op.offset_bytes as f64, op.buf))?;
        }
        Ok(())
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        settled(files::flush(self.row, area as u32)).map(drop)
    }

    /// Deleting takes promises: JavaScript does it, when the database is closed. Empty files are nobody's.
    fn remove_side_files(&self) -> io::Result<()> {
        for area in [Area::Log, Area::Journal] {
            if self.length(area) > 0 {
                self.set_len(area, 0)?;
                self.sync(area)?;
            }
        }
        Ok(())
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}
