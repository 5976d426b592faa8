//! Signs and colours, and how figures are written in few columns. What a colour says, a sign says too.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use super::history::Column;
use crate::probe::state::State;
use crate::report::one_line;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// Seven bits alone.
    pub(crate) ascii: bool,
    pub(crate) color: bool,
}

/// What a sign means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sense {
    Plain,
    Good,
    Fair,
    Bad,
    Faint,
}

impl Look {
    pub(super) fn style(self, sense: Sense) -> Style {
        let color = match sense {
            Sense::Plain => return Style::new(),
            Sense::Faint if !self.color => return Style::new().add_modifier(Modifier::DIM),
            _ if !self.color => return Style::new(),
            Sense::Good => Color::Green,
            Sense::Fair => Color::Yellow,
            Sense::Bad => Color::Red,
            Sense::Faint => return Style::new().fg(Color::DarkGray),
        };
        Style::new().fg(color)
    }

    pub(super) fn state(self, state: State) -> (&'static str, Sense) {
        let (plain, sign, sense) = match state {
            State::Up => ("+", "●", Sense::Good),
            State::Degraded => ("~", "◐", Sense::Fair),
            State::Down => ("X", "✖", Sense::Bad),
            State::Unknown => ("?", "○", Sense::Faint),
        };
        (if self.ascii { plain } else { sign }, sense)
    }

    /// What others have named, in signs that the terminal has.
    pub(super) fn text(self, text: &str) -> String {
        let text = one_line(text);
        let sign = |sign: char| match sign.is_ascii() {
            true => sign.to_string(),
            false => sign.escape_unicode().to_string(),
        };
        if self.ascii { text.chars().map(sign).collect() } else { text }
    }

    /// The same in at most `width` columns.
    pub(super) fn name(self, text: &str, width: usize) -> String {
        self.cut(&self.text(text), width)
    }

    /// Text in at most `width` columns, with a mark where its end is left out.
    pub(super) fn cut(self, text: &str, width: usize) -> String {
        if columns(text) <= width {
            return text.to_owned();
        }
        let ends = text.char_indices().map(|(at, _)| &text[..at]);
        let fits = |part: &&str| columns(part) < width;
        ends.take_while(fits).last().unwrap_or_default().to_owned()
            + if self.ascii { ">" } else { "…" }
    }

    /// A lost beat.
    pub(super) fn lost(self) -> &'static str {
        if self.ascii { "X" } else { "×" }
    }

    /// The sign of a value between 0 and 1.
    pub(super) fn bar(self, share: f64) -> &'static str {
        let signs = match self.ascii {
            true => ["_", ".", "-", "~", "=", "+", "*", "#"],
            false => ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
        };
        signs[((share.clamp(0.0, 1.0) * 8.0) as usize).min(7)]
    }

    /// A bar from left to right.
    pub(super) fn block(self) -> &'static str {
        if self.ascii { "#" } else { "█" }
    }

    /// From outside to inside of a band: all, the middle half, the median, one beyond the top.
    pub(super) fn smoke(self) -> [&'static str; 4] {
        if self.ascii { [".", ":", "#", "^"] } else { ["░", "▒", "━", "▲"] }
    }

    /// The sign of a column of a small graph whose top is `top`.
    pub(super) fn cell(self, column: &Column, top: Duration) -> (&'static str, Sense) {
        match column.percentile(50) {
            None if column.lost > 0 => (self.lost(), Sense::Bad),
            Some(_) if column.lost > 0 => (self.lost(), Sense::Fair),
            _ if column.failed > 0 => ("!", Sense::Bad),
            Some(rtt) => (self.bar(share(rtt, top)), Sense::Good),
            None => (" ", Sense::Plain),
        }
    }
}

/// Which part of `top` it is.
pub(super) fn share(rtt: Duration, top: Duration) -> f64 {
    rtt.as_secs_f64() / top.as_secs_f64().max(1e-9)
}

/// Milliseconds in at most six columns up to 99 s.
pub(super) fn ms(span: Option<Duration>) -> String {
    let Some(span) = span else { return "-".into() };
    let ms = span.as_secs_f64() * 1e3;
    match ms {
        ..9.9995 => format!("{ms:.3}"),
        ..99.995 => format!("{ms:.2}"),
        ..999.95 => format!("{ms:.1}"),
        _ => format!("{ms:.0}"),
    }
}

/// How many columns a text takes.
pub(super) fn columns(text: &str) -> usize {
    Span::raw(text).width()
}

/// Writes `text` from (x, y) on, cut to `width` columns.
pub(super) fn put(buffer: &mut Buffer, (x, y): (u16, u16), width: usize, text: &str, style: Style) {
    let area = buffer.area;
    if y < area.bottom() && x < area.right() {
        let room = usize::from(area.right() - x).min(width);
        buffer.set_stringn(x, y, text, room, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let of = |nanos| ms(Some(Duration::from_nanos(nanos)));
        let rows = [0, 123_456, 9_999_499, 9_999_500, 99_994_999, 99_995_000, 1_203_000_000];
        let texts = ["0.000", "0.123", "9.999", "10.00", "99.99", "100.0", "1203"];
        assert_eq!(rows.map(of), texts);
        assert_eq!(ms(None), "-");
    }

    #[test]
    fn names_keep_to_their_columns() {
        let [plain, ascii] = [false, true].map(|ascii| Look { ascii, color: false });
        let rows = [
            (plain, "host:7000", 9, "host:7000"),
            (plain, "host:7000", 8, "host:70…"),
            (plain, "心跳心跳:7", 10, "心跳心跳:7"),
            (plain, "心跳心跳:7", 8, "心跳心…"),
            (plain, "a\u{1b}[31m", 20, "a\\x1b[31m"),
            (ascii, "é:7000", 20, "\\u{e9}:7000"),
            (ascii, "host:7000", 5, "host>"),
        ];
        for (look, text, width, expected) in rows {
            assert_eq!(look.name(text, width), expected);
        }
    }

    #[test]
    fn ascii_is_ascii() {
        let look = Look { ascii: true, color: false };
        let mut signs = vec![look.lost(), look.block()];
        signs.extend(look.smoke());
        signs.extend(State::ALL.map(|state| look.state(state).0));
        signs.extend((0..=10).map(|tenth| look.bar(f64::from(tenth) / 10.0)));
        assert!(signs.iter().all(|sign| sign.is_ascii()), "{signs:?}");
    }
}
