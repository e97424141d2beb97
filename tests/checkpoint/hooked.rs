//! A simulated disk that calls somebody before the data area is made longer.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, Mutex};

use spinney::backend::sim::FaultBackend;
use spinney::backend::{Area, Backend, BlobBufPool, ReadOp, RingMemory, WriteOp};

/// What is called: an error of it is that of the disk.
pub type Hook = Box<dyn FnMut() -> io::Result<()> + Send>;

pub struct Hooked {
    disk: Arc<FaultBackend>,
    hook: Mutex<Option<Hook>>,
}

impl Hooked {
    pub fn new(disk: Arc<FaultBackend>) -> Hooked {
        Hooked { disk, hook: Mutex::new(None) }
    }

    /// Before the data area is made longer the next time, and no other.
    pub fn before_growth(&self, hook: Hook) {
        *self.hook.lock().unwrap() = Some(hook);
    }
}

impl Backend for Hooked {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.disk.len(area)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        let hook = if area == Area::Data { self.hook.lock().unwrap().take() } else { None };
        hook.map_or(Ok(()), |mut hook| hook())?;
        self.disk.set_len(area, bytes)
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.disk.read(batch)
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        self.disk.write(batch)
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        self.disk.sync(area)
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.disk.ring(fresh)
    }

    fn remove_side_files(&self) -> io::Result<()> {
        self.disk.remove_side_files()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.sync_directory()
    }

    fn buffers(&self) -> &BlobBufPool {
        self.disk.buffers()
    }
}
