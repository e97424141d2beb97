//! A web server of a few lines: ranges of one file, and whatever a server can do wrong.
//!
//! `/MODE/catalog.spinney` is the file, given out as the mode says; a PUT makes the file.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct State {
    file: Vec<u8>,
    /// How many bytes were given out, and answers, by mode.
    given: BTreeMap<String, (u64, u64)>,
}

pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

/// A request: method, path, range, and a body.
struct Request {
    method: String,
    path: String,
    range: Option<(u64, u64)>,
    body: Vec<u8>,
}

impl Server {
    pub fn start(file: Vec<u8>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let state = Arc::new(Mutex::new(State { file, ..State::default() }));
        let shared = state.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Server { address, state }
    }

    pub fn url(&self, mode: &str) -> String {
        format!("{}/{mode}/catalog.spinney", self.address)
    }

    /// Bytes and answers of a mode so far.
    pub fn given(&self, mode: &str) -> (u64, u64) {
        self.state.lock().expect("no panic").given.get(mode).copied().unwrap_or_default()
    }

    pub fn file(&self) -> Vec<u8> {
        self.state.lock().expect("no panic").file.clone()
    }
}

fn request(stream: &mut TcpStream) -> std::io::Result<Request> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut first = head.lines().next().unwrap_or_default().split(' ').map(str::to_string);
    let header = |name: &str| {
        let found = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim().to_string())
    };
    let range = header("range").and_then(|range| {
        let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
        Some((from.parse().ok()?, to.parse::<u64>().ok()? + 1))
    });
    let mut body = vec![0; header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body)?;
    let (method, path) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    Ok(Request { method, path, range, body })
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = request(&mut stream)?;
    let mode = request.path.split('/').nth(1).unwrap_or_default().to_string();
    let mut state = state.lock().expect("no panic");
    if request.method == "PUT" {
        state.file = request.body;
        return stream.write_all(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let (_, before) = state.given.get(&mode).copied().unwrap_or_default();
    let size = state.file.len() as u64;
    let (from, to) = request.range.map_or((0, size), |(from, to)| (from.min(size), to.min(size)));
    let mut body =
        if request.method == "HEAD" { Vec::new() } else { state.file[from as usize..to as usize].to_vec() };
    let (mut status, mut tag, mut told) = (
        if request.range.is_some() { 206 } else { 200 },
        "\"one\"",
        format!("bytes {from}-{}/{size}", to.max(1) - 1),
    );
    let later = before > 3;
    match mode.as_str() {
        "missing" => status = 404,
        "gone" if later => status = 404,
        "forbidden" => status = 403,
        "failing" if request.method != "HEAD" => status = 500,
        "failing-once" if before % 2 == 0 => status = 503,
        "no-ranges" if request.method != "HEAD" => {
            (status, body) = (200, state.file.clone());
        }
        "other-range" => told = format!("bytes 4096-{}/{size}", to + 4095),
        "replaced" if later => tag = "\"two\"",
        "precondition" if later => status = 412,
        "other-size" if later => told = format!("bytes {from}-{}/{}", to - 1, size + 4096),
        "damaged" if later => body.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    if status >= 400 {
        body = b"no".to_vec();
    }
    let given = state.given.entry(mode.clone()).or_default();
    *given = (given.0 + body.len() as u64, given.1 + 1);
    drop(state);
    let length = if request.method == "HEAD" { size } else { body.len() as u64 };
    let head = format!(
        "HTTP/1.1 {status} It\r\nContent-Length: {length}\r\nETag: {tag}\r\nContent-Range: {told}\r\n\
         Last-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    let is_cut_off =
        mode == "cut-off" && request.method != "HEAD" || mode == "cut-off-once" && before % 3 == 1;
    stream.write_all(if is_cut_off { &body[..body.len() / 2] } else { &body })
}
