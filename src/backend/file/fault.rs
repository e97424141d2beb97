//! Lets calls of the operating system fail on command, for tests, with the feature `sim`. Every place that
//! calls the system for the sake of a database asks here first.
//!
//! Invariants:
//! * without the feature nothing of it is there: to ask is an empty function;
//! * what fails is not done. Of an operation that io_uring has carried out, the answer alone is another;
//! * a plan is for the thread that made it, so tests beside each other do not disturb each other.
//!
//! Must not know: areas, paths, what is done about a failure.

#![forbid(unsafe_code)]

use std::io;

/// A kind of call of the operating system that a file backend makes.
///
/// ```
/// # #[cfg(feature = "sim")]
/// # {
/// # let folder = std::env::temp_dir().join(format!("spinney-fault-one-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).expect("a place for files");
/// use spinney::backend::{FileCall, FileFaults};
///
/// let open = |life| spinney::Db::builder().repeatable(life).open(folder.join("a.spinney"));
/// let faults = FileFaults::nth(FileCall::Lock, 0, 5);
/// assert!(open(1).is_err(), "whoever cannot lock a file does not use it");
/// drop(faults);
/// assert!(open(2).is_ok());
/// # std::fs::remove_dir_all(&folder).expect("clean");
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "sim"), allow(dead_code, reason = "not every system has all of these"))]
pub enum FileCall {
    /// A file is opened or made.
    Open,
    /// The lock of the data file is asked for.
    Lock,
    /// A file gets another length.
    SetLen,
    /// Bytes are read, one operation at a time.
    Read,
    /// Bytes are written, one operation at a time.
    Write,
    /// Bytes are written and made durable in one.
    WriteThrough,
    /// Contents of a file are made durable.
    SyncData,
    /// A file, or a folder, is made durable with all that belongs to it.
    SyncAll,
    /// A file is deleted.
    Remove,
    /// The ring is mapped.
    Map,
    /// A ring of io_uring is made.
    UringSetup,
    /// A batch is handed to io_uring.
    UringSubmit,
    /// io_uring answers an operation.
    UringAnswer,
}

cfg_if::cfg_if! {
    if #[cfg(feature = "sim")] {
        use std::cell::RefCell;

        thread_local! {
            static PLAN: RefCell<Option<Plan>> = const { RefCell::new(None) };
        }

        struct Plan {
            call: FileCall,
            nth: u64,
            for_good: bool,
            errno: i32,
            seen: u64,
        }

        /// While this lives, calls that this thread makes of the operating system for file backends fail.
        ///
        /// A database that does nothing in the background
        /// ([`Options::repeatable`](crate::Options::repeatable)) makes all of its calls on the thread that
        /// uses it.
        ///
        /// ```
        /// use spinney::backend::{FileCall, FileFaults};
        ///
        /// # let folder = std::env::temp_dir().join(format!("spinney-doc-faults-{}", std::process::id()));
        /// # std::fs::create_dir_all(&folder).expect("a place for files");
        /// let path = folder.join("catalog.spinney");
        /// // The third file that is opened cannot be: EIO.
        /// let faults = FileFaults::nth(FileCall::Open, 2, 5);
        /// assert!(spinney::Db::builder().repeatable(1).open(&path).is_err());
        /// assert!(faults.calls() > 2);
        /// drop(faults);
        /// assert!(spinney::Db::builder().repeatable(2).open(&path).is_ok());
        /// # std::fs::remove_dir_all(&folder).expect("clean");
        /// ```
        #[derive(Debug)]
        #[must_use]
        pub struct FileFaults(());

        impl FileFaults {
            /// The nth call of a kind, counted from 0, fails with this error number.
            ///
            /// ```
            /// # let folder = std::env::temp_dir().join(format!("spinney-fault-nth-{}", std::process::id()));
            /// # std::fs::create_dir_all(&folder).expect("a place for files");
            /// use spinney::backend::{FileCall, FileFaults};
            ///
            /// let open = |life| spinney::Db::builder().repeatable(life).open(folder.join("a.spinney"));
            /// let faults = FileFaults::nth(FileCall::Lock, 1, 5);
            /// assert!(open(1).is_ok() && open(2).is_err() && open(3).is_ok());
            /// # drop(faults);
            /// # std::fs::remove_dir_all(&folder).expect("clean");
            /// ```
            pub fn nth(call: FileCall, nth: u64, errno: i32) -> FileFaults {
                FileFaults::begin(Plan { call, nth, for_good: false, errno, seen: 0 })
            }

            /// The nth call of a kind, and all after it, fail with this error number.
            ///
            /// ```
            /// # let folder = std::env::temp_dir().join(format!("spinney-fault-all-{}", std::process::id()));
            /// # std::fs::create_dir_all(&folder).expect("a place for files");
            /// use spinney::backend::{FileCall, FileFaults};
            ///
            /// let open = |life| spinney::Db::builder().repeatable(life).open(folder.join("a.spinney"));
            /// let faults = FileFaults::from_nth(FileCall::Lock, 1, 5);
            /// assert!(open(1).is_ok() && open(2).is_err() && open(3).is_err());
            /// # drop(faults);
            /// # std::fs::remove_dir_all(&folder).expect("clean");
            /// ```
            pub fn from_nth(call: FileCall, nth: u64, errno: i32) -> FileFaults {
                FileFaults::begin(Plan { call, nth, for_good: true, errno, seen: 0 })
            }

            fn begin(plan: Plan) -> FileFaults {
                PLAN.set(Some(plan));
                FileFaults(())
            }

            /// How many calls of the kind there were so far.
            ///
            /// ```
            /// # let folder = std::env::temp_dir().join(format!("spinney-fault-sum-{}", std::process::id()));
            /// # std::fs::create_dir_all(&folder).expect("a place for files");
            /// use spinney::backend::{FileCall, FileFaults};
            ///
            /// let open = |life| spinney::Db::builder().repeatable(life).open(folder.join("a.spinney"));
            /// let faults = FileFaults::nth(FileCall::Lock, u64::MAX, 5); // nothing fails
            /// assert!(open(1).is_ok() && open(2).is_ok());
            /// assert_eq!(faults.calls(), 2);
            /// # std::fs::remove_dir_all(&folder).expect("clean");
            /// ```
            pub fn calls(&self) -> u64 {
                PLAN.with_borrow(|plan| plan.as_ref().map_or(0, |plan| plan.seen))
            }
        }

        impl Drop for FileFaults {
            fn drop(&mut self) {
                PLAN.set(None);
            }
        }

        /// An error if this call is to fail.
        pub(super) fn meet(call: FileCall) -> io::Result<()> {
            let struck = PLAN.with_borrow_mut(|plan| {
                let plan = plan.as_mut().filter(|plan| plan.call == call)?;
                let number = plan.seen;
                plan.seen += 1;
                let is_struck = number == plan.nth || plan.for_good && number > plan.nth;
                is_struck.then_some(plan.errno)
            });
            struck.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno)))
        }
    } else {
        #[inline(always)]
        pub(super) fn meet(_call: FileCall) -> io::Result<()> {
            Ok(())
        }
    }
}
