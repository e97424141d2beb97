//! A backend that tells somebody of each call on an area, before the call is made.

#![forbid(unsafe_code)]
// Every test file compiles this anew and uses a part of it.
#![allow(dead_code)]

use std::io;
use std::sync::Arc;

use spinney::backend::{Area, Backend, BlobBufPool, ReadOp, RingMemory, WriteOp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    SetLen,
    Read,
    Write,
    Sync,
    /// Told of the data area.
    RemoveSideFiles,
}

/// Who is told: of a call, its area, and how many operations it has there. An error is that of the call.
pub type Listener = Box<dyn Fn(Call, Area, usize) -> io::Result<()> + Send + Sync>;

pub struct Told {
    inner: Arc<dyn Backend>,
    listener: Listener,
}

impl Told {
    pub fn new(inner: Arc<dyn Backend>, listener: Listener) -> Arc<Told> {
        Arc::new(Told { inner, listener })
    }

    fn tell(&self, call: Call, areas: impl Iterator<Item = Area> + Clone) -> io::Result<()> {
        for area in Area::ALL {
            let operations = areas.clone().filter(|&of| of == area).count();
            if operations > 0 {
                (self.listener)(call, area, operations)?;
            }
        }
        Ok(())
    }
}

impl Backend for Told {
    fn len(&self, area: Area) -> io::Result<u64> {
        self.inner.len(area)
    }

    fn set_len(&self, area: Area, bytes: u64) -> io::Result<()> {
        (self.listener)(Call::SetLen, area, 1)?;
        self.inner.set_len(area, bytes)
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        self.tell(Call::Read, batch.iter().map(|op| op.area))?;
        self.inner.read(batch)
    }

    fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
        self.tell(Call::Write, batch.iter().map(|op| op.area))?;
        self.inner.write(batch)
    }

    fn sync(&self, area: Area) -> io::Result<()> {
        (self.listener)(Call::Sync, area, 1)?;
        self.inner.sync(area)
    }

    fn ring(&self, fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.inner.ring(fresh)
    }

    fn remove_side_files(&self) -> io::Result<()> {
        (self.listener)(Call::RemoveSideFiles, Area::Data, 1)?;
        self.inner.remove_side_files()
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.inner.sync_directory()
    }

    fn buffers(&self) -> &BlobBufPool {
        self.inner.buffers()
    }
}
