//! Entries packed for JavaScript by the wasm face, unpacked again as its classes do: what comes out is what
//! went in, whatever the bytes of a key are.

#![forbid(unsafe_code)]

use std::sync::LazyLock;

use spinney::{Db, Version};

use crate::bytes::Bytes;
use crate::wasm_page::{KeyForm, Page};

static VERSION: LazyLock<Version> = LazyLock::new(|| {
    let files = Db::memory().tree("files").expect("sound");
    files.put("key", "value").expect("sound")
});

/// What an entry holds for JavaScript: a key as text or as bytes, and a value unless it has none.
#[derive(Debug, PartialEq)]
struct Seen {
    text: Option<Vec<u16>>,
    bytes: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// As the classes read it: the text is decoded at one go, and cut by UTF-16 units.
fn unpack(page: &Page) -> Vec<Seen> {
    let text = std::str::from_utf8(&page.text).expect("JavaScript decodes it as UTF-8");
    let units: Vec<u16> = text.encode_utf16().collect();
    let (mut unit, mut at) = (0, 0);
    let mut take = |count: usize| {
        at += count;
        page.arena[at - count..at].to_vec()
    };
    let mut seen = Vec::new();
    for &[key, value, _] in &page.rows {
        let name = if key < 0.0 { take((-1.0 - key) as usize) } else { Vec::new() };
        let text = (key >= 0.0).then(|| units[unit..unit + key as usize].to_vec());
        unit += key.max(0.0) as usize;
        seen.push(Seen { text, bytes: name, value: (value >= 0.0).then(|| take(value as usize)) });
    }
    assert!(unit == units.len() && at == page.arena.len(), "something is left over");
    seen
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut page = Page::new();
    let mut expected = Vec::new();
    while !bytes.is_empty() && !page.is_full(500) {
        let (form, what) = (*bytes.pick(&[KeyForm::Text, KeyForm::Bytes]), bytes.below(8));
        let count = bytes.byte().into();
        let name = bytes.take(count);
        let count = bytes.byte().into();
        let value = Some(bytes.take(count)).filter(|_| what < 6);
        if what == 6 {
            page.push_prefix(form, name)
        } else {
            page.push_key(form, name, value, *VERSION)
        }
        let text = std::str::from_utf8(name).ok().filter(|_| form == KeyForm::Text);
        let text: Option<Vec<u16>> = text.map(|text| text.encode_utf16().collect());
        let bytes = if text.is_some() { Vec::new() } else { name.to_vec() };
        expected.push(Seen { text, bytes, value: value.map(<[u8]>::to_vec) });
    }
    assert_eq!(unpack(&page), expected);
    page.clear();
    page.push_value(Some((data, *VERSION)));
    page.push_number(1.0);
    assert_eq!(page.arena, data);
    page.shrink();
}
