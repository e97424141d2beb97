//! What is left in memory of a database whose process was killed.

#![forbid(unsafe_code)]

use std::sync::Arc;

use spinney::backend::{Area, Backend, MemoryBackend, WriteOp};

const SIDE_AREAS: [Area; 2] = [Area::Log, Area::Journal];

/// A copy of everything that storage holds, as a kill -9 would leave it.
pub fn copy(backend: &MemoryBackend) -> Arc<MemoryBackend> {
    let copy = MemoryBackend::from_bytes(&backend.to_bytes(Area::Data)).unwrap();
    for area in SIDE_AREAS {
        let bytes = backend.to_bytes(area);
        copy.set_len(area, bytes.len() as u64).unwrap();
        let mut buffer = copy.buffers().lease_blocking();
        for (at, part) in bytes.chunks(buffer.len()).enumerate() {
            let offset_bytes = (at * buffer.len()) as u64;
            let buf = &mut buffer[..part.len()];
            buf.copy_from_slice(part);
            copy.write(&[WriteOp { area, offset_bytes, buf }]).unwrap();
        }
    }
    Arc::new(copy)
}
