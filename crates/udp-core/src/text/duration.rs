//! A duration as people type it.

use std::time::Duration;

/// A duration: a number with `ns us ms s m min h d`; a bare number (`0.2`, `2`) is seconds. At most some
/// 584 years; what is finer than a nanosecond is refused rather than lost.
///
/// # Errors
/// One line that says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "not a duration: a number with ns, us, ms, s, m, min, h or d, or seconds";
    if is_negative(text) {
        return Err("must not be negative".into());
    }
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let scale: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "" | "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        _ => return Err(WRONG.into()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(WRONG.into());
    }
    if number.ends_with('.') {
        return Err(WRONG.into());
    }
    let too_long = || String::from("longer than 584 years");
    let whole: u64 = match whole {
        "" => 0,
        _ => whole.parse().map_err(|_| too_long())?,
    };
    let mut nanos = whole.checked_mul(scale).ok_or_else(too_long)?;
    let mut place = scale;
    for digit in fraction.trim_end_matches('0').bytes() {
        if !place.is_multiple_of(10) {
            return Err("finer than a nanosecond".into());
        }
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit - b'0') * place).ok_or_else(too_long)?;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Whether it is a number below 0.
pub(crate) fn is_negative(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit() || c == '.'))
}
