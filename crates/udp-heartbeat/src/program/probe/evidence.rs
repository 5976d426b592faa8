//! The log of one probe: datagrams sent and received, by time, and the facts of the answers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use udp_core::clock::{self, Wall};
use udp_core::text::units::Millis;
use udp_core::text::{escape, hex};

use crate::modules::Module;
use crate::probe::event::{Event, Observer, What};
use crate::program::reporter::on_wall;

/// Lines that are kept: a peer may send without end.
const LINES: usize = 1000;
/// Bytes of a payload that a line shows.
const SHOWN: usize = 1024;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// For those who ask for it.
    lines: Option<Vec<(Wall, String)>>,
    not_shown: usize,
    pub(super) rtts: Vec<Duration>,
    /// The numbers of the newest answer.
    pub(super) facts: BTreeMap<&'static str, i64>,
    /// The counts of a DNS message's sections (RFC 1035 §4.1.1), without the question's.
    pub(super) sections: [u16; 3],
}

impl Evidence {
    fn note(&mut self, at: Wall, line: impl FnOnce() -> String) {
        match &mut self.lines {
            Some(lines) if lines.len() < LINES => lines.push((at, line())),
            Some(_) => self.not_shown += 1,
            None => {}
        }
    }

    /// All lines, each with its time.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (at, line) in self.lines.iter().flatten() {
            // To a String, which takes everything.
            let _ = writeln!(text, "{} {line}", at.rfc3339());
        }
        if self.not_shown > 0 {
            let _ = writeln!(text, "... {} lines not shown", self.not_shown);
        }
        text
    }
}

/// Takes down what happens.
#[derive(Debug, Clone)]
pub(super) struct Witness {
    seen: Arc<Mutex<Evidence>>,
    wanted: bool,
    form: Form,
    is_dns: bool,
}

/// How payloads are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Hex,
    /// They hold a secret.
    Not,
}

impl Witness {
    /// Of a probe by `module`; with the lines, if they are `wanted`.
    pub(super) fn new(module: &Module, wanted: bool) -> Witness {
        let service = module.spec.as_ref().and_then(|spec| spec.service());
        let form = match service {
            Some(service) if service.is_secret() => Form::Not,
            Some(_) => Form::Hex,
            None if module.hex || module.asks("stamp") => Form::Hex,
            None => Form::Text,
        };
        let evidence = Evidence { lines: wanted.then(Vec::new), ..Evidence::default() };
        let is_dns = module.asks("dns");
        Witness { seen: Arc::new(Mutex::new(evidence)), wanted, form, is_dns }
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Evidence> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something beside the events.
    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        self.seen().note(clock::wall(), line);
    }

    fn payload(&self, bytes: &[u8]) -> String {
        let part = bytes.get(..SHOWN).unwrap_or(bytes);
        let shown = match self.form {
            Form::Text => escape::escape(part),
            Form::Hex => hex::encode(part),
            Form::Not => return format!("{} bytes", bytes.len()),
        };
        let more = if part.len() < bytes.len() { " …" } else { "" };
        format!("{} bytes: {shown}{more}", bytes.len())
    }
}

impl Observer for Witness {
    fn wants_sent(&self) -> bool {
        self.wanted
    }

    fn observe(&mut self, event: &Event<'_>) {
        let at = on_wall(event.at);
        let mut seen = self.seen();
        match event.what {
            What::Sent { seq, bytes } => {
                seen.note(at, || format!("sent seq={seq} {}", self.payload(bytes)));
            }
            What::Reply { seq, reply, bytes, said } => {
                seen.rtts.push(reply.rtt);
                if let Some(said) = said {
                    let facts = said.reply.facts.iter();
                    let numbers = facts.filter_map(|(name, fact)| Some((name, fact.number()?)));
                    seen.facts = numbers.collect();
                }
                if self.is_dns {
                    let count = |at| {
                        let both = bytes.get(at..at + 2).and_then(|both| both.try_into().ok());
                        both.map_or(0, u16::from_be_bytes)
                    };
                    seen.sections = [count(6), count(8), count(10)];
                }
                seen.note(at, || {
                    let (rtt, verdict) = (Millis(reply.rtt), reply.verdict);
                    let said = said.map(|said| {
                        format!(" {} {}", said.spec.entry().scheme, said.spec.shown(said.reply))
                    });
                    let (payload, said) = (self.payload(bytes), said.unwrap_or_default());
                    format!("received seq={seq} rtt={rtt} ms {verdict}{said} {payload}")
                });
            }
            What::Duplicate { seq, bytes, .. } => {
                seen.note(at, || format!("duplicate seq={seq} {}", self.payload(bytes)));
            }
            What::Late { seq, bytes, .. } => {
                seen.note(at, || format!("late seq={seq} {}", self.payload(bytes)));
            }
            What::Unsolicited { bytes } => {
                seen.note(at, || format!("unsolicited {}", self.payload(bytes)));
            }
            What::Refused { seq } => seen.note(at, || format!("refused seq={seq}")),
            What::Lost { seq } => seen.note(at, || format!("no reply seq={seq}")),
            What::Failed { seq, reason } => {
                seen.note(at, || format!("failed seq={seq} {}", escape::escape(reason.as_bytes())));
            }
            What::Trouble { reason } => {
                seen.note(at, || format!("error {}", escape::escape(reason.as_bytes())));
            }
            What::Silent { hint } => seen.note(at, || format!("no answer; usual causes: {hint}")),
            What::Ended { .. }
            | What::State { .. }
            | What::Interval { .. }
            | What::InARow { .. }
            | What::Moved { .. } => {}
        }
    }
}
