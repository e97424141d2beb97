//! What `stats` and `check` return, as JavaScript objects.

use js_sys::{Array, Object, Reflect};
use wasm_bindgen::JsValue;

use crate::check::CheckReport;
use crate::stats::Stats;

fn object<const N: usize>(properties: [(&str, JsValue); N]) -> JsValue {
    let object = Object::new();
    for (name, value) in properties {
        let done = Reflect::set(&object, &name.into(), &value);
        debug_assert!(done.is_ok(), "a plain object takes a property");
    }
    object.into()
}

pub(super) fn stats(stats: &Stats) -> JsValue {
    let number = |number: u64| JsValue::from(number as f64);
    object([
        ("keys", number(stats.keys)),
        ("blobs", stats.blobs().into()),
        ("rangeBlobs", stats.range_blobs.into()),
        ("routerBlobs", stats.router_blobs.into()),
        ("totalBlobs", stats.total_blobs.into()),
        ("hops", stats.hops.into()),
        ("sizeBytes", number(stats.size_bytes())),
        ("liveBytes", number(stats.live_bytes)),
        ("garbageBytes", number(stats.garbage_bytes)),
        ("fill", stats.fill().into()),
        ("lastVersion", number(stats.last_version)),
        ("splits", number(stats.splits)),
        ("ascendingCuts", number(stats.ascending_cuts)),
        ("shares", number(stats.shares)),
        ("joins", number(stats.joins)),
        ("grafts", number(stats.grafts)),
        ("loads", number(stats.loads)),
        ("compactions", number(stats.compactions)),
        ("routerSplits", number(stats.router_splits)),
        ("restarts", number(stats.restarts)),
    ])
}

pub(super) fn check(report: &CheckReport) -> JsValue {
    let problems = Array::new();
    for problem in &report.problems {
        problems.push(&object([("blob", problem.blob.into()), ("text", problem.text.as_str().into())]));
    }
    object([
        ("isClean", report.is_clean().into()),
        ("problems", problems.into()),
        ("keys", JsValue::from(report.keys as f64)),
        ("rangeBlobs", report.range_blobs.into()),
        ("routerBlobs", report.router_blobs.into()),
    ])
}
