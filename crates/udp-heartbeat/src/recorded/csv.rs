//! A row a beat, the columns named as the fields of a recording (RFC 4180, with plain line ends).

use std::io::{self, Write};

use udp_core::text::escape::escape;

use super::{Class, Recorded};
use crate::probe::verdict::Verdict;

const COLUMNS: &str = "target,seq,sent,class,late,refused,rtt_ns,verdict,reason,flow";

/// Writes all beats, target by target in the order of sending.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write(all: &Recorded, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{COLUMNS}")?;
    // A file for people, too: what steers a terminal stands escaped in it.
    let quoted = |text: &str| quoted(&escape(text.as_bytes()));
    for target in &all.targets {
        let label = quoted(&target.label);
        for beat in &target.beats {
            let rtt = match beat.class {
                Class::Received => beat.rtt_ns.to_string(),
                _ => String::new(),
            };
            let verdict = beat.verdict.map_or("", Verdict::name);
            let reason = all.reason_of(beat).map(&quoted).unwrap_or_default();
            let flow = beat.flow.map(|it| it.to_string()).unwrap_or_default();
            let (seq, sent, class) = (beat.seq, beat.sent.rfc3339(), beat.class.name());
            let (late, refused) = (beat.late, beat.refused);
            writeln!(
                out,
                "{label},{seq},{sent},{class},{late},{refused},{rtt},{verdict},{reason},{flow}"
            )?;
        }
    }
    Ok(())
}

/// A field in quotes, where it has to be.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
