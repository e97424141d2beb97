//! Base64 as RFC 4648 has it, with padding: how JSON carries bytes that are no text.

#![forbid(unsafe_code)]

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let digit = char::from(DIGITS[(bits >> (18 - 6 * at)) as usize % 64]);
            text.push(if at <= chunk.len() { digit } else { '=' });
        }
    }
    text
}

/// None if the text is not what `encode` could have made.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let chunks = text.as_bytes().chunks(4);
    let last = chunks.len().saturating_sub(1);
    for (number, chunk) in chunks.enumerate() {
        let padding = chunk.iter().rev().take_while(|&&digit| digit == b'=').count();
        if chunk.len() != 4 || padding > 2 || (padding > 0 && number != last) {
            return None;
        }
        let mut bits = 0;
        for digit in &chunk[..4 - padding] {
            bits = bits << 6 | DIGITS.iter().position(|known| known == digit)? as u32;
        }
        bits <<= 6 * padding;
        if bits & ((1 << (8 * padding)) - 1) != 0 {
            return None;
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let every: Vec<u8> = (0..=255).rev().collect();
        for len in 0..=every.len() {
            assert_eq!(decode(&encode(&every[..len])).as_deref(), Some(&every[..len]));
        }
        assert_eq!(encode(b"foobar"), "Zm9vYmFy");
        assert_eq!([&b"f"[..], b"fo"].map(encode), ["Zg==", "Zm8="]);
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in ["Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "====", "Zm9v ", "Zm-v", "\u{e9}\u{e9}"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
