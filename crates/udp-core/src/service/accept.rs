//! The key `accept=`: reply codes that count as `ok` although the protocol has them as errors.

use super::Verdict;
use super::params::wrong;

/// The codes that are accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept {
    any: bool,
    codes: Vec<String>,
}

impl Accept {
    /// From `CODE[,CODE]`.
    ///
    /// # Errors
    /// One line that says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Accept, String> {
        let codes: Vec<String> = text.split(',').map(|code| code.trim().to_owned()).collect();
        if codes.iter().any(String::is_empty) {
            return Err(wrong("accept", text, "not codes with commas between"));
        }
        let any = codes.iter().any(|code| code.eq_ignore_ascii_case("any"));
        Ok(Accept { any, codes })
    }

    /// Whether any authentic answer will do.
    pub fn is_any(&self) -> bool {
        self.any
    }

    /// The verdict, with what is accepted moved into `ok`. Bytes that are broken or not authentic never are.
    pub fn judge(&self, verdict: Verdict, reason: Option<&str>) -> Verdict {
        let of = |code: &String| reason.is_some_and(|reason| is_code(code, reason));
        match verdict {
            Verdict::Invalid => verdict,
            _ if self.any || self.codes.iter().any(of) => Verdict::Ok,
            _ => verdict,
        }
    }
}

/// Whether a reason is this code, or begins with it as a word of its own (`404 Not Found`). `4xx` are all of a
/// hundred.
fn is_code(code: &str, reason: &str) -> bool {
    let first = reason.split(' ').next().unwrap_or_default();
    let digit = |(code, it): (u8, u8)| code == b'x' && it.is_ascii_digit() || code == it;
    let hundred = code.len() == 3
        && first.len() == 3
        && code.starts_with(|c: char| c.is_ascii_digit())
        && code.to_ascii_lowercase().bytes().zip(first.bytes()).all(digit);
    hundred || code.eq_ignore_ascii_case(first) || code.eq_ignore_ascii_case(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        let cases = [
            ("NXDOMAIN", Some("NXDOMAIN"), true),
            ("nxdomain,SERVFAIL", Some("SERVFAIL"), true),
            ("NXDOMAIN", Some("SERVFAIL"), false),
            ("NXDOMAIN", None, false),
            ("404", Some("404 Not Found"), true),
            ("40", Some("404 Not Found"), false),
            ("4xx", Some("483 Too Many Hops"), true),
            ("4xx", Some("503 Service Unavailable"), false),
            ("4.04", Some("4.04"), true),
            ("any", None, true),
        ];
        for (codes, reason, accepted) in cases {
            let verdict = Accept::parse(codes).unwrap().judge(Verdict::Unexpected, reason);
            assert_eq!(verdict == Verdict::Ok, accepted, "{codes} {reason:?}");
        }
        let any = Accept::parse("any").unwrap();
        assert_eq!(any.judge(Verdict::Invalid, Some("any")), Verdict::Invalid);
        assert!(Accept::parse("401,,404").is_err());
    }
}
