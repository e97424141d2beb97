//! What the numbers of a row come to, as a clause of a title.

#![forbid(unsafe_code)]

use super::super::lines::Sample;
use super::super::stores;
use super::super::tables::best;
use crate::report::{HOME, short};

/// How a row is told: what it is about, and the words for being ahead and behind.
pub struct Words {
    pub subject: &'static str,
    pub ahead: &'static str,
    pub behind: &'static str,
}

/// Of the stores in a row, how far Spinney is before the next or behind the best; nothing, if it is alone.
pub fn clause(words: &Words, cells: &[&Sample]) -> Option<String> {
    let home = *cells.iter().find(|sample| sample.store == HOME)?;
    let others: Vec<&Sample> = cells.iter().copied().filter(|sample| sample.store != HOME).collect();
    let peer = best(&others)?;
    let ratio = home.median.max(peer.median) / home.median.min(peer.median);
    if !ratio.is_finite() || ratio == 1.0 {
        return None;
    }
    let is_ahead = best(&[home, peer])?.store == HOME;
    let (word, whom) = if is_ahead { (words.ahead, "the next") } else { (words.behind, "the best") };
    let (subject, ratio, name) = (words.subject, short(ratio), stores::of(&peer.store).name);
    Some(format!("{subject} {ratio} times {word} than {whom}, {name}"))
}

/// A title of these clauses, after what they are about.
pub fn titled(what: &str, clauses: &[String]) -> String {
    if clauses.is_empty() { what.to_owned() } else { format!("{what}: {}", clauses.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(store: &str, median: f64, better: &str) -> Sample {
        let text = String::new;
        Sample {
            family: text(),
            keys: 1,
            raw_bytes: 1.0,
            metric: text(),
            unit: text(),
            better: better.to_owned(),
            store: store.to_owned(),
            median,
            rounds: 1,
        }
    }

    #[test]
    fn nothing_is_said_of_what_cannot_be_compared() {
        let words = Words { subject: "a get", ahead: "faster", behind: "slower" };
        for (ours, theirs) in [(1.0, 0.0), (0.0, 1.0), (2.0, 2.0)] {
            let cells = [sample(HOME, ours, "less"), sample("lmdb", theirs, "less")];
            assert_eq!(clause(&words, &cells.iter().collect::<Vec<_>>()), None, "{ours} {theirs}");
        }
    }

    #[test]
    fn a_clause_says_who_is_ahead() {
        let words = Words { subject: "a get", ahead: "faster", behind: "slower" };
        let told = |home, peer, better| {
            let cells =
                [sample(HOME, home, better), sample("lmdb", peer, better), sample("redb", 1e9, "less")];
            clause(&words, &[&cells[0], &cells[1]])
        };
        assert_eq!(told(10.0, 25.0, "less").unwrap(), "a get 2.5 times faster than the next, LMDB");
        assert_eq!(told(10.0, 5.0, "less").unwrap(), "a get 2 times slower than the best, LMDB");
        assert_eq!(told(10.0, 5.0, "more").unwrap(), "a get 2 times faster than the next, LMDB");
        assert_eq!(told(10.0, 5.0, "neither"), None);
        assert_eq!(clause(&words, &[&sample(HOME, 1.0, "less")]), None);
    }
}
