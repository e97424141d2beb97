//! What a backend is asked to do, and the mistakes that a caller can make with it.
//!
//! Invariant: a mistake is the same error on every backend.
//!
//! Must not know: what a medium does about it.

#![forbid(unsafe_code)]

use std::io;

use super::{Area, PAGE_BYTES};

/// Reads `buf.len()` bytes at `offset_bytes` of an area.
///
/// ```
/// use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, ReadOp};
///
/// let backend = MemoryBackend::new();
/// backend.set_len(Area::Data, 8 * PAGE_BYTES as u64)?;
/// let mut buf = backend.buffers().lease_blocking();
/// let (first, rest) = buf.split_at_mut(PAGE_BYTES);
/// // Two reads that are under way together: the last page, and the first two.
/// backend.read(&mut [
///     ReadOp { area: Area::Data, offset_bytes: 7 * PAGE_BYTES as u64, buf: first },
///     ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut rest[..2 * PAGE_BYTES] },
/// ])?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ReadOp<'a> {
    /// The area to read.
    pub area: Area,
    /// Where to start: a multiple of [`PAGE_BYTES`].
    pub offset_bytes: u64,
    /// What to fill: whole pages, aligned to [`PAGE_BYTES`].
    pub buf: &'a mut [u8],
}

/// Writes `buf` at `offset_bytes` of an area.
///
/// ```
/// use spinney::backend::{Area, Backend, MemoryBackend, PAGE_BYTES, WriteOp};
///
/// let backend = MemoryBackend::new();
/// backend.set_len(Area::Log, 4 * PAGE_BYTES as u64)?;
/// let mut buf = backend.buffers().lease_blocking();
/// buf[..PAGE_BYTES].fill(7);
/// let op = WriteOp { area: Area::Log, offset_bytes: 3 * PAGE_BYTES as u64, buf: &buf[..PAGE_BYTES] };
/// backend.write(&[op])?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct WriteOp<'a> {
    /// The area to write.
    pub area: Area,
    /// Where to start: a multiple of [`PAGE_BYTES`].
    pub offset_bytes: u64,
    /// What to write: whole pages, aligned to [`PAGE_BYTES`].
    pub buf: &'a [u8],
}

impl ReadOp<'_> {
    /// Checks this operation against an area of `area_bytes`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a misaligned offset, length or buffer and for an empty buffer (a medium
    /// answers it with zero bytes, as it does at the end); `UnexpectedEof` beyond the end.
    ///
    /// ```
    /// use spinney::backend::{Area, BlobBufPool, PAGE_BYTES, ReadOp};
    /// use std::io::ErrorKind;
    ///
    /// let mut buf = BlobBufPool::new(1).lease_blocking();
    /// let op = ReadOp { area: Area::Data, offset_bytes: 0, buf: &mut buf[..PAGE_BYTES] };
    /// assert!(op.check(PAGE_BYTES as u64).is_ok());
    /// assert_eq!(op.check(0).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    /// ```
    pub fn check(&self, area_bytes: u64) -> io::Result<()> {
        let span = Span { verb: "read", area: self.area, offset_bytes: self.offset_bytes };
        span.check(self.buf, area_bytes, io::ErrorKind::UnexpectedEof)
    }
}

impl WriteOp<'_> {
    /// Checks this operation against an area of `area_bytes`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a misaligned offset, length or buffer, for an empty buffer, and beyond
    /// the end: only [`Backend::set_len`](super::Backend::set_len) grows an area.
    ///
    /// ```
    /// use spinney::backend::{Area, BlobBufPool, PAGE_BYTES, WriteOp};
    /// use std::io::ErrorKind;
    ///
    /// let buf = BlobBufPool::new(1).lease_blocking();
    /// let misaligned = WriteOp { area: Area::Data, offset_bytes: 512, buf: &buf[..PAGE_BYTES] };
    /// let error = misaligned.check(1 << 20).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// assert!(error.to_string().contains("the offset is not a multiple of 4096"));
    /// ```
    pub fn check(&self, area_bytes: u64) -> io::Result<()> {
        let span = Span { verb: "write", area: self.area, offset_bytes: self.offset_bytes };
        span.check(self.buf, area_bytes, io::ErrorKind::InvalidInput)
    }
}

/// What the two kinds of operation have in common, for one check with one wording.
struct Span {
    verb: &'static str,
    area: Area,
    offset_bytes: u64,
}

impl Span {
    fn check(&self, buf: &[u8], area_bytes: u64, beyond: io::ErrorKind) -> io::Result<()> {
        let len_bytes = buf.len() as u64;
        let end_bytes = self.offset_bytes.checked_add(len_bytes);
        let (kind, reason) = if !self.offset_bytes.is_multiple_of(PAGE_BYTES as u64) {
            (io::ErrorKind::InvalidInput, "the offset is not a multiple of 4096")
        } else if buf.is_empty() || !buf.len().is_multiple_of(PAGE_BYTES) {
            (io::ErrorKind::InvalidInput, "the length is not a positive multiple of 4096")
        } else if !buf.as_ptr().addr().is_multiple_of(PAGE_BYTES) {
            (io::ErrorKind::InvalidInput, "the address of the buffer is not a multiple of 4096")
        } else if end_bytes.is_none_or(|end_bytes| end_bytes > area_bytes) {
            (beyond, "it does not end inside the area")
        } else {
            return Ok(());
        };
        let Span { verb, area, offset_bytes } = self;
        let text = format!(
            "cannot {verb} {len_bytes} bytes at offset {offset_bytes} of the {area:?} area \
             ({area_bytes} bytes): {reason}"
        );
        Err(io::Error::new(kind, text))
    }
}

/// Checks a new length of an area, for implementations of [`Backend::set_len`](super::Backend::set_len).
///
/// # Errors
///
/// `InvalidInput` unless `bytes` is a multiple of [`PAGE_BYTES`].
///
/// ```
/// use spinney::backend::{Area, check_len};
///
/// assert!(check_len(Area::Data, 3 * 4096).is_ok());
/// assert!(check_len(Area::Data, 5000).is_err());
/// ```
pub fn check_len(area: Area, bytes: u64) -> io::Result<()> {
    if bytes.is_multiple_of(PAGE_BYTES as u64) {
        return Ok(());
    }
    let text = format!("cannot make the {area:?} area {bytes} bytes long: not a multiple of 4096");
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::BlobBufPool;

    const PAGE: u64 = PAGE_BYTES as u64;

    /// The outcome of a read and of a write of the same bytes, as error kinds.
    fn kinds(offset_bytes: u64, buf: &mut [u8], area_bytes: u64) -> [Option<io::ErrorKind>; 2] {
        let area = Area::Log;
        let write = WriteOp { area, offset_bytes, buf }.check(area_bytes);
        let read = ReadOp { area, offset_bytes, buf }.check(area_bytes);
        [read, write].map(|result| result.err().map(|error| error.kind()))
    }

    #[test]
    fn mistakes_are_named_the_same_for_reads_and_writes() {
        use io::ErrorKind::{InvalidInput, UnexpectedEof};
        let mut buf = BlobBufPool::new(1).lease().unwrap();
        let whole = 2 * PAGE_BYTES;

        assert_eq!(kinds(PAGE, &mut buf[..whole], 3 * PAGE), [None, None]);
        assert_eq!(kinds(1, &mut buf[..whole], 9 * PAGE), [Some(InvalidInput); 2]);
        assert_eq!(kinds(0, &mut buf[..whole - 1], 9 * PAGE), [Some(InvalidInput); 2]);
        assert_eq!(kinds(0, &mut buf[..0], 9 * PAGE), [Some(InvalidInput); 2]);
        assert_eq!(kinds(0, &mut buf[512..whole + 512], 9 * PAGE), [Some(InvalidInput); 2]);

        let beyond = [Some(UnexpectedEof), Some(InvalidInput)];
        assert_eq!(kinds(2 * PAGE, &mut buf[..whole], 3 * PAGE), beyond);
        assert_eq!(kinds(9 * PAGE, &mut buf[..whole], 3 * PAGE), beyond);
        assert_eq!(kinds(u64::MAX - PAGE + 1, &mut buf[..whole], u64::MAX), beyond);
        // An area cut off inside a page, as a torn file may be, ends before that page.
        assert_eq!(kinds(PAGE, &mut buf[..whole], 3 * PAGE - 1), beyond);
    }

    #[test]
    fn an_error_says_what_was_asked() {
        let mut buf = BlobBufPool::new(1).lease().unwrap();
        let op = ReadOp { area: Area::Journal, offset_bytes: 8192, buf: &mut buf[..PAGE_BYTES] };
        let text = op.check(4096).unwrap_err().to_string();
        let wanted = "cannot read 4096 bytes at offset 8192 of the Journal area (4096 bytes): \
                      it does not end inside the area";
        assert_eq!(text, wanted);
    }

    #[test]
    fn lengths_are_whole_pages() {
        assert!(check_len(Area::Data, 0).is_ok());
        assert!(check_len(Area::Data, 3 * PAGE).is_ok());
        let error = check_len(Area::Data, PAGE + 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
