//! The journal: the pages that a checkpoint is about to write in place, as one record.
//!
//! ```text
//! page 0        header
//!   word 0      magic "SPINJRN" + format version
//!   word 1      generation of the checkpoint
//!   word 2, 3   database id
//!   word 4      log id
//!   word 5      number of pages
//!   word 6      xxh3-64 of the index
//!   word 511    xxh3-64 of this page's first 511 words
//! from page 1   the index: for each page its number in the data area, and its xxh3-64
//! behind it     the pages, in the order of the index
//! ```
//!
//! A journal is complete if every checksum holds; then the checkpoint has committed, whatever of it has
//! reached its place. An incomplete one counts for nothing.

#![forbid(unsafe_code)]

use crate::hash::xxh3_64;

use super::page_writer::PageWriter;
use super::superblock::{set_word, word};
use crate::backend::{Area, BLOB_BYTES, Backend, PAGE_BYTES, ReadOp, room};
use crate::error::Result;

/// "SPINJRN", and 1 for this format.
const MAGIC: u64 = u64::from_le_bytes(*b"SPINJRN\x01");
const OWN_CHECKSUM_AT: usize = 511;
const ENTRY_BYTES: usize = 16;
/// Nothing that a file claims decides an allocation: 64 GiB of pages.
const PAGES_MAX: u64 = 1 << 24;

/// No page of the data area has such a number.
const NUMBER_MAX: u64 = (BLOB_BYTES / PAGE_BYTES) as u64 * (u32::MAX as u64 + 1);

/// Whose checkpoint a journal holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) generation: u64,
    pub(crate) database_id: u128,
    pub(crate) log_id: u64,
}

/// One page and its number in the data area.
pub(crate) type Page<'a> = (u64, &'a [u8]);

/// A complete journal.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) identity: Identity,
    numbers: Vec<u64>,
    bytes: Vec<u8>,
}

impl Journal {
    pub(crate) fn pages(&self) -> impl Iterator<Item = Page<'_>> {
        self.numbers.iter().copied().zip(self.bytes.chunks_exact(PAGE_BYTES))
    }
}

/// Writes a journal; it is complete once the area has been synced. Returns the bytes written.
pub(crate) fn write(backend: &dyn Backend, identity: Identity, pages: &[Page<'_>]) -> Result<u64> {
    let mut index = room::room((pages.len() * ENTRY_BYTES).next_multiple_of(PAGE_BYTES))?;
    for (number, bytes) in pages {
        index.extend_from_slice(&number.to_le_bytes());
        index.extend_from_slice(&xxh3_64(bytes).to_le_bytes());
    }
    index.resize(index.len().next_multiple_of(PAGE_BYTES), 0);
    let mut header = [0; PAGE_BYTES];
    let words = [
        MAGIC,
        identity.generation,
        identity.database_id as u64,
        (identity.database_id >> 64) as u64,
        identity.log_id,
        pages.len() as u64,
        xxh3_64(&index),
    ];
    for (at, value) in words.into_iter().enumerate() {
        set_word(&mut header, at, value);
    }
    let own = xxh3_64(&header[..OWN_CHECKSUM_AT * 8]);
    set_word(&mut header, OWN_CHECKSUM_AT, own);

    let total_bytes = (PAGE_BYTES + index.len() + pages.len() * PAGE_BYTES) as u64;
    if backend.len(Area::Journal)? < total_bytes {
        backend.set_len(Area::Journal, total_bytes.next_multiple_of(BLOB_BYTES as u64))?;
    }
    let mut writer = PageWriter::new(backend);
    let parts =
        [&header[..]].into_iter().chain(index.chunks(PAGE_BYTES)).chain(pages.iter().map(|page| page.1));
    for (offset_bytes, bytes) in (0..).step_by(PAGE_BYTES).zip(parts) {
        writer.put(Area::Journal, offset_bytes, bytes)?;
    }
    Ok(writer.flush()?)
}

/// Takes back what may be a complete journal; it is none once the area has been synced.
pub(crate) fn blank(backend: &dyn Backend) -> Result<()> {
    if backend.len(Area::Journal)? > 0 {
        backend.write_zeros(Area::Journal, 0, PAGE_BYTES as u64)?;
    }
    Ok(())
}

/// Whether there is a journal area into which nothing was written since it was made.
pub(crate) fn is_unused(backend: &dyn Backend) -> Result<bool> {
    if backend.len(Area::Journal)? < PAGE_BYTES as u64 {
        return Ok(false);
    }
    Ok(read_run(backend, 0, PAGE_BYTES as u64)?.iter().all(|&byte| byte == 0))
}

/// Reads the journal, if it is complete.
pub(crate) fn read(backend: &dyn Backend) -> Result<Option<Journal>> {
    let len_bytes = backend.len(Area::Journal)?;
    if len_bytes < PAGE_BYTES as u64 {
        return Ok(None);
    }
    let header = read_run(backend, 0, PAGE_BYTES as u64)?;
    let sound = word(&header, 0) == MAGIC
        && word(&header, OWN_CHECKSUM_AT) == xxh3_64(&header[..OWN_CHECKSUM_AT * 8])
        && word(&header, 5) <= PAGES_MAX;
    let count = word(&header, 5).min(PAGES_MAX);
    let index_bytes = (count * ENTRY_BYTES as u64).next_multiple_of(PAGE_BYTES as u64);
    // In 64 bits: what a header says may be more than a small processor can address.
    let (pages_at, pages_bytes) = (PAGE_BYTES as u64 + index_bytes, count * PAGE_BYTES as u64);
    if !sound || pages_at + pages_bytes > len_bytes {
        return Ok(None);
    }
    let index = read_run(backend, PAGE_BYTES as u64, index_bytes)?;
    if xxh3_64(&index) != word(&header, 6) {
        return Ok(None);
    }
    let bytes = read_run(backend, pages_at, pages_bytes)?;
    let pages = bytes.chunks_exact(PAGE_BYTES).enumerate();
    if pages.into_iter().any(|(nth, page)| xxh3_64(page) != word(&index, nth * 2 + 1)) {
        return Ok(None);
    }
    let identity = Identity {
        generation: word(&header, 1),
        database_id: u128::from(word(&header, 2)) | u128::from(word(&header, 3)) << 64,
        log_id: word(&header, 4),
    };
    let numbers: Vec<u64> = (0..count as usize).map(|nth| word(&index, nth * 2)).collect();
    if numbers.iter().any(|&number| number >= NUMBER_MAX) {
        return Ok(None);
    }
    Ok(Some(Journal { identity, numbers, bytes }))
}

fn read_run(backend: &dyn Backend, offset_bytes: u64, len_bytes: u64) -> Result<Vec<u8>> {
    let too_much = |_| std::io::Error::from(std::io::ErrorKind::OutOfMemory);
    let len_bytes = usize::try_from(len_bytes).map_err(too_much)?;
    let mut buffer = backend.buffers().lease_blocking();
    let mut bytes = room::room(len_bytes)?;
    while bytes.len() < len_bytes {
        let part = (len_bytes - bytes.len()).min(BLOB_BYTES);
        let offset_bytes = offset_bytes + bytes.len() as u64;
        let buf = &mut buffer[..part];
        backend.read(&mut [ReadOp { area: Area::Journal, offset_bytes, buf }])?;
        bytes.extend_from_slice(&buffer[..part]);
    }
    Ok(bytes)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::backend::{MemoryBackend, WriteOp};

    const IDENTITY: Identity = Identity { generation: 7, database_id: 1 << 100 | 5, log_id: 9 };

    fn written(count: u64) -> (MemoryBackend, Vec<(u64, Vec<u8>)>) {
        let backend = MemoryBackend::new();
        let pages: Vec<_> =
            (0..count).map(|nth| (nth * 3, vec![(nth % 251) as u8 + 1; PAGE_BYTES])).collect();
        let list: Vec<Page<'_>> = pages.iter().map(|(number, bytes)| (*number, &bytes[..])).collect();
        write(&backend, IDENTITY, &list).expect("memory");
        (backend, pages)
    }

    #[test]
    fn a_journal_comes_back() {
        for count in [0, 1, 300] {
            let (backend, pages) = written(count);
            let journal = read(&backend).expect("memory").expect("complete");
            assert_eq!(journal.identity, IDENTITY);
            assert!(journal.pages().eq(pages.iter().map(|(number, bytes)| (*number, &bytes[..]))));
        }
    }

    /// The largest numbers make bytes beyond 32 bits: computed in fewer they would come out small.
    #[test]
    fn a_journal_that_says_it_has_more_pages_counts_for_nothing() {
        let (backend, pages) = written(20);
        let mut buffer = backend.buffers().lease_blocking();
        let header = &mut buffer[..PAGE_BYTES];
        backend.read(&mut [ReadOp { area: Area::Journal, offset_bytes: 0, buf: header }]).expect("memory");
        for more in [1, 1 << 20, PAGES_MAX - pages.len() as u64, PAGES_MAX, u64::MAX - 20] {
            set_word(header, 5, pages.len() as u64 + more);
            let checksum = xxh3_64(&header[..OWN_CHECKSUM_AT * 8]);
            set_word(header, OWN_CHECKSUM_AT, checksum);
            backend.write(&[WriteOp { area: Area::Journal, offset_bytes: 0, buf: header }]).expect("memory");
            assert!(read(&backend).expect("memory").is_none(), "{more}");
        }
    }

    #[test]
    fn a_journal_with_any_flipped_bit_counts_for_nothing() {
        let (backend, pages) = written(20);
        let used = (2 + pages.len()) * PAGE_BYTES;
        let mut buffer = backend.buffers().lease_blocking();
        for at in (0..used).step_by(257) {
            let offset_bytes = (at / PAGE_BYTES * PAGE_BYTES) as u64;
            for expected in [false, true] {
                let buf = &mut buffer[..PAGE_BYTES];
                backend.read(&mut [ReadOp { area: Area::Journal, offset_bytes, buf }]).expect("memory");
                buf[at % PAGE_BYTES] ^= 0x10;
                backend.write(&[WriteOp { area: Area::Journal, offset_bytes, buf }]).expect("memory");
                assert_eq!(read(&backend).expect("memory").is_some(), expected, "byte {at}");
            }
        }
    }

    #[test]
    fn an_empty_or_hostile_area_holds_no_journal() {
        let backend = MemoryBackend::new();
        assert!(read(&backend).expect("memory").is_none());
        backend.set_len(Area::Journal, 3 * PAGE_BYTES as u64).expect("memory");
        assert!(read(&backend).expect("memory").is_none());
    }
}
