//! Bringing a file to an object store, and reading it back.

#![forbid(unsafe_code)]

use std::io::{self, Read};

use object_store::{
    Attribute, Attributes, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, WriteMultipart,
};
use xxhash_rust::xxh3::Xxh3Default;

use super::place::{ObjectPlace, Scheme};
use super::runtime::Worker;
use super::told;

/// Bytes of a part: the least that all stores take, and small enough to send again.
const PART_BYTES: usize = 8 << 20;
/// Parts that are under way together.
const PARTS_MAX: usize = 4;

/// What was brought.
///
/// ```
/// use object_store::memory::InMemory;
/// use spinney::backend::{ObjectPlace, Upload};
/// use std::sync::Arc;
///
/// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
/// let first: Upload = place.upload(&b"some bytes"[..], &mut |_| {})?;
/// let second: Upload = place.upload(&b"same bytes"[..], &mut |_| {})?;
/// assert_eq!((first.size_bytes, second.size_bytes), (10, 10));
/// assert_ne!(first.checksum, second.checksum);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Its length.
    pub size_bytes: u64,
    /// The xxh3-64 of all of it.
    pub checksum: u64,
}

impl ObjectPlace {
    /// Whether there is an object.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use spinney::backend::ObjectPlace;
    /// use std::sync::Arc;
    ///
    /// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
    /// assert!(!place.exists()?);
    /// place.upload(&b"some bytes"[..], &mut |_| {})?;
    /// assert!(place.exists()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever the store says, but that there is none.
    pub fn exists(&self) -> io::Result<bool> {
        let place = self.clone();
        let found = Worker::start()?.run(async move { place.store.head(&place.path).await.map_err(told) });
        match found {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            found => found.map(|_| true),
        }
    }

    /// Makes what `bytes` gives the object. Nobody sees a part of it.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// use object_store::memory::InMemory;
    /// use spinney::backend::ObjectPlace;
    /// use std::sync::Arc;
    ///
    /// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
    /// let image = spinney::Db::memory().image()?;
    /// assert!(!place.exists()?);
    /// let sent = place.upload(&image[..], &mut |_| {})?;
    /// assert_eq!(sent.size_bytes, image.len() as u64);
    /// assert!(place.exists()? && place.read_back(&mut |_| {})? == sent);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever the store says, and reading.
    pub fn upload(&self, mut bytes: impl Read, progress: &mut dyn FnMut(u64)) -> io::Result<Upload> {
        let worker = Worker::start()?;
        let mut hash = Xxh3Default::new();
        let mut size_bytes = 0;
        let mut next = || {
            let mut part = Vec::with_capacity(PART_BYTES);
            (&mut bytes).take(PART_BYTES as u64).read_to_end(&mut part)?;
            hash.update(&part);
            size_bytes += part.len() as u64;
            progress(size_bytes);
            io::Result::Ok(Some(part).filter(|part| !part.is_empty()))
        };
        let place = self.clone();
        if self.scheme == Scheme::Web {
            let mut parts = Vec::new();
            while let Some(part) = next()? {
                parts.push(bytes::Bytes::from(part));
            }
            let options = PutOptions { attributes: self.attributes(), ..PutOptions::default() };
            let payload = PutPayload::from_iter(parts);
            worker
                .run(async move { place.sink.put_opts(&place.path, payload, options).await.map_err(told) })?;
        } else {
            let options = PutMultipartOptions { attributes: self.attributes(), ..Default::default() };
            let begun = worker.run(async move {
                place.store.put_multipart_opts(&place.path, options).await.map_err(told)
            })?;
            let upload = WriteMultipart::new_with_chunk_size(begun, PART_BYTES);
            send_parts(&worker, upload, next)?;
        }
        Ok(Upload { size_bytes, checksum: hash.digest() })
    }

    /// Reads all of the object and tells what it is.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use spinney::backend::ObjectPlace;
    /// use std::sync::Arc;
    ///
    /// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
    /// let sent = place.upload(&b"some bytes"[..], &mut |_| {})?;
    /// let mut read_bytes = 0;
    /// assert_eq!(place.read_back(&mut |bytes| read_bytes = bytes)?, sent);
    /// assert_eq!(read_bytes, 10);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever the store says.
    pub fn read_back(&self, progress: &mut dyn FnMut(u64)) -> io::Result<Upload> {
        let backend = self.open()?;
        let mut hash = Xxh3Default::new();
        let size_bytes = backend.object.size_bytes;
        let mut at = 0;
        while at < size_bytes {
            let end = (at + PART_BYTES as u64).min(size_bytes);
            let part = backend.worker.run(backend.object.clone().read(at..end))?;
            hash.update(&part);
            at = end;
            progress(at);
        }
        Ok(Upload { size_bytes, checksum: hash.digest() })
    }

    fn attributes(&self) -> Attributes {
        match self.scheme {
            Scheme::Folder => Attributes::new(),
            // What must not be compressed on the way: ranges would be of no use.
            Scheme::Web | Scheme::Bucket => {
                Attributes::from_iter([(Attribute::ContentType, "application/octet-stream")])
            }
        }
    }
}

/// Sends what `next` gives, part by part, as one object.
fn send_parts(
    worker: &Worker,
    mut upload: WriteMultipart,
    mut next: impl FnMut() -> io::Result<Option<Vec<u8>>>,
) -> io::Result<()> {
    loop {
        let sent = match next() {
            Ok(None) => break,
            Err(error) => Err(error),
            Ok(Some(part)) => {
                let sent;
                (upload, sent) = worker.run(async move {
                    let has_room = upload.wait_for_capacity(PARTS_MAX).await.map_err(told);
                    if has_room.is_ok() {
                        upload.put(part.into());
                    }
                    Ok((upload, has_room))
                })?;
                sent
            }
        };
        if let Err(error) = sent {
            // Buckets keep the parts, and charge for them, until they are told. What failed is worth more to
            // be known than whether this does.
            let _ = worker.run(async move { upload.abort().await.map_err(told) });
            return Err(error);
        }
    }
    worker.run(async move { upload.finish().await.map_err(told) })?;
    Ok(())
}
