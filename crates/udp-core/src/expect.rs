//! What a reply must be: nothing in particular, certain bytes, or something that matches a pattern.
//!
//! The patterns are those of the regex crate on bytes, unanchored.
//!
//! ```
//! use udp_core::expect::{Expectation, pattern};
//! let pong = Expectation::Pattern(pattern("^pong [0-9]+$").unwrap());
//! assert!(pong.holds(b"pong 7") && !pong.holds(b"ping 7"));
//! ```

pub use regex::bytes::Regex;

use crate::text::{escape, hex};

/// An assertion about every reply.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Expectation {
    /// Any reply will do.
    #[default]
    Anything,
    /// These bytes and no others; shown as text.
    Text(Vec<u8>),
    /// These bytes and no others; shown as hex.
    Hex(Vec<u8>),
    /// A match of this anywhere in the reply, which need not be UTF-8.
    Pattern(Regex),
}

impl Expectation {
    /// Whether `reply` is what was expected.
    pub fn holds(&self, reply: &[u8]) -> bool {
        match self {
            Expectation::Anything => true,
            Expectation::Text(bytes) | Expectation::Hex(bytes) => reply == bytes,
            Expectation::Pattern(pattern) => pattern.is_match(reply),
        }
    }

    /// Whether there is anything to be held against a reply.
    pub fn is_some(&self) -> bool {
        !matches!(self, Expectation::Anything)
    }

    /// What was expected and what came instead, on one line.
    pub fn complaint(&self, reply: &[u8]) -> String {
        let got = escape::escape(reply);
        match self {
            Expectation::Anything => format!("got '{got}'"),
            Expectation::Text(bytes) => {
                format!("expected '{}', got '{got}'", escape::escape(bytes))
            }
            Expectation::Hex(bytes) => {
                format!("expected {}, got {}", hex::encode(bytes), hex::encode(reply))
            }
            Expectation::Pattern(pattern) => {
                let pattern = escape::escape(pattern.as_str().as_bytes()).replace(r"\\", r"\");
                format!("expected a match of '{pattern}', got '{got}'")
            }
        }
    }
}

/// A pattern.
///
/// # Errors
/// Why it is none, in one line: the last one of what the regex crate says.
pub fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        reason.strip_prefix("error: ").unwrap_or(reason).to_string()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_held_to_it() {
        let matching = |text| Expectation::Pattern(pattern(text).unwrap());
        let cases: [(Expectation, &[u8], bool); 12] = [
            (Expectation::Anything, b"", true),
            (Expectation::Text(b"echo a".to_vec()), b"echo a", true),
            (Expectation::Text(b"echo a".to_vec()), b"echo a\n", false),
            (Expectation::Text(b"echo a".to_vec()), b"echo", false),
            (Expectation::Text(Vec::new()), b"", true),
            (Expectation::Hex(vec![0, 0xff]), b"\x00\xff", true),
            (Expectation::Hex(vec![0, 0xff]), b"\xff\x00", false),
            (matching("^echo [a-z]+$"), b"echo abc", true),
            (matching("^echo [a-z]+$"), b"echo ABC", false),
            (matching("b"), b"\xffabc\xff", true),
            (matching(r"(?-u)^\xff"), b"\xffabc", true),
            (matching("^$"), b"", true),
        ];
        for (expectation, reply, holds) in cases {
            assert_eq!(expectation.holds(reply), holds, "{expectation:?} {reply:?}");
        }
        assert_eq!(pattern("a(b").unwrap_err(), "unclosed group");
    }

    #[test]
    fn what_came_instead_is_told_on_one_line() {
        let cases = [
            (Expectation::Text(b"a\n".to_vec()), r"expected 'a\n', got '\x1b[2J\xff'"),
            (Expectation::Hex(b"ab".to_vec()), "expected 6162, got 1b5b324aff"),
            (
                Expectation::Pattern(Regex::new(r"^a\d").unwrap()),
                r"expected a match of '^a\d', got '\x1b[2J\xff'",
            ),
        ];
        for (expectation, complaint) in cases {
            assert_eq!(expectation.complaint(b"\x1b[2J\xff"), complaint);
        }
    }
}
