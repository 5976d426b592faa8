//! The screen of one target: its figures, latency over time as bands of percentiles, loss below it, the
//! round trips by length, and the changes of its state.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use udp_core::cli::parse::ShownDuration;

use super::history::Column;
use super::look::{Look, Sense, columns, ms, put, share};
use super::model::{Model, Target};
use crate::probe::snapshot::TargetSnapshot;
use crate::probe::state::State;
use crate::report::statistics;

/// The labels of the vertical axis.
const AXIS: u16 = 7;
/// The least height of the graph and what belongs to it.
const GRAPH: u16 = 5;
/// The height of a screen that has room for lines in two.
const TALL: u16 = 16;

/// Draws the chosen target.
pub(super) fn draw(model: &Model, look: Look, buffer: &mut Buffer, area: Rect) {
    let listed = model.listed();
    let Some(target) = listed.get(model.place(&listed)) else { return };
    let known = model.of(target);
    let mut area = figures(model, target, known, look, buffer, area);
    let Some(known) = known else { return };
    let below = match area.height {
        ..12 => 0,
        height => (height / 3).max(4),
    };
    let bottom = Rect { y: area.bottom() - below, height: below, ..area };
    area.height -= below;
    let width = area.width.saturating_sub(AXIS);
    let columns = known.history.columns(
        model.shown_at(),
        model.span().0 / u32::from(width.max(1)),
        width.into(),
    );
    if area.height >= GRAPH {
        graph(model, &columns, look, buffer, area);
    }
    if below > 0 {
        let half = (bottom.width / 2).min(44);
        histogram(&columns, look, buffer, Rect { width: half.saturating_sub(2), ..bottom });
        let right = Rect { x: bottom.x + half, width: bottom.width - half, ..bottom };
        changes(model, known, look, buffer, right);
    }
}

/// The lines of the summary; what is left below them.
fn figures(
    model: &Model,
    target: &TargetSnapshot,
    known: Option<&Target>,
    look: Look,
    buffer: &mut Buffer,
    area: Rect,
) -> Rect {
    let (sign, sense) = look.state(target.state);
    let since = known.and_then(|known| known.changes.front()).map(|change| change.since);
    let since = since.map(|since| format!(" for {}", whole(model.now.saturating_since(since))));
    let state = format!("{sign} {}{}", target.state, since.unwrap_or_default());
    put(buffer, (area.x, area.y), area.width.into(), &state, look.style(sense));
    let last = known.and_then(|known| known.last);
    let last = last.map_or("no reply yet".into(), |last| format!("last {} ms", ms(Some(last))));
    let x = area.right().saturating_sub(last.len() as u16);
    put(buffer, (x, area.y), last.len(), &last, look.style(Sense::Plain));
    let judged = model.snapshot.as_ref().is_some_and(|snapshot| snapshot.judged);
    let mut y = area.y + 1;
    // On a low screen the graph takes precedence over the last lines.
    let room = usize::from(area.height.saturating_sub(1 + GRAPH)).max(1);
    let text = statistics(target, judged);
    let lines = text.lines().skip(1).flat_map(|line| match area.height {
        ..TALL => vec![line],
        _ => folded(line, area.width.into()),
    });
    for line in lines.take(room) {
        if y < area.bottom() {
            let line = look.cut(line, area.width.into());
            put(buffer, (area.x, y), area.width.into(), &line, look.style(Sense::Plain));
            y += 1;
        }
    }
    Rect { y, height: area.bottom() - y, ..area }
}

/// A line in parts of at most `width` columns, as far as its commas allow.
fn folded(line: &str, width: usize) -> Vec<&str> {
    let fits = |at: &usize| columns(&line[..*at]) <= width;
    let place = || line.match_indices(", ").map(|(at, _)| at + 1).take_while(fits).last();
    match (columns(line) > width).then(place).flatten() {
        Some(at) => {
            [&line[..at]].into_iter().chain(folded(line[at..].trim_start(), width)).collect()
        }
        None => vec![line],
    }
}

/// Bands of percentiles, the lost beats of each column, the axis of time.
fn graph(model: &Model, columns: &[Column], look: Look, buffer: &mut Buffer, area: Rect) {
    let rows = area.height - 2;
    let mut tops: Vec<_> = columns.iter().filter_map(|column| column.percentile(90)).collect();
    tops.sort_unstable();
    let (most, usual) = (tops.last().copied(), tops.get(tops.len() * 19 / 20).copied());
    // Not up to what is far above the others.
    let top = most.zip(usual).map(|(most, usual)| most.min(usual * 2));
    let top = top.map_or(Duration::from_millis(1), |top| top + top / 5);
    let faint = look.style(Sense::Faint);
    for (y, value) in [(area.y, top), (area.y + rows / 2, top / 2)] {
        let text = format!("{:>6}", ms(Some(value)));
        put(buffer, (area.x, y), 6, &text, faint);
    }
    put(buffer, (area.x, area.y + rows - 1), 6, "  0 ms", faint);
    if columns.iter().all(|column| column.percentile(0).is_none()) {
        let (text, x) = ("no replies", area.x + AXIS.max(area.width / 2 - 5));
        put(buffer, (x, area.y + rows / 2), text.len(), text, faint);
    }
    let [all, middle, median, beyond] = look.smoke();
    let row = |rtt: Duration| {
        let up = (share(rtt, top) * f64::from(rows)) as u16;
        area.y + rows - 1 - up.min(rows - 1)
    };
    for (at, column) in columns.iter().enumerate() {
        let x = area.x + AXIS + at as u16;
        let of = |percent| column.percentile(percent);
        if let (Some(least), Some(low), Some(half), Some(high), Some(most)) =
            (of(0), of(25), of(50), of(75), of(100))
        {
            (row(most)..=row(least)).for_each(|y| put(buffer, (x, y), 1, all, faint));
            (row(high)..=row(low)).for_each(|y| put(buffer, (x, y), 1, middle, faint));
            let sense = if column.lost > 0 { Sense::Fair } else { Sense::Good };
            put(buffer, (x, row(half)), 1, median, look.style(sense));
            if most > top {
                put(buffer, (x, area.y), 1, beyond, look.style(Sense::Fair));
            }
        }
        let sign = match column.lost {
            0 if column.failed == 0 => continue,
            0 => "!".to_owned(),
            1 => look.lost().to_owned(),
            2..=9 => column.lost.to_string(),
            _ => "+".to_owned(),
        };
        put(buffer, (x, area.y + rows), 1, &sign, look.style(Sense::Bad));
    }
    put(buffer, (area.x, area.y + rows), 6, "lost", look.style(Sense::Plain));
    let y = area.y + rows + 1;
    let from = format!("-{}", model.span().1);
    put(buffer, (area.x + AXIS, y), from.len(), &from, faint);
    put(buffer, (area.right().saturating_sub(3), y), 3, "now", faint);
}

/// Round trips by length, in steps of equal ratio from the least to the greatest.
fn histogram(columns: &[Column], look: Look, buffer: &mut Buffer, area: Rect) {
    let bold = look.style(Sense::Plain).add_modifier(Modifier::BOLD);
    put(buffer, (area.x, area.y), area.width.into(), "round trips shown (ms)", bold);
    let mut all: Vec<u64> = columns.iter().flat_map(Column::all).collect();
    all.sort_unstable();
    let rows = usize::from(area.height - 1);
    let (Some(least), Some(most)) = (all.first(), all.last()) else { return };
    let (least, most) = ((*least).max(1) as f64, (*most).max(1) as f64);
    let step = (most / least).powf(1.0 / rows as f64);
    let mut counts = vec![0usize; rows];
    for rtt in &all {
        let at = ((*rtt).max(1) as f64 / least).ln() / step.ln().max(1e-9);
        counts[(at as usize).min(rows - 1)] += 1;
    }
    let greatest = counts.iter().copied().max().unwrap_or(1).max(1);
    // A run of equal round trips has one row.
    let rows = if most > least { rows } else { 1 };
    for (at, count) in counts.iter().take(rows).enumerate() {
        let from = Duration::from_nanos((least * step.powi(at as i32)) as u64);
        let room = usize::from(area.width).saturating_sub(17);
        let length = (count * room).div_ceil(greatest);
        let text = format!("{:>7}+ {:>6} ", ms(Some(from)), count);
        let y = area.y + 1 + at as u16;
        put(buffer, (area.x, y), text.len(), &text, look.style(Sense::Plain));
        let bar = look.block().repeat(length);
        put(buffer, (area.x + text.len() as u16, y), room, &bar, look.style(Sense::Good));
    }
}

/// The newest changes of state.
fn changes(model: &Model, target: &Target, look: Look, buffer: &mut Buffer, area: Rect) {
    let bold = look.style(Sense::Plain).add_modifier(Modifier::BOLD);
    put(buffer, (area.x, area.y), area.width.into(), "changes of state (UTC)", bold);
    if target.changes.is_empty() {
        put(buffer, (area.x, area.y + 1), area.width.into(), "none", look.style(Sense::Faint));
    }
    for (row, change) in target.changes.iter().take(usize::from(area.height - 1)).enumerate() {
        let (sign, sense) = look.state(change.state);
        let time = model.on_wall(change.since).rfc3339();
        let time = time.get(11..19).unwrap_or_default();
        let (state, previous) = (change.state, change.previous);
        let before = match previous {
            State::Unknown => String::new(),
            previous => format!(" after {} {previous}", whole(change.lasted)),
        };
        let text = format!("{time} {sign} {state}{before}");
        let y = area.y + 1 + row as u16;
        put(buffer, (area.x, y), area.width.into(), &text, look.style(sense));
    }
}

/// Tenths are enough.
fn whole(span: Duration) -> String {
    let tenths = u64::try_from(span.as_millis() / 100).unwrap_or(u64::MAX);
    ShownDuration(Duration::from_millis(tenths.saturating_mul(100))).to_string()
}
