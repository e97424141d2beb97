//! What `stats` and `check` return.

use super::json::Object;
use crate::blob::header::CAPACITY_WORDS;
use crate::check::CheckReport;
use crate::stats::Stats;

pub(super) fn stats(stats: &Stats) -> String {
    let numbers = [
        ("keys", stats.keys),
        ("blobs", u64::from(stats.blobs())),
        ("rangeBlobs", u64::from(stats.range_blobs)),
        ("routerBlobs", u64::from(stats.router_blobs)),
        ("totalBlobs", u64::from(stats.total_blobs)),
        ("hops", u64::from(stats.hops)),
        ("sizeBytes", stats.size_bytes()),
        ("liveBytes", stats.live_bytes),
        ("garbageBytes", stats.garbage_bytes),
        ("capacityBytes", u64::from(stats.range_blobs) * u64::from(CAPACITY_WORDS) * 8),
        ("lastVersion", stats.last_version),
        ("splits", stats.splits),
        ("ascendingCuts", stats.ascending_cuts),
        ("shares", stats.shares),
        ("joins", stats.joins),
        ("grafts", stats.grafts),
        ("compactions", stats.compactions),
        ("routerSplits", stats.router_splits),
        ("restarts", stats.restarts),
        ("openSnapshots", u64::from(stats.snapshots.open)),
        ("keptBytes", stats.snapshots.kept_bytes),
        ("unsyncedBytes", stats.log.end_bytes - stats.log.durable_bytes),
        ("checkpoints", stats.checkpoints.count),
    ];
    let object = numbers.iter().fold(Object::new(), |object, (name, number)| object.number(name, *number));
    object.end()
}

pub(super) fn check(report: &CheckReport) -> String {
    let problem = |problem: &crate::check::Problem| {
        Object::new().number("blob", problem.blob).text("text", &problem.text).end()
    };
    let problems: Vec<String> = report.problems.iter().map(problem).collect();
    Object::new()
        .boolean("isClean", report.is_clean())
        .raw("problems", &format!("[{}]", problems.join(",")))
        .number("keys", report.keys)
        .number("rangeBlobs", report.range_blobs)
        .number("routerBlobs", report.router_blobs)
        .end()
}
