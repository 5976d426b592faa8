//! udp-toolkit(7): what the programs have in common, and what their figures mean, from
//! `docs/measuring.md`, so that a definition stands in one place.

use anyhow::{Result, ensure};
use clap::Command;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

use crate::man::{self, TOOLKIT as NAME};

const FIGURES: &str = include_str!("../../../docs/measuring.md");

/// The exit codes as all programs have them.
const EXIT: [(&str, &str); 5] = [
    ("0", "it worked, and every threshold and expectation held"),
    ("1", "it ran, but no reply came, or a threshold or expectation failed, or nothing was sent"),
    ("2", "bad usage, or a name that does not resolve"),
    ("3", "refused: nothing listens there, and nothing was ever answered"),
    ("4", "a local failure: cannot bind, no permission, a file or a stdout that cannot be used"),
];

/// The page, for `programs`.
pub(crate) fn page(programs: &[Command], date: &str) -> Result<String> {
    ensure!(!programs.is_empty(), "no programs");
    let mut roff = Roff::new();
    let title = NAME.to_uppercase();
    let source = man::source(&programs[0]);
    roff.control("TH", [title.as_str(), "7", date, source.as_str(), "UDP toolkit"]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!(
        "{NAME} - what the UDP programs have in common, and what figures mean"
    ))]);
    roff.control("SH", ["DESCRIPTION"]);
    for program in programs {
        roff.control("TP", []);
        roff.text([bold(program.get_name()), roman("(1)")]);
        roff.text([roman(program.get_about().map(ToString::to_string).unwrap_or_default())]);
    }
    figures(&mut roff);
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in EXIT {
        roff.control("TP", []);
        roff.text([bold(code)]);
        roff.text([roman(meaning)]);
    }
    man::see_also(&mut roff, NAME);
    Ok(man::tidy(&roff.render()))
}

/// Markdown's paragraphs, tables, lists and code; the title becomes a section, further headings
/// parts of it.
fn figures(roff: &mut Roff) {
    let mut text = Text::default();
    for event in Parser::new_ext(FIGURES, Options::ENABLE_TABLES) {
        text.take(roff, event);
    }
}

/// What has been read of a block.
#[derive(Default)]
struct Text {
    line: Vec<Inline>,
    strong: bool,
    verbatim: bool,
    in_head: bool,
    after_heading: bool,
}

impl Text {
    fn take(&mut self, roff: &mut Roff, event: Event<'_>) {
        match event {
            Event::Start(Tag::Paragraph) if !std::mem::take(&mut self.after_heading) => {
                roff.control("PP", []);
            }
            Event::Start(Tag::Item) => {
                roff.control("IP", ["\\(bu", "2"]);
            }
            Event::Start(Tag::TableHead) => self.in_head = true,
            Event::Start(Tag::TableRow) => {
                roff.control("TP", []);
            }
            Event::Start(Tag::Strong) => self.strong = true,
            Event::End(TagEnd::Strong) => self.strong = false,
            Event::Start(Tag::CodeBlock(_)) => {
                self.verbatim = true;
                roff.control("PP", []).control("EX", []);
            }
            Event::End(TagEnd::CodeBlock) => {
                self.verbatim = false;
                roff.control("EE", []);
            }
            Event::End(TagEnd::Heading(level)) => {
                self.after_heading = true;
                let title: String = self.line.drain(..).map(plain).collect();
                if level == pulldown_cmark::HeadingLevel::H1 {
                    roff.control("SH", [title.to_uppercase().as_str()]);
                } else {
                    roff.control("SS", [title.as_str()]);
                }
            }
            Event::End(TagEnd::TableHead) => {
                // Column titles, if any, say nothing that a list of terms needs.
                self.in_head = false;
                self.line.clear();
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell) if !self.in_head => {
                self.flush(roff);
            }
            Event::Text(text) if self.verbatim => {
                for line in text.lines() {
                    roff.text([roman(line)]);
                }
            }
            Event::Text(text) if self.strong => self.line.push(bold(text.as_ref())),
            Event::Text(text) => self.line.push(roman(text.as_ref())),
            Event::Code(code) => self.line.push(italic(code.as_ref())),
            Event::SoftBreak | Event::HardBreak => self.line.push(roman(" ")),
            _ => {}
        }
    }

    fn flush(&mut self, roff: &mut Roff) {
        if !self.line.is_empty() {
            roff.text(std::mem::take(&mut self.line));
        }
    }
}

fn plain(inline: Inline) -> String {
    match inline {
        Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text,
        Inline::LineBreak => " ".into(),
    }
}
