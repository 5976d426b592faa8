//! Values as people type them: durations, sizes, counts. For clap's `value_parser`.

use std::fmt;
use std::time::Duration;

use crate::text::duration::is_negative;

pub use crate::text::duration::duration;

/// A duration above zero.
///
/// # Errors
/// As [`duration`], and for zero.
pub fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text) {
        Ok(Duration::ZERO) => Err("must be above 0".into()),
        Err(_) if is_negative(text) => Err("must be above 0".into()),
        result => result,
    }
}

/// A size in bytes: digits with an optional `K` or `M` (×1024, ×1024²).
///
/// # Errors
/// One line that says what is wrong.
pub fn size(text: &str) -> Result<usize, String> {
    let (digits, scale) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1024),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 1024 * 1024),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a size such as 1024, 64K or 1M".into());
    }
    let number: usize = digits.parse().map_err(|_| "too large".to_string())?;
    number.checked_mul(scale).ok_or_else(|| "too large".into())
}

/// A count of at least 1.
///
/// # Errors
/// One line that says what is wrong.
pub fn count(text: &str) -> Result<u64, String> {
    match whole(text) {
        Ok(0) => Err("must be at least 1".into()),
        Err(_) if is_negative(text) => Err("must be at least 1".into()),
        result => result,
    }
}

/// A whole number of at least 0: digits alone, no sign.
///
/// # Errors
/// One line that says what is wrong.
pub fn whole(text: &str) -> Result<u64, String> {
    if is_negative(text) {
        return Err("must not be negative".into());
    }
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("not a whole number".into());
    }
    text.parse().map_err(|_| "too large".into())
}

/// A decimal number of at least 0, such as `99.9`: digits and a point alone.
///
/// # Errors
/// One line that says what is wrong.
pub fn decimal(text: &str) -> Result<f64, String> {
    if is_negative(text) {
        return Err("must not be negative".into());
    }
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number = plain.then(|| text.parse::<f64>().ok()).flatten();
    number.filter(|n| n.is_finite()).ok_or_else(|| "not a number such as 0.5 or 20".into())
}

/// A hop limit: 1 to 255.
///
/// # Errors
/// One line that says what is wrong.
pub fn ttl(text: &str) -> Result<u8, String> {
    let number = whole(text).ok().and_then(|n| u8::try_from(n).ok()).filter(|n| *n > 0);
    number.ok_or_else(|| "not a number from 1 to 255".into())
}

/// An endpoint, for clap, which wants one owned error type.
///
/// # Errors
/// One line that says what is wrong.
pub fn endpoint(text: &str) -> Result<crate::Endpoint, String> {
    text.parse().map_err(|error: crate::endpoint::ParseEndpointError| {
        joined((error.to_string(), error.hint()))
    })
}

/// What is wrong with a value, and perhaps a hint, as one message for [`split_hint`].
pub fn joined((message, hint): (String, Option<String>)) -> String {
    match hint {
        Some(hint) => format!("{message}{HINT}{hint}"),
        None => message,
    }
}

/// A value parser's message and its hint.
pub fn split_hint(error: &str) -> (&str, Option<&str>) {
    match error.split_once(HINT) {
        Some((message, hint)) => (message, Some(hint)),
        None => (error, None),
    }
}

/// Stands between a value parser's message and its hint, on the way through clap.
pub(super) const HINT: &str = "\nhint: ";

/// A differentiated-services code point by name or number.
///
/// # Errors
/// One line that says what is wrong.
pub fn dscp(text: &str) -> Result<crate::socket::Dscp, String> {
    text.parse().map_err(|error: crate::socket::ParseDscpError| error.to_string())
}

/// A duration as a person would write it: `1s`, `200ms`, `1.5s`, `0s`. What it shows is exact and
/// [`duration`] reads it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownDuration(pub Duration);

impl fmt::Display for ShownDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        let (scale, places, unit) = match nanos {
            0 => return f.write_str("0s"),
            1_000_000_000.. => (1_000_000_000, 9, "s"),
            1_000_000.. => (1_000_000, 6, "ms"),
            1_000.. => (1_000, 3, "us"),
            _ => (1, 0, "ns"),
        };
        write!(f, "{}", nanos / scale)?;
        let rest = nanos % scale;
        if rest != 0 {
            let digits = format!("{rest:0places$}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let ok = [
            ("2", 2_000_000_000),
            ("0.2", 200_000_000),
            (".5", 500_000_000),
            ("0", 0),
            ("1s", 1_000_000_000),
            ("200ms", 200_000_000),
            ("1.5ms", 1_500_000),
            ("10us", 10_000),
            ("7ns", 7),
            ("1m", 60_000_000_000),
            ("1.5h", 5_400_000_000_000),
            ("0.000000001", 1),
            ("1.500", 1_500_000_000),
            ("1.0ns", 1),
            ("0.25m", 15_000_000_000),
            ("18446744073", 18_446_744_073_000_000_000),
        ];
        for (text, nanos) in ok {
            assert_eq!(duration(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
        let wrong = "not a duration: a number with ns, us, ms, s, m, min, h or d, or seconds";
        let bad = [
            ("", wrong),
            ("s", wrong),
            (".", wrong),
            ("1.", wrong),
            ("1.s", wrong),
            ("-1", "must not be negative"),
            ("+1", wrong),
            ("1e3", wrong),
            ("1 s", wrong),
            (" 1", wrong),
            ("1S", wrong),
            ("1w", wrong),
            ("1.2.3", wrong),
            ("inf", wrong),
            ("nan", wrong),
            ("0x1", wrong),
            ("١", wrong),
            ("0.0000000001", "finer than a nanosecond"),
            ("1.5ns", "finer than a nanosecond"),
            ("18446744074", "longer than 584 years"),
            ("99999999999999999999h", "longer than 584 years"),
        ];
        for (text, error) in bad {
            assert_eq!(duration(text), Err(error.into()), "{text:?}");
        }
        assert_eq!(duration("1min"), duration("60"));
        assert_eq!(duration("1d"), duration("24h"));
        for text in ["0ms", "-1", "-0.5s"] {
            assert_eq!(positive_duration(text), Err("must be above 0".into()));
        }
    }

    #[test]
    fn sizes_and_numbers() {
        let sizes = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("64K", Some(65536)),
            ("1M", Some(1 << 20)),
            ("2m", Some(2 << 20)),
            ("1G", None),
            ("", None),
            ("K", None),
            ("1.5K", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615M", None),
        ];
        for (text, expected) in sizes {
            assert_eq!(size(text).ok(), expected, "{text:?}");
        }
        let ttls = [
            ("1", Some(1)),
            ("255", Some(255)),
            ("0", None),
            ("256", None),
            ("", None),
            ("+1", None),
        ];
        for (text, expected) in ttls {
            assert_eq!(ttl(text).ok(), expected, "{text:?}");
        }
        let decimals = [
            ("0.5", Some(0.5)),
            ("100", Some(100.0)),
            ("inf", None),
            ("1e3", None),
            ("-1", None),
            (".", None),
            ("", None),
        ];
        for (text, expected) in decimals {
            assert_eq!(decimal(text).ok(), expected, "{text:?}");
        }
        assert_eq!(
            (count("0").ok(), count("7").ok(), whole("0").ok(), count("x").ok()),
            (None, Some(7), Some(0), None)
        );
    }

    #[test]
    fn a_shown_duration_reads_back() {
        let cases = [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (200_000_000, "200ms"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "90s"),
            (1_000_000_001, "1.000000001s"),
        ];
        for (nanos, text) in cases {
            let span = Duration::from_nanos(nanos);
            assert_eq!(ShownDuration(span).to_string(), text);
            assert_eq!(duration(text), Ok(span));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_duration_reads_back(nanos: u64) {
            let span = Duration::from_nanos(nanos);
            proptest::prop_assert_eq!(duration(&ShownDuration(span).to_string()), Ok(span));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = (duration(&text), size(&text), decimal(&text), endpoint(&text), dscp(&text));
        }
    }
}
