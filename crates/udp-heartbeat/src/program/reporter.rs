//! Turns events into lines for the printer and stderr, and starts the command of `--on-change`.
//!
//! It never waits: lines that find no room are counted, and the printer says how many. Trouble is
//! said at most once a minute a kind, however often it comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use udp_core::cli::printer::Handle;
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::host_port;
use udp_core::service::Spec;

use super::hook::{Hook, Notice};
use crate::probe::event::{Event, Observer, Regrouped, Said, What};
use crate::probe::schedule::TargetId;
use crate::probe::session::Counts;
use crate::probe::state::Change;
use crate::report::{
    Answer, Budget, Form, Held, Item, Kind, Language, Output, Record, Reloaded, ReportEvent,
    StateChange, place,
};

/// How often the same trouble is said.
const QUIET_FOR: Duration = Duration::from_secs(60);
/// Kinds of trouble that are told apart; more of them are one.
const KINDS: usize = 256;

/// What a target is called.
#[derive(Debug, Clone, Default)]
struct Name {
    /// `host:port`.
    label: Arc<str>,
    /// As it was given.
    given: String,
    language: Language,
}

/// Tells what happens.
pub(crate) struct Reporter {
    names: Vec<Name>,
    output: Output,
    lines: Handle<Item>,
    hook: Option<Arc<Hook>>,
    budget: Budget,
    /// Since when each kind of trouble is not said, and how often it came in that time.
    said: HashMap<String, (Mono, u64)>,
}

impl Reporter {
    pub(crate) fn new(output: Output, lines: Handle<Item>, hook: Option<Arc<Hook>>) -> Self {
        let (names, said) = (Vec::new(), HashMap::new());
        Reporter { names, output, lines, hook, budget: Budget::default(), said }
    }

    /// Hands over a line that may be dropped; `make` has none if there is no room for it.
    fn offer(&self, make: impl FnOnce() -> Option<Item>) {
        let lines = &self.lines;
        match lines.has_room().then(make).flatten() {
            // No room after all: the printer has counted it.
            Some(item) => drop(lines.offer(item)),
            None => lines.count_dropped(1),
        }
    }

    fn label(&self, target: TargetId) -> Arc<str> {
        self.names.get(target as usize).map_or_else(|| "".into(), |name| name.label.clone())
    }

    fn change(&mut self, event: &Event<'_>, change: Change, counts: &Counts, reason: Option<&str>) {
        let (sent, lost, said) = (counts.sent, counts.lost, reason.map(str::to_owned));
        let change = StateChange { change, since: on_wall(change.since), sent, lost, said };
        if let Some(hook) = self.hook.as_ref().filter(|_| !change.change.is_first_up()) {
            hook.submit(Notice {
                target: event.target,
                label: self.label(event.target),
                given: self.names[event.target as usize].given.clone(),
                address: event.address.map(host_port).unwrap_or_default(),
                change: change.clone(),
            });
        }
        self.record(event, Kind::State, || ReportEvent::State(change));
    }

    fn record(&self, event: &Event<'_>, kind: Kind, make: impl FnOnce() -> ReportEvent) {
        if self.output.show.has(kind) {
            self.tell(event, || Some(make()));
        }
    }

    /// The same for an event with a payload.
    fn datagram(
        &self,
        event: &Event<'_>,
        kind: Kind,
        bytes: &[u8],
        make: impl FnOnce(Held) -> ReportEvent,
    ) {
        if self.output.show.has(kind) {
            self.tell(event, || self.budget.hold(bytes).map(make));
        }
    }

    fn tell(&self, event: &Event<'_>, make: impl FnOnce() -> Option<ReportEvent>) {
        self.offer(|| {
            Some(Item::Record(Record {
                at: on_wall(event.at),
                label: self.label(event.target),
                address: event.address,
                language: self
                    .names
                    .get(event.target as usize)
                    .map_or_else(Language::default, |name| name.language),
                event: make()?,
            }))
        });
    }

    /// Says trouble on stderr, unless the same was said within the last minute.
    fn trouble(&mut self, event: &Event<'_>, reason: &str) {
        let whom = place(&self.label(event.target), event.address);
        let known = self.said.len();
        let key = if known < KINDS || self.said.contains_key(reason) { reason } else { "" };
        match self.said.get_mut(key) {
            Some((until, times)) if event.at < *until => *times += 1,
            Some((until, times)) => {
                let more = std::mem::take(times);
                *until = event.at + QUIET_FOR;
                log::warn!("{whom}: {reason} ({more} more of this in the last minute)");
            }
            None => {
                self.said.insert(key.to_owned(), (event.at + QUIET_FOR, 0));
                log::warn!("{whom}: {reason}");
            }
        }
    }
}

impl Observer for Reporter {
    fn begin(&mut self, target: TargetId, label: &Arc<str>, given: &str) {
        let place = target as usize;
        if self.names.len() <= place {
            self.names.resize(place + 1, Name::default());
        }
        let (label, given) = (label.clone(), given.to_owned());
        self.names[place] = Name { label, given, language: Language::default() };
    }

    fn service(&mut self, target: TargetId, spec: &Spec) {
        if let Some(name) = self.names.get_mut(target as usize) {
            name.language = Language::of(spec);
        }
    }

    fn regrouped(&mut self, change: &Regrouped) {
        let Regrouped { gone, added, targets } = change;
        log::info!("{targets} targets, {added} added, {} removed", gone.len());
        // What finds no room is counted by the printer.
        for summary in gone.iter().filter(|_| self.output.show.has(Kind::Summary)) {
            drop(self.lines.offer(Item::Summary(Box::new(summary.clone()))));
        }
        let (at, removed) = (clock::wall(), gone.len());
        let fresh = Reloaded { at, targets: *targets, added: *added, removed };
        drop(self.lines.offer(Item::Reloaded(fresh)));
    }

    fn wants_sent(&self) -> bool {
        self.output.show.has(Kind::Sent)
    }

    fn observe(&mut self, event: &Event<'_>) {
        match event.what {
            What::Sent { seq, bytes } => {
                self.datagram(event, Kind::Sent, bytes, |bytes| ReportEvent::Sent {
                    seq: seq.0,
                    bytes,
                });
            }
            What::Reply { seq, reply, bytes, said } => {
                self.datagram(event, Kind::Reply, bytes, |bytes| ReportEvent::Reply {
                    seq: seq.0,
                    reply,
                    bytes,
                    said: said.map(|Said { spec, reply }| {
                        Box::new(Answer { entry: spec.entry(), reply: reply.clone() })
                    }),
                });
            }
            What::Late { seq, rtt, bytes } => {
                self.datagram(event, Kind::Late, bytes, |bytes| ReportEvent::Late {
                    seq: seq.0,
                    rtt,
                    bytes,
                });
            }
            What::Duplicate { seq, rtt, bytes } => {
                self.datagram(event, Kind::Duplicate, bytes, |bytes| ReportEvent::Duplicate {
                    seq: seq.0,
                    rtt,
                    bytes,
                });
            }
            What::Unsolicited { bytes } => log::debug!("{} bytes answer no beat", bytes.len()),
            What::Lost { seq } => {
                self.record(event, Kind::Lost, || ReportEvent::Lost { seq: seq.0 });
            }
            What::Refused { seq } => {
                self.record(event, Kind::Refused, || ReportEvent::Refused { seq: seq.0 });
            }
            What::Failed { seq, reason } => {
                self.record(event, Kind::Error, || ReportEvent::Error {
                    seq: Some(seq.0),
                    reason: reason.into(),
                });
            }
            What::Trouble { reason } => {
                self.trouble(event, reason);
                if self.output.form == Form::Json {
                    self.record(event, Kind::Error, || ReportEvent::Error {
                        seq: None,
                        reason: reason.into(),
                    });
                }
            }
            What::State { change, counts, reason } => self.change(event, change, counts, reason),
            What::Silent { hint } => {
                let whom = place(&self.label(event.target), event.address);
                log::warn!("{whom}: no answer; usual causes: {hint}");
            }
            What::Interval { figures } => {
                self.record(event, Kind::Interval, || ReportEvent::Interval(figures));
            }
            What::InARow { .. } | What::Ended { .. } => {}
            What::Moved { from } => {
                let now = event.address.map(host_port).unwrap_or_default();
                if self.output.form == Form::Json {
                    self.tell(event, || Some(ReportEvent::Moved { from }));
                }
                let label = self.label(event.target);
                match from {
                    Some(from) => log::warn!("{label} is at {now} now, was at {}", host_port(from)),
                    None => log::warn!("{label} is at {now}"),
                }
            }
        }
    }
}

/// The time of day at a moment of the monotonic clock.
pub(super) fn on_wall(moment: Mono) -> Wall {
    let (wall, now) = (clock::wall(), clock::mono());
    let ago = now.as_nanos().saturating_sub(moment.as_nanos());
    Wall::from_nanos(wall.as_nanos().saturating_sub(ago))
}
