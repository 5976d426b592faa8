//! `cargo xtask pictures`: draws the pictures of the documentation from what the programs really show,
//! against peers on loopback that lose and delay.

mod board;
mod scrape;

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cargo::workspace_root;
use crate::e2e::{Programs, Terminal, build, pause};
use crate::say;

/// The size of the terminal.
const ROWS: NonZeroU16 = NonZeroU16::new(24).expect("not zero");
const COLUMNS: NonZeroU16 = NonZeroU16::new(88).expect("not zero");
/// The size of a character, in the units of the picture.
const WIDTH: f64 = 8.4;
const HEIGHT: f64 = 18.0;
/// How long is looked at before the picture is taken.
const LOOKED_AT: Duration = Duration::from_secs(45);

/// What can be drawn by itself.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Which {
    /// The live screens.
    Live,
    /// The Grafana board: five minutes.
    Board,
}

/// Draws all or `only` these; true, for they are never wrong.
pub(crate) fn run(only: Option<Which>) -> Result<bool> {
    let root = workspace_root()?;
    let programs = build(&root)?;
    let folder = root.join("docs/pictures");
    fs::create_dir_all(&folder).context("cannot make docs/pictures")?;
    if only != Some(Which::Board) {
        live(&programs, &folder)?;
    }
    if only != Some(Which::Live) {
        keep(&folder.join("board.svg"), &scrape::picture(&root, &programs)?)?;
    }
    Ok(true)
}

/// The live screen of all targets, and of one.
fn live(programs: &Programs, folder: &Path) -> Result<()> {
    let home = tempfile::tempdir().context("cannot make a directory")?;
    // For each: one in so many is lost, a delay, and by how much it varies, in milliseconds.
    let peers = [("127.0.0.1", 0, 2, 1), ("127.0.0.2", 23, 9, 14), ("127.0.0.3", 4, 21, 5)];
    let mut targets = Vec::new();
    for (address, loses, delay, varies) in peers {
        let socket = UdpSocket::bind((address, 0)).context("cannot bind a peer")?;
        targets.push(socket.local_addr()?.to_string());
        thread::spawn(move || answer(&socket, loses, (delay, varies)));
    }
    let closed = UdpSocket::bind("127.0.0.4:0")?.local_addr()?;
    targets.push(closed.to_string());
    let mut words: Vec<&str> = targets.iter().map(String::as_str).collect();
    words.extend(["-i", "0.2", "--number", "--live"]);
    let terminal =
        Terminal::start_with(&programs.heartbeat, &words, home.path(), &[("LANG", "C.UTF-8")], "")?;
    terminal.resize(ROWS.get(), COLUMNS.get())?;
    pause(LOOKED_AT);
    take(&terminal, &folder.join("live.svg"), "all targets")?;
    terminal.type_in("j\r")?;
    let detail = |screen: &str| screen.contains("changes of state");
    terminal.wait_until(detail)?;
    take(&terminal, &folder.join("live-target.svg"), "one target")?;
    terminal.type_in("q")?;
    terminal.finish()?;
    Ok(())
}

/// An echo that loses one in `loses`, and is late by `delay` and up to `varies` ms more.
fn answer(socket: &UdpSocket, loses: u64, (delay, varies): (u64, u64)) {
    let mut random = fastrand::Rng::with_seed(delay);
    let mut bytes = [0; 2048];
    let mut answer = |length: usize, from: SocketAddr, bytes: &[u8]| {
        if loses > 0 && random.u64(..loses) == 0 {
            return;
        }
        let slow = if random.u8(..40) == 0 { 5 * varies } else { random.u64(..=varies) };
        pause(Duration::from_micros((delay + slow) * 1000 + random.u64(..500)));
        let _ = socket.send_to(&bytes[..length], from);
    };
    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
        answer(length, from, &bytes);
    }
}

/// The screen as it is now, as a picture.
fn take(terminal: &Terminal, path: &Path, what: &str) -> Result<()> {
    let mut parser = vt100::Parser::new(ROWS, COLUMNS, 0);
    parser.process(&terminal.bytes());
    keep(path, &svg(parser.screen(), what)?)
}

/// Writes a picture.
fn keep(path: &Path, picture: &str) -> Result<()> {
    fs::write(path, picture).with_context(|| format!("cannot write {}", path.display()))?;
    say::line(&format!("{}", path.display()));
    Ok(())
}

/// A screen in the colours of a dark terminal. Runs of one colour have their width stated, so that
/// columns stand whatever the font.
fn svg(screen: &vt100::Screen, what: &str) -> Result<String> {
    let (rows, columns) = (ROWS.get(), COLUMNS.get());
    let (width, height) = (f64::from(columns) * WIDTH + 16.0, f64::from(rows) * HEIGHT + 16.0);
    let mut out = String::new();
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>udp-heartbeat --live: {what}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#14171c\"/>\n\
         <g font-family=\"ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\">"
    )?;
    for row in 0..rows {
        let cell = |column| screen.cell(row, column);
        let look = |column| cell(column).map(|cell| (cell.fgcolor(), cell.inverse(), cell.bold()));
        let mut column = 0;
        while column < columns {
            let (from, this) = (column, look(column));
            let mut text = String::new();
            while column < columns && look(column) == this {
                let sign = cell(column).map(vt100::Cell::contents).filter(|it| !it.is_empty());
                text.push_str(sign.unwrap_or(" "));
                column += 1;
            }
            let Some((color, inverse, bold)) = this else { continue };
            run_of(&mut out, (row, from), &text, (color, inverse, bold))?;
        }
    }
    out.push_str("</g>\n</svg>\n");
    Ok(out)
}

/// Cells of one look.
fn run_of(
    out: &mut String,
    (row, column): (u16, u16),
    text: &str,
    (color, inverse, bold): (vt100::Color, bool, bool),
) -> Result<()> {
    let color = match color {
        vt100::Color::Idx(1 | 9) => "#f2777a",
        vt100::Color::Idx(2 | 10) => "#7ec98a",
        vt100::Color::Idx(3 | 11) => "#e6c068",
        vt100::Color::Idx(8) => "#7d8590",
        _ => "#d5d9e0",
    };
    let cells = text.chars().count();
    let x = 8.0 + f64::from(column) * WIDTH;
    let (top, length) = (8.0 + f64::from(row) * HEIGHT, cells as f64 * WIDTH);
    if inverse {
        writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{top:.0}\" width=\"{length:.1}\" height=\"{HEIGHT}\" fill=\"{color}\"/>"
        )?;
    }
    let fill = if inverse { "#14171c" } else { color };
    let bold = if bold { " font-weight=\"bold\"" } else { "" };
    let y = top + 13.5;
    // Browsers make one of several blanks: what they stand between is written by itself.
    let mut begin = 0;
    for part in text.split("  ") {
        let blanks = part.len() - part.trim_start().len();
        let (shown, cells) = (part.trim(), part.trim().chars().count());
        let (x, length) = (x + (begin + blanks) as f64 * WIDTH, cells as f64 * WIDTH);
        begin += part.chars().count() + 2;
        if cells == 0 {
            continue;
        }
        let shown = shown.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{length:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{fill}\"{bold}>{shown}</text>"
        )?;
    }
    Ok(())
}
