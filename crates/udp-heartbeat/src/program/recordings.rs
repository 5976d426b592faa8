//! The subcommands `report` and `compare`. Nothing here sends anything.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use udp_core::cli::printer::{Policy, Printer, Render, stdout};
use udp_core::cli::{Exit, Failure, Style, Tone};
use udp_core::clock;
use udp_core::error::describe;

use crate::commands::{Command, CompareArgs, ReportArgs, Sort};
use crate::compare::{self, Comparison};
use crate::picture;
use crate::recorded::{Recorded, csv};
use crate::report::{Form, Item, Output, Show, each_target, reporter};

/// What a report is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Html,
    Svg,
    Csv,
    Json,
}

/// Does what is asked for.
pub(super) fn run(command: &Command, style: Style) -> Result<Exit, Failure> {
    match command {
        Command::Report(args) => report(args, style),
        Command::Compare(args) => compare(args, style),
    }
}

/// Sums recordings up, or draws them.
fn report(args: &ReportArgs, style: Style) -> Result<Exit, Failure> {
    let out = args.output.as_deref().map(|path| kind(path).map(|kind| (path, kind))).transpose()?;
    let mut recorded = read(&args.files)?;
    if args.sort == Sort::Loss {
        recorded.worst_first();
    }
    let Some((path, kind)) = out else {
        return print(summary(&recorded, style));
    };
    let written = match kind {
        Kind::Csv => write(path, |file| csv::write(&recorded, file)),
        Kind::Json => {
            let mut text = Vec::new();
            each_target(&recorded.snapshot(), &mut text);
            write(path, |file| file.write_all(&text))
        }
        Kind::Svg => write(path, |file| file.write_all(picture::svg(&recorded).as_bytes())),
        Kind::Html => {
            let page = picture::page(&recorded, &recorded.snapshot());
            write(path, |file| file.write_all(page.as_bytes()))
        }
    };
    let failed =
        |error| Failure::local(format!("cannot write {}: {}", path.display(), describe(&error)));
    written.map(|()| Exit::Worked).map_err(failed)
}

/// Holds one recording against another.
fn compare(args: &CompareArgs, style: Style) -> Result<Exit, Failure> {
    let [old, new] = [&args.old, &args.new].map(|path| read(std::slice::from_ref(path)));
    let (old, new) = (old?, new?);
    let compared = compare::compare(&old, &new, args.tolerance);
    if compared.is_empty() {
        let failure = Failure::usage("the two recordings have no target in common");
        return Err(failure.with_hint("a target is known by its name and port, as it was asked"));
    }
    if compared.iter().all(Comparison::is_empty) {
        return Err(Failure::usage("the two recordings have no figure in common"));
    }
    for (all, others, path) in [(&old, &new, &args.old), (&new, &old, &args.new)] {
        let alone = all
            .targets
            .iter()
            .filter(|it| others.targets.iter().all(|other| other.label != it.label));
        alone.for_each(|it| log::warn!("{} is in {} alone", it.label, path.display()));
    }
    for it in compared.iter().filter(|it| it.is_unknown()) {
        let [old, new] = it.beats.map(|(_, settled)| settled);
        log::warn!("{}: too few beats to compare ({old} and {new})", it.target);
    }
    let mut text = Vec::new();
    match args.json {
        true => compare::json(&compared, clock::wall(), &mut text),
        false => {
            compare::text(&compared, &mut text);
            style.dress(&mut text, 0, clock::wall(), Tone::Plain);
        }
    }
    let worse = compared.iter().any(Comparison::is_worse);
    Ok(match print(text)? {
        Exit::Worked if worse => Exit::Failed,
        exit => exit,
    })
}

fn kind(path: &Path) -> Result<Kind, Failure> {
    let ending = path.extension().map(|it| it.to_string_lossy().to_ascii_lowercase());
    match ending.as_deref() {
        Some("html") => Ok(Kind::Html),
        Some("svg") => Ok(Kind::Svg),
        Some("csv") => Ok(Kind::Csv),
        Some("json") => Ok(Kind::Json),
        _ => {
            let failure = Failure::usage(format!("{}: no such kind of report", path.display()));
            Err(failure.with_hint("it may end in .html, .svg, .csv or .json"))
        }
    }
}

/// All recordings together, the older first whatever their order.
fn read(paths: &[PathBuf]) -> Result<Recorded, Failure> {
    let mut recorded = Recorded::default();
    let mut seen = HashSet::new();
    let (mut paths, twice): (Vec<&PathBuf>, Vec<_>) = paths.iter().partition(|it| seen.insert(*it));
    twice.iter().for_each(|it| log::warn!("{} stands twice and is read once", it.display()));
    if paths.len() > 1 {
        paths.sort_by_cached_key(|path| Recorded::begins(path).unwrap_or_default());
    }
    for path in &paths {
        let before = recorded.unreadable;
        recorded.read(path).map_err(|error| {
            Failure::local(format!("cannot read {}: {}", path.display(), describe(&error)))
        })?;
        match recorded.unreadable - before {
            0 => {}
            1 => log::info!("{}: one line cannot be read", path.display()),
            lines => log::warn!("{}: {lines} lines cannot be read", path.display()),
        }
    }
    if recorded.is_empty() {
        let names = paths.iter().map(|it| it.display().to_string()).collect::<Vec<_>>().join(", ");
        let failure = Failure::usage(format!("{names}: no recording"));
        return Err(failure.with_hint("udp-heartbeat TARGET --record FILE writes one"));
    }
    if recorded.not_recorded > 0 {
        log::warn!("{} lines were not recorded, because the file was slow", recorded.not_recorded);
    }
    recorded.finish();
    Ok(recorded)
}

/// The summary as it is printed at the end of a run.
fn summary(recorded: &Recorded, style: Style) -> Vec<u8> {
    let (form, show) = (Form::Text, Show::EVERYTHING);
    let output = Output { form, show, hex: false, stamp: recorded.mode() == "stamp" };
    let (none, timeout) = (Default::default(), Duration::ZERO);
    let mut text = Vec::new();
    let summary = Item::Summary(Box::new(recorded.snapshot()));
    reporter(output, timeout, style, (&none, &none)).value(summary, &mut text);
    text
}

fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let written = fill(&mut file).and_then(|()| file.flush());
    if written.is_err() && path.metadata().is_ok_and(|it| it.is_file()) {
        // Half a report is none; why it cannot be written is said.
        let _ = fs::remove_file(path);
    }
    written
}

/// Writes to stdout, for as long as that takes; a reader that went away has read enough.
fn print(text: Vec<u8>) -> Result<Exit, Failure> {
    let show = |text: Vec<u8>, out: &mut Vec<u8>| out.extend_from_slice(&text);
    let policy = Policy::Lossless;
    let printer = Printer::start(stdout(policy), show, |_, _| {}, 1, policy);
    let failed = |error| Failure::local(format!("cannot start a thread: {}", describe(&error)));
    printer.map_err(failed)?.end(Some(text), || true).outcome().map(|_| Exit::Worked)
}
