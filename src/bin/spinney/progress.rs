//! How far a long command has come: on stderr, and only where that is a terminal.

#![forbid(unsafe_code)]

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Drawing is asked for this often at most, so that counting costs nothing beside the work.
const EVERY: u64 = 1024;

/// See the head of this file.
pub struct Progress {
    bar: ProgressBar,
    keys: u64,
}

impl Progress {
    /// `total` is in bytes, keys or blobs, as the positions are; none where nobody knows.
    pub fn new(total: Option<u64>, is_hidden: bool) -> Self {
        let target = if is_hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(total, target);
        let template = match total {
            Some(_) => "{wide_bar} {percent:>3} %  {msg}  {eta} left",
            None => "{spinner} {msg}  {elapsed}",
        };
        // A template that cannot be read would be a mistake here, and is no reason to fail.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if total.is_none() && !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(120));
        }
        Progress { bar, keys: 0 }
    }

    /// One more key; `position` tells how far that is of the total.
    pub fn key(&mut self, position: impl FnOnce() -> u64) {
        self.keys += 1;
        if self.keys.is_multiple_of(EVERY) && !self.bar.is_hidden() {
            self.bar.set_message(format!("{} keys", crate::text::thousands(self.keys)));
            self.bar.set_position(position());
        }
    }

    /// So much is done, of about so much.
    pub fn part(&self, done: u64, total: u64) {
        if !self.bar.is_hidden() {
            self.bar.set_length(total);
            self.bar.set_position(done);
        }
    }

    pub fn keys(&self) -> u64 {
        self.keys
    }

    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A failure leaves no half-drawn bar behind its message.
impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}
