//! What the system refuses, tried in child processes that have it refused to themselves, and what a killed
//! process leaves behind.
//!
//! Invariants:
//! * a child is this test program again, with one test and its role in the environment;
//! * nothing is confined but children: limits and filters cannot be taken back.
//!
//! Must not know: how a fallback works.

#![allow(unsafe_code)]

use std::env;
use std::process::{Child, Command, Stdio};
use std::ptr;
use std::thread;

use super::*;

const ROLE: &str = "SPINNEY_TEST_CHILD_ROLE";
const FOLDER: &str = "SPINNEY_TEST_CHILD_FOLDER";

fn start(role: &str, folder: &Folder) -> Child {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "backend::file::tests::children::child", "--nocapture"]);
    command.env(ROLE, role).env(FOLDER, &folder.0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Runs a child to its end.
#[track_caller]
fn run(role: &str) {
    let folder = Folder::new();
    let output = start(role, &folder).wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let report = format!("{role}:\n{}\n{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && report.contains("1 passed"), "{report}");
}

/// Does nothing but in a child.
#[test]
fn child() {
    let Ok(role) = env::var(ROLE) else { return };
    let folder = PathBuf::from(env::var_os(FOLDER).unwrap());
    let db = folder.join("x.spinney");
    match role.as_str() {
        "without memlock" => without_memlock(&folder),
        "with little memlock" => with_little_memlock(&folder),
        "without io_uring" => without_uring(&folder),
        "without write-through" => without_write_through(&db),
        "without direct" => without_direct(&folder),
        "without mappings" => without_mappings(&db),
        "another user" => another_user(&db),
        "hold" => hold(&db),
        other => panic!("no such role: {other}"),
    }
}

// -------------------------------------------------------------- confinement -----

/// Becomes a user of whom nobody has heard, so that no other process counts against its limits. Only root
/// can; for others this does nothing and returns `false`.
fn become_nobody() -> bool {
    let user = 1_000_000 + std::process::id();
    // SAFETY: these take numbers, and an empty list that is not looked at.
    let results = unsafe {
        if libc::geteuid() != 0 {
            return false;
        }
        [libc::setgroups(0, ptr::null()), libc::setgid(user), libc::setuid(user)]
    };
    assert_eq!(results, [0; 3]);
    true
}

/// From now on a system call fails with `errno`; if `flag` names an argument and bits, then only where that
/// argument has one of these bits.
fn refuse(call: libc::c_long, flag: Option<(u32, u32)>, errno: i32) {
    // The offsets are those of `seccomp_data`: the number of the call, then from 16 on its arguments.
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |k| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, k);
    let answer = |k| statement(libc::BPF_RET | libc::BPF_K, 0, 0, k);
    let (argument, bits) = flag.unwrap_or((0, 0));
    let low = if cfg!(target_endian = "little") { 0 } else { 4 };
    let test = if flag.is_some() { libc::BPF_JSET } else { libc::BPF_JGE };
    let mut program = [
        load(0),
        statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 3, call as u32),
        load(16 + 8 * argument + low),
        // Without a flag: at least 0, which every argument is.
        statement(libc::BPF_JMP | test | libc::BPF_K, 0, 1, bits),
        answer(libc::SECCOMP_RET_ERRNO | errno as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the first takes numbers; the second reads the program, which is there.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter),
        ]
    };
    assert_eq!(results, [0, 0], "{}", io::Error::last_os_error());
}

// -------------------------------------------------------------------- roles -----

/// Returns `false` where other processes may have used the limit up. Root has none, so this becomes another
/// user, too.
fn limit_memlock(bytes: u64) -> bool {
    let limit = libc::rlimit { rlim_cur: bytes as libc::rlim_t, rlim_max: bytes as libc::rlim_t };
    // SAFETY: reads one structure, which is there.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit) };
    become_nobody() && result == 0
}

/// What many systems allow each user. Enough for one database, and soon after for the next.
fn with_little_memlock(folder: &Path) {
    let is_ours = limit_memlock(8 << 20);
    for round in 0..10 {
        let backend = open(&folder.join("x.spinney"), &auto());
        let path = backend.io_path();
        let is_enough = path.registered_buffers.is_on() || !path.io_uring.is_on();
        assert!(is_enough || !is_ours, "round {round}: {path}");
    }
    keeps_the_contract(folder, IoChoice::Auto);
}

fn without_memlock(folder: &Path) {
    limit_memlock(0);
    keeps_the_contract(folder, IoChoice::Auto);
    let backend = open(&folder.join("x.spinney"), &auto());
    let path = backend.io_path();
    if path.io_uring.is_on() {
        assert_eq!(path.registered_buffers, IoUse::Refused(libc::ENOMEM), "{path}");
    }
}

fn without_uring(folder: &Path) {
    refuse(libc::SYS_io_uring_setup, None, libc::EPERM);
    keeps_the_contract(folder, IoChoice::Auto);
    let path = open(&folder.join("x.spinney"), &auto()).io_path();
    if path.io_uring != IoUse::NotBuilt {
        assert_eq!([path.io_uring, path.registered_buffers], [IoUse::Refused(libc::EPERM); 2], "{path}");
    }
}

fn without_write_through(db: &Path) {
    refuse(libc::SYS_pwritev2, None, libc::ENOSYS);
    let backend = open(db, &auto());
    backend.set_len(Area::Log, 2 * PAGE).unwrap();
    for mark in [3, 4] {
        write_page(&backend, Area::Log, PAGE, mark).unwrap();
        assert_eq!(read_page(&backend, Area::Log, PAGE).unwrap(), mark);
        // Some C libraries say it in their own words.
        let reason = backend.io_path().write_through;
        assert!(matches!(reason, IoUse::Refused(libc::ENOSYS | libc::EOPNOTSUPP)), "{reason}");
    }
}

fn without_direct(folder: &Path) {
    refuse(libc::SYS_openat, Some((2, libc::O_DIRECT as u32)), libc::EINVAL);
    keeps_the_contract(folder, IoChoice::Auto);
    let backend = open(&folder.join("x.spinney"), &auto());
    backend.set_len(Area::Log, PAGE).unwrap();
    let refused = IoUse::Refused(libc::EINVAL);
    assert_eq!(backend.io_path().direct, [refused, refused, IoUse::Unused]);
}

fn without_mappings(db: &Path) {
    let backend = open(db, &auto());
    let path = backend.io_path();
    refuse(libc::SYS_mmap, Some((3, libc::MAP_SHARED as u32)), libc::ENODEV);
    let ring = backend.ring(true).unwrap();
    assert!(!ring.outlives_process());
    if path.mapped_ring == IoUse::Unused && cfg!(target_arch = "x86_64") {
        let reason = backend.io_path().mapped_ring;
        assert!(matches!(reason, IoUse::Refused(libc::ENODEV) | IoUse::FileSystem(_)), "{reason}");
    }
    assert_eq!(backend.ring(false).unwrap_err().kind(), ErrorKind::NotFound);
}

fn another_user(db: &Path) {
    fs::write(db, []).unwrap();
    fs::set_permissions(db, fs::Permissions::from_mode(0o000)).unwrap();
    become_nobody();
    for options in [auto(), reader()] {
        let (kind, text) = open_error(db, &options);
        assert_eq!(kind, ErrorKind::PermissionDenied);
        assert!(text.starts_with("cannot open "), "{text}");
    }
}

/// Holds the lock, with a ring of each kind in use, until somebody kills it.
fn hold(db: &Path) {
    let backend = open(db, &auto());
    backend.set_len(Area::Data, 128 * PAGE).unwrap();
    backend.set_len(Area::Log, PAGE).unwrap();
    let ring = backend.ring(true).unwrap();
    ring.words()[600].store(77, Ordering::Relaxed);
    fs::write(db.with_file_name("ready"), []).unwrap();
    loop {
        let mut lease = backend.buffers().lease().unwrap();
        let op = |(buf, page)| ReadOp { area: Area::Data, offset_bytes: page * PAGE, buf };
        let mut batch: Vec<_> = lease.chunks_mut(PAGE_BYTES).zip(0..128).map(op).collect();
        backend.read(&mut batch).unwrap();
    }
}

// -------------------------------------------------------------------- tests -----

#[test]
fn little_locked_memory_means_no_registered_buffers() {
    run("without memlock");
}

#[test]
fn a_database_fits_the_usual_locked_memory() {
    run("with little memlock");
}

#[test]
fn a_refused_io_uring_is_done_without() {
    run("without io_uring");
}

#[test]
fn a_refused_write_through_is_a_write_and_a_flush() {
    run("without write-through");
}

#[test]
fn refused_direct_io_goes_through_the_page_cache() {
    run("without direct");
}

#[test]
fn a_refused_mapping_means_a_ring_of_our_own() {
    run("without mappings");
}

#[test]
fn a_file_of_another_user_is_denied() {
    run("another user");
}

#[test]
fn a_killed_holder_leaves_its_ring_and_soon_its_lock() {
    let folder = Folder::new();
    let mut child = start("hold", &folder);
    let deadline = Instant::now() + Duration::from_secs(60);
    while !folder.0.join("ready").exists() {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none(), "the child did not start");
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(open_error(&folder.db(), &auto()).0, ErrorKind::WouldBlock);
    child.kill().unwrap();
    child.wait().unwrap();
    let backend = open(&folder.db(), &FileOptions::default());
    assert_eq!(backend.len(Area::Log).unwrap(), PAGE);
    match backend.ring(false) {
        Ok(ring) => assert_eq!(ring.words()[600].load(Ordering::Relaxed), 77),
        // Where no ring can be mapped, there is none.
        Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
    }
}
