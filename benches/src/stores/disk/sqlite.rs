//! SQLite in its WAL mode: a connection a session, one writer at a time.
//!
//! Writers queue at a mutex of this process: the library's own way is to sleep and try again.

#![forbid(unsafe_code)]

use super::{Ack, Child, DiskStore, Session, Setup, Visit, below, list_by_seeking};
use crate::stores::Result;
use rusqlite::{Connection, OptionalExtension as _};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

const PAGE: usize = 4096;
/// Entries of a transaction of `load`.
const LOAD_ENTRIES: usize = 10_000;
const PUT: &str = "INSERT OR REPLACE INTO entries VALUES (?1, ?2)";
const REMOVE: &str = "DELETE FROM entries WHERE key = ?1";
/// Of keys from one to another: each is one statement, and so one transaction.
const COUNT: &str = "SELECT count(*) FROM entries WHERE key >= ?1 AND key < ?2";
const REMOVE_BELOW: &str = "DELETE FROM entries WHERE key >= ?1 AND key < ?2";
const RENAME: &str =
    "UPDATE entries SET key = CAST(?3 || substr(key, ?4) AS BLOB) WHERE key >= ?1 AND key < ?2";

pub struct Sqlite {
    path: PathBuf,
    pragmas: String,
    /// For what is no session's own, and a lock around every write.
    writer: Mutex<Connection>,
}

pub struct Connected<'a> {
    store: &'a Sqlite,
    connection: Connection,
}

fn connect(path: &PathBuf, pragmas: &str) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(Duration::from_secs(60))?;
    connection.execute_batch(pragmas)?;
    Ok(connection)
}

fn end_of(prefix: &[u8]) -> Result<Vec<u8>> {
    Ok(below::successor(prefix).ok_or("no key is above all of these")?)
}

impl DiskStore for Sqlite {
    const NAME: &'static str = "sqlite";
    const ACKS: [&'static str; 2] = [
        "WAL, synchronous=FULL, a transaction a put",
        "WAL, synchronous=NORMAL: lost with the system, up to the last checkpoint",
    ];
    type Session<'a> = Connected<'a>;

    fn open(setup: &Setup<'_>) -> Result<Self> {
        let path = setup.dir.join("bench.sqlite");
        let synchronous = if setup.ack == Ack::Synced { "FULL" } else { "NORMAL" };
        let kilobytes = (setup.cache_bytes / 1024 / setup.sessions).max(64);
        let pages = setup.log_bytes / PAGE;
        let pragmas = format!(
            "PRAGMA page_size={PAGE}; PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous};
             PRAGMA cache_size=-{kilobytes}; PRAGMA wal_autocheckpoint={pages};"
        );
        let writer = connect(&path, &pragmas)?;
        writer.execute_batch(
            "CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        )?;
        Ok(Self { path, pragmas, writer: Mutex::new(writer) })
    }

    fn session(&self) -> Result<Connected<'_>> {
        Ok(Connected { store: self, connection: connect(&self.path, &self.pragmas)? })
    }

    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        let writer = self.writer.lock().map_err(|_| "poisoned")?;
        let mut entries = entries.peekable();
        while entries.peek().is_some() {
            writer.execute_batch("BEGIN IMMEDIATE")?;
            let mut put = writer.prepare_cached(PUT)?;
            for (key, value) in entries.by_ref().take(LOAD_ENTRIES) {
                put.execute((key, value.as_ref()))?;
            }
            writer.execute_batch("COMMIT")?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.checkpoint()
    }

    fn checkpoint(&self) -> Result<()> {
        let writer = self.writer.lock().map_err(|_| "poisoned")?;
        // An answer of (busy, pages in the log, pages moved).
        let busy: i64 = writer.query_row("PRAGMA wal_checkpoint(RESTART)", (), |row| row.get(0))?;
        if busy == 0 { Ok(()) } else { Err("the log was in use during a checkpoint".into()) }
    }

    fn close(self) -> Result<()> {
        let writer = self.writer.into_inner().map_err(|_| "poisoned")?;
        writer.close().map_err(|(_, error)| error.into())
    }
}

impl Session for Connected<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let _lock = self.store.writer.lock().map_err(|_| "poisoned")?;
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute(())?;
        self.connection.prepare_cached(PUT)?.execute((key, value))?;
        self.connection.prepare_cached("COMMIT")?.execute(())?;
        Ok(())
    }

    fn remove(&mut self, key: &[u8]) -> Result<()> {
        let _lock = self.store.writer.lock().map_err(|_| "poisoned")?;
        self.connection.prepare_cached(REMOVE)?.execute((key,))?;
        Ok(())
    }

    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let mut get = self.connection.prepare_cached("SELECT value FROM entries WHERE key = ?1")?;
        Ok(get.query_row((key,), |row| Ok(see(row.get_ref(0)?.as_blob()?))).optional()?)
    }

    fn hold(&mut self) -> Result<()> {
        // It reads from the moment of its first SELECT on.
        Ok(self.connection.execute_batch("BEGIN")?)
    }

    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()> {
        let mut walk =
            self.connection.prepare_cached("SELECT key FROM entries WHERE key >= ?1 ORDER BY key")?;
        list_by_seeking(prefix, see, |from, visit| {
            let mut rows = walk.query((from,))?;
            while let Some(row) = rows.next()? {
                if !visit(row.get_ref(0)?.as_blob()?) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let compared = if after.is_some() { ">" } else { ">=" };
        let select = format!("SELECT key, value FROM entries WHERE key {compared} ?1 ORDER BY key");
        let mut walk = self.connection.prepare_cached(&select)?;
        let mut rows = walk.query((after.unwrap_or(prefix),))?;
        while let Some(row) = rows.next()? {
            let key = row.get_ref(0)?.as_blob()?;
            if !key.starts_with(prefix) || !visit(key, row.get_ref(1)?.as_blob()?) {
                break;
            }
        }
        Ok(())
    }

    fn count_below(&mut self, prefix: &[u8]) -> Result<usize> {
        let end = end_of(prefix)?;
        let mut count = self.connection.prepare_cached(COUNT)?;
        let count: i64 = count.query_row((prefix, end), |row| row.get(0))?;
        Ok(usize::try_from(count)?)
    }

    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let (end, rest_from) = (end_of(from)?, i64::try_from(from.len() + 1)?);
        let _lock = self.store.writer.lock().map_err(|_| "poisoned")?;
        self.connection.prepare_cached(RENAME)?.execute((from, end, to, rest_from))?;
        Ok(())
    }

    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        let end = end_of(prefix)?;
        let _lock = self.store.writer.lock().map_err(|_| "poisoned")?;
        self.connection.prepare_cached(REMOVE_BELOW)?.execute((prefix, end))?;
        Ok(())
    }
}
