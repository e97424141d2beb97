//! Bytes and numbers as people read them: escapes, sizes, thousands.
//!
//! Invariant: `unescape` undoes `escape`, for any bytes.

#![forbid(unsafe_code)]

use std::time::Duration;

/// A text without control characters that names any bytes: `\n`, `\r`, `\t`, `\\` and `\xNN`.
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\\' => text.push_str("\\\\"),
                _ if character.is_control() => {
                    for byte in character.to_string().bytes() {
                        text.push_str(&format!("\\x{byte:02x}"));
                    }
                }
                _ => text.push(character),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The bytes that an escaped text names; none if a backslash is not followed by one of the escapes.
pub fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&kind, after) = rest.split_first()?;
        rest = after;
        bytes.push(match kind {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'\\' => b'\\',
            b'x' => {
                let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                rest = &rest[2..];
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            _ => return None,
        });
    }
    Some(bytes)
}

/// 1,234,567
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1,234 keys", "1 key"
pub fn counted(number: u64, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {what}{ending}", thousands(number))
}

/// 512 B, 1.5 KiB, 211.4 MiB
pub fn size(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < units.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    if bytes < 1024 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

/// 850 ns, 12.3 us, 4.56 ms, 1.23 s
pub fn duration(time: Duration) -> String {
    let nanos = time.as_nanos() as f64;
    match nanos {
        0.0..1e3 => format!("{nanos:.0} ns"),
        1e3..1e6 => format!("{:.1} us", nanos / 1e3),
        1e6..1e9 => format!("{:.2} ms", nanos / 1e6),
        _ => format!("{:.2} s", nanos / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone() {
        let every: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"plain/path", b"a\\x41", b"\n\r\t\\\0", "\u{e9}\u{85}".as_bytes(), &every] {
            let text = escape(bytes);
            assert!(!text.chars().any(char::is_control), "{text:?}");
            assert_eq!(unescape(text.as_bytes()).as_deref(), Some(bytes));
        }
        assert_eq!(escape(b"a\xffb\n"), "a\\xffb\\n");
        for wrong in ["\\", "\\q", "\\x1", "\\x+1", "\\xg0"] {
            assert_eq!(unescape(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn numbers_are_legible() {
        assert_eq!(
            [0, 999, 1000, 1_234_567].map(thousands),
            ["0", "999", "1,000", "1,234,567"].map(String::from)
        );
        assert_eq!([0, 1, 2].map(|n| counted(n, "key")), ["0 keys", "1 key", "2 keys"].map(String::from));
        assert_eq!([1023, 1024, 1_048_575].map(size), ["1023 B", "1.0 KiB", "1.0 MiB"].map(String::from));
        let times =
            [850, 12_340, 4_560_000, 1_230_000_000].map(|nanos| duration(Duration::from_nanos(nanos)));
        assert_eq!(times, ["850 ns", "12.3 us", "4.56 ms", "1.23 s"].map(String::from));
    }
}
