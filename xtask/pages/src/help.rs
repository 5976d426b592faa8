//! Splits what `--help` ends with into sections: a paragraph that begins with `Word:` is one.
//! Pure; knows nothing of manual pages.

/// A part of the text that `--help` ends with.
#[derive(Debug, PartialEq)]
pub(crate) struct Section<'a> {
    /// Without its colon.
    pub(crate) title: &'a str,
    pub(crate) block: Block<'a>,
}

/// What a section consists of.
#[derive(Debug, PartialEq)]
pub(crate) enum Block<'a> {
    /// Running text.
    Text(String),
    /// `word  what it means`, a row each; rows that are indented further continue the one above.
    Terms(Vec<(&'a str, String)>),
    /// Lines as they stand, such as commands.
    Lines(Vec<&'a str>),
}

/// What stands in no section, and the sections.
pub(crate) fn split(text: &str) -> (Vec<Block<'_>>, Vec<Section<'_>>) {
    let (mut loose, mut sections) = (Vec::new(), Vec::new());
    for paragraph in text.split("\n\n") {
        match heading(paragraph) {
            Some((title, rest)) => sections.push(Section { title, block: block(rest) }),
            None => loose.push(block(paragraph)),
        }
    }
    (loose, sections)
}

/// `Exit codes: 0 it worked` is a heading of at most two words, and what follows it.
fn heading(paragraph: &str) -> Option<(&str, &str)> {
    let (title, rest) = paragraph.split_once(':')?;
    let word = |word: &str| word.chars().all(|c| c.is_ascii_alphabetic());
    let words = title.split(' ').count() <= 2 && title.split(' ').all(word);
    let ends = rest.starts_with([' ', '\n']);
    (ends && words && title.starts_with(|c: char| c.is_ascii_uppercase()))
        .then(|| (title, rest.strip_prefix('\n').unwrap_or(rest.trim_start())))
}

fn block(text: &str) -> Block<'_> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    if !text.starts_with("  ") {
        return Block::Text(lines().collect::<Vec<_>>().join(" "));
    }
    terms(text).map_or_else(|| Block::Lines(lines().collect()), Block::Terms)
}

/// None if a row has no meaning beside its word.
fn terms(text: &str) -> Option<Vec<(&str, String)>> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut terms: Vec<(&str, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match terms.last_mut() {
            Some((_, meaning)) if indent(line) > indent(text) => {
                meaning.push(' ');
                meaning.push_str(line.trim());
            }
            _ => {
                let (term, meaning) = line.trim().split_once("  ")?;
                terms.push((term, meaning.trim_start().to_owned()));
            }
        }
    }
    Some(terms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_become_sections() {
        let text = "First of\nall.\n\nValues:\n  DUR  a number\n       or  none\n  N    bytes\n\n\
                    Each of them ends: so\n\nExit codes: 0\nall\n\n\
                    Examples:\n  udp-client x:1\n  udp-client y  # z";
        let (loose, sections) = split(text);
        let text = |t: &str| Block::Text(t.into());
        assert_eq!(loose, [text("First of all."), text("Each of them ends: so")]);
        let terms = vec![("DUR", "a number or  none".into()), ("N", "bytes".into())];
        assert_eq!(
            sections,
            [
                Section { title: "Values", block: Block::Terms(terms) },
                Section { title: "Exit codes", block: text("0 all") },
                Section {
                    title: "Examples",
                    block: Block::Lines(vec!["udp-client x:1", "udp-client y  # z"]),
                },
            ]
        );
    }
}
