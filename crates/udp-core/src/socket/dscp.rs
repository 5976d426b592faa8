//! Differentiated-services code points by name (RFC 2474, RFC 2597, RFC 3246, RFC 8622).

use std::fmt;
use std::str::FromStr;

/// A differentiated-services code point, 0 to 63.
///
/// ```
/// use udp_core::socket::Dscp;
/// assert_eq!("ef".parse::<Dscp>().unwrap().get(), 46);
/// assert_eq!("AF41".parse::<Dscp>().unwrap().get(), 34);
/// assert_eq!("10".parse::<Dscp>().unwrap().traffic_class(), 40);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Dscp(u8);

impl Dscp {
    /// The code point with this number, if it is one (0 to 63).
    pub const fn new(number: u8) -> Option<Dscp> {
        if number < 64 { Some(Dscp(number)) } else { None }
    }

    /// The code point's number.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The octet that carries it: the upper six bits of IPv4's TOS and IPv6's traffic class.
    pub const fn traffic_class(self) -> u8 {
        self.0 << 2
    }
}

/// Explicit congestion notification, RFC 3168 §5: the lower two bits of the same octet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Ecn {
    /// Not capable of it.
    NotEct = 0,
    /// Capable, as L4S marks itself (RFC 9331).
    Ect1 = 1,
    /// Capable.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl FromStr for Ecn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "not-ect" | "0" => Ok(Ecn::NotEct),
            "ect1" | "ect(1)" | "1" => Ok(Ecn::Ect1),
            "ect0" | "ect(0)" | "2" => Ok(Ecn::Ect0),
            "ce" | "3" => Ok(Ecn::Ce),
            _ => Err("not one of not-ect, ect1, ect0, ce, nor a number from 0 to 3".into()),
        }
    }
}

/// A text that names no code point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseDscpError;

impl fmt::Display for ParseDscpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number from 0 to 63 nor one of cs0-cs7, af11-af43, ef, va, le, default")
    }
}

impl std::error::Error for ParseDscpError {}

impl FromStr for Dscp {
    type Err = ParseDscpError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok().and_then(Dscp::new).ok_or(ParseDscpError);
        }
        let name = text.to_ascii_lowercase();
        let number = match name.as_bytes() {
            b"default" | b"df" | b"be" => 0,
            b"le" => 1,
            b"va" => 44,
            b"ef" => 46,
            [b'c', b's', class @ b'0'..=b'7'] => (class - b'0') * 8,
            [b'a', b'f', class @ b'1'..=b'4', drop @ b'1'..=b'3'] => {
                (class - b'0') * 8 + (drop - b'0') * 2
            }
            _ => return Err(ParseDscpError),
        };
        Ok(Dscp(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let cases = [
            ("0", Some(0)),
            ("63", Some(63)),
            ("64", None),
            ("256", None),
            ("-1", None),
            ("+1", None),
            ("", None),
            ("default", Some(0)),
            ("BE", Some(0)),
            ("le", Some(1)),
            ("cs0", Some(0)),
            ("cs7", Some(56)),
            ("cs8", None),
            ("af11", Some(10)),
            ("af43", Some(38)),
            ("af44", None),
            ("af01", None),
            ("ef", Some(46)),
            ("va", Some(44)),
            ("voice", None),
            ("ef ", None),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Dscp>().ok().map(Dscp::get), expected, "{text:?}");
        }
    }
}
