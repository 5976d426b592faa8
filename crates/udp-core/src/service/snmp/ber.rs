//! The few forms of ASN.1's basic encoding rules (X.690) that SNMP is written in (RFC 3417 section 8).

use crate::service::wire::Reader;

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// Appends a value; it is shorter than 65,536 bytes.
pub(super) fn put(tag: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [high, low] = (length as u16).to_be_bytes();
    match length {
        0..0x80 => out.extend([tag, low]),
        0x80..0x100 => out.extend([tag, 0x81, low]),
        _ => out.extend([tag, 0x82, high, low]),
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// A value.
pub(super) fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put(tag, parts, &mut out);
    out
}

/// Values one after the other. One that is longer than what is there ends there, and is remembered as
/// cut, because an identity before the cut is still one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    reader: Reader<'a>,
    pub(super) cut: bool,
}

impl<'a> Values<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Values { reader: Reader::new(bytes), cut: false }
    }

    /// The next value with its tag.
    pub(super) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, first) = (self.reader.u8()?, self.reader.u8()?);
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let bytes = self.reader.take(usize::from(first & 0x7f))?;
                bytes.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte))
            }
            // Of no certain length, which SNMP does not have.
            _ => return None,
        };
        let there = self.reader.rest().len();
        self.cut |= there < length;
        Some((tag, self.reader.take(length.min(there))?))
    }

    /// The next value, if it has this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(it, _)| *it == tag).map(|(_, value)| value)
    }

    /// The values in the next one.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Values<'a>> {
        let value = self.take(tag)?;
        Some(Values { reader: Reader::new(value), cut: self.cut })
    }

    /// The next value, a number that is not cut itself.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let before = std::mem::take(&mut self.cut);
        let value = self.take(INTEGER).filter(|_| !self.cut);
        self.cut |= before;
        integer(value?)
    }
}

/// A number in two's complement, of at most 64 bits (and a zero byte before, if unsigned).
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    let (first, _) = bytes.split_first()?;
    let sign = i64::from(first.cast_signed()) >> 7;
    let fits = bytes.len() <= 8 || bytes.len() == 9 && *first == 0 && bytes[1] < 0x80;
    fits.then(|| bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
}

/// An object identifier from its text.
pub(super) fn oid(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix('.').unwrap_or(text);
    let parts: Option<Vec<u32>> = text
        .split('.')
        .map(|part| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?)
        .collect();
    let parts = parts?;
    let [first @ 0..=2, second, rest @ ..] = parts.as_slice() else { return None };
    if *first < 2 && *second > 39 || rest.len() > 126 {
        return None;
    }
    let mut bytes = Vec::new();
    for part in [(first * 40).checked_add(*second)?].iter().chain(rest) {
        let groups = (part | 1).ilog2() / 7;
        bytes.extend((1..=groups).rev().map(|at| (part >> (7 * at)) as u8 & 0x7f | 0x80));
        bytes.push(*part as u8 & 0x7f);
    }
    Some(bytes)
}

/// The text of an object identifier, of which so many parts are shown as there are.
pub(super) fn oid_text(bytes: &[u8]) -> Option<String> {
    let mut parts: Vec<u64> = Vec::new();
    let mut part = 0_u64;
    for byte in bytes.iter().take(128 * 5) {
        if part > u64::from(u32::MAX) {
            return None;
        }
        part = part << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if parts.is_empty() {
                parts.push((part / 40).min(2));
                part -= parts[0] * 40;
            }
            parts.push(part);
            part = 0;
        }
    }
    let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
    bytes.last().filter(|byte| **byte < 0x80).map(|_| parts.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::hex;

    #[test]
    fn numbers() {
        let cases = [
            ("", None),
            ("00", Some(0)),
            ("7f", Some(127)),
            ("80", Some(-128)),
            ("ff00", Some(-256)),
            ("00e2", Some(226)),
            ("7fffffffffffffff", Some(i64::MAX)),
            ("007fffffffffffffff", Some(i64::MAX)),
            ("00ffffffffffffffff", None),
            ("017fffffffffffffff", None),
        ];
        for (bytes, number) in cases {
            assert_eq!(integer(&hex(bytes)), number, "{bytes}");
        }
    }

    #[test]
    fn object_identifiers() {
        let cases = [
            ("1.3.6.1.2.1.1.3.0", "2b06010201010300"),
            ("1.3.6.1.4.1.8072", "2b06010401bf08"),
            ("2.999.4294967295", "8837 8fffffff7f"),
            ("0.0", "00"),
        ];
        for (text, bytes) in cases {
            assert_eq!(oid(text), Some(hex(bytes)), "{text}");
            assert_eq!(oid_text(&hex(bytes)).as_deref(), Some(text));
        }
        assert_eq!(oid(".1.3"), Some(hex("2b")));
        for text in
            ["", "1", "1.40", "3.1", "1.+3", "1..3", "1.3.", "1.3.4294967296", "2.4294967295"]
        {
            assert_eq!(oid(text), None, "{text}");
        }
        for bytes in ["", "ab", "2b ffffffffff7f"] {
            assert_eq!(oid_text(&hex(bytes)), None, "{bytes}");
        }
    }

    #[test]
    fn lengths() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff] {
            let bytes = value(OCTETS, &[&vec![7; length]]);
            let mut values = Values::new(&bytes);
            assert_eq!(values.take(OCTETS).map(<[u8]>::len), Some(length));
            assert!(values.any().is_none() && !values.cut);
        }
        for (bytes, there, cut) in [("0402ab", 1, true), ("0484ffffffffab", 1, true)] {
            let bytes = hex(bytes);
            let mut values = Values::new(&bytes);
            assert_eq!(values.take(OCTETS).map(<[u8]>::len), Some(there));
            assert_eq!(values.cut, cut);
        }
        for bytes in ["", "04", "0480", "0481", "0485000000000001"] {
            assert_eq!(Values::new(&hex(bytes)).any(), None, "{bytes}");
        }
    }
}
