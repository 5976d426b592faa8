//! The encoder of the escape form.

/// The escape form of `bytes`.
///
/// ```
/// use udp_core::text::escape::escape;
///
/// assert_eq!(escape(b"hello"), "hello");
/// assert_eq!(escape("caf\u{e9}\n".as_bytes()), r"café\n");
/// assert_eq!(escape(b"\x1b[2J \xff C:\\"), r"\x1b[2J \xff C:\\");
/// assert_eq!(escape("\u{202e}exe".as_bytes()), r"\u{202e}exe");
/// ```
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    write_bytes(bytes, &mut text);
    text
}

/// Appends the escape form of `bytes` to `out`, which may hold anything before.
///
/// Runs that need no escape are copied as a whole, and nothing is allocated but `out`'s growth.
pub fn escape_into(bytes: &[u8], out: &mut Vec<u8>) {
    write_bytes(bytes, out);
}

/// Appends the escape form of at most the first `limit` bytes of `bytes`, and returns how many
/// bytes are shown: fewer than `bytes.len()` says that the rest is left out.
///
/// A character that the limit would cut in two is left out whole, so up to 3 bytes fewer than
/// `limit` may be shown; bytes that are no character to begin with are cut anywhere. What comes
/// out is what [`escape_into`] gives for the bytes shown.
///
/// ```
/// use udp_core::text::escape::escape_prefix_into;
///
/// let mut line = Vec::new();
/// let shown = escape_prefix_into("a\u{20ac}\u{20ac}".as_bytes(), 6, &mut line);
/// assert_eq!((line.as_slice(), shown), ("a\u{20ac}".as_bytes(), 4));
/// ```
pub fn escape_prefix_into(bytes: &[u8], limit: usize, out: &mut Vec<u8>) -> usize {
    let shown = character_boundary(bytes, limit);
    write_bytes(bytes.get(..shown).unwrap_or(bytes), out);
    shown
}

/// What escaped text is written to: it is UTF-8 by construction, so both kinds can take it.
trait Sink {
    fn text(&mut self, text: &str);
}

impl Sink for String {
    fn text(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Sink for Vec<u8> {
    fn text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

fn write_bytes(bytes: &[u8], out: &mut impl Sink) {
    if let Ok(text) = str::from_utf8(bytes) {
        return write_text(text, out);
    }
    for chunk in bytes.utf8_chunks() {
        write_text(chunk.valid(), out);
        for byte in chunk.invalid() {
            write_byte(*byte, out);
        }
    }
}

fn write_text(text: &str, out: &mut impl Sink) {
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        return out.text(text);
    }
    // Where the run not yet written begins, and whether a selector would have a character to act
    // on: one that is shown, and is no selector itself.
    let mut run = 0;
    let mut visible_before = false;
    for (at, c) in text.char_indices() {
        if c.is_ascii() && is_plain(c as u8) {
            visible_before = true;
            continue;
        }
        let selector = is_variation_selector(c);
        let shown = if selector { visible_before } else { !needs_escape(c) };
        visible_before = shown && !selector;
        if !shown {
            out.text(&text[run..at]);
            write_char(c, out);
            run = at + c.len_utf8();
        }
    }
    out.text(&text[run..]);
}

/// Whether `c` acts on a terminal or cannot be seen, so that other text forms (JSON, say) do well to
/// escape it in their own way. Variation selectors count; a backslash does not.
pub fn acts_or_hides(c: char) -> bool {
    match c {
        ' '..='~' => false,
        _ => needs_escape(c) || is_variation_selector(c),
    }
}

/// Printable ASCII without the backslash: shown as it is.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'[' | b']'..=b'~')
}

/// Whether a character other than a variation selector is escaped.
fn needs_escape(c: char) -> bool {
    matches!(c,
        '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}' // C0, DEL, C1
        | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180e}' | '\u{3164}' | '\u{ffa0}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' // separators, bidirectional embeddings and overrides
        | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, isolates, old format controls
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' // tags, and the unassigned rest of that block
    )
}

fn is_variation_selector(c: char) -> bool {
    matches!(c,
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'
        | '\u{180b}'..='\u{180d}' | '\u{180f}')
}

fn write_char(c: char, out: &mut impl Sink) {
    match c {
        '\\' => out.text(r"\\"),
        '\n' => out.text(r"\n"),
        '\r' => out.text(r"\r"),
        '\t' => out.text(r"\t"),
        '\0' => out.text(r"\0"),
        c if c.is_ascii() => write_byte(c as u8, out),
        c => {
            let value = u32::from(c);
            let digits = (32 - value.leading_zeros()).div_ceil(4);
            out.text(r"\u{");
            for place in (0..digits).rev() {
                out.text(hex_digit(value >> (4 * place)));
            }
            out.text("}");
        }
    }
}

fn write_byte(byte: u8, out: &mut impl Sink) {
    out.text(r"\x");
    out.text(hex_digit(u32::from(byte >> 4)));
    out.text(hex_digit(u32::from(byte)));
}

/// The lower-case digit for the low four bits.
fn hex_digit(value: u32) -> &'static str {
    let at = (value & 15) as usize;
    &"0123456789abcdef"[at..=at]
}

/// The longest prefix of at most `limit` bytes that cuts no character of `bytes` in two.
fn character_boundary(bytes: &[u8], limit: usize) -> usize {
    if bytes.len() <= limit {
        return bytes.len();
    }
    (limit.saturating_sub(3)..limit)
        .find(|&start| {
            let longest = &bytes[start..bytes.len().min(start + 4)];
            let width = longest.utf8_chunks().next().and_then(|c| c.valid().chars().next());
            width.is_some_and(|c| start + c.len_utf8() > limit)
        })
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::unescape;
    use super::*;

    #[test]
    fn text_is_shown_and_what_acts_or_hides_is_escaped() {
        let table: &[(&[u8], &str)] = &[
            (b"", ""),
            (b"hello world ~[]{}'\"", "hello world ~[]{}'\""),
            ("žluťoučký 日本語 עברית 🎉".as_bytes(), "žluťoučký 日本語 עברית 🎉"),
            (b"\\", r"\\"),
            (b"\\n", r"\\n"),
            (b"\n\r\t\0", r"\n\r\t\0"),
            (b"\x001", r"\01"),
            (b"\x01\x07\x08\x0b\x1b\x1f\x7f", r"\x01\x07\x08\x0b\x1b\x1f\x7f"),
            (b"\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
            // C1 as UTF-8 is a code point, and raw it is an invalid byte.
            (b"\xc2\x80\xc2\x9b\xc2\x9f", r"\u{80}\u{9b}\u{9f}"),
            (b"\x9b31m", r"\x9b31m"),
            ("\u{a0}\u{ad}".as_bytes(), "\u{a0}\\u{ad}"),
            ("\u{2028}\u{2029}".as_bytes(), r"\u{2028}\u{2029}"),
            (
                "\u{202a}\u{202e}\u{2066}\u{2069}\u{61c}".as_bytes(),
                r"\u{202a}\u{202e}\u{2066}\u{2069}\u{61c}",
            ),
            (
                "\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}".as_bytes(),
                r"\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}",
            ),
            (
                "\u{2060}\u{2064}\u{206f}\u{feff}\u{180e}\u{3164}".as_bytes(),
                r"\u{2060}\u{2064}\u{206f}\u{feff}\u{180e}\u{3164}",
            ),
            ("\u{e0000}\u{e0041}\u{e007f}".as_bytes(), r"\u{e0000}\u{e0041}\u{e007f}"),
            // What stands beside the escaped ranges is shown.
            (
                "\u{200a}\u{2010}\u{2027}\u{202f}\u{205f}\u{2070}".as_bytes(),
                "\u{200a}\u{2010}\u{2027}\u{202f}\u{205f}\u{2070}",
            ),
            ("\u{fffd}\u{10ffff}".as_bytes(), "\u{fffd}\u{10ffff}"),
            // Invalid UTF-8: stray, cut short, overlong, surrogate, beyond the last code point.
            (b"\x80a\xff", r"\x80a\xff"),
            (b"a\xe2\x82", r"a\xe2\x82"),
            (b"\xc0\x80", r"\xc0\x80"),
            (b"\xed\xa0\x80", r"\xed\xa0\x80"),
            (b"\xf4\x90\x80\x80", r"\xf4\x90\x80\x80"),
            // A selector is part of the character before it, and escaped where there is none.
            (
                "☺\u{fe0f} #\u{fe0f}\u{20e3} 葛\u{e0100}".as_bytes(),
                "☺\u{fe0f} #\u{fe0f}\u{20e3} 葛\u{e0100}",
            ),
            (
                "\u{fe0f}a\u{fe00}\u{fe01}\u{e0100}\n\u{fe0f}".as_bytes(),
                "\\u{fe0f}a\u{fe00}\\u{fe01}\\u{e0100}\\n\\u{fe0f}",
            ),
        ];
        for (bytes, text) in table {
            assert_eq!(escape(bytes), *text, "{bytes:x?}");
            assert_eq!(unescape(text).as_deref(), Ok(*bytes), "{text}");
            let mut out = b"before ".to_vec();
            escape_into(bytes, &mut out);
            assert_eq!(out, [b"before ", text.as_bytes()].concat(), "{bytes:x?}");
        }
    }

    #[test]
    fn every_code_point_that_the_contract_names_is_escaped() {
        let named = (0..0x20)
            .chain(0x7f..0xa0)
            .chain([0xad, 0x61c, 0x2028, 0x2029, 0x2060, 0xfeff])
            .chain(0x200b..=0x200f)
            .chain(0x202a..=0x202e)
            .chain(0x2066..=0x2069)
            .chain(0xe0000..=0xe007f);
        for c in named.filter_map(char::from_u32) {
            let text = escape(c.encode_utf8(&mut [0; 4]).as_bytes());
            assert!(text.starts_with('\\') && text.is_ascii(), "{c:?} is shown as {text:?}");
        }
    }

    #[test]
    fn a_limit_cuts_between_characters_and_never_makes_garbage_of_one() {
        let table: &[(&[u8], usize, usize, &str)] = &[
            (b"hello", 5, 5, "hello"),
            (b"hello", 9, 5, "hello"),
            (b"hello", 4, 4, "hell"),
            (b"hello", 0, 0, ""),
            ("€€".as_bytes(), 3, 3, "€"),
            ("€€".as_bytes(), 4, 3, "€"),
            ("€€".as_bytes(), 5, 3, "€"),
            ("€€".as_bytes(), 6, 6, "€€"),
            ("€€".as_bytes(), 2, 0, ""),
            ("a🎉b".as_bytes(), 4, 1, "a"),
            ("a🎉b".as_bytes(), 5, 5, "a🎉"),
            // No character there to keep whole: what fits is shown.
            (b"a\xe2\x82b", 2, 2, r"a\xe2"),
            (b"a\xe2\x82", 2, 2, r"a\xe2"),
            (b"\x80\x80\x80\x80", 2, 2, r"\x80\x80"),
            // The limit counts bytes of the payload, not of what is shown.
            (b"\0\0\0", 2, 2, r"\0\0"),
        ];
        for (bytes, limit, shown, text) in table {
            let mut out = Vec::new();
            assert_eq!(escape_prefix_into(bytes, *limit, &mut out), *shown, "{bytes:x?} {limit}");
            assert_eq!(str::from_utf8(&out), Ok(*text), "{bytes:x?} {limit}");
        }
    }

    /// Bytes as a stranger makes them: noise, text, and text with noise in it.
    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            ".{0,8}".prop_map(String::into_bytes),
            any::<char>().prop_map(|c| c.to_string().into_bytes()),
            (0xfe00..=0xfe0f_u32)
                .prop_map(|c| char::from_u32(c).into_iter().collect::<String>().into_bytes()),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_bytes_become_one_harmless_line_and_the_same_bytes_again(bytes in payload()) {
            let text = escape(&bytes);
            prop_assert!(text.chars().all(|c| c == '\\' || is_variation_selector(c) || !needs_escape(c)), "{text:?}");
            prop_assert_eq!(unescape(&text), Ok(bytes.clone()));
            let mut out = Vec::new();
            escape_into(&bytes, &mut out);
            prop_assert_eq!(out, text.into_bytes());
        }

        #[test]
        fn a_limited_text_is_the_text_of_what_it_says_is_shown(bytes in payload(), limit in 0..40_usize) {
            let mut out = Vec::new();
            let shown = escape_prefix_into(&bytes, limit, &mut out);
            prop_assert!(shown <= limit.min(bytes.len()) && shown + 3 >= limit.min(bytes.len()));
            prop_assert_eq!(out, escape(&bytes[..shown]).into_bytes());
            if let Ok(text) = str::from_utf8(&bytes) {
                prop_assert!(text.is_char_boundary(shown));
            }
        }
    }
}
