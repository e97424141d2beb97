//! Sessions that expire: found by their token, and forgotten in the order in which they end.
//!
//! A second tree has a key for each moment at which a session may end. Keys are in order, so what has expired
//! lies at its beginning: a sweep costs what it removes, not what is alive. `cargo run --example sessions`

#![forbid(unsafe_code)]

use spinney::{Db, Durability, Result, Tree};

struct Sessions {
    /// token -> `{end:012} {user}`
    by_token: Tree,
    /// `{end:012}/{token}` -> nothing
    by_end: Tree,
    life_s: u64,
}

/// Numbers of fixed width sort as they count.
fn end_key(end_s: u64, token: &str) -> String {
    format!("{end_s:012}/{token}")
}

fn parse(value: &[u8]) -> Option<(u64, String)> {
    let (end, user) = std::str::from_utf8(value).ok()?.split_once(' ')?;
    Some((end.parse().ok()?, user.to_string()))
}

impl Sessions {
    /// A loss of power may cost the last moments of logins, which is worth the speed here.
    fn open(db: &Db, life_s: u64) -> Result<Self> {
        let tree = |name| db.tree(name).map(|tree| tree.with_durability(Durability::Buffered));
        Ok(Sessions { by_token: tree("sessions")?, by_end: tree("session-ends")?, life_s })
    }

    fn log_in(&self, token: &str, user: &str, now_s: u64) -> Result<()> {
        let end_s = now_s + self.life_s;
        // The end goes first: a session without an end would live for ever, an end without a session does
        // no harm.
        self.by_end.put(end_key(end_s, token), "")?;
        self.by_token.put(token, format!("{end_s:012} {user}"))?;
        Ok(())
    }

    /// Who it is, if the session is alive; it lives on from now.
    fn touch(&self, token: &str, now_s: u64) -> Result<Option<String>> {
        let Some(value) = self.by_token.get(token)? else {
            return Ok(None);
        };
        let Some((end_s, user)) = parse(&value).filter(|(end_s, _)| *end_s > now_s) else {
            return Ok(None);
        };
        let later_s = now_s + self.life_s;
        if later_s > end_s {
            self.by_end.put(end_key(later_s, token), "")?;
            let renewed = format!("{later_s:012} {user}");
            // If another request was faster, its end counts; the sweep finds ours to be no longer true.
            self.by_token.compare_and_put(token, value.version(), renewed)?;
        }
        Ok(Some(user))
    }

    fn log_out(&self, token: &str) -> Result<bool> {
        Ok(self.by_token.remove(token)?.is_some())
    }

    /// Forgets what has ended by now. How many sessions that were.
    fn sweep(&self, now_s: u64) -> Result<u64> {
        let mut forgotten = 0;
        let ended = self.by_end.range(..end_key(now_s + 1, ""));
        for key in ended.keys() {
            let key = key?;
            let token = &key[13..];
            if let Some(value) = self.by_token.get(token)? {
                let has_ended = parse(&value).is_none_or(|(end_s, _)| end_s <= now_s);
                // Only in the version that was seen: it may be renewed at this moment.
                if has_ended && self.by_token.remove_if(token, value.version())?.is_some() {
                    forgotten += 1;
                }
            }
            self.by_end.remove(&key)?;
        }
        Ok(forgotten)
    }
}

fn main() -> Result<()> {
    let db = Db::memory();
    let sessions = Sessions::open(&db, 1800)?;
    for nth in 0..10_000 {
        // One login a second.
        sessions.log_in(&format!("token-{nth:05}"), &format!("user-{}", nth % 700), nth)?;
    }
    let now_s = 10_000;
    assert_eq!(sessions.touch("token-00000", now_s)?, None, "it has ended long ago");
    assert_eq!(sessions.touch("token-09000", now_s)?.as_deref(), Some("user-600"));
    assert!(sessions.log_out("token-09001")?);

    let forgotten = sessions.sweep(now_s)?;
    assert_eq!(forgotten, 8_201, "all that began at 8200 or before");
    assert_eq!(sessions.by_token.count("")?, 10_000 - 8_201 - 1);
    assert_eq!(sessions.sweep(now_s)?, 0);
    println!("{forgotten} sessions forgotten, {} are alive", sessions.by_token.count("")?);

    // Half an hour later only the one that was used is left, and it ends at that moment.
    assert_eq!(sessions.sweep(now_s + 1799)?, 10_000 - 8_201 - 2);
    assert_eq!(sessions.touch("token-09000", now_s + 1799)?.as_deref(), Some("user-600"));
    assert_eq!(sessions.sweep(now_s + 1799 + 1800)?, 1);
    assert!(sessions.by_token.is_empty()? && sessions.by_end.is_empty()?);
    Ok(())
}
