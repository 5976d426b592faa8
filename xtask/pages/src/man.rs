//! The manual page of a program: clap_mangen's parts in the order of man-pages(7), with the options
//! by group and a section for each that `--help` ends with.

use anyhow::{Context as _, Result};
use clap::Command;
use clap_mangen::Man;
use roff::{Inline, Roff, bold, italic, roman};

use crate::help::{self, Block};

/// The heading of the manual that the pages belong to, and its version.
const MANUAL: &str = "UDP toolkit";

/// The page about what the programs have in common.
pub(crate) const TOOLKIT: &str = "udp-toolkit";

/// The page of `program`.
pub(crate) fn page(program: &Command, date: &str) -> Result<String> {
    let more = program.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let (loose, sections) = help::split(&more);
    let man = Man::new(prepared(program.clone()))
        .title(program.get_name().to_uppercase())
        .section("1")
        .date(date)
        .source(source(program))
        .manual(MANUAL);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    let mut rest = Roff::new();
    for block in &loose {
        rest.control("PP", []);
        write(&mut rest, block);
    }
    page.extend(body(&rest).into_bytes());
    let mut options = Vec::new();
    man.render_options_section(&mut options)?;
    page.extend(grouped(program, &String::from_utf8(options)?).into_bytes());
    let mut rest = Roff::new();
    for section in &sections {
        rest.control("SH", [name_of(section.title).as_str()]);
        write(&mut rest, &section.block);
    }
    see_also(&mut rest, program.get_name());
    page.extend(body(&rest).into_bytes());
    Ok(tidy(&String::from_utf8(page).context("the page is not UTF-8")?))
}

/// So wide may a line of a page's source be, as mandoc(1) wants it.
const WIDTH: usize = 72;

/// The page without what mandoc(1) warns about: blank lines, breaks beside them, long lines.
pub(crate) fn tidy(page: &str) -> String {
    let mut text = String::new();
    let (mut blank, mut verbatim, mut term) = (false, false, false);
    for line in page.lines() {
        if !verbatim && (line.is_empty() || line == ".br") {
            blank = true;
            continue;
        }
        // A request that begins a paragraph leaves its own space.
        if std::mem::take(&mut blank) && !line.starts_with('.') {
            text.push_str(".sp\n");
        }
        verbatim = line == ".EX" || (verbatim && line != ".EE");
        if verbatim || term || line.starts_with('.') {
            text.push_str(line);
            text.push('\n');
        } else {
            wrap(&mut text, line);
        }
        term = line.starts_with(".TP");
    }
    text
}

/// Breaks a line at blanks, never so that the next begins as a request would.
fn wrap(text: &mut String, line: &str) {
    // mandoc(1) counts a character that is not ASCII by its escape.
    let count = |word: &str| word.chars().map(|c| if c.is_ascii() { 1 } else { 9 }).sum::<usize>();
    let mut width = 0;
    for word in line.split(' ') {
        if width > 0 && width + 1 + count(word) > WIDTH && !word.starts_with(['.', '\'']) {
            text.push('\n');
            width = 0;
        } else if width > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += count(word);
    }
    text.push('\n');
}

/// `UDP toolkit 1.2.3`, for the foot of a page.
pub(crate) fn source(program: &Command) -> String {
    format!("{MANUAL} {}", program.get_version().unwrap_or_default())
}

/// With one line of usage, and with each option's short help where it has no longer one.
fn prepared(program: Command) -> Command {
    let mut usage = format!("{} [OPTION]...", program.get_name());
    for positional in program.get_positionals() {
        let name = positional.get_value_names().unwrap_or_default().join(" ");
        let many = positional.get_num_args().is_some_and(|n| n.max_values() > 1)
            || matches!(positional.get_action(), clap::ArgAction::Append);
        usage += &format!(" [{name}]{}", if many { "..." } else { "" });
    }
    program.override_usage(usage).mut_args(|arg| {
        let long = arg.get_long_help().or(arg.get_help()).map(ToString::to_string);
        match long {
            Some(long) => arg.long_help(long),
            None => arg,
        }
    })
}

/// Options under one heading, their groups below it.
fn grouped(program: &Command, options: &str) -> String {
    let mut text = String::new();
    let mut headings: Vec<&str> = Vec::new();
    for heading in program.get_arguments().filter_map(|arg| arg.get_help_heading()) {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    if !options.contains(".SH OPTIONS") {
        text.push_str(".SH OPTIONS\n");
    }
    for line in options.lines().filter(|line| !is_preamble(line)) {
        let title = line.strip_prefix(".SH ").map(|title| title.trim_matches('"'));
        let group = headings.iter().find(|group| title == Some(group.to_uppercase().as_str()));
        match group {
            Some(group) => text.push_str(&format!(".SS \"{group}\"\n")),
            None => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

/// Every piece that roff renders begins with two lines about apostrophes; a page needs them once.
fn is_preamble(line: &str) -> bool {
    line.starts_with(".ie \\n(.g") || line.starts_with(".el .ds Aq")
}

/// What `roff` renders, without the preamble.
pub(crate) fn body(roff: &Roff) -> String {
    let rendered = roff.render();
    rendered.lines().filter(|line| !is_preamble(line)).map(|line| format!("{line}\n")).collect()
}

/// Headings as man-pages(7) has them.
fn name_of(title: &str) -> String {
    match title {
        "Exit codes" => "EXIT STATUS".into(),
        other => other.to_uppercase(),
    }
}

fn write(roff: &mut Roff, block: &Block<'_>) {
    match block {
        Block::Text(text) => {
            roff.text([roman(text)]);
        }
        Block::Terms(terms) => {
            for (term, meaning) in terms {
                roff.control("TP", []);
                roff.text([bold(*term)]);
                roff.text([roman(meaning)]);
            }
        }
        Block::Lines(lines) => {
            roff.control("EX", []);
            for line in lines {
                roff.text([roman(*line)]);
            }
            roff.control("EE", []);
        }
    }
}

/// The other pages.
pub(crate) fn see_also(roff: &mut Roff, own: &str) {
    roff.control("SH", ["SEE ALSO"]);
    let pages = [("udp-client", "1"), ("udp-heartbeat", "1"), ("udp-server", "1"), (TOOLKIT, "7")];
    let mut line: Vec<Inline> = Vec::new();
    for (name, section) in pages.into_iter().filter(|(name, _)| *name != own) {
        if !line.is_empty() {
            line.push(roman(", "));
        }
        line.extend([italic(name), roman(format!("({section})"))]);
    }
    roff.text(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_without_what_mandoc_warns_about() {
        let long = format!("{} .x {}", "y".repeat(69), "z".repeat(9));
        let page = format!(".SH A\n\n.TP\n{long}\na\n.br\n\n.br\nb\n{long}\n.EX\n{long}\n\n.EE\n");
        let first = long.split_once(" z").expect("two lines").0;
        let last = "z".repeat(9);
        assert_eq!(
            tidy(&page),
            format!(".SH A\n.TP\n{long}\na\n.sp\nb\n{first}\n{last}\n.EX\n{long}\n\n.EE\n")
        );
    }
}
