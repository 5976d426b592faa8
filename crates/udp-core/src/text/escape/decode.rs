//! The decoder of the escape form.
//!
//! It takes text that a person typed or a program printed, and refuses every backslash that
//! begins none of the forms: nothing is guessed, so nothing else than what was meant is sent.

use std::fmt;

use super::encode::escape;

/// The bytes that the escape form `text` stands for.
///
/// Beyond what [`escape`] writes, this takes what a person may type and what can be read in one
/// way only: hex digits of either case, `\xNN` and `\u{…}` for values that need no escape,
/// leading zeros in `\u{…}` (six digits at most), and any character but the backslash as itself.
///
/// # Errors
/// [`UnescapeError`], for a backslash that begins none of the forms.
///
/// ```
/// use udp_core::text::escape::unescape;
///
/// assert_eq!(unescape(r"caf\xc3\xa9\r\n").unwrap(), "caf\u{e9}\r\n".as_bytes());
/// assert_eq!(
///     unescape(r"a\qb").unwrap_err().to_string(),
///     r"unknown escape '\q' at byte 1 (known: \n \r \t \0 \\ \xNN \u{…})"
/// );
/// ```
pub fn unescape(text: &str) -> Result<Vec<u8>, UnescapeError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(run) = rest.find('\\') {
        let (plain, tail) = rest.split_at(run);
        bytes.extend_from_slice(plain.as_bytes());
        let position = text.len() - tail.len();
        let mut chars = tail.chars();
        chars.next();
        decode_one(&mut chars, &mut bytes).map_err(|kind| UnescapeError { position, kind })?;
        rest = chars.as_str();
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// Why a text is not in the escape form, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnescapeError {
    /// Offset in bytes of the backslash that begins the wrong escape; 0 is the text's beginning.
    pub position: usize,
    /// What is wrong with it.
    pub kind: UnescapeErrorKind,
}

/// What is wrong with an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnescapeErrorKind {
    /// The text ends before the escape does.
    Incomplete,
    /// No escape begins with a backslash and this character.
    Unknown(char),
    /// This character stands where a hex digit must.
    NotHex(char),
    /// `\u` is followed by this character instead of `{`.
    NoBrace(char),
    /// `\u{}` holds no digit.
    NoDigits,
    /// `\u{…}` holds more than six digits.
    TooManyDigits,
    /// `\u{…}` holds a number that is no Unicode scalar value: above 10FFFF, or a surrogate.
    NotCharacter(u32),
}

impl fmt::Display for UnescapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, kind } = self;
        let shown = |c: char| escape(c.encode_utf8(&mut [0; 4]).as_bytes());
        match *kind {
            UnescapeErrorKind::Incomplete => write!(f, "incomplete escape at byte {position}"),
            UnescapeErrorKind::Unknown(c) => write!(
                f,
                r"unknown escape '\{}' at byte {position} (known: \n \r \t \0 \\ \xNN \u{{…}})",
                shown(c)
            ),
            UnescapeErrorKind::NotHex(c) => {
                write!(f, "'{}' is not a hex digit, in the escape at byte {position}", shown(c))
            }
            UnescapeErrorKind::NoBrace(c) => write!(
                f,
                r"'{}' where '{{' must follow \u, in the escape at byte {position}",
                shown(c)
            ),
            UnescapeErrorKind::NoDigits => {
                write!(f, r"no digits between the braces of \u at byte {position}")
            }
            UnescapeErrorKind::TooManyDigits => {
                write!(f, r"more than six digits between the braces of \u at byte {position}")
            }
            UnescapeErrorKind::NotCharacter(value) => {
                write!(f, r"\u{{{value:x}}} at byte {position} is not a character")
            }
        }
    }
}

impl std::error::Error for UnescapeError {}

/// Decodes one escape, `chars` standing behind its backslash.
fn decode_one(chars: &mut std::str::Chars<'_>, out: &mut Vec<u8>) -> Result<(), UnescapeErrorKind> {
    let mut next = || chars.next().ok_or(UnescapeErrorKind::Incomplete);
    let digit = |c: char| c.to_digit(16).ok_or(UnescapeErrorKind::NotHex(c));
    match next()? {
        'n' => out.push(b'\n'),
        'r' => out.push(b'\r'),
        't' => out.push(b'\t'),
        '0' => out.push(0),
        '\\' => out.push(b'\\'),
        'x' => {
            let byte = digit(next()?)? << 4 | digit(next()?)?;
            out.push(byte as u8);
        }
        'u' => {
            match next()? {
                '{' => {}
                c => return Err(UnescapeErrorKind::NoBrace(c)),
            }
            let mut value = 0;
            let mut digits = 0;
            loop {
                match next()? {
                    '}' if digits == 0 => return Err(UnescapeErrorKind::NoDigits),
                    '}' => break,
                    c => value = value << 4 | digit(c)?,
                }
                digits += 1;
                if digits > 6 {
                    return Err(UnescapeErrorKind::TooManyDigits);
                }
            }
            let c = char::from_u32(value).ok_or(UnescapeErrorKind::NotCharacter(value))?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        c => return Err(UnescapeErrorKind::Unknown(c)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_decoder_takes_what_can_be_read_in_one_way_only() {
        let table: &[(&str, &[u8])] = &[
            (r"\x41\xFF\xfF", b"A\xff\xff"),
            (r"\u{41}\u{00041}\u{20AC}", "AA€".as_bytes()),
            (r"\u{10ffff}", "\u{10ffff}".as_bytes()),
            ("a\tb\u{202e}", "a\tb\u{202e}".as_bytes()),
            (r"\01\\x41", b"\x001\\x41"),
        ];
        for (text, bytes) in table {
            assert_eq!(unescape(text).as_deref(), Ok(*bytes), "{text}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong_and_where() {
        use UnescapeErrorKind as Kind;
        let table: &[(&str, usize, Kind, &str)] = &[
            ("\\", 0, Kind::Incomplete, "incomplete escape at byte 0"),
            (r"é\", 2, Kind::Incomplete, "incomplete escape at byte 2"),
            (r"\x4", 0, Kind::Incomplete, "incomplete escape at byte 0"),
            (r"\u{41", 0, Kind::Incomplete, "incomplete escape at byte 0"),
            (
                r"ab\q",
                2,
                Kind::Unknown('q'),
                r"unknown escape '\q' at byte 2 (known: \n \r \t \0 \\ \xNN \u{…})",
            ),
            (
                "\\\x1b",
                0,
                Kind::Unknown('\x1b'),
                r"unknown escape '\\x1b' at byte 0 (known: \n \r \t \0 \\ \xNN \u{…})",
            ),
            (
                r"\N",
                0,
                Kind::Unknown('N'),
                r"unknown escape '\N' at byte 0 (known: \n \r \t \0 \\ \xNN \u{…})",
            ),
            (r"\x4g", 0, Kind::NotHex('g'), "'g' is not a hex digit, in the escape at byte 0"),
            (r"\x+1", 0, Kind::NotHex('+'), "'+' is not a hex digit, in the escape at byte 0"),
            (
                r"\u0041",
                0,
                Kind::NoBrace('0'),
                r"'0' where '{' must follow \u, in the escape at byte 0",
            ),
            (r"\\\u{}", 2, Kind::NoDigits, r"no digits between the braces of \u at byte 2"),
            (
                r"\u{0000041}",
                0,
                Kind::TooManyDigits,
                r"more than six digits between the braces of \u at byte 0",
            ),
            (r"\u{d800}", 0, Kind::NotCharacter(0xd800), r"\u{d800} at byte 0 is not a character"),
            (
                r"\u{110000}",
                0,
                Kind::NotCharacter(0x11_0000),
                r"\u{110000} at byte 0 is not a character",
            ),
        ];
        for (text, position, kind, message) in table {
            let error = unescape(text).unwrap_err();
            assert_eq!(error, UnescapeError { position: *position, kind: *kind }, "{text}");
            assert_eq!(error.to_string(), *message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_decodes_or_is_refused_at_a_backslash(text in r"(\\[nrt0xu\\{}0-9a-fq]{0,9}|.)*") {
            match unescape(&text) {
                Ok(bytes) => prop_assert_eq!(unescape(&escape(&bytes)), Ok(bytes)),
                Err(error) => prop_assert_eq!(text.as_bytes().get(error.position), Some(&b'\\')),
            }
        }
    }
}
