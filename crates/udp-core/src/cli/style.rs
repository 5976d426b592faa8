//! The time (`--timestamps`) and the colour of a line of text.

use std::io;

use super::CommonArgs;
use crate::clock::Wall;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// Something went wrong: red.
    Bad,
    /// Something recovered: green.
    Good,
}

/// How the lines of stdout look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    timestamps: bool,
    color: bool,
}

impl Style {
    /// What was asked for, as far as stdout is a terminal.
    pub fn of_stdout(args: &CommonArgs) -> Style {
        Style { timestamps: args.timestamps, color: args.color.on(&io::stdout()) }
    }

    /// Whether each line has its time.
    pub fn timestamps(self) -> bool {
        self.timestamps
    }

    /// Dresses the whole lines that `out` holds from `start` on, which are of the moment `at`.
    pub fn dress(self, out: &mut Vec<u8>, start: usize, at: Wall, tone: Tone) {
        let color = match tone {
            Tone::Bad if self.color => "\u{1b}[31m",
            Tone::Good if self.color => "\u{1b}[32m",
            _ => "",
        };
        if (!self.timestamps && color.is_empty()) || out.len() == start {
            return;
        }
        let stamp = if self.timestamps { at.rfc3339() + " " } else { String::new() };
        let end = if color.is_empty() { "" } else { "\u{1b}[0m" };
        let plain = out.split_off(start);
        for line in plain.split_inclusive(|byte| *byte == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            for part in [stamp.as_bytes(), color.as_bytes(), text, end.as_bytes()] {
                out.extend_from_slice(part);
            }
            out.extend_from_slice(line.get(text.len()..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_time_and_its_colour() {
        let dress = |timestamps, color, tone| {
            let mut out = b"before\none\n\ntwo\n".to_vec();
            let at = Wall::from_nanos(1_700_000_000_123_456_789);
            Style { timestamps, color }.dress(&mut out, 7, at, tone);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(dress(false, false, Tone::Bad), "before\none\n\ntwo\n");
        assert_eq!(dress(false, true, Tone::Plain), "before\none\n\ntwo\n");
        let time = "2023-11-14T22:13:20.123456Z";
        let timed = format!("before\n{time} one\n{time} \n{time} two\n");
        assert_eq!(dress(true, false, Tone::Good), timed);
        let red = "before\n\u{1b}[31mone\u{1b}[0m\n\u{1b}[31m\u{1b}[0m\n\u{1b}[31mtwo\u{1b}[0m\n";
        assert_eq!(dress(false, true, Tone::Bad), red);
    }
}
