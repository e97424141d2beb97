//! Equal workloads give equal bytes: on every platform, and every time.

#![cfg(not(target_arch = "wasm32"))]
#![forbid(unsafe_code)]

mod workload;

use spinney::Db;

#[test]
fn the_workload_gives_the_same_bytes_as_on_wasm() {
    let db = Db::memory();
    let model = workload::run(&db);
    let report = db.check().expect("check");
    assert!(report.is_clean(), "{:?}", report.problems);
    workload::assert_eventful(&db.stats());
    workload::assert_same(&db, &model);
    let image = db.image().expect("image");
    workload::assert_identical(&image);

    let copy = Db::from_image(&image).expect("from_image");
    workload::assert_same(&copy, &model);
    assert!(copy.image().expect("image") == image, "the image of an image differs from it");
}
