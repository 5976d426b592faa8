//! One frame: a line above, a screen, a line below, and the help over it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::look::{self, Look, Sense, put};
use super::model::Model;
use super::{detail, fleet};

/// What `?` shows.
const HELP: [&str; 15] = [
    "q, Ctrl-C    end, with the summary",
    "?            this help",
    "up down j k  choose a target (also PgUp PgDn Home End)",
    "Enter        one target",
    "Esc          back; forget the filter",
    "s            sort: given, state, loss, p50, p99, name",
    "/            filter by name, label or state",
    "Space        freeze the screen; the beats go on",
    "+ -          more or less time in the graphs",
    "Ctrl-Z       suspend; Ctrl-L draws all anew",
    "",
    "A column of a graph is a stretch of time: its height is the",
    "median round trip, X or × a lost beat, ! one that never left.",
    "In the large graph, the shades are all round trips and the",
    "middle half of them, the line is the median, numbers are lost.",
];

/// Draws a frame over the whole of `buffer`.
pub(super) fn draw(model: &mut Model, look: Look, buffer: &mut Buffer) {
    let area = buffer.area;
    if area.height < 4 || area.width < 20 {
        put(buffer, (area.x, area.y), area.width.into(), "too small", look.style(Sense::Plain));
        return;
    }
    title(model, look, buffer);
    footer(model, look, buffer);
    let inner = Rect { y: area.y + 1, height: area.height - 2, ..area };
    match model.detail {
        true => detail::draw(model, look, buffer, inner),
        false => fleet::draw(model, look, buffer, inner),
    }
    if model.help {
        help(look, buffer, inner);
    }
}

fn title(model: &Model, look: Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let listed = model.listed();
    let name = match listed.get(model.place(&listed)) {
        Some(target) if model.detail => &target.label,
        _ => "udp-heartbeat",
    };
    let style = look.style(Sense::Plain).add_modifier(Modifier::BOLD | Modifier::REVERSED);
    buffer.set_style(Rect { height: 1, ..area }, style);
    let time = model.wall.rfc3339();
    let time = time.get(11..19).unwrap_or_default();
    let frozen = if model.frozen { "FROZEN  " } else { "" };
    let right = format!("{frozen}sort {}  {time} UTC ", model.sort.name());
    let needs = look::columns(&look.text(name)) + 2;
    // The end of a long name is left out, but first the order.
    let right = match model.detail || needs + right.len() > area.width.into() {
        true => format!("{frozen}{time} UTC "),
        false => right,
    };
    let room = usize::from(area.width).saturating_sub(right.len() + 2);
    put(buffer, (area.x + 1, area.y), room, &look.name(name, room), style);
    let x = area.right().saturating_sub(right.len() as u16);
    put(buffer, (x, area.y), right.len(), &right, style);
}

fn footer(model: &Model, look: Look, buffer: &mut Buffer) {
    let area = buffer.area;
    let at = (area.x, area.bottom() - 1);
    let faint = look.style(Sense::Faint);
    let filter = look.text(&model.filter);
    let (text, style) = match &model.note {
        _ if model.typing => (format!("/{filter}_"), look.style(Sense::Plain)),
        Some(note) => (note.clone(), look.style(Sense::Fair)),
        None if !model.filter.is_empty() => (format!("filter: {filter} (Esc: all)"), faint),
        None if model.detail => {
            ("q end  ? help  Esc back  j k next  + - time  Space freeze".into(), faint)
        }
        None => {
            ("q end  ? help  Enter one  s sort  / filter  + - time  Space freeze".into(), faint)
        }
    };
    put(buffer, at, area.width.into(), &text, style);
}

fn help(look: Look, buffer: &mut Buffer, area: Rect) {
    area.positions().for_each(|at| buffer[at].reset());
    for (line, y) in HELP.iter().zip(area.top()..area.bottom()) {
        let line = if look.ascii { line.replace(" or ×", "") } else { (*line).to_owned() };
        put(buffer, (area.x + 1, y), usize::from(area.width) - 1, &line, look.style(Sense::Plain));
    }
}
