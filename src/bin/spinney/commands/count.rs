//! `count`: how many keys begin so.

#![forbid(unsafe_code)]

use std::ffi::OsString;

use serde_json::{Value, json};

use crate::failure::Result;
use crate::output::{Output, key_object};
use crate::place::Place;

/// Count the keys that begin with a prefix, without visiting them all
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// The prefix, byte for byte: `photos` counts `photos/a` and `photoshop` alike
    #[arg(default_value = "")]
    prefix: OsString,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let prefix = out.key(&self.prefix)?;
        let (_db, tree) = self.place.read()?;
        let keys = tree.count(&prefix)?;
        let mut object = key_object("prefix", &prefix);
        object.insert("keys".to_string(), json!(keys));
        out.say(&keys.to_string(), Value::Object(object))
    }
}
