//! What newline-delimited JSON has in common in every program: one object per event, on one line.
//!
//! Payloads come from strangers and JSON ends up on terminals too, so beyond what RFC 8259 asks
//! every character that the text form would escape is written as `\uXXXX`: DEL, the C1 controls,
//! bidirectional controls, invisible characters. A reader of JSON sees no difference. The events'
//! own fields are small types of the programs; no type of the library serialises itself.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::clock::Wall;
use crate::text::{escape, hex};

/// The version of the schemas, the field `v`.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Object<'a, T> {
    r#type: &'a str,
    v: u32,
    ts: String,
    #[serde(flatten)]
    rest: T,
}

/// What a datagram held: `bytes`, and `data` where that is valid UTF-8, else `data_hex`.
#[derive(Debug, Serialize)]
pub struct Payload<'a> {
    bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_hex: Option<String>,
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let data = str::from_utf8(bytes).ok();
        let data_hex = data.is_none().then(|| hex::encode(bytes));
        Payload { bytes: bytes.len(), data, data_hex }
    }
}

impl Payload<'_> {
    /// Its length alone, of what holds a secret.
    #[must_use]
    pub fn hidden(self) -> Self {
        Payload { data: None, data_hex: None, ..self }
    }
}

/// What a service said beside its verdict: an object of values, of which numbers are numbers.
#[cfg(feature = "service")]
#[derive(Debug, Clone, Copy)]
pub struct FactValues<'a>(pub &'a crate::service::Facts);

#[cfg(feature = "service")]
impl Serialize for FactValues<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use crate::service::Fact;
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(None)?;
        for (name, fact) in self.0.iter() {
            match fact {
                Fact::Text(text) => map.serialize_entry(name, text)?,
                Fact::Number(number) => map.serialize_entry(name, number)?,
                Fact::Flag(flag) => map.serialize_entry(name, flag)?,
                Fact::List(all) => map.serialize_entry(name, all)?,
            }
        }
        map.end()
    }
}

/// Appends one object and the line's end: `type`, `v`, `ts`, then the fields of `rest`. What cannot
/// be written (a map whose keys are no strings) leaves no trace.
pub fn object(kind: &str, at: Wall, rest: impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    let object = Object { r#type: kind, v: VERSION, ts: at.rfc3339(), rest };
    match object.serialize(&mut Serializer::with_formatter(&mut *out, Harmless)) {
        Ok(()) => out.push(b'\n'),
        Err(_) => out.truncate(start),
    }
}

/// So many events have no object, for want of room or time.
pub fn not_shown(count: u64, at: Wall, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct NotShown {
        count: u64,
    }
    object("not_shown", at, NotShown { count }, out);
}

/// Whole nanoseconds, for a field that ends in `_ns`.
pub fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Compact JSON whose strings hide nothing and steer no terminal.
struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| escape::acts_or_hides(*c))
        {
            writer.write_all(rest.get(..at).unwrap_or_default().as_bytes())?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = rest.get(at + hidden.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn written(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        object("sent", Wall::from_nanos(0), Payload::from(bytes), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_event_is_one_object_on_one_line() {
        let head = r#"{"type":"sent","v":1,"ts":"1970-01-01T00:00:00.000000Z","#;
        let cases: [(&[u8], &str); 6] = [
            (b"hi", r#""bytes":2,"data":"hi"}"#),
            (b"", r#""bytes":0,"data":""}"#),
            (b"\xff\x00", r#""bytes":2,"data_hex":"ff00"}"#),
            (b"a\\\"\n\x1b", r#""bytes":5,"data":"a\\\"\n\u001b"}"#),
            ("é\u{202e}\u{9b}\u{7f}".as_bytes(), r#""bytes":8,"data":"é\u202e\u009b\u007f"}"#),
            ("\u{e0041}".as_bytes(), r#""bytes":4,"data":"\udb40\udc41"}"#),
        ];
        for (bytes, tail) in cases {
            assert_eq!(written(bytes), format!("{head}{tail}\n"));
        }
    }

    #[test]
    fn what_cannot_be_written_leaves_no_trace() {
        let mut out = b"before\n".to_vec();
        let no_strings = std::collections::BTreeMap::from([((1, 2), 3)]);
        object("sent", Wall::from_nanos(0), no_strings, &mut out);
        assert_eq!(out, b"before\n");
    }

    proptest! {
        #[test]
        fn every_payload_is_harmless_and_reads_back(bytes: Vec<u8>) {
            let line = written(&bytes);
            prop_assert!(!line.trim_end_matches('\n').chars().any(escape::acts_or_hides));
            let value: Value = serde_json::from_str(&line).unwrap();
            let back = match value["data"].as_str() {
                Some(text) => text.as_bytes().to_vec(),
                None => hex::decode(value["data_hex"].as_str().unwrap()).unwrap(),
            };
            prop_assert_eq!(back, bytes);
        }
    }
}
