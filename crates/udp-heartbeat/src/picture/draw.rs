//! The pieces of an SVG picture: text that is never markup, numbers that are short, axes.

use std::fmt::{self, Write};

use udp_core::cli::web;
use udp_core::clock::Wall;
use udp_core::text::escape;

/// Text in markup. Controls and what hides are in the escape form; no character begins a tag.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&web::escape(&escape::escape(self.0.as_bytes())))
    }
}

/// A coordinate, to a tenth.
pub(super) struct At(pub(super) f64);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round();
        match tenths % 10.0 == 0.0 {
            true => write!(f, "{}", tenths / 10.0),
            false => write!(f, "{:.1}", tenths / 10.0),
        }
    }
}

/// Writes to a string, which never fails.
pub(super) fn put(out: &mut String, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Words at a place: `class` has its colour, `anchor` is start, middle or end.
pub(super) fn words(out: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
    let (x, y) = (At(x), At(y));
    put(
        out,
        format_args!(
            r#"<text class="{class}" text-anchor="{anchor}" x="{x}" y="{y}">{}</text>"#,
            Text(text)
        ),
    );
}

/// About how wide words are: signs beyond Latin may be as wide as they are high.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().map(|sign| if sign < '\u{300}' { 6.8 } else { 12.0 }).sum()
}

/// As much of a text as is about so wide.
pub(super) fn fitting(text: &str, width: f64) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let ends = text.char_indices().map(|(at, _)| &text[..at]);
    ends.take_while(|part| width_of(part) < width).last().unwrap_or_default().to_owned() + "…"
}

pub(super) fn line(out: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(At);
    put(out, format_args!(r#"<path class="{class}" d="M{x1} {y1}L{x2} {y2}"/>"#));
}

/// A bar, with what it stands for.
pub(super) fn bar(out: &mut String, class: &str, [x, y, w, h]: [f64; 4], title: &str) {
    let [x, y, w, h] = [x, y, w, h].map(At);
    let title = Text(title);
    put(
        out,
        format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{w}" height="{h}"><title>{title}</title></rect>"#
        ),
    );
}

/// A step of 1, 2 or 5 by a power of ten, so that `most` is a few of them.
pub(super) fn step(most: f64, count: f64) -> f64 {
    let rough = (most / count).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().find(|it| it * power >= rough * 0.999);
    step.unwrap_or(10.0) * power
}

/// Milliseconds, as short as they are told apart at this step.
pub(super) fn milliseconds(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// The time of day, with its date where that is the beginning of one or `dated`.
pub(super) fn time(at: Wall, dated: bool) -> String {
    let text = at.rfc3339();
    let (date, time) = (text.get(..10).unwrap_or_default(), text.get(11..19).unwrap_or_default());
    if dated { format!("{date} {time}") } else { time.to_owned() }
}

/// Seconds between times that are written at an axis.
const STEPS: [u64; 22] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    2 * 86_400,
    7 * 86_400,
    30 * 86_400,
    365 * 86_400,
];

/// A few round times from one moment to another, as they are written; a day is written where it begins.
pub(super) fn times(from: u64, to: u64) -> Vec<(u64, String)> {
    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 86_400;
    let length = to.saturating_sub(from).max(1);
    let fits = |step: &u64| length / (step * SECOND) <= 9;
    let long = STEPS.iter().copied().find(fits).unwrap_or(STEPS[21]);
    // Below some seconds: steps of a second's parts.
    let (step, exact) = match length < 4 * SECOND {
        true => ((step(length as f64, 6.0) as u64).max(1_000), true),
        false => (long * SECOND, false),
    };
    let first = from.div_ceil(step) * step;
    let places = (first..=to).step_by(usize::try_from(step).unwrap_or(usize::MAX));
    let label = |at: u64| {
        let text = Wall::from_nanos(at).rfc3339();
        let part = match () {
            () if exact => 11..23,
            () if at.is_multiple_of(DAY * SECOND) => 0..10,
            () if long < 60 => 11..19,
            () => 11..16,
        };
        (at, text.get(part).unwrap_or_default().to_owned())
    };
    places.map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let shown = Text("<script>\"a\" & 'b'\n\u{202e}\\").to_string();
        assert_eq!(shown, "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\\n\\u{202e}\\\\");
    }

    #[test]
    fn times_are_round() {
        let day = 1_777_852_800_000_000_000;
        let of = |length_ms: u64| {
            let labels = times(day, day + length_ms * 1_000_000).into_iter().map(|it| it.1);
            labels.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of(86_400_000 - 1), "2026-05-04 03:00 06:00 09:00 12:00 15:00 18:00 21:00");
        assert_eq!(
            of(9_000),
            "2026-05-04 00:00:01 00:00:02 00:00:03 00:00:04 00:00:05 00:00:06 00:00:07 00:00:08 00:00:09"
        );
        assert_eq!(
            of(1_000),
            "00:00:00.000 00:00:00.200 00:00:00.400 00:00:00.600 00:00:00.800 00:00:01.000"
        );
        assert!(!times(0, 0).is_empty() && times(0, u64::MAX).len() < 1000);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([At(1.04), At(2.0), At(-0.26)].map(|it| it.to_string()), ["1", "2", "-0.3"]);
        assert_eq!([step(10.0, 5.0), step(0.7, 5.0), step(23.0, 5.0)], [2.0, 0.2, 5.0]);
        assert_eq!([fitting("心a", 20.0), fitting("心abc", 20.0)], ["心a", "心a…"]);
        assert_eq!((milliseconds(0.4, 0.2), milliseconds(20.0, 5.0)), ("0.4".into(), "20".into()));
    }
}
