//! A comparison as a table, and as JSON.

use std::time::Duration;

use serde::Serialize;
use udp_core::cli::json::object;
use udp_core::clock::Wall;
use udp_core::text::escape;
use udp_core::text::units::{Millis, put};

use super::{Comparison, Figure, Verdict};

const NAMES: [&str; 4] = ["p50", "p90", "p99", "loss"];

/// One line a figure, in aligned columns.
pub(crate) fn text(compared: &[Comparison], out: &mut Vec<u8>) {
    let head = ["target", "figure", "old", "new", "change", "95% interval", ""].map(String::from);
    let mut rows = vec![head];
    for it in compared {
        let label = escape::escape(it.target.as_bytes());
        for ((n, figure), name) in it.figures.iter().enumerate().zip(NAMES) {
            let label = if n == 0 { label.clone() } else { String::new() };
            rows.push(row(label, name, figure, n == 3));
        }
    }
    let widths: [usize; 7] =
        std::array::from_fn(|n| rows.iter().map(|row| row[n].chars().count()).max().unwrap_or(0));
    for row in &rows {
        let [target, figure, old, new, change, between, verdict] = row;
        let [a, b, c, d, e, f, _] = widths;
        let line = format!(
            "{target:<a$}  {figure:<b$}  {old:>c$}  {new:>d$}  {change:>e$}  {between:>f$}  {verdict}"
        );
        put(out, format_args!("{}\n", line.trim_end()));
    }
}

fn row(label: String, name: &str, figure: &Figure, loss: bool) -> [String; 7] {
    let value = |it: Option<f64>| match it {
        Some(share) if loss => format!("{share:.1}%"),
        Some(nanos) => format!("{} ms", Millis(Duration::from_nanos(nanos as u64))),
        None => "-".into(),
    };
    let change = match (figure.verdict, figure.chance, figure.change) {
        (Verdict::Unknown, ..) => "-".into(),
        (_, true, _) => "~".into(),
        (_, _, Some(change)) => format!("{change:+.1}%"),
        (.., None) => "from 0".into(),
    };
    let between = figure.between.filter(|_| figure.verdict != Verdict::Unknown);
    let between = between.map_or("-".into(), |(low, high)| format!("{low:+.1} to {high:+.1}%"));
    let verdict = match figure.verdict {
        Verdict::Better | Verdict::Worse => figure.verdict.name(),
        Verdict::Same | Verdict::Unknown => "",
    };
    let verdict = verdict.to_owned();
    [label, name.to_owned(), value(figure.old), value(figure.new), change, between, verdict]
}

/// An object a target.
pub(crate) fn json(compared: &[Comparison], at: Wall, out: &mut Vec<u8>) {
    for it in compared {
        let [p50, p90, p99, loss] = it.figures.each_ref().map(FigureObject::new);
        let [(old_lost, old_settled), (new_lost, new_settled)] = it.beats;
        let worse = it.is_worse();
        let target = &it.target;
        let loss = LossObject { figure: loss, old_lost, old_settled, new_lost, new_settled };
        object("comparison", at, ComparisonObject { target, worse, p50, p90, p99, loss }, out);
    }
}

#[derive(Serialize)]
struct ComparisonObject<'a> {
    target: &'a str,
    worse: bool,
    p50: FigureObject,
    p90: FigureObject,
    p99: FigureObject,
    loss: LossObject,
}

#[derive(Serialize)]
struct LossObject {
    #[serde(flatten)]
    figure: FigureObject,
    old_lost: u64,
    old_settled: u64,
    new_lost: u64,
    new_settled: u64,
}

/// Nanoseconds, or percent for loss.
#[derive(Serialize)]
struct FigureObject {
    old: Option<Number>,
    new: Option<Number>,
    change_percent: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    verdict: &'static str,
}

/// Nanoseconds are whole.
#[derive(Serialize)]
#[serde(untagged)]
enum Number {
    Whole(u64),
    Share(f64),
}

impl FigureObject {
    fn new(figure: &Figure) -> Self {
        let number = |value: f64| match value.fract() == 0.0 {
            true => Number::Whole(value as u64),
            false => Number::Share(value),
        };
        FigureObject {
            old: figure.old.map(number),
            new: figure.new.map(number),
            change_percent: figure.change,
            low: figure.between.map(|it| it.0),
            high: figure.between.map(|it| it.1),
            verdict: figure.verdict.name(),
        }
    }
}
