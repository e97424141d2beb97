//! What `stats` and `check` return.

use super::json::Object;
use crate::check::CheckReport;
use crate::stats::Stats;

pub(super) fn stats(stats: &Stats) -> String {
    let numbers = [
        ("keys", stats.keys as f64),
        ("blobs", f64::from(stats.blobs())),
        ("rangeBlobs", f64::from(stats.range_blobs)),
        ("routerBlobs", f64::from(stats.router_blobs)),
        ("totalBlobs", f64::from(stats.total_blobs)),
        ("hops", f64::from(stats.hops)),
        ("sizeBytes", stats.size_bytes() as f64),
        ("liveBytes", stats.live_bytes as f64),
        ("garbageBytes", stats.garbage_bytes as f64),
        ("fill", stats.fill()),
        ("lastVersion", stats.last_version as f64),
        ("splits", stats.splits as f64),
        ("ascendingCuts", stats.ascending_cuts as f64),
        ("shares", stats.shares as f64),
        ("joins", stats.joins as f64),
        ("grafts", stats.grafts as f64),
        ("compactions", stats.compactions as f64),
        ("routerSplits", stats.router_splits as f64),
        ("restarts", stats.restarts as f64),
        ("openSnapshots", f64::from(stats.snapshots.open)),
        ("keptBytes", stats.snapshots.kept_bytes as f64),
    ];
    let object = numbers.iter().fold(Object::new(), |object, (name, number)| object.number(name, *number));
    object.end()
}

pub(super) fn check(report: &CheckReport) -> String {
    let problem = |problem: &crate::check::Problem| {
        Object::new().number("blob", f64::from(problem.blob)).text("text", &problem.text).end()
    };
    let problems: Vec<String> = report.problems.iter().map(problem).collect();
    Object::new()
        .boolean("isClean", report.is_clean())
        .raw("problems", &format!("[{}]", problems.join(",")))
        .number("keys", report.keys as f64)
        .number("rangeBlobs", f64::from(report.range_blobs))
        .number("routerBlobs", f64::from(report.router_blobs))
        .end()
}
