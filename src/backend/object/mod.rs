//! A published database in an object store: S3, Google Cloud Storage, Azure, a web server, a folder.
//!
//! Every batch of reads is made of requests for ranges of bytes that run at the same time. Retries are the
//! business of the crate `object_store`, which knows each store's manners.
//!
//! Invariants:
//! * all bytes are of one version of the object: the one whose length and tag were seen when it was opened.
//!   Another one is [`Error::Changed`];
//! * a request that is answered with other bytes than it asked for is an error.
//!
//! Must not know: what the bytes mean.

#![forbid(unsafe_code)]

mod place;
mod runtime;
mod upload;

use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt};

use super::{Area, Backend, BlobBufPool, PAGE_BYTES, ReadOp, WriteOp};
use crate::error::Error;
pub use place::ObjectPlace;
use runtime::Worker;
pub use upload::Upload;

const BUFFER_SLOTS: usize = 16;

/// Requests of one batch that are under way together.
const REQUESTS_MAX: usize = 32;

/// Runs with so little between them are one request: the bytes cost less than asking twice.
const GAP_BYTES: u64 = 16 * PAGE_BYTES as u64;

/// The data area of a database in an object store, for reading.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// use object_store::{ObjectStoreExt, memory::InMemory};
/// use spinney::backend::ObjectBackend;
/// use std::sync::Arc;
///
/// let store = Arc::new(InMemory::new());
/// # let db = spinney::Db::memory();
/// # db.tree("files")?.put("a/b", "c")?;
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # let path = "catalogs/files.spinney".into();
/// # let put = store.put(&path, db.image()?.into());
/// # runtime.block_on(put).expect("memory");
/// let backend = ObjectBackend::open(store, "catalogs/files.spinney")?;
/// let db = spinney::Db::builder().open_backend(Arc::new(backend))?;
/// assert!(db.tree("files")?.contains("a/b")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ObjectBackend {
    object: Arc<Object>,
    worker: Worker,
    buffers: BlobBufPool,
}

/// An object as it was when it was opened.
#[derive(Debug)]
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    size_bytes: u64,
    tag: Option<String>,
}

impl ObjectBackend {
    /// Looks at the object at `path`.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use spinney::backend::{Area, Backend, ObjectBackend, ObjectPlace};
    /// use std::{io::ErrorKind, sync::Arc};
    ///
    /// let store = Arc::new(InMemory::new());
    /// let missing = ObjectBackend::open(store.clone(), "files.spinney").unwrap_err();
    /// assert_eq!(missing.kind(), ErrorKind::NotFound);
    /// ObjectPlace::new(store.clone(), "files.spinney").upload(&[7; 8192][..], &mut |_| {})?;
    /// assert_eq!(ObjectBackend::open(store, "files.spinney")?.len(Area::Data)?, 8192);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `NotFound` and `PermissionDenied`, and whatever else the store says.
    pub fn open(store: Arc<dyn ObjectStore>, path: &str) -> io::Result<ObjectBackend> {
        let path = Path::parse(path).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        ObjectBackend::open_at(store, path)
    }

    pub(crate) fn open_at(store: Arc<dyn ObjectStore>, path: Path) -> io::Result<ObjectBackend> {
        let worker = Worker::start()?;
        let (from, at) = (store.clone(), path.clone());
        let meta = worker.run(async move { from.head(&at).await.map_err(told) })?;
        let object = Object { store, path, size_bytes: meta.size, tag: meta.e_tag };
        let buffers = BlobBufPool::new(BUFFER_SLOTS);
        Ok(ObjectBackend { object: Arc::new(object), worker, buffers })
    }
}

impl Object {
    async fn read(self: Arc<Self>, range: Range<u64>) -> io::Result<bytes::Bytes> {
        let wanted = GetRange::Bounded(range.clone());
        // A server may not take a weak tag there. It is compared below in any case.
        let if_match = self.tag.clone().filter(|tag| !tag.starts_with("W/"));
        let options = GetOptions { range: Some(wanted), if_match, ..GetOptions::default() };
        let found = self.store.get_opts(&self.path, options).await.map_err(told)?;
        let is_same = found.meta.size == self.size_bytes && found.meta.e_tag == self.tag;
        if !is_same {
            return Err(io::Error::other(Error::Changed));
        }
        let bytes = found.bytes().await.map_err(told)?;
        if bytes.len() as u64 != range.end - range.start {
            let text = format!("{}: {} bytes came for {range:?}", self.path, bytes.len());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        Ok(bytes)
    }
}

/// An error of the crate, as the others of a backend.
fn told(error: object_store::Error) -> io::Error {
    let kind = match error {
        object_store::Error::Precondition { .. } => return io::Error::other(Error::Changed),
        object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            io::ErrorKind::PermissionDenied
        }
        object_store::Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

/// Some requests at a time, in whatever order they end; the answers in the order of the requests.
async fn together<T: Send + 'static>(
    requests: impl IntoIterator<Item = impl Future<Output = io::Result<T>> + Send + 'static>,
) -> io::Result<Vec<T>> {
    let mut answers: Vec<Option<T>> = Vec::new();
    let mut under_way = tokio::task::JoinSet::new();
    let mut requests = requests.into_iter();
    loop {
        while under_way.len() < REQUESTS_MAX {
            let Some(request) = requests.next() else { break };
            let nth = answers.len();
            answers.push(None);
            under_way.spawn(async move { (nth, request.await) });
        }
        match under_way.join_next().await {
            Some(Ok((nth, answer))) => answers[nth] = Some(answer?),
            Some(Err(error)) => return Err(io::Error::other(error)),
            None => return Ok(answers.into_iter().flatten().collect()),
        }
    }
}

/// Few requests for what the operations of a batch read.
fn requests_for(batch: &[ReadOp<'_>]) -> Vec<Range<u64>> {
    let range = |op: &ReadOp<'_>| op.offset_bytes..op.offset_bytes + op.buf.len() as u64;
    let mut ranges: Vec<Range<u64>> = batch.iter().map(range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut requests: Vec<Range<u64>> = Vec::new();
    for range in ranges {
        match requests.last_mut() {
            Some(last) if range.start <= last.end + GAP_BYTES => last.end = last.end.max(range.end),
            _ => requests.push(range),
        }
    }
    requests
}

impl Backend for ObjectBackend {
    fn len(&self, area: Area) -> io::Result<u64> {
        Ok(if area == Area::Data { self.object.size_bytes } else { 0 })
    }

    fn set_len(&self, _area: Area, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn read(&self, batch: &mut [ReadOp<'_>]) -> io::Result<()> {
        for op in batch.iter() {
            op.check(self.len(op.area)?)?;
        }
        let requests = requests_for(batch);
        let object = &self.object;
        let reads: Vec<_> = requests.iter().map(|range| object.clone().read(range.clone())).collect();
        let answers = self.worker.run(together(reads))?;
        for op in batch {
            let nth = requests.partition_point(|request| request.end <= op.offset_bytes);
            let start = (op.offset_bytes - requests[nth].start) as usize;
            op.buf.copy_from_slice(&answers[nth][start..start + op.buf.len()]);
        }
        Ok(())
    }

    fn write(&self, _batch: &[WriteOp<'_>]) -> io::Result<()> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self, _area: Area) -> io::Result<()> {
        Ok(())
    }

    fn is_read_only(&self) -> bool {
        true
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn buffers(&self) -> &BlobBufPool {
        &self.buffers
    }
}
