//! The screen of all targets: a line each, worst first if asked, with a graph in which a lost beat is a
//! mark of its own.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::look::{self, Look, Sense, ms, put};
use super::model::Model;
use crate::probe::snapshot::TargetSnapshot;
use crate::report::total;

/// A figure's column: its head, its width, and what stands there.
type Figure = (&'static str, u16, fn(&TargetSnapshot, Option<Duration>) -> String);

/// Figures, the first ones the most wanted.
const FIGURES: [Figure; 5] = [
    ("loss%", 6, |it, _| it.counts.loss_percent().map_or("-".into(), |it| format!("{it:.1}"))),
    ("last", 6, |_, last| ms(last)),
    ("p50", 6, |it, _| ms(it.rtt.percentiles.p50)),
    ("p99", 6, |it, _| ms(it.rtt.percentiles.p99)),
    ("jitter", 6, |it, _| ms(it.jitter)),
];
/// The columns of a screen that is wide enough for the word of the state.
const WIDE: u16 = 100;
/// The least graph.
const GRAPH: u16 = 8;
/// A name up to so long, which any IPv4 address with its port is, takes precedence over figures.
const NAME: u16 = 21;

/// Where the columns stand.
struct Columns {
    state: u16,
    name: u16,
    figures: usize,
    graph: u16,
}

impl Columns {
    fn of(width: u16, longest: usize) -> Columns {
        let state = if width >= WIDE { 10 } else { 1 };
        let figure = |count: usize| FIGURES.iter().take(count).map(|it| it.1 + 1).sum::<u16>();
        let least = NAME.min(u16::try_from(longest).unwrap_or(NAME));
        let fits = |count: &usize| state + 1 + least + figure(*count) + 1 + GRAPH <= width;
        let figures = (0..=FIGURES.len()).rev().find(fits).unwrap_or(0);
        let rest = width.saturating_sub(state + 1 + figure(figures) + 1);
        let most = rest.saturating_sub(GRAPH.max(rest / 3));
        let name = u16::try_from(longest.max(6)).unwrap_or(u16::MAX).min(most);
        Columns { state, name, figures, graph: rest - name }
    }
}

/// Draws it, and remembers how many targets fit.
pub(super) fn draw(model: &mut Model, look: Look, buffer: &mut Buffer, area: Rect) {
    model.page = usize::from(area.height.saturating_sub(2)).max(1);
    let model = &*model;
    let listed = model.listed();
    let names = listed.iter().map(|target| look::columns(&look.text(&target.label)));
    let columns = Columns::of(area.width, names.max().unwrap_or(0));
    head(model, &columns, look, buffer, area);
    let chosen = model.place(&listed);
    // The chosen one is always to be seen.
    let top = (chosen + 1).saturating_sub(model.page);
    for (row, target) in listed.iter().enumerate().skip(top).take(model.page) {
        let y = area.y + 1 + (row - top) as u16;
        line(model, target, &columns, look, buffer, Rect { y, height: 1, ..area });
        if row == chosen {
            let x = area.x + columns.state + 1;
            let name = Rect { x, y, width: columns.name, height: 1 };
            buffer.set_style(name.intersection(area), Modifier::REVERSED);
        }
    }
    if listed.is_empty() {
        let text = if model.filter.is_empty() { "no targets" } else { "no target fits the filter" };
        put(buffer, (area.x, area.y + 1), usize::from(area.width), text, look.style(Sense::Faint));
    }
    if let Some(snapshot) = &model.snapshot
        && area.height > 2
    {
        let below = (area.x, area.bottom() - 1);
        let mut text = total(snapshot, |_| true);
        // Where there is no room, states of none are left out.
        if look::columns(&text) > area.width.into() {
            text = total(snapshot, |count| count > 0);
        }
        let text = look.cut(&text, area.width.into());
        put(buffer, below, usize::from(area.width), &text, look.style(Sense::Plain));
    }
}

fn head(model: &Model, columns: &Columns, look: Look, buffer: &mut Buffer, area: Rect) {
    let style = look.style(Sense::Plain).add_modifier(Modifier::BOLD);
    let mut x = area.x + columns.state + 1;
    put(buffer, (x, area.y), usize::from(columns.name), "target", style);
    x += columns.name;
    for (name, width, _) in FIGURES.iter().take(columns.figures) {
        let text = format!(" {name:>width$}", width = usize::from(*width));
        put(buffer, (x, area.y), text.len(), &text, style);
        x += width + 1;
    }
    let unit = if columns.figures > 1 { " (ms)" } else { "" };
    let text = format!("{unit} -{}", model.span().1);
    put(buffer, (x, area.y), usize::from(columns.graph) + 1, &text, style);
    if usize::from(columns.graph) > text.len() + 3 {
        put(buffer, (area.right().saturating_sub(3), area.y), 3, "now", style);
    }
}

fn line(
    model: &Model,
    target: &TargetSnapshot,
    columns: &Columns,
    look: Look,
    buffer: &mut Buffer,
    area: Rect,
) {
    let (sign, sense) = look.state(target.state);
    let y = area.y;
    let word = if columns.state > 1 { format!("{sign} {}", target.state) } else { sign.into() };
    put(buffer, (area.x, y), usize::from(columns.state), &word, look.style(sense));
    let mut x = area.x + columns.state + 1;
    let name = look.name(&target.label, columns.name.into());
    put(buffer, (x, y), columns.name.into(), &name, look.style(Sense::Plain));
    x += columns.name;
    let known = model.of(target);
    let last = known.and_then(|known| known.last);
    for (_, width, text) in FIGURES.iter().take(columns.figures) {
        let text = format!(" {:>width$}", text(target, last), width = usize::from(*width));
        put(buffer, (x, y), text.len(), &text, look.style(Sense::Plain));
        x += width + 1;
    }
    let Some(known) = known else { return };
    let count = usize::from(columns.graph);
    let width = model.span().0 / u32::from(columns.graph.max(1));
    let cells = known.history.columns(model.shown_at(), width, count);
    let top = cells.iter().filter_map(|cell| cell.percentile(50)).max().unwrap_or_default();
    for (at, cell) in cells.iter().enumerate() {
        let (sign, sense) = look.cell(cell, top);
        put(buffer, (x + 1 + at as u16, y), 1, sign, look.style(sense));
    }
}
