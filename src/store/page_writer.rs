//! Gathers pages into one buffer and writes them in batches: neighbours as one operation.

#![forbid(unsafe_code)]

use std::io;

use crate::backend::{AlignedBlobBuf, Area, BLOB_BYTES, Backend, WriteOp};

/// A stretch of the buffer and where it goes.
struct Run {
    area: Area,
    offset_bytes: u64,
    start: usize,
    len_bytes: usize,
}

/// See the head of this file.
pub(crate) struct PageWriter<'a> {
    backend: &'a dyn Backend,
    buffer: AlignedBlobBuf,
    used_bytes: usize,
    runs: Vec<Run>,
    written_bytes: u64,
}

impl<'a> PageWriter<'a> {
    pub(crate) fn new(backend: &'a dyn Backend) -> Self {
        let buffer = backend.buffers().lease_blocking();
        PageWriter { backend, buffer, used_bytes: 0, runs: Vec::new(), written_bytes: 0 }
    }

    /// Adds whole pages, 512 KiB at most.
    pub(crate) fn put(&mut self, area: Area, offset_bytes: u64, bytes: &[u8]) -> io::Result<()> {
        if self.used_bytes + bytes.len() > BLOB_BYTES {
            self.flush()?;
        }
        let start = self.used_bytes;
        self.buffer[start..start + bytes.len()].copy_from_slice(bytes);
        self.used_bytes += bytes.len();
        match self.runs.last_mut() {
            Some(run) if run.area == area && run.offset_bytes + run.len_bytes as u64 == offset_bytes => {
                run.len_bytes += bytes.len();
            }
            _ => self.runs.push(Run { area, offset_bytes, start, len_bytes: bytes.len() }),
        }
        Ok(())
    }

    /// Writes what was added; returns how many bytes were written so far.
    pub(crate) fn flush(&mut self) -> io::Result<u64> {
        let batch: Vec<WriteOp<'_>> = self
            .runs
            .iter()
            .map(|run| WriteOp {
                area: run.area,
                offset_bytes: run.offset_bytes,
                buf: &self.buffer[run.start..run.start + run.len_bytes],
            })
            .collect();
        if !batch.is_empty() {
            self.backend.write(&batch)?;
        }
        self.written_bytes += self.used_bytes as u64;
        self.used_bytes = 0;
        self.runs.clear();
        Ok(self.written_bytes)
    }
}
