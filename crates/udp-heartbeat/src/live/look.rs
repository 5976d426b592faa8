//! Signs and colours, and how figures are written in few columns. What a colour says, a sign says too.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::history::Column;
use crate::probe::state::State;

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
    fn ascii_is_ascii() {
        let look = Look { ascii: true, color: false };
        let mut signs = vec![look.lost(), look.block()];
        signs.extend(look.smoke());
        signs.extend(State::ALL.map(|state| look.state(state).0));
        signs.extend((0..=10).map(|tenth| look.bar(f64::from(tenth) / 10.0)));
        assert!(signs.iter().all(|sign| sign.is_ascii()), "{signs:?}");
    }
}
