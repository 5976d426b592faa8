//! How round trips are spread: bars of equal width on a logarithmic axis, and the percentiles that the sample
//! supports.

use std::time::Duration;

use udp_core::text::units::Millis;

use super::draw::{bar, line, milliseconds, width_of, words};
use super::latency::{LEFT, RIGHT, WIDTH};
use crate::probe::stats::distribution::Percentile;
use crate::recorded::{Class, Target};

/// Above the bars: rows of names.
const TOP: f64 = 9.0 + ROW * ROWS as f64;
const ROWS: usize = 5;
const ROW: f64 = 12.0;
const PLOT: f64 = 120.0;
pub(super) const HEIGHT: f64 = TOP + PLOT + 26.0;
pub(super) const BARS: usize = 60;

/// So many replies from one round trip up to another, in nanoseconds.
pub(super) type Bin = (u64, u64, u64);

/// The round trips of a target in bins whose bounds grow by the same factor. None without replies.
pub(super) fn bins(target: &Target, count: usize) -> Option<Vec<Bin>> {
    let rtts =
        || target.beats.iter().filter(|it| it.class == Class::Received).map(|it| it.rtt_ns.max(1));
    let (least, most) = (rtts().min()?, rtts().max()?);
    let ratio = (most as f64 / least as f64).max(1.000_001);
    let bound = |bin: usize| match bin {
        0 => least,
        _ => (least as f64 * ratio.powf(bin as f64 / count as f64)) as u64,
    };
    let mut counts = vec![0; count];
    for rtt in rtts() {
        let share = (rtt as f64 / least as f64).ln() / ratio.ln();
        let bin = ((share * count as f64) as usize).min(count - 1);
        counts[bin] += 1;
    }
    Some(counts.into_iter().enumerate().map(|(n, it)| (bound(n), bound(n + 1), it)).collect())
}

/// The percentiles that so many replies support.
pub(super) fn percentiles(target: &Target) -> Vec<(f64, Duration)> {
    let wanted = [50.0, 90.0, 99.0, 99.9, 99.99].into_iter().filter_map(Percentile::new);
    wanted.filter_map(|it| Some((it.get(), target.rtt.percentile(it)?))).collect()
}

/// Draws it into `out`, its top at `y`.
pub(super) fn draw(out: &mut String, target: &Target, bins: &[Bin], y: f64) {
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return };
    let (least, most) = (first.0 as f64, (last.1 as f64).max(first.0 as f64 * 1.000_001));
    let (bottom, width) = (y + TOP + PLOT, WIDTH - LEFT - RIGHT);
    let x = |nanos: f64| LEFT + (nanos / least).ln() / (most / least).ln() * width;
    let highest = bins.iter().map(|it| it.2).max().unwrap_or(1).max(1);
    for (n, (from, to, count)) in bins.iter().enumerate().filter(|(_, it)| it.2 > 0) {
        let height = (PLOT * *count as f64 / highest as f64).max(1.0);
        let [from, to] = [*from, *to].map(|it| Millis(Duration::from_nanos(it)));
        let left = LEFT + width * n as f64 / bins.len() as f64;
        let title = format!("{from} to {to} ms: {count}");
        let bar_width = width / bins.len() as f64 - 1.0;
        bar(out, "h", [left, bottom - height, bar_width, height], &title);
    }
    line(out, "ax", (LEFT, bottom), (WIDTH - RIGHT, bottom));
    for (value, step) in ticks(least / 1e6, most / 1e6) {
        let (at, label) = (x(value * 1e6), milliseconds(value, step));
        line(out, "ax", (at, bottom), (at, bottom + 4.0));
        let half = width_of(&label) / 2.0;
        let inside = at.clamp(LEFT + half, WIDTH - RIGHT - half);
        words(out, "d", "middle", (inside, bottom + 17.0), &label);
    }
    words(out, "d", "end", (LEFT - 6.0, bottom + 17.0), "ms");
    words(out, "d", "end", (LEFT - 6.0, y + TOP + 4.0), &highest.to_string());
    words(out, "d", "end", (LEFT - 6.0, bottom), "0");
    let mut free = [f64::MIN; ROWS];
    for (percent, value) in percentiles(target) {
        let at = x(value.as_nanos() as f64);
        line(out, "p", (at, y + TOP - 6.0), (at, bottom));
        let name = format!("p{percent} {}", Millis(value));
        let half = width_of(&name) / 2.0;
        let centre = at.clamp(LEFT + half, WIDTH - RIGHT - half);
        // There are as many rows as names.
        if let Some(row) = free.iter().position(|end| *end < centre - half) {
            words(out, "t", "middle", (centre, y + TOP - 9.0 - ROW * row as f64), &name);
            free[row] = centre + half + 4.0;
        }
    }
}

/// Round numbers between the two, and how they are apart.
fn ticks(least: f64, most: f64) -> Vec<(f64, f64)> {
    let decades = (most / least).log10();
    let factors: &[f64] = match decades {
        3.0.. => &[1.0],
        1.0.. => &[1.0, 2.0, 5.0],
        _ => &[],
    };
    let first = least.log10().floor() as i32;
    let powers = (first..=first + 12).map(|power| 10_f64.powi(power));
    let all = powers.flat_map(|power| factors.iter().map(move |it| (it * power, power)));
    let ticks: Vec<_> = all.filter(|(it, _)| (least..=most).contains(it)).collect();
    if ticks.len() >= 2 {
        return ticks;
    }
    if most - least < least * 1e-3 {
        return vec![(least, 1e-3)];
    }
    // Within one step of such a scale: equal steps.
    let step = super::draw::step(most - least, 5.0);
    let start = (least / step).ceil() as i64;
    (start..start + 8)
        .map(|it| it as f64 * step)
        .filter(|it| *it <= most)
        .map(|it| (it, step))
        .collect()
}
