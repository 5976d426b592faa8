//! The alternative names of a certificate (RFC 5280 §4.2.1.6): host names, mail addresses, URIs and IP
//! addresses, of which the TLS library shows no text.
//!
//! It reads a stranger's bytes: whatever is no such certificate has no names.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The value of an object, and what follows it.
type Split<'a> = Option<(u8, &'a [u8], &'a [u8])>;

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[3]` of a `TBSCertificate`.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

/// As Go writes them: addresses in their canonical form, everything else as it is.
pub(super) fn alternative_names(certificate: &[u8]) -> Option<Vec<String>> {
    let mut fields = expect(SEQUENCE, expect(SEQUENCE, certificate)?)?;
    let extensions = loop {
        let (tag, value, rest) = split(fields)?;
        if tag == EXTENSIONS {
            break expect(SEQUENCE, value)?;
        }
        fields = rest;
    };
    let found = each(extensions).filter_map(|(_, extension)| {
        let mut parts = each(extension);
        let name = parts.next().filter(|part| *part == (OBJECT_IDENTIFIER, &SUBJECT_ALT_NAME));
        // Between the two there may be whether it is critical.
        name.and_then(|_| parts.find(|(tag, _)| *tag == OCTET_STRING))
    });
    let names = found.filter_map(|(_, value)| expect(SEQUENCE, value)).flat_map(each);
    Some(names.filter_map(|(tag, value)| name(tag, value)).collect())
}

fn name(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // rfc822Name, dNSName, uniformResourceIdentifier
        0x81 | 0x82 | 0x86 => String::from_utf8(value.into()).ok(),
        // iPAddress
        0x87 => match value.len() {
            4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string()),
            16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(value).ok()?).to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// The objects that stand one after another.
fn each(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (tag, value, rest) = split(bytes)?;
        bytes = rest;
        Some((tag, value))
    })
}

fn expect(tag: u8, bytes: &[u8]) -> Option<&[u8]> {
    split(bytes).filter(|(found, ..)| *found == tag).map(|(_, value, _)| value)
}

/// The first object: a tag of one byte, and a length of DER (X.690 §10.1).
fn split(bytes: &[u8]) -> Split<'_> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // No certificate is longer.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((*tag, value, rest))
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, Engine};
    use proptest::prelude::*;

    use super::*;

    /// Of openssl, with one name of each kind.
    const CERTIFICATE: &str = "MIIBxTCCAWugAwIBAgIUUYXUw/5OiBj5cZwfv3Zqkz2hfDwwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAgFw0y\
        NjExMjYxNzI0MjlaGA8yMTI2MTEwMjE3MjQyOVowDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEH\
        A0IABCO+6ZVC5oLjqrKw0eFv3AlQ04RyI8RRmroVtEjLKtAdsvjXcz3V6vFs/oxyRklilJg1knUteWgV127g5E4N\
        pqujgagwgaUwHQYDVR0OBBYEFD8EBCRjejgv8PvlHRUJus7DYyP7MB8GA1UdIwQYMBaAFD8EBCRjejgv8PvlHRUJ\
        us7DYyP7MA8GA1UdEwEB/wQFMAMBAf8wUgYDVR0RBEswSYIJYS5leGFtcGxlgQttQGIuZXhhbXBsZYYMc3BpZmZl\
        Oi8vYy9khwTAAAIBhxAgAQ24AAAAAAAAAAAAAAABoAkGAioDoAMMAXowCgYIKoZIzj0EAwIDSAAwRQIhALr1Khko\
        I/zq1oURL8hYeWto8s/TziDm5T3Mt2Sydu1bAiAyJGDjy3xvdHkZZetkZum+whEKM0uEzdBzJDpmOJTt7w==";

    #[test]
    fn every_kind_of_name_is_found() {
        let certificate = BASE64_STANDARD.decode(CERTIFICATE).unwrap();
        let names = alternative_names(&certificate).unwrap();
        let expected = ["a.example", "m@b.example", "spiffe://c/d", "192.0.2.1", "2001:db8::1"];
        assert_eq!(names, expected);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes(at in 0..457usize, by in 1..=255u8, end in 0..457usize) {
            let mut certificate = BASE64_STANDARD.decode(CERTIFICATE).unwrap();
            certificate[at] ^= by;
            let _ = alternative_names(&certificate);
            let _ = alternative_names(&certificate[end..]);
            let _ = alternative_names(&certificate[..end]);
        }
    }
}
