//! Databases in object stores and behind web servers, natively: the answers are those of the database itself,
//! few bytes are read, and whatever a server does wrong is an error.

#![forbid(unsafe_code)]
#![cfg(all(unix, not(target_arch = "wasm32")))]

#[path = "durable/folder.rs"]
mod folder;
#[path = "objects/server.rs"]
mod server;

use std::io::ErrorKind;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use spinney::backend::ObjectPlace;
use spinney::{Db, Error, Result};

use folder::Folder;
use server::Server;

const KEYS: usize = 100_000;

fn key(number: usize) -> String {
    format!("d{:03}/part-{:05}", number / 1000, number % 1000)
}

fn catalog() -> (Db, Vec<u8>) {
    let db = Db::memory();
    let files = db.tree("files").expect("a name");
    for number in 0..KEYS {
        files.put(key(number), format!("{:060}", number * 7919)).expect("memory");
    }
    db.compact().expect("memory");
    let image = db.image().expect("memory");
    (db, image)
}

/// Reads of all kinds, as text.
fn answers(db: &Db) -> Result<String> {
    let files = db.tree("files")?;
    let listed: Vec<_> = files.list("d050/").collect::<Result<_>>()?;
    let top: Vec<_> = files.list("").collect::<Result<_>>()?;
    let last = files.scan("d07").next_back().transpose()?;
    let many = files.get_many(&[key(5), key(99_999), key(41_000), "nothing".to_string()])?;
    let count = (files.count("")?, files.count("d01")?);
    Ok(format!("{listed:?} {top:?} {last:?} {many:?} {count:?} {:?}", db.trees()?))
}

#[test]
fn every_store_gives_the_answers_of_the_database_itself() {
    let (db, image) = catalog();
    let expected = answers(&db).expect("sound");
    let server = Server::start(image.clone());
    let far = Db::open_url(&server.url("plain")).expect("sound");
    assert_eq!(answers(&far).expect("sound"), expected);
    far.close().expect("nothing to write");

    let folder = Folder::new("objects-stores");
    let path = folder.path("catalog.spinney");
    std::fs::write(&path, &image).expect("a folder");
    let far = Db::open_url(&format!("file://{}", path.display())).expect("sound");
    assert_eq!(answers(&far).expect("sound"), expected);

    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.put(&"a/catalog".into(), image.into())).expect("memory");
    let far = Db::builder().cache_bytes(1 << 20).open_object(store, "a/catalog").expect("sound");
    assert_eq!(answers(&far).expect("sound"), expected);
    assert!(matches!(far.tree("files").expect("there").put("a", "b"), Err(Error::ReadOnly)));
}

#[test]
fn a_directory_takes_few_requests_and_bytes() {
    let (_, image) = catalog();
    let server = Server::start(image);
    let far = Db::open_url(&server.url("measured")).expect("sound");
    let (opened_bytes, opened) = server.given("measured");
    let children = far.tree("files").expect("there").list("d050/").count();
    let (bytes, requests) = server.given("measured");
    println!("opened: {opened} requests, {opened_bytes} bytes; {children} listed: {requests}, {bytes}");
    assert_eq!(children, 1000);
    assert!(requests <= 8 && bytes < 300_000, "{requests} requests, {bytes} bytes");
}

#[test]
fn whatever_a_server_does_wrong_is_an_error() {
    let (_, image) = catalog();
    let server = Server::start(image);
    let used = |mode: &str| -> Result<()> {
        let far = Db::open_url(&server.url(mode))?;
        let files = far.tree("files")?;
        files.list("d050/").try_for_each(|entry| entry.map(drop))?;
        files.list("d090/").try_for_each(|entry| entry.map(drop))
    };
    let kind = |mode: &str| match used(mode) {
        Err(Error::Io(error)) => Some(error.kind()),
        other => panic!("{mode}: {other:?}"),
    };
    assert_eq!(kind("missing"), Some(ErrorKind::NotFound));
    assert_eq!(kind("gone"), Some(ErrorKind::NotFound));
    assert_eq!(kind("forbidden"), Some(ErrorKind::PermissionDenied));
    for mode in ["failing", "no-ranges", "other-range", "cut-off"] {
        assert_eq!(kind(mode), Some(ErrorKind::Other), "{mode}");
    }
    for mode in ["replaced", "precondition", "other-size"] {
        assert!(matches!(used(mode), Err(Error::Changed)), "{mode}: {:?}", used(mode));
    }
    assert!(matches!(used("damaged"), Err(Error::Corrupt { .. })));
    for mode in ["failing-once", "cut-off-once"] {
        used(mode).expect(mode);
    }
    let nobody = Db::open_url("http://127.0.0.1:1/nobody").map(drop).expect_err("nobody listens");
    assert!(matches!(nobody, Error::Io(_)), "{nobody:?}");
    for url in ["", "nonsense", "ftp://server/a", "http://server", "s3://bucket"] {
        assert!(matches!(Db::open_url(url), Err(Error::Io(_))), "{url:?}");
    }
}

#[test]
fn what_was_uploaded_is_what_is_read_back() {
    let (db, image) = catalog();
    let server = Server::start(Vec::new());
    let folder = Folder::new("objects-upload");
    let file = format!("file://{}", folder.path("up.spinney").display());
    for url in [server.url("up"), file] {
        let place = ObjectPlace::parse(&url).expect("a place");
        let sent = place.upload(image.as_slice(), &mut |_| {}).expect("it takes it");
        assert_eq!(sent.size_bytes, image.len() as u64);
        assert!(place.exists().expect("it answers"));
        assert_eq!(place.read_back(&mut |_| {}).expect("it answers"), sent);
        assert_eq!(
            answers(&Db::open_url(&url).expect("sound")).expect("sound"),
            answers(&db).expect("sound")
        );
    }
    assert_eq!(server.file(), image);
    let none = ObjectPlace::parse(&format!("file://{}", folder.path("none").display())).expect("a place");
    assert!(!none.exists().expect("it answers"));
}

#[cfg(feature = "cli")]
mod tool {
    use super::*;
    use std::process::Command;

    fn spinney(arguments: &[&str]) -> (i32, String, String) {
        let ran = Command::new(env!("CARGO_BIN_EXE_spinney")).args(arguments).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code().unwrap_or(-1), text(&ran.stdout), text(&ran.stderr))
    }

    #[test]
    fn what_is_published_is_read_by_its_url() {
        let folder = Folder::new("objects-tool");
        let file = folder.path("x.spinney").display().to_string();
        let db = Db::open(&file).expect("a folder");
        let files = db.tree("files").expect("a name");
        for number in 0..3000 {
            files.put(key(number), "value").expect("room");
        }
        let server = Server::start(Vec::new());
        let (url, copy) = (server.url("published"), folder.path("copy.spinney").display().to_string());
        assert_eq!(spinney(&["publish", &file, &copy]).0, 3, "it is open for writing");
        db.close().expect("a disk");
        // The server has an empty file there.
        let (code, _, error) = spinney(&["publish", &file, &url]);
        assert!(code == 2 && error.contains("--force"), "{code} {error}");
        let (code, said, error) = spinney(&["publish", &file, &url, "--force", "--pack"]);
        assert!(code == 0 && said.contains("found right"), "{said}{error}");
        for (command, expected) in [
            (vec!["ls", &url, "d001/"], "part-00999"),
            (vec!["get", &url, "d001/part-00003"], "value"),
            (vec!["count", &url], "3000"),
            (vec!["du", &url], "total"),
            (vec!["stat", &url], "3,000 in 1 tree"),
            (vec!["tree", &url, "--depth", "1"], "d002/"),
            (vec!["trees", &url], "files"),
        ] {
            let (code, said, error) = spinney(&command);
            assert!(code == 0 && said.contains(expected), "{command:?}: {code} {said} {error}");
        }
        let (code, _, error) = spinney(&["put", &url, "a", "b"]);
        assert!(code == 2 && error.contains("read only"), "{code} {error}");
        let (code, _, error) = spinney(&["ls", &server.url("missing")]);
        assert!(code == 3 && error.contains("no such object"), "{code} {error}");

        assert_eq!(spinney(&["publish", &file, &copy]).0, 0);
        assert_eq!(spinney(&["publish", &file, &copy]).0, 2, "it is there");
        assert_eq!(spinney(&["publish", &file, &copy, "--force", "--pack"]).0, 0);
        assert_eq!(spinney(&["count", &copy]).1.trim(), "3000");
        assert_eq!(spinney(&["count", &format!("file://{copy}")]).1.trim(), "3000");
    }
}
