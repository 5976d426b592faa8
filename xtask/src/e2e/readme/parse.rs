//! Finds the blocks of a Markdown file that are to be run, and takes them apart.

use anyhow::{Result, bail};

/// How a block is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Plain,
    Background,
    Interactive,
}

/// A command and what the README says it prints.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Command {
    pub(super) text: String,
    pub(super) output: Vec<String>,
}

pub(super) struct Block {
    pub(super) line: usize,
    pub(super) kind: Kind,
    pub(super) with: Vec<String>,
    pub(super) in_root: bool,
    pub(super) commands: Vec<Command>,
}

/// Blocks that run together: one by itself, or those that follow a background block.
pub(super) struct Group {
    pub(super) section: String,
    pub(super) line: usize,
    pub(super) background: Option<Block>,
    pub(super) blocks: Vec<Block>,
}

/// The groups of a Markdown text, in order.
pub(super) fn groups(text: &str) -> Result<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut section = String::new();
    let mut fence: Option<(usize, &str, Vec<&str>)> = None;
    for (index, line) in text.lines().enumerate() {
        match (&mut fence, line.strip_prefix("```")) {
            (None, Some(info)) => fence = Some((index + 1, info.trim(), Vec::new())),
            (None, None) => {
                if let Some(title) = line.strip_prefix('#') {
                    section = slug(title);
                }
            }
            (Some((_, _, body)), None) => body.push(line),
            (Some(_), Some(_)) => {
                let Some((number, info, body)) = fence.take() else { continue };
                if info.split(' ').next() == Some("console") {
                    place(&mut groups, &section, block(number, info, &body)?);
                }
            }
        }
    }
    if let Some((number, ..)) = fence {
        bail!("the block of line {number} has no end");
    }
    Ok(groups)
}

fn place(groups: &mut Vec<Group>, section: &str, block: Block) {
    let line = block.line;
    let section = section.to_owned();
    match groups.last_mut() {
        _ if block.kind == Kind::Background => {
            groups.push(Group { section, line, background: Some(block), blocks: Vec::new() });
        }
        Some(group) if group.background.is_some() && group.section == section => {
            group.blocks.push(block);
        }
        _ => groups.push(Group { section, line, background: None, blocks: vec![block] }),
    }
}

fn block(line: usize, info: &str, body: &[&str]) -> Result<Block> {
    let mut block =
        Block { line, kind: Kind::Plain, with: Vec::new(), in_root: false, commands: Vec::new() };
    let mut rest = info.strip_prefix("console").unwrap_or_default().trim_start();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("with=\"") {
            let Some((command, after)) = quoted.split_once('"') else {
                bail!("line {line}: with=\"… has no end");
            };
            block.with.push(command.to_owned());
            rest = after.trim_start();
            continue;
        }
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "background" => block.kind = Kind::Background,
            "interactive" => block.kind = Kind::Interactive,
            "root" => block.in_root = true,
            _ => bail!("line {line}: unknown word {word}"),
        }
        rest = after.trim_start();
    }
    for text in body {
        if let Some(command) = text.strip_prefix("$ ") {
            block.commands.push(Command { text: command.to_owned(), output: Vec::new() });
            continue;
        }
        let Some(command) = block.commands.last_mut() else {
            bail!("line {line}: the block does not begin with a command");
        };
        match text.strip_prefix("> ").or_else(|| (*text == ">").then_some("")) {
            Some(more) if command.output.is_empty() => {
                command.text.push('\n');
                command.text.push_str(more);
            }
            _ => command.output.push((*text).to_owned()),
        }
    }
    Ok(block)
}

/// A title as a word for a scenario's name.
fn slug(title: &str) -> String {
    let title = title.trim_start_matches('#').trim().to_lowercase();
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.take(5).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_blocks_apart() {
        let text = "# Top\n```sh\n$ no\n```\n## By hand, first\n\
                    ```console with=\"udp-server -q\" root\n$ a \\\n> b\nout\n\n$ echo $?\n0\n```\n";
        let groups = groups(text).expect("a proper text");
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].section, "by_hand_first");
        let block = &groups[0].blocks[0];
        assert_eq!((block.line, block.kind, block.in_root), (6, Kind::Plain, true));
        assert_eq!(block.with, ["udp-server -q"]);
        let commands = [
            Command { text: "a \\\nb".into(), output: vec!["out".into(), String::new()] },
            Command { text: "echo $?".into(), output: vec!["0".into()] },
        ];
        assert_eq!(block.commands, commands);
    }

    #[test]
    fn blocks_after_a_background_block_belong_to_it_within_the_section() {
        let block = |info: &str| format!("```console {info}\n$ x\n```\n");
        let text = format!(
            "# A\n{}{}{}{}# B\n{}",
            block(""),
            block("background"),
            block(""),
            block("interactive"),
            block("")
        );
        let groups = groups(&text).expect("a proper text");
        let shape: Vec<_> =
            groups.iter().map(|g| (g.background.is_some(), g.blocks.len())).collect();
        assert_eq!(shape, [(false, 1), (true, 2), (false, 1)]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "```console quickly\n$ x\n```\n",
            "```console with=\"x\n$ x\n```\n",
            "```console\nno command\n```\n",
            "```console\n$ x\n",
        ] {
            assert!(groups(text).is_err(), "{text}");
        }
    }
}
