//! Values and versions as they are handed out.

#![forbid(unsafe_code)]

use std::ops::Deref;

/// The number of the write that a record comes from: 1, 2, 3 ... for the life of the database. All keys of
/// one [load](crate::Tree::load) have the same one.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let files = spinney::Db::memory().tree("files")?;
/// let first: spinney::Version = files.put("a", "1")?;
/// let second = files.put("b", "2")?;
/// assert!(first < second && second.number() == first.number() + 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// The version with this number, as [`Version::number`] gave it.
    ///
    /// ```
    /// let version = spinney::Version::from_number(7);
    /// assert_eq!(version.number(), 7);
    /// ```
    pub fn from_number(number: u64) -> Self {
        Version(number)
    }

    /// The number, for storing it elsewhere.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let version = files.put("a", "1")?;
    /// let stored = version.number().to_le_bytes();
    /// assert_eq!(spinney::Version::from_number(u64::from_le_bytes(stored)), version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A value with its version. It is a copy: later writes do not change it.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let files = spinney::Db::memory().tree("files")?;
/// let version = files.put("a", "one")?;
/// let value = files.get("a")?.expect("was just put");
/// assert_eq!(&*value, b"one");
/// assert_eq!(value.version(), version);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    bytes: Vec<u8>,
    version: Version,
}

impl Value {
    pub(crate) fn new(bytes: Vec<u8>, version: u64) -> Self {
        Value { bytes, version: Version(version) }
    }

    /// The number of the write that this value comes from.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let version = files.put("a", "1")?;
    /// let value = files.get("a")?.expect("was just put");
    /// assert!(files.compare_and_put("a", value.version(), "2")?.is_some_and(|next| next > version));
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes alone, without copying them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// files.put("a", "1")?;
    /// let bytes: Vec<u8> = files.get("a")?.expect("was just put").into_vec();
    /// assert_eq!(bytes, b"1");
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_vec(self) -> Vec<u8> {
        self.bytes
    }
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}
