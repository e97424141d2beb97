//! `stat`: how large a database is, and how it is read.

#![forbid(unsafe_code)]

use serde_json::json;
use spinney::backend::Area;

use crate::failure::Result;
use crate::output::Output;
use crate::place::File;
use crate::text::{counted, size, thousands};

/// Show sizes and counts of a database, and which way I/O takes
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let db = self.file.read()?;
        let (stats, trees) = (db.survey()?, db.trees()?.len() as u64);
        let unused = stats.total_blobs.saturating_sub(stats.blobs());
        if out.is_json() {
            return out.json(&json!({
                "keys": stats.keys,
                "trees": trees,
                "size_bytes": stats.size_bytes(),
                "total_blobs": stats.total_blobs,
                "range_blobs": stats.range_blobs,
                "router_blobs": stats.router_blobs,
                "live_bytes": stats.live_bytes,
                "garbage_bytes": stats.garbage_bytes,
                "fill": stats.fill(),
                "hops": stats.hops,
                "last_version": stats.last_version,
                "io": {
                    "io_uring": stats.io.io_uring.to_string(),
                    "registered_buffers": stats.io.registered_buffers.to_string(),
                    "direct": stats.io.direct[Area::Data as usize].to_string(),
                },
            }));
        }
        let mut row = |name: &str, text: String| out.line(format!("{name:<14}{text}"));
        row("keys", format!("{} in {}", thousands(stats.keys), counted(trees, "tree")))?;
        let blobs = counted(stats.total_blobs.into(), "blob");
        row("size", format!("{} in {blobs} of 512 KiB", size(stats.size_bytes())))?;
        let (ranges, routers) = (thousands(stats.range_blobs.into()), stats.router_blobs);
        row("blobs", format!("{ranges} of keys, {routers} of separators, {unused} others"))?;
        let each = stats.live_bytes as f64 / stats.keys.max(1) as f64;
        row("live", format!("{}, {each:.0} bytes a key", size(stats.live_bytes)))?;
        row("garbage", size(stats.garbage_bytes))?;
        row("fill", format!("{:.0} %", stats.fill() * 100.0))?;
        row("last version", thousands(stats.last_version))?;
        let direct = stats.io.direct[Area::Data as usize];
        row("I/O", format!("io_uring {}, around the page cache {direct}", stats.io.io_uring))
    }
}
