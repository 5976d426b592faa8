//! YAML as a tree whose nodes know their lines, so that every error of a file can be reported at once.
//!
//! Values keep their text as it was written where YAML takes them for a number or the like: `0e00` is
//! hex to whom it concerns. Aliases and merges are followed within bounds; nothing is made of tags.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};

use super::Fault;

/// Mappings in mappings and the like.
const DEEPEST: usize = 64;

/// A value with its line.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// From 1.
    pub line: usize,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// Text.
    Text(String),
    /// A whole number from 0, and its text.
    Number(u64, String),
    /// What YAML takes for another number or for yes and no, as it was written.
    Plain(String),
    /// A sequence.
    List,
    /// Keys and values in the order of the file; a key may stand there twice.
    Map(Vec<(Key, Node)>),
}

/// A key with its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// From 1.
    pub line: usize,
    /// The key.
    pub name: String,
}

/// The document in `content`, a file of this name.
///
/// # Errors
/// It is no YAML, or several documents.
pub fn parse(file: &str, content: &[u8]) -> Result<Node, Fault> {
    let fault = |line, message: String| Fault { file: file.into(), line, message, hint: None };
    let text = match str::from_utf8(content) {
        Ok(text) => text,
        Err(error) => {
            let before = content.get(..error.valid_up_to()).unwrap_or_default();
            let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
            return Err(fault(line, "not UTF-8".into()));
        }
    };
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEEPEST },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Ok(Raw::node(raw, text)),
        Err(error) => {
            let line = error.location().map_or(1, |it| it.line()).max(1);
            let message = error.without_snippet().to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message.split(" at line ").next().unwrap_or_default();
            Err(fault(usize::try_from(line).unwrap_or(usize::MAX), message.to_owned()))
        }
    }
}

/// A value without its line, and without the text of numbers.
enum Raw {
    Null,
    Text(String),
    Number(u64),
    Plain,
    List,
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl Raw {
    fn node(raw: Spanned<Raw>, source: &str) -> Node {
        let line = |at: &Location| usize::try_from(at.line()).unwrap_or(usize::MAX).max(1);
        // Of an alias, where it stands; its text is where it leads to.
        let written = || {
            let span = raw.defined.span();
            let place = span.byte_offset().zip(span.byte_len()).and_then(|(first, length)| {
                let first = usize::try_from(first).ok()?;
                source.get(first..first.checked_add(usize::try_from(length).ok()?)?)
            });
            place.unwrap_or_default().trim().to_owned()
        };
        let value = match raw.value {
            Raw::Null => Value::Null,
            Raw::Text(text) => Value::Text(text),
            Raw::Number(number) => Value::Number(number, written()),
            Raw::Plain => Value::Plain(written()),
            Raw::List => Value::List,
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        let key = Key { line: line(&key.referenced), name: key.value };
                        (key, Raw::node(value, source))
                    })
                    .collect(),
            ),
        };
        Node { line: line(&raw.referenced), value }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(AnyRaw)
    }
}

struct AnyRaw;

impl<'de> Visitor<'de> for AnyRaw {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(u64::try_from(number).map_or(Raw::Plain, Raw::Number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Raw, E> {
        Ok(Raw::Plain)
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Raw, A::Error> {
        while all.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = all.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(node: &Node, out: &mut Vec<String>) {
        let line = node.line;
        match &node.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    out.push(format!("{}:{}", key.line, key.name));
                    shown(node, out);
                }
            }
            value => out.push(format!("{line}={value:?}")),
        }
    }

    #[test]
    fn every_value_has_its_line_and_its_text() {
        let text = "a: &x 0e00 # hex\nb: {c: \"0102\", d: 0102,\n  e: 1.5}\nf: *x\nb: ~\ng: yes\nh: [1, {i: 2}]\nj: |\n  x\n  y\n-1: -3\nk: 12_0\nl: ''\nm:\n\"\\x07\": 99999999999999999999999";
        let mut all = Vec::new();
        shown(&parse("f", text.as_bytes()).unwrap(), &mut all);
        assert_eq!(
            all.join(" "),
            "1:a 1=Plain(\"0e00\") 2:b 2:c 2=Text(\"0102\") 2:d 2=Plain(\"0102\") \
             3:e 3=Plain(\"1.5\") 4:f 4=Plain(\"0e00\") 5:b 5=Null 6:g 6=Plain(\"yes\") 7:h 7=List \
             8:j 9=Text(\"x\\ny\\n\") 11:-1 11=Plain(\"-3\") 12:k 12=Number(120, \"12_0\") \
             13:l 13=Text(\"\") 14:m 14=Null 15:\u{7} 15=Plain(\"99999999999999999999999\")"
        );
    }

    #[test]
    fn what_is_no_yaml_is_one_line() {
        let deep = "[".repeat(2000);
        let laughs: String = (1..40)
            .map(|n| format!("a{n}: &a{n} {{x: *a{0}, y: *a{0}, z: *a{0}}}\n", n - 1))
            .collect();
        for (text, line) in [
            ("a: b\n  c: d\n", 2),
            ("a: [1\nb: 2\n", 2),
            ("a: b\n--- \nc: d", 3),
            ("a: *x", 1),
            (&deep, 1),
            (&format!("a0: &a0 {{k: v}}\n{laughs}"), 0),
        ] {
            let fault = parse("f", text.as_bytes()).unwrap_err();
            assert!(line == 0 || fault.line == line, "{text:.40}: {fault:?}");
            assert!(!fault.message.contains('\n') && !fault.message.is_empty(), "{fault:?}");
        }
        let fault = parse("f", b"a: 1\nb: \xff\n").unwrap_err();
        assert_eq!((fault.line, fault.message.as_str()), (2, "not UTF-8"));
    }
}
