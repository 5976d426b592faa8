//! The table of services, as `--services` lists it.

use std::io;

use udp_core::cli::parse::ShownDuration;
use udp_core::cli::printer;
use udp_core::cli::{Exit, Failure, Style, Tone};
use udp_core::clock;
use udp_core::error::describe;
use udp_core::service::{Entry, SERVICES};

/// Prints each service: where, how often, what is asked, what ok means, its keys and facts.
pub(super) fn list(style: Style) -> Result<Exit, Failure> {
    let mut text = SERVICES.iter().map(|entry| shown(entry)).collect::<String>().into_bytes();
    style.dress(&mut text, 0, clock::wall(), Tone::Plain);
    match printer::print(&text) {
        Ok(()) => Ok(Exit::Worked),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Exit::Worked),
        Err(error) => Err(Failure::local(format!("cannot print: {}", describe(&error)))),
    }
}

fn shown(entry: &Entry) -> String {
    let Entry { scheme, port, what, asks, ok, facts, interval, floor, .. } = entry;
    let what = what.map_or(String::new(), |what| format!("[/{what}]"));
    let (interval, floor) = (ShownDuration(*interval), ShownDuration(*floor));
    let mut text = format!(
        "{scheme}://HOST[:{port}]{what}\n  asks {asks}, every {interval} (at most every {floor})\n  \
         ok: {ok}\n"
    );
    for key in entry.all_keys() {
        text += &format!("  ?{}={}  {}\n", key.name, key.value, key.help);
    }
    if !facts.is_empty() {
        text += &format!("  facts: {}\n", facts.join(" "));
    }
    text
}
