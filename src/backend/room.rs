//! Memory for what a file holds, asked for so that a refusal is an error and not the end of the process.
//!
//! A file may be larger than the memory of whoever opens it. Everything beyond a few pages whose size depends
//! on a file, and every buffer of that size, is asked for here; smaller things are left to the allocator.
//!
//! Must not know: what the memory is for.

#![forbid(unsafe_code)]

use std::io;

use super::PAGE_BYTES;

/// An empty vector that takes `bytes` without asking for memory again.
#[inline(never)]
pub(crate) fn room(bytes: usize) -> io::Result<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes)?;
    Ok(room)
}

/// So many zeros.
#[inline(never)]
pub(crate) fn zeros(bytes: usize) -> io::Result<Vec<u8>> {
    let mut zeros = room(bytes)?;
    // By pages: `resize` goes byte by byte where nothing optimises it, as under Miri.
    while zeros.len() < bytes {
        let step_bytes = PAGE_BYTES.min(bytes - zeros.len());
        zeros.extend_from_slice(&[0; PAGE_BYTES][..step_bytes]);
    }
    Ok(zeros)
}

/// The same bytes once more.
#[inline(never)]
pub(crate) fn copy_of(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut copy = room(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_had_is_an_error() {
        assert_eq!(room(usize::MAX).expect_err("too much").kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeros(usize::MAX).expect_err("too much").kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeros(2 * PAGE_BYTES + 1).expect("little"), vec![0; 2 * PAGE_BYTES + 1]);
        assert_eq!(copy_of(b"abc").expect("little"), b"abc");
    }
}
