//! Bytes as hexadecimal digits and back.
//!
//! Encoding gives lower-case digits without separators. Decoding takes what people paste from
//! other tools: either case, white space anywhere between bytes, a colon between two bytes, and
//! `0x` in front of any group. A byte is always two digits: `a:b` is refused, because it is read
//! as `0a0b` by some and as `ab` by others.

use std::fmt;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// The lower-case hex digits of `bytes`.
///
/// ```
/// assert_eq!(udp_core::text::hex::encode(b"\x00\xffA"), "00ff41");
/// ```
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    text.extend(bytes.iter().flat_map(|byte| digits(*byte).map(char::from)));
    text
}

/// Appends the lower-case hex digits of `bytes` to `out`.
pub fn encode_into(bytes: &[u8], out: &mut Vec<u8>) {
    out.reserve(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|byte| digits(*byte)));
}

/// The bytes that `text` gives in hex; an empty text, or white space alone, is no bytes.
///
/// # Errors
/// [`HexError`], for anything but groups of digit pairs.
///
/// ```
/// use udp_core::text::hex::decode;
///
/// assert_eq!(decode("00ff41").unwrap(), b"\x00\xffA");
/// assert_eq!(decode("0xDE:AD be ef").unwrap(), b"\xde\xad\xbe\xef");
/// assert_eq!(decode("abc").unwrap_err().to_string(), "the hex digit at byte 2 has no second digit");
/// ```
pub fn decode(text: &str) -> Result<Vec<u8>, HexError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut state = State::Start;
    let mut chars = text.char_indices().peekable();
    while let Some((position, c)) = chars.next() {
        let error = |kind| HexError { position, kind };
        state = match (state, c) {
            (State::Prefix(at), c) if !c.is_ascii_hexdigit() => {
                return Err(HexError { position: at, kind: HexErrorKind::EmptyPrefix });
            }
            (State::Colon(_), ':') | (State::Start, ':') => {
                return Err(error(HexErrorKind::StrayColon));
            }
            (_, ':') => State::Colon(position),
            (State::Byte | State::Space, c) if c.is_whitespace() => State::Space,
            (before, c) if c.is_whitespace() => before,
            (State::Start | State::Space | State::Colon(_), '0')
                if chars.next_if(|(_, x)| matches!(x, 'x' | 'X')).is_some() =>
            {
                State::Prefix(position)
            }
            (_, high) => {
                let high = high.to_digit(16).ok_or(error(HexErrorKind::NotHex(high)))?;
                let low = match chars.next() {
                    Some((_, low)) if low.is_ascii_hexdigit() => low.to_digit(16),
                    Some((_, ':')) | None => None,
                    Some((_, c)) if c.is_whitespace() => None,
                    Some((position, c)) => {
                        return Err(HexError { position, kind: HexErrorKind::NotHex(c) });
                    }
                };
                let low = low.ok_or(error(HexErrorKind::HalfByte))?;
                bytes.push((high << 4 | low) as u8);
                State::Byte
            }
        };
    }
    match state {
        State::Prefix(position) => Err(HexError { position, kind: HexErrorKind::EmptyPrefix }),
        State::Colon(position) => Err(HexError { position, kind: HexErrorKind::StrayColon }),
        State::Start | State::Byte | State::Space => Ok(bytes),
    }
}

/// Why a text is not hex, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HexError {
    /// Offset in bytes of what is wrong; 0 is the text's beginning.
    pub position: usize,
    /// What is wrong there.
    pub kind: HexErrorKind,
}

/// What is wrong with a hex text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HexErrorKind {
    /// This character is neither a hex digit nor a separator.
    NotHex(char),
    /// A digit stands alone: a byte is two digits.
    HalfByte,
    /// A colon does not stand between two bytes.
    StrayColon,
    /// `0x` has no digit behind it.
    EmptyPrefix,
}

impl fmt::Display for HexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, kind } = self;
        match kind {
            HexErrorKind::NotHex(c) => {
                let shown = super::escape::escape(c.encode_utf8(&mut [0; 4]).as_bytes());
                write!(f, "'{shown}' at byte {position} is not a hex digit")
            }
            HexErrorKind::HalfByte => {
                write!(f, "the hex digit at byte {position} has no second digit")
            }
            HexErrorKind::StrayColon => {
                write!(f, "the colon at byte {position} is not between two bytes")
            }
            HexErrorKind::EmptyPrefix => {
                write!(f, "no hex digits after the 0x at byte {position}")
            }
        }
    }
}

impl std::error::Error for HexError {}

/// What the decoder has just read; the positions are those that an error would name.
#[derive(Clone, Copy)]
enum State {
    /// Nothing but white space.
    Start,
    /// A whole byte, which another may follow directly.
    Byte,
    /// White space behind a byte.
    Space,
    /// A colon, and perhaps white space.
    Colon(usize),
    /// `0x`, which a digit must follow.
    Prefix(usize),
}

fn digits(byte: u8) -> [u8; 2] {
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_usual_form_is_read() {
        let table: &[(&str, &[u8])] = &[
            ("", b""),
            (" \t\n", b""),
            ("00", b"\0"),
            ("68656c6c6f", b"hello"),
            ("68656C6C6F", b"hello"),
            ("68 65 6c\n6c\t6f ", b"hello"),
            ("68:65:6c:6c:6f", b"hello"),
            (" 68 : 65 :6c: 6c6f", b"hello"),
            ("0x68656c6c6f", b"hello"),
            ("0X68 0x65 0x6c:0x6c6f", b"hello"),
            ("0x00", b"\0"),
        ];
        for (text, bytes) in table {
            assert_eq!(decode(text).as_deref(), Ok(*bytes), "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        use HexErrorKind as Kind;
        let table: &[(&str, usize, Kind, &str)] = &[
            ("g0", 0, Kind::NotHex('g'), "'g' at byte 0 is not a hex digit"),
            ("0g", 1, Kind::NotHex('g'), "'g' at byte 1 is not a hex digit"),
            ("00-11", 2, Kind::NotHex('-'), "'-' at byte 2 is not a hex digit"),
            ("00\x1b", 2, Kind::NotHex('\x1b'), r"'\x1b' at byte 2 is not a hex digit"),
            ("é0", 0, Kind::NotHex('é'), "'é' at byte 0 is not a hex digit"),
            ("\u{ff11}1", 0, Kind::NotHex('\u{ff11}'), "'１' at byte 0 is not a hex digit"),
            ("0", 0, Kind::HalfByte, "the hex digit at byte 0 has no second digit"),
            ("00 1", 3, Kind::HalfByte, "the hex digit at byte 3 has no second digit"),
            ("1 2", 0, Kind::HalfByte, "the hex digit at byte 0 has no second digit"),
            ("a:b", 0, Kind::HalfByte, "the hex digit at byte 0 has no second digit"),
            (":00", 0, Kind::StrayColon, "the colon at byte 0 is not between two bytes"),
            ("00:", 2, Kind::StrayColon, "the colon at byte 2 is not between two bytes"),
            ("00: ", 2, Kind::StrayColon, "the colon at byte 2 is not between two bytes"),
            ("00::11", 3, Kind::StrayColon, "the colon at byte 3 is not between two bytes"),
            ("0x", 0, Kind::EmptyPrefix, "no hex digits after the 0x at byte 0"),
            ("00 0x 11", 3, Kind::EmptyPrefix, "no hex digits after the 0x at byte 3"),
            ("000x01", 3, Kind::NotHex('x'), "'x' at byte 3 is not a hex digit"),
            ("0x0x11", 3, Kind::NotHex('x'), "'x' at byte 3 is not a hex digit"),
        ];
        for (text, position, kind, message) in table {
            let error = decode(text).unwrap_err();
            assert_eq!(error, HexError { position: *position, kind: *kind }, "{text}");
            assert_eq!(error.to_string(), *message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), bytes.len() * 2);
            prop_assert_eq!(decode(&text), Ok(bytes.clone()));
            prop_assert_eq!(decode(&text.to_uppercase()), Ok(bytes.clone()));
            let mut out = b"x".to_vec();
            encode_into(&bytes, &mut out);
            prop_assert_eq!(out, format!("x{text}").into_bytes());
            let spelled = |join: &str| {
                bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(join)
            };
            for join in [" ", ":", " : ", " 0x", ":0X"] {
                prop_assert_eq!(decode(&spelled(join)), Ok(bytes.clone()));
            }
        }

        #[test]
        fn any_text_decodes_or_is_refused_inside(text in "[0-9a-gxX: é]{0,24}") {
            match decode(&text) {
                Ok(bytes) => prop_assert_eq!(decode(&encode(&bytes)), Ok(bytes)),
                Err(error) => prop_assert!(text.is_char_boundary(error.position)),
            }
        }
    }
}
