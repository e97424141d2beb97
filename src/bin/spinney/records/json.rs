//! JSON lines: `{"key":"a/b","value":"c"}`, and in base64 what is no text: `{"key_base64":"gA==",..}`.

#![forbid(unsafe_code)]

use std::io::BufRead;

use serde_json::{Map, Value};

use super::{Record, Source};
use crate::base64;
use crate::failure;
use crate::output::{Output, insert_bytes, key_object};

/// Every byte of the longest key and value may be `\u0000`, and there are names and spaces around them.
const LINE_BYTES_MAX: usize = 6 * (spinney::KEY_BYTES_MAX + spinney::VALUE_BYTES_MAX) + 1024;

pub fn read<R: BufRead>(source: &mut Source<R>, record: &mut Record) -> Result<bool, String> {
    let mut line = Vec::new();
    loop {
        source.begin_record();
        if !source.until(b'\n', LINE_BYTES_MAX, &mut line)? {
            return Ok(false);
        }
        if !line.trim_ascii().is_empty() {
            break;
        }
    }
    let object: Value = serde_json::from_slice(&line).map_err(|error| format!("it is no JSON: {error}"))?;
    let object = object.as_object().ok_or("it is no object: {\"key\":..,\"value\":..} is wanted")?;
    record.key = bytes(object, "key")?.ok_or("there is no \"key\"")?;
    let value = bytes(object, "value")?;
    record.has_value = value.is_some();
    record.value = value.unwrap_or_default();
    Ok(true)
}

fn bytes(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(text) = object.get(&format!("{name}_base64")) {
        let decoded = text.as_str().and_then(base64::decode);
        return decoded.map(Some).ok_or_else(|| format!("\"{name}_base64\" is not base64 in a string"));
    }
    match object.get(name) {
        Some(Value::String(text)) => Ok(Some(text.clone().into_bytes())),
        Some(Value::Null) | None => Ok(None),
        Some(_) => Err(format!("\"{name}\" is not a string")),
    }
}

pub fn write(out: &mut Output, key: &[u8], value: &[u8]) -> failure::Result<()> {
    let mut object = key_object("key", key);
    insert_bytes(&mut object, "value", value);
    out.json(&Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Record, String> {
        let mut record = Record::default();
        assert!(read(&mut Source::new(text.as_bytes()), &mut record)?);
        Ok(record)
    }

    #[test]
    fn objects_are_understood() {
        let both = one("\n {\"key\":\"a\\n\\u00e9\",\"value_base64\":\"AP8=\",\"version\":3}\n");
        let expected = Record { key: "a\n\u{e9}".into(), value: vec![0, 255], has_value: true };
        assert_eq!(both, Ok(expected));
        assert_eq!(one("{\"key\":\"\"}").map(|record| record.has_value), Ok(false));
    }

    #[test]
    fn other_lines_are_refused() {
        for (text, why) in [
            ("{\"key\":", "no JSON"),
            ("[1]", "no object"),
            ("{\"value\":\"x\"}", "no \"key\""),
            ("{\"key\":1}", "not a string"),
            ("{\"key_base64\":\"x\"}", "not base64"),
            ("{\"key\":\"\\ud800\"}", "no JSON"),
        ] {
            assert!(one(text).is_err_and(|error| error.contains(why)), "{text}");
        }
    }
}
