//! What a reply must be to count.

use regex::bytes::Regex;

/// The content that is expected.
#[derive(Debug, Clone)]
pub(crate) enum Expectation {
    /// Any.
    Anything,
    /// Exactly these bytes.
    Exactly(Vec<u8>),
    /// A match somewhere in it.
    Pattern(Regex),
}

impl Expectation {
    /// Whether `reply` is as expected.
    pub(crate) fn holds(&self, reply: &[u8]) -> bool {
        match self {
            Expectation::Anything => true,
            Expectation::Exactly(expected) => reply == expected,
            Expectation::Pattern(pattern) => pattern.is_match(reply),
        }
    }

    /// Whether anything in particular is expected.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Expectation::Anything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds() {
        let exactly = Expectation::Exactly(b"pong".to_vec());
        let pattern = Expectation::Pattern(Regex::new("^ok|\\xff").unwrap());
        let cases: [(&Expectation, &[u8], bool); 8] = [
            (&Expectation::Anything, b"", true),
            (&exactly, b"pong", true),
            (&exactly, b"pong\n", false),
            (&exactly, b"", false),
            (&pattern, b"ok 1", true),
            (&pattern, b"not ok", false),
            (&pattern, "\u{ff}".as_bytes(), true),
            (&pattern, b"\0\0", false),
        ];
        for (expectation, reply, holds) in cases {
            assert_eq!(expectation.holds(reply), holds, "{expectation:?} {reply:?}");
        }
    }
}
