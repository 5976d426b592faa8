//! Reports as a browser shows them: neither blank nor cut off, by day, at night, on paper, on a telephone.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use regex::Regex;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;
use crate::e2e::screenshot::{Screenshot, browser};

scenarios!("pages":
    pages_are_neither_blank_nor_cut_off,
    nothing_in_a_picture_is_cut_off,
);

/// A window that a page of two targets fits into, whatever its width.
const TALL: usize = 6400;
/// What a body leaves free around it.
const MARGIN: usize = 8;

/// A page of a path that loses and of one that is silent, with names that would like to be markup.
fn page(context: &Context, directory: &Path) -> Result<PathBuf> {
    let silent = Peer::silent()?;
    let lossy = Peer::new(|request| match request.number % 20 {
        3 => Vec::new(),
        _ if (60..64).contains(&request.number) => Vec::new(),
        _ => vec![request.echo()],
    })?;
    let list = directory.join("list");
    let label = "</h2><script>document.body.remove()</script><style>*{display:none}</style>";
    fs::write(&list, format!("{} site={label}\n{}\n", lossy.address, silent.address))?;
    let (list, run) = (list.display().to_string(), directory.join("run.ndjson.gz"));
    let run = run.display().to_string();
    let options = ["-c", "150", "-i", "15ms", "-W", "200ms", "--number", "-q", "--record", &run];
    context.beat([&["--targets-file", list.as_str()][..], &options].concat())?.exits(1)?;
    let page = directory.join("run.html");
    context.beat(["report", &run, "-o", &page.display().to_string()])?.exits(0)?;
    Ok(page)
}

fn pages_are_neither_blank_nor_cut_off(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let page = page(context, directory.path())?;
    // On paper: what is said of paper is said of the screen, and nothing of the night.
    let paper = directory.path().join("paper.html");
    let text = fs::read_to_string(&page)?;
    let printed = text.replace("@media screen and", "@media speech and");
    fs::write(&paper, printed.replace("@media print", "@media screen"))?;
    let mut grounds = Vec::new();
    for (name, page, width, dark, margin) in [
        ("a telephone", &page, 360, false, MARGIN),
        ("a screen", &page, 1060, false, MARGIN),
        ("a screen at night", &page, 1060, true, MARGIN),
        ("a wide screen", &page, 1900, false, MARGIN),
        // Paper has margins of its own.
        ("paper", &paper, 700, false, 0),
    ] {
        let shot = Screenshot::take(page, (width, TALL), dark)?;
        let all = shot.ink(0..width, 0..TALL);
        let ink = all * 1000 / (width * TALL);
        check::holds(&format!("{name}: {ink} ‰ of it is written on"), ink > 5)?;
        // What stood over would reach the edge; what is too long, the end of the window.
        let sides = shot.ink(0..margin, 0..TALL) + shot.ink(width - margin..width, 0..TALL);
        check::same(&format!("{name}: pixels at its sides"), 0, sides)?;
        let ends = shot.ink(0..width, 0..margin) + shot.ink(0..width, TALL - 40..TALL);
        check::same(&format!("{name}: pixels at its ends"), 0, ends)?;
        grounds.push(shot.ground());
    }
    let light = |ground: &[u8; 3]| ground.iter().all(|part| *part > 200);
    check::same(
        "light grounds",
        vec![true, true, false, true, true],
        grounds.iter().map(light).collect(),
    )?;
    let pdf = directory.path().join("run.pdf");
    let print = browser(directory.path())?.arg(format!("--print-to-pdf={}", pdf.display()));
    print.arg(format!("file://{}", page.display())).finish()?.exits(0)?;
    let printed = fs::read(&pdf).context("nothing was printed")?;
    let pages = printed.windows(11).filter(|it| it == b"/Type /Page").count();
    check::holds(&format!("{pages} printed pages"), pages > 1)
}

/// Each picture with a border around it that its own edges leave visible: nothing may reach into that.
fn nothing_in_a_picture_is_cut_off(context: &Context) -> Result<()> {
    const BORDER: usize = 60;
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let page = page(context, directory.path())?;
    let text = fs::read_to_string(&page)?;
    let pictures = Regex::new(
        r#"(?s)<svg ([^>]*?)width="(\d+)" height="(\d+)" viewBox="0 0 \d+ \d+"(.*?</svg>)"#,
    )?;
    let style = text.split_once("</style>").context("a page without a style")?.0;
    let style = style.split_once("<style>").context("a page without a style")?.1;
    let mut bordered =
        format!("<!doctype html><style>{style} body{{all:initial}} svg{{display:block}}</style>");
    let (mut top, mut places) = (0, Vec::new());
    for picture in pictures.captures_iter(&text) {
        let (width, height): (usize, usize) = (picture[2].parse()?, picture[3].parse()?);
        let (w, h) = (width + 2 * BORDER, height + 2 * BORDER);
        let before = &picture[1];
        write!(
            bordered,
            r#"<svg {before}width="{w}" height="{h}" viewBox="-{BORDER} -{BORDER} {w} {h}"{}"#,
            &picture[4]
        )?;
        places.push((top, w, h));
        top += h;
    }
    // Two over time, one of how round trips are spread: the silent one has none.
    check::same("pictures", 3, places.len())?;
    let file = directory.path().join("bordered.html");
    fs::write(&file, bordered)?;
    let wide = places[0].1;
    let shot = Screenshot::take(&file, (wide, top + 100), false)?;
    for (n, (top, w, h)) in places.into_iter().enumerate() {
        let inside = shot.ink(BORDER..w - BORDER, top + BORDER..top + h - BORDER);
        let all = shot.ink(0..wide, top..top + h);
        check::holds(&format!("picture {n} has {inside} pixels"), inside > 3000)?;
        check::same(&format!("picture {n}: pixels that stand over"), 0, all - inside)?;
    }
    Ok(())
}
