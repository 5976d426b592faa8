//! One target over time: round trips as bands of percentiles, the median a line, lost beats as bars of
//! their own below, and the states. What is far above the others is cut off, and marked.

use std::time::Duration;

use udp_core::text::units::Millis;

use super::draw::{At, bar, line, milliseconds, put, step, time, times, width_of, words};
use super::series::{Slice, Span, fitting, slices};
use crate::probe::state::State;
use crate::recorded::{Class, Target};

/// All pictures are so wide.
pub(super) const WIDTH: f64 = 960.0;
pub(super) const LEFT: f64 = 62.0;
pub(super) const RIGHT: f64 = 14.0;
const TOP: f64 = 20.0;
const PLOT: f64 = 180.0;
/// Below the plot: loss, state, times.
const LOSS: f64 = 26.0;
const STATE: f64 = 12.0;
const GAP: f64 = 8.0;
/// Of one target.
pub(super) const HEIGHT: f64 = TOP + PLOT + GAP + LOSS + GAP + STATE + 24.0;
/// Slices of time that can be told apart.
pub(super) const SLICES: usize = 220;
/// Up to so many beats each is a dot.
const DOTS: usize = 500;

/// Where things are.
struct Frame {
    span: Span,
    /// Milliseconds at the top of the plot.
    top: f64,
    y: f64,
}

impl Frame {
    fn x(&self, at: u64) -> f64 {
        let share = at.saturating_sub(self.span.from) as f64 / self.span.length() as f64;
        LEFT + share.min(1.0) * (WIDTH - LEFT - RIGHT)
    }

    fn y(&self, nanos: u64) -> f64 {
        let share = (nanos as f64 / 1e6 / self.top).min(1.0);
        self.y + TOP + PLOT * (1.0 - share)
    }
}

/// Draws the target into `out`, its top at `y`.
pub(super) fn draw(out: &mut String, target: &Target, span: Span, y: f64) {
    let count = fitting(target, SLICES);
    let slices = slices(target, span, count);
    let frame = Frame { span, top: top(&slices), y };
    let edges = |index: usize| {
        let edge = |slice| frame.x(span.start(slice, count).as_nanos());
        (edge(index), edge(index + 1))
    };
    grid(out, &frame);
    type Band = fn(&Slice) -> Option<(u64, u64)>;
    let bands: [(&str, Band); 3] = [
        ("b1", Slice::ends),
        ("b2", |it| it.percentile(10).zip(it.percentile(90))),
        ("b3", |it| it.percentile(25).zip(it.percentile(75))),
    ];
    for (class, band) in bands {
        let mut path = String::new();
        for (index, (low, high)) in
            slices.iter().enumerate().filter_map(|(n, it)| Some((n, band(it)?)))
        {
            let ((left, right), (low, high)) = (edges(index), (frame.y(low), frame.y(high)));
            // A band of no height is seen all the same.
            let (low, high) = if low - high < 1.0 { (high + 1.0, high) } else { (low, high) };
            let [left, right, low, high] = [left, right, low, high].map(At);
            put(&mut path, format_args!("M{left} {high}H{right}V{low}H{left}z"));
        }
        put(out, format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }
    median(out, &frame, &slices, edges);
    if target.beats.len() <= DOTS {
        for beat in target.beats.iter().filter(|it| it.class == Class::Received) {
            let (x, y) = (At(frame.x(beat.sent.as_nanos())), At(frame.y(beat.rtt_ns)));
            put(out, format_args!(r#"<circle class="dot" cx="{x}" cy="{y}" r="1.6"/>"#));
        }
    }
    if slices.iter().all(|it| it.rtts.is_empty()) {
        words(out, "d", "middle", (WIDTH / 2.0, y + TOP + PLOT / 2.0), "no replies");
    }
    cut(out, &frame, &slices, edges);
    losses(out, &frame, &slices, edges);
    states(out, &frame, target);
}

/// Milliseconds that the plot reaches to: above nearly all, but not up to a single outlier.
fn top(slices: &[Slice]) -> f64 {
    let most =
        |of: fn(&Slice) -> Option<u64>| slices.iter().filter_map(of).max().unwrap_or(0) as f64;
    let greatest = most(|it| it.rtts.last().copied());
    if greatest <= 0.0 {
        return 1.0;
    }
    let median = most(|it| it.percentile(50).or(it.rtts.first().copied()));
    let mut nineties: Vec<u64> = slices.iter().filter_map(|it| it.percentile(90)).collect();
    nineties.sort_unstable();
    let usual = nineties.get(nineties.len() * 19 / 20).copied().unwrap_or(0) as f64;
    let wanted = (1.2 * median).max(1.5 * usual);
    let wanted = if greatest <= 2.0 * wanted { greatest * 1.05 } else { wanted };
    let step = step(wanted / 1e6, 4.0);
    ((wanted / 1e6 / step).ceil() * step).max(1e-6)
}

fn grid(out: &mut String, frame: &Frame) {
    let (bottom, right) = (frame.y + TOP + PLOT, WIDTH - RIGHT);
    let step_y = step(frame.top, 4.0);
    for tick in 0..=(frame.top / step_y).round() as u32 {
        let value = f64::from(tick) * step_y;
        let y = bottom - PLOT * value / frame.top;
        line(out, "g", (LEFT, y), (right, y));
        words(out, "d", "end", (LEFT - 6.0, y + 4.0), &milliseconds(value, step_y));
    }
    words(out, "d", "end", (LEFT - 6.0, frame.y + TOP - 10.0), "ms");
    let below = bottom + GAP + LOSS + GAP + STATE + 16.0;
    for (at, label) in times(frame.span.from, frame.span.to) {
        let x = frame.x(at);
        line(out, "g", (x, frame.y + TOP), (x, below - 12.0));
        let inside = x.clamp(LEFT + 20.0, WIDTH - width_of(&label) / 2.0);
        words(out, "d", "middle", (inside, below), &label);
    }
    words(out, "d", "end", (LEFT - 6.0, bottom + GAP + LOSS / 2.0 + 4.0), "loss");
    words(out, "d", "end", (LEFT - 6.0, bottom + GAP + LOSS + GAP + STATE - 1.0), "state");
}

fn median(out: &mut String, frame: &Frame, slices: &[Slice], edges: impl Fn(usize) -> (f64, f64)) {
    let (mut path, mut drawing) = (String::new(), false);
    for (index, slice) in slices.iter().enumerate() {
        let Some(value) = slice.percentile(50) else {
            drawing = false;
            continue;
        };
        let (left, right) = edges(index);
        let [left, right, y] = [left, right, frame.y(value)].map(At);
        match std::mem::replace(&mut drawing, true) {
            true => put(&mut path, format_args!("V{y}H{right}")),
            false => put(&mut path, format_args!("M{left} {y}H{right}")),
        }
    }
    put(out, format_args!(r#"<path class="m" d="{path}"/>"#));
}

/// Marks where something lies above the plot.
fn cut(out: &mut String, frame: &Frame, slices: &[Slice], edges: impl Fn(usize) -> (f64, f64)) {
    for (index, slice) in slices.iter().enumerate() {
        let Some(most) = slice.rtts.last().filter(|it| **it as f64 / 1e6 > frame.top) else {
            continue;
        };
        let (left, right) = edges(index);
        let (x, y) = (At((left + right) / 2.0), At(frame.y + TOP + 1.0));
        let most = Millis(Duration::from_nanos(*most));
        put(
            out,
            format_args!(
                r#"<path class="dot" d="M{x} {y}l3.5 6h-7z"><title>up to {most} ms</title></path>"#
            ),
        );
    }
}

/// A bar for each slice with lost beats: its height and its colour are the share.
fn losses(out: &mut String, frame: &Frame, slices: &[Slice], edges: impl Fn(usize) -> (f64, f64)) {
    let bottom = frame.y + TOP + PLOT + GAP + LOSS;
    line(out, "ax", (LEFT, bottom), (WIDTH - RIGHT, bottom));
    for (index, slice) in slices.iter().enumerate() {
        let Some(share) = slice.loss().filter(|_| slice.lost > 0) else { continue };
        let class = match share {
            ..2.0 => "l1",
            ..10.0 => "l2",
            ..50.0 => "l3",
            _ => "l4",
        };
        let (left, right) = edges(index);
        let height = 4.0 + (LOSS - 4.0) * (share / 100.0).sqrt();
        let at = time(frame.span.start(index, slices.len()), false);
        let title = format!("{at}: {} of {} lost", slice.lost, slice.sent);
        bar(out, class, [left, bottom - height, (right - left).max(1.5), height], &title);
    }
}

/// States, each of a height of its own.
fn states(out: &mut String, frame: &Frame, target: &Target) {
    let bottom = frame.y + TOP + PLOT + GAP + LOSS + GAP + STATE;
    let ends = target.states.iter().skip(1).map(|it| it.0.as_nanos()).chain([frame.span.to]);
    for ((since, state), until) in target.states.iter().zip(ends) {
        let (left, right) = (frame.x(since.as_nanos()), frame.x(until));
        if right <= left {
            continue;
        }
        let height = match state {
            State::Unknown => 2.0,
            State::Up => 4.0,
            State::Degraded => 8.0,
            State::Down => STATE,
        };
        let name = state.to_string();
        let title = format!("{name} since {}", time(*since, true));
        bar(out, &name, [left, bottom - height, (right - left).max(1.5), height], &title);
    }
}
