//! Making the data area longer: checkpoints and bulk loads do it at the same time.
//!
//! Whoever has looked at the length may find it outdated when setting it, and would cut off what another has
//! written behind it. So looking and setting are one step.
//!
//! A bulk load may still be writing when the database is closed. From the end on it is refused: the file may
//! be another's soon.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::backend::{Area, Backend, WriteOp};
use crate::error::{Error, Result};

/// See the head of this file.
#[derive(Default)]
pub(crate) struct Growth {
    has_ended: Mutex<bool>,
}

impl Growth {
    fn has_ended(&self) -> MutexGuard<'_, bool> {
        self.has_ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the data area this long, if it is shorter.
    pub(crate) fn make_room(&self, backend: &dyn Backend, length_bytes: u64) -> io::Result<()> {
        let _alone = self.has_ended();
        make_longer(backend, length_bytes)
    }

    /// Writes a blob that no checkpoint knows of, unless nobody may write any more.
    pub(crate) fn write(&self, backend: &dyn Backend, op: WriteOp<'_>) -> Result<()> {
        let has_ended = self.has_ended();
        if *has_ended {
            return Err(Error::Closed);
        }
        make_longer(backend, op.offset_bytes + op.buf.len() as u64)?;
        Ok(backend.write(&[op])?)
    }

    /// When this returns, nothing is written by `write` any more.
    pub(crate) fn end(&self) {
        *self.has_ended() = true;
    }
}

fn make_longer(backend: &dyn Backend, length_bytes: u64) -> io::Result<()> {
    if backend.len(Area::Data)? < length_bytes {
        backend.set_len(Area::Data, length_bytes)?;
    }
    Ok(())
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use crate::backend::{BlobBufPool, MemoryBackend, PAGE_BYTES, ReadOp};

    /// Tells its length late, so that it is outdated for everybody who does not exclude the others.
    struct Slow(MemoryBackend);

    impl Backend for Slow {
        fn len(&self, area: Area) -> io::Result<u64> {
            let length = self.0.len(area);
            std::thread::sleep(std::time::Duration::from_millis(1));
            length
        }

        fn set_len(&self, area: Area, length_bytes: u64) -> io::Result<()> {
            self.0.set_len(area, length_bytes)
        }

        fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
            self.0.read(batch)
        }

        fn write(&self, batch: &[WriteOp<'_>]) -> io::Result<()> {
            self.0.write(batch)
        }

        fn sync(&self, area: Area) -> io::Result<()> {
            self.0.sync(area)
        }

        fn buffers(&self) -> &BlobBufPool {
            self.0.buffers()
        }
    }

    #[test]
    fn what_one_has_made_longer_another_does_not_make_shorter() {
        let (backend, growth) = (Slow(MemoryBackend::new()), Growth::default());
        for pages in 1..40 {
            let length = |more: u64| (2 * pages + more) * PAGE_BYTES as u64;
            std::thread::scope(|scope| {
                scope.spawn(|| growth.make_room(&backend, length(1)).expect("memory"));
                growth.make_room(&backend, length(0)).expect("memory");
            });
            assert_eq!(backend.len(Area::Data).expect("memory"), length(1));
        }
    }
}
