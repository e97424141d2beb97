//! A backend in memory that panics at the next write to an area, once it is told to.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use spinney::backend::{Area, Backend, BlobBufPool, MemoryBackend, ReadOp, WriteOp};

const NONE: u32 = u32::MAX;

pub struct Panicking {
    memory: Arc<MemoryBackend>,
    area: AtomicU32,
}

impl Panicking {
    pub fn new(memory: Arc<MemoryBackend>) -> Panicking {
        Panicking { memory, area: AtomicU32::new(NONE) }
    }

    pub fn panic_at_write_to(&self, area: Area) {
        self.area.store(area as u32, Ordering::Relaxed);
    }
}

impl Backend for Panicking {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.memory.len(area)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        self.memory.set_len(area, bytes)
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.memory.read(batch)
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        let area = self.area.load(Ordering::Relaxed);
        if batch.iter().any(|op| op.area as u32 == area) {
            self.area.store(NONE, Ordering::Relaxed);
            panic!("told to");
        }
        self.memory.write(batch)
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.memory.sync(area)
    }

    fn buffers(&self) -> &BlobBufPool {
        self.memory.buffers()
    }
}
