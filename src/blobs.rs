//! What each blob of a database holds.

#![forbid(unsafe_code)]

use crate::blob::header::CAPACITY_WORDS;
use crate::error::Result;
use crate::store::Store;
use crate::store::residency::HeaderCounts;
use crate::store::superblock::is_directory_blob;

/// What a blob is there for.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use spinney::BlobKind;
///
/// let db = spinney::Db::memory();
/// db.tree("files")?.put("a/b", "c")?;
/// let blobs = db.blobs()?;
/// let count = |kind: BlobKind| blobs.iter().filter(|blob| blob.kind == kind).count();
/// // One blob has room for all keys, so there is nothing to separate.
/// assert_eq!((count(BlobKind::Range), count(BlobKind::Router)), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobKind {
    /// It says where the database begins, or which checksum the other blobs have.
    Directory,
    /// It holds the keys of one range, and their values.
    Range,
    /// It holds the separators between ranges.
    Router,
    /// Nothing is in it: the next blob that is needed takes its place.
    Unused,
}

/// One blob, as its first page describes it: [`Db::blobs`](crate::Db::blobs).
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// db.tree("files")?.put("a/b", vec![7; 1000])?;
/// let blob: spinney::BlobInfo = db.blobs()?[1];
/// assert_eq!((blob.id, blob.keys), (1, 2)); // the name of the tree is a key, too
/// assert!(blob.live_bytes >= 1000 && blob.garbage_bytes == 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlobInfo {
    /// The number of the blob: it lies at `id * 524288` in the file.
    pub id: u32,
    /// What it is there for.
    pub kind: BlobKind,
    /// Keys in it, names of trees included. 0 in all but range blobs.
    pub keys: u32,
    /// Bytes of live nodes.
    pub live_bytes: u32,
    /// Bytes that are in use but would be won back by compacting.
    pub garbage_bytes: u32,
}

impl BlobInfo {
    fn empty(id: u32, kind: BlobKind) -> Self {
        BlobInfo { id, kind, keys: 0, live_bytes: 0, garbage_bytes: 0 }
    }

    fn new(id: u32, counts: HeaderCounts) -> Self {
        let kind = if counts.is_router { BlobKind::Router } else { BlobKind::Range };
        let bytes = |words: u32| words.saturating_mul(8);
        BlobInfo {
            keys: if counts.is_router { 0 } else { counts.keys },
            live_bytes: bytes(counts.live_words),
            garbage_bytes: bytes(counts.garbage_words),
            ..BlobInfo::empty(id, kind)
        }
    }

    /// The part of it that live nodes fill, 0 to 1.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// let before = db.blobs()?[1].fill();
    /// files.put("a/b", vec![7; 50_000])?;
    /// let after = db.blobs()?[1].fill();
    /// assert!(after > before + 0.09 && after < 0.2, "{before} to {after}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn fill(&self) -> f64 {
        f64::from(self.live_bytes) / (f64::from(CAPACITY_WORDS) * 8.0)
    }
}

/// All of them; of those that are not in memory, the first page is read.
pub(crate) fn list(store: &Store) -> Result<Vec<BlobInfo>> {
    let (end, unused) = store.ids.in_use();
    let mut blobs: Vec<BlobInfo> = (0..end).map(|id| BlobInfo::empty(id, BlobKind::Unused)).collect();
    let mut unread = Vec::new();
    for id in (0..end).filter(|id| !unused.contains(id)) {
        if id == 0 || is_directory_blob(id) {
            blobs[id as usize].kind = BlobKind::Directory;
            continue;
        }
        match store.frames.get(id).and_then(HeaderCounts::of_frame) {
            Some(counts) => blobs[id as usize] = BlobInfo::new(id, counts),
            None if store.is_stored(id) => unread.push(id),
            None => {}
        }
    }
    store.survey(&unread, |id, counts| blobs[id as usize] = BlobInfo::new(id, counts))?;
    Ok(blobs)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::Db;
    use crate::backend::MemoryBackend;
    use std::sync::Arc;

    /// The map adds up to what the survey counts, in memory and cold.
    #[test]
    fn the_map_adds_up() {
        let db = Db::memory();
        let files = db.tree("files").expect("a name");
        for number in 0..20_000 {
            files.put(format!("photos/{:03}/{number}", number % 700), [7; 60]).expect("room");
        }
        files.remove_prefix("photos/1").expect("sound");
        let backend = MemoryBackend::from_bytes(&db.image().expect("sound")).expect("blobs");
        let cold = Db::builder().read_only(true).open_backend(Arc::new(backend)).expect("sound");
        for db in [&db, &cold] {
            let (blobs, survey) = (db.blobs().expect("sound"), db.survey().expect("sound"));
            let of = |kind: BlobKind| blobs.iter().filter(move |blob| blob.kind == kind);
            assert!(survey.router_blobs > 0 && survey.range_blobs > 2);
            assert_eq!(blobs.len() as u32, survey.total_blobs);
            assert!(blobs.iter().enumerate().all(|(at, blob)| blob.id as usize == at));
            assert_eq!(of(BlobKind::Directory).count(), 1);
            assert_eq!(of(BlobKind::Range).count() as u32, survey.range_blobs);
            assert_eq!(of(BlobKind::Router).count() as u32, survey.router_blobs);
            // The name of the tree is a key of a blob, too.
            assert_eq!(blobs.iter().map(|blob| u64::from(blob.keys)).sum::<u64>(), survey.keys + 1);
            let live = of(BlobKind::Range).map(|blob| u64::from(blob.live_bytes)).sum::<u64>();
            let garbage = of(BlobKind::Range).map(|blob| u64::from(blob.garbage_bytes)).sum::<u64>();
            assert_eq!((live, garbage), (survey.live_bytes, survey.garbage_bytes));
            assert!(of(BlobKind::Range).all(|blob| blob.fill() <= 1.0));
        }
        assert!(cold.stats().unread_blobs > 0, "nothing was taken in");
    }
}
