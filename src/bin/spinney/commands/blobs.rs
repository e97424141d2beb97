//! `blobs`: a map of how full the blobs are.

#![forbid(unsafe_code)]

use serde_json::json;
use spinney::{BlobInfo, BlobKind};

use crate::failure::Result;
use crate::output::Output;
use crate::place::File;
use crate::text::{counted, size};

/// Draw a map of the blobs of 512 KiB: how full each is
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// One line for each blob, with numbers
    #[arg(short, long)]
    long: bool,
    /// So many blobs in a row of the map
    #[arg(long, value_name = "BLOBS", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    width: u32,
}

impl Args {
    pub fn run(self, out: &mut Output) -> Result<()> {
        let blobs = self.file.read()?.blobs()?;
        if out.is_json() {
            return blobs.iter().try_for_each(|blob| out.json(&as_object(blob)));
        }
        if self.long {
            return list(out, &blobs);
        }
        for row in blobs.chunks(self.width as usize) {
            let map: String = row.iter().map(sign).collect();
            out.line(format!("{:>8}  {map}", row[0].id))?;
        }
        out.line("\n0-9 keys, from empty to full (5: half full)   R separators   D directory   . unused")?;
        let ranges: Vec<&BlobInfo> = blobs.iter().filter(|blob| blob.kind == BlobKind::Range).collect();
        let fill = ranges.iter().map(|blob| blob.fill()).sum::<f64>() / ranges.len().max(1) as f64;
        let garbage = ranges.iter().map(|blob| u64::from(blob.garbage_bytes)).sum::<u64>();
        let (all, of_keys) = (counted(blobs.len() as u64, "blob"), ranges.len());
        let fill = fill * 100.0;
        out.line(format!(
            "{all}, {of_keys} of them with keys, {fill:.0} % full; {} of garbage",
            size(garbage)
        ))
    }
}

/// The character of a blob in the map.
fn sign(blob: &BlobInfo) -> char {
    match blob.kind {
        BlobKind::Range => char::from_digit((blob.fill() * 10.0).clamp(0.0, 9.0) as u32, 10).unwrap_or('9'),
        BlobKind::Router => 'R',
        BlobKind::Directory => 'D',
        BlobKind::Unused => '.',
        _ => '?',
    }
}

fn name(kind: BlobKind) -> &'static str {
    match kind {
        BlobKind::Range => "range",
        BlobKind::Router => "router",
        BlobKind::Directory => "directory",
        BlobKind::Unused => "unused",
        _ => "other",
    }
}

fn list(out: &mut Output, blobs: &[BlobInfo]) -> Result<()> {
    out.line(format!(
        "{:>8}  {:<9}  {:>8}  {:>10}  {:>10}  fill",
        "blob", "kind", "keys", "live", "garbage"
    ))?;
    for blob in blobs {
        let (live, garbage) = (size(blob.live_bytes.into()), size(blob.garbage_bytes.into()));
        let (kind, fill) = (name(blob.kind), blob.fill() * 100.0);
        let keys = blob.keys;
        out.line(format!("{:>8}  {kind:<9}  {keys:>8}  {live:>10}  {garbage:>10}  {fill:>3.0} %", blob.id))?;
    }
    Ok(())
}

fn as_object(blob: &BlobInfo) -> serde_json::Value {
    json!({
        "id": blob.id,
        "kind": name(blob.kind),
        "keys": blob.keys,
        "live_bytes": blob.live_bytes,
        "garbage_bytes": blob.garbage_bytes,
        "fill": blob.fill(),
    })
}
