//! Figures in text: milliseconds as `ping` prints them, counts by name.

use std::fmt;
use std::io::Write;
use std::time::Duration;

/// Milliseconds with three places, rounded half up.
///
/// ```
/// use std::time::Duration;
/// use udp_core::text::units::Millis;
/// assert_eq!(Millis(Duration::from_nanos(1_234_500)).to_string(), "1.235");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In whole numbers: a double has not enough places for a nanosecond in a year.
        let micros = (self.0.as_nanos() + 500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// A value, or a dash where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrDash<T>(pub Option<T>);

impl<T: fmt::Display> fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// What follows a list of counts: those that are not 0, `, 2 refused, 1 failed`.
#[derive(Debug, Clone, Copy)]
pub struct MoreCounts<'a>(pub &'a [(u64, &'a str)]);

impl fmt::Display for MoreCounts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, name)| write!(f, ", {count} {name}"))
    }
}

/// Appends formatted text, for which memory never fails.
pub fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let ms = |nanos| Millis(Duration::from_nanos(nanos)).to_string();
        assert_eq!([499, 500, 12_345_678_500].map(ms), ["0.000", "0.001", "12345.679"]);
        let dash = |span: Option<u64>| OrDash(span).to_string();
        assert_eq!((dash(None), dash(Some(7))), ("-".into(), "7".into()));
        let more = MoreCounts(&[(0, "late"), (2, "refused"), (1, "failed")]);
        assert_eq!(more.to_string(), ", 2 refused, 1 failed");
        let mut out = b"a".to_vec();
        put(&mut out, format_args!("{}", 1));
        assert_eq!(out, b"a1");
    }
}
