//! Which store and which object in it a URL means.
//!
//! Credentials, regions and endpoints come from the environment, under the names that the crate
//! `object_store` knows: `AWS_ACCESS_KEY_ID`, `AWS_REGION`, `GOOGLE_SERVICE_ACCOUNT`,
//! `AZURE_STORAGE_ACCOUNT_NAME`, and so on. What they say is never shown.

#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::{Position, Url};

use super::ObjectBackend;

/// Retries of a request that may pass: a server that is down for longer is told of.
const RETRIES_MAX: usize = 4;
const RETRY_SECONDS: u64 = 120;
/// How long a server may say nothing in the middle of an answer.
const SILENCE_SECONDS: u64 = 30;
/// How long one request may take with its body, which may be large and the line slow.
const TIMEOUT: &str = "1 hour";
const TIMEOUT_SECONDS: u64 = 3600;

/// An object in a store.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// # db.tree("files")?.put("a/b", "c")?;
/// use object_store::memory::InMemory;
/// use spinney::backend::ObjectPlace;
/// use std::sync::Arc;
///
/// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
/// place.upload(&db.image()?[..], &mut |_| {})?;
/// let published = spinney::Db::builder().open_backend(Arc::new(place.open()?))?;
/// assert!(published.tree("files")?.contains("a/b")?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ObjectPlace {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The same, for whole objects on their way: there a server says nothing until it has everything.
    pub(super) sink: Arc<dyn ObjectStore>,
    pub(super) path: Path,
    pub(super) scheme: Scheme,
}

/// What a store can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// A folder: objects have bytes and nothing else.
    Folder,
    /// A web server, which takes an object as a whole if it takes any.
    Web,
    Bucket,
}

impl ObjectPlace {
    /// The place that a URL means: `https://`, `http://`, `s3://`, `gs://`, `az://` or `file://`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no URL of an object, or has a query; `Unsupported` for other schemes; and
    /// what is wrong with the settings in the environment.
    ///
    /// ```
    /// use spinney::backend::ObjectPlace;
    ///
    /// assert!(ObjectPlace::parse("s3://bucket/catalogs/files.spinney").is_ok());
    /// assert!(ObjectPlace::parse("ftp://server/files.spinney").is_err());
    /// ```
    pub fn parse(url: &str) -> io::Result<ObjectPlace> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
        let parsed = Url::parse(url).map_err(|error| invalid(error.to_string()))?;
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(invalid("it has a query or a fragment, which would be left out".to_string()));
        }
        let unsupported = |error| io::Error::new(io::ErrorKind::Unsupported, error);
        let (scheme, path) = ObjectStoreScheme::parse(&parsed).map_err(unsupported)?;
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: Duration::from_secs(RETRY_SECONDS),
            ..RetryConfig::default()
        };
        let mut sink_of_web: Option<Arc<dyn ObjectStore>> = None;
        let made: object_store::Result<(Arc<dyn ObjectStore>, Scheme)> = match scheme {
            ObjectStoreScheme::Local => Ok((Arc::new(LocalFileSystem::new()), Scheme::Folder)),
            ObjectStoreScheme::AmazonS3 => {
                let builder = AmazonS3Builder::from_env().with_url(url).with_retry(retry);
                let builder =
                    builder.with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
                builder.build().map(|store| (Arc::new(store) as Arc<dyn ObjectStore>, Scheme::Bucket))
            }
            ObjectStoreScheme::GoogleCloudStorage => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(url).with_retry(retry);
                let builder = builder.with_config(GoogleConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
                builder.build().map(|store| (Arc::new(store) as Arc<dyn ObjectStore>, Scheme::Bucket))
            }
            ObjectStoreScheme::MicrosoftAzure => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(url).with_retry(retry);
                let builder = builder.with_config(AzureConfigKey::Client(ClientConfigKey::Timeout), TIMEOUT);
                builder.build().map(|store| (Arc::new(store) as Arc<dyn ObjectStore>, Scheme::Bucket))
            }
            ObjectStoreScheme::Http => {
                // Whoever writes http:// knows that it is not encrypted.
                let client = ClientOptions::new().with_allow_http(true).with_timeout_disabled();
                let quiet = Duration::from_secs(SILENCE_SECONDS);
                let builder = HttpBuilder::new().with_url(&parsed[..Position::BeforePath]).with_retry(retry);
                let patient = client.clone().with_timeout(Duration::from_secs(TIMEOUT_SECONDS));
                let sink = builder.clone().with_client_options(patient).build();
                sink_of_web = Some(Arc::new(sink.map_err(|error| invalid(error.to_string()))?) as _);
                let built = builder.with_client_options(client.with_read_timeout(quiet)).build();
                built.map(|store| (Arc::new(store) as Arc<dyn ObjectStore>, Scheme::Web))
            }
            _ => return Err(io::Error::new(io::ErrorKind::Unsupported, "no store is known for such URLs")),
        };
        let (store, scheme) = made.map_err(|error| invalid(error.to_string()))?;
        if path.as_ref().is_empty() {
            return Err(invalid("it names no object".to_string()));
        }
        Ok(ObjectPlace { sink: sink_of_web.unwrap_or_else(|| store.clone()), store, path, scheme })
    }

    /// An object in a store that was made otherwise.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use spinney::backend::ObjectPlace;
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(InMemory::new());
    /// ObjectPlace::new(store.clone(), "a.spinney").upload(&b"bytes"[..], &mut |_| {})?;
    /// assert!(ObjectPlace::new(store.clone(), "a.spinney").exists()?);
    /// assert!(!ObjectPlace::new(store, "b.spinney").exists()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(store: Arc<dyn ObjectStore>, path: impl Into<Path>) -> ObjectPlace {
        ObjectPlace { sink: store.clone(), store, path: path.into(), scheme: Scheme::Bucket }
    }

    /// Opens the object as the data area of a database.
    ///
    /// ```
    /// use object_store::memory::InMemory;
    /// use spinney::backend::{Area, Backend, ObjectPlace};
    /// use std::sync::Arc;
    ///
    /// let place = ObjectPlace::new(Arc::new(InMemory::new()), "catalogs/files.spinney");
    /// assert!(place.open().is_err(), "there is nothing yet");
    /// place.upload(&[7; 8192][..], &mut |_| {})?;
    /// assert_eq!(place.open()?.len(Area::Data)?, 8192);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`ObjectBackend::open`].
    pub fn open(&self) -> io::Result<ObjectBackend> {
        ObjectBackend::open_at(self.store.clone(), self.path.clone())
    }
}
