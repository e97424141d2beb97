//! A backend that nobody writes to, with some pages of its data area replaced: what a recovery would write
//! to storage, for those who may only read it.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use crate::backend::{Area, Backend, BlobBufPool, PAGE_BYTES, ReadOp, RingMemory, WriteOp};

/// See the head of this file.
pub(crate) struct Overlay {
    base: Arc<dyn Backend>,
    /// Pages by their number in the data area.
    pages: BTreeMap<u64, Vec<u8>>,
    data_bytes: u64,
}

impl Overlay {
    pub(crate) fn new(base: Arc<dyn Backend>, pages: BTreeMap<u64, Vec<u8>>) -> io::Result<Self> {
        let end = pages.last_key_value().map_or(0, |(&last, _)| (last + 1) * PAGE_BYTES as u64);
        let data_bytes = base.len(Area::Data)?.max(end);
        Ok(Overlay { base, pages, data_bytes })
    }

    fn read_data(&self, op: &mut ReadOp<'_>) -> io::Result<()> {
        op.check(self.data_bytes)?;
        let first = op.offset_bytes / PAGE_BYTES as u64;
        let end = first + (op.buf.len() / PAGE_BYTES) as u64;
        if self.pages.range(first..end).next().is_none() {
            let (offset_bytes, buf) = (op.offset_bytes, &mut *op.buf);
            return self.base.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf }]);
        }
        let base_bytes = self.base.len(Area::Data)?;
        for (page, buf) in (first..).zip(op.buf.chunks_exact_mut(PAGE_BYTES)) {
            let offset_bytes = page * PAGE_BYTES as u64;
            match self.pages.get(&page) {
                Some(bytes) => buf.copy_from_slice(bytes),
                None if offset_bytes >= base_bytes => buf.fill(0),
                None => self.base.read(&mut [ReadOp { area: Area::Data, offset_bytes, buf }])?,
            }
        }
        Ok(())
    }
}

impl Backend for Overlay {
    fn len(&self, area: Area) -> io::Result<u64> {
        if area == Area::Data { Ok(self.data_bytes) } else { self.base.len(area) }
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        if self.pages.is_empty() || batch.iter().all(|op| op.area != Area::Data) {
            return self.base.read(batch);
        }
        batch.iter_mut().try_for_each(|op| match op.area {
            Area::Data => self.read_data(op),
            area => self.base.read(&mut [ReadOp { area, offset_bytes: op.offset_bytes, buf: op.buf }]),
        })
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn ring(&self, _fresh: bool) -> io::Result<Arc<dyn RingMemory>> {
        self.base.ring(false)
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn buffers(&self) -> &BlobBufPool {
        self.base.buffers()
    }
}
