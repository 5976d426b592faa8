//! Asks a service (`dns://`, `ntp://`, …) once, in its own protocol, and judges the answer.
//!
//! One thread, a connected socket for each address: what others send never comes to it. A request that is
//! repeated has an identity of its own, so that no round trip is that of another one. A refusal is a
//! hint (RFC 8085 §5.2), so the right answer is still waited for a while.

mod answer;
mod line;
mod stamp;
pub(crate) mod usage;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::batch::Wait;
use udp_core::cli::parse::ShownDuration;
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::{Console, Exit, Failure};
use udp_core::clock::{self, Mono};
use udp_core::endpoint::host_port;
use udp_core::service::{Ask, Nonces, Service, Spec, Then};
use udp_core::{Error, Shown};

use crate::config::Config;
use crate::network::{Route, denied, failure};
use crate::output::Output;
use crate::stats::{Counts, Mode};
use crate::transcript::{Event, refused_by};
use line::{Came, Line};
use stamp::Stamp;
use words::Words;

/// How often a wait looks whether the program is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long an answer is waited for after a refusal.
const REFUSED: Duration = Duration::from_millis(200);
/// Legs of one exchange: past so many challenges the last one is its answer.
const LEGS: u32 = 4;

/// How an exchange with one address ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Answered,
    Silent,
    Refused,
    Stopped,
}

/// Asks, says what came, and how it ended.
///
/// # Errors
/// A target that does not resolve, or a local failure.
pub(crate) fn run(config: &Config, spec: &Spec, console: &Console) -> Result<Exit, Failure> {
    let nonces = Nonces::new(Nonces::secret(), 1);
    let stamp = Stamp::new(clock::wall(), nonces.short(1) | 1);
    let service = spec.service().map_or(&stamp as &dyn Service, |service| &**service);
    let (peers, route) = Route::resolve(config)?;
    let mut last = peers[0];
    let (mut lines, mut unsent) = (Vec::new(), Vec::new());
    for peer in peers {
        match Line::open(peer, &route) {
            Ok(line) => lines.push(line),
            Err(error) => unsent.push(error),
        }
    }
    let signals = Signals::install(Hangup::Stop)?;
    let output = Output::start(None, config, console, &signals)?;
    let words = Words::new(config, spec, service.is_secret());
    let mut asking = Asking {
        config,
        service,
        nonces,
        words,
        output,
        counts: Counts::default(),
        signals,
        requests: Vec::new(),
        kept: Vec::new(),
        heard: None,
    };
    let mut end = End::Silent;
    let count = lines.len();
    for (at, line) in lines.into_iter().enumerate() {
        let peer = line.peer;
        match asking.exchange(line, at + 1 == count) {
            Ok(ended) => (end, last) = (ended, peer),
            Err(error) if asking.counts.sent == 0 => unsent.push(error),
            Err(error) => asking.failed(&error),
        }
        if matches!(end, End::Answered | End::Stopped) {
            break;
        }
    }
    unsent.iter().for_each(|error| log::info!("{error}"));
    if let Some(error) = unsent.into_iter().next().filter(|_| asking.counts.sent == 0) {
        return Err(failure(error));
    }
    match end {
        End::Answered => {}
        End::Silent => {
            asking.counts.lost = 1;
            let causes = spec.entry().silence;
            // What was said is the cause, and what answers in another language is not silent.
            let explained = asking.heard.is_some() || asking.counts.unsolicited > 0;
            if !causes.is_empty() && !explained {
                log::warn!("{}: no answer; usual causes: {causes}", host_port(last));
            }
        }
        End::Refused => asking.counts.refused = 1,
        End::Stopped => asking.counts.pending = 1,
    }
    let Asking { mut words, counts, output, .. } = asking;
    words.summary(&counts, last);
    output.end(words.into_said())?;
    Ok(counts.exit(Mode::Request))
}

/// A request that left.
struct Request {
    /// When, or when the last one that goes on with it did.
    sent: Mono,
    legs: u32,
}

struct Asking<'a> {
    config: &'a Config,
    service: &'a dyn Service,
    nonces: Nonces,
    words: Words<'a>,
    output: Output,
    counts: Counts,
    signals: Signals,
    /// Those that left so far: the first has the number 1.
    requests: Vec<Request>,
    /// What the service asked to remember.
    kept: Vec<u8>,
    /// The last that the network or this host said, but for refusals.
    heard: Option<String>,
}

impl Asking<'_> {
    /// Asks at one address; at the `last` one as often as is to be tried.
    fn exchange(&mut self, mut line: Line, last: bool) -> Result<End, Error> {
        let peer = line.peer;
        self.kept.clear();
        self.heard = None;
        let first = self.requests.len() as u64 + 1;
        let mut wait = self.config.settings.timeout;
        let mut waited = Duration::ZERO;
        let mut end = End::Silent;
        let retries = if last { self.config.settings.retries } else { 0 };
        for attempt in 0..=retries {
            match self.request(&mut line) {
                // The request before it may be answered yet.
                Err(error) if attempt > 0 => self.failed(&error),
                sent => sent?,
            }
            end = self.wait(&mut line, first, wait, last)?;
            if matches!(end, End::Answered | End::Stopped) {
                return Ok(end);
            }
            waited += wait;
            wait = wait.saturating_mul(2);
        }
        if end == End::Silent {
            if last {
                let attempts = self.requests.len() as u32;
                self.tell(Event::Timeout { seq: 1, peer, waited, attempts });
                if let Some((bytes, at)) = line.late.take()
                    && let Some((reply, _)) = self.recognise(&line, first, (&bytes, at))
                {
                    let more = matches!(reply.then, Then::Wait | Then::Follow(_));
                    self.counts.late = u64::from(!more);
                }
            } else if self.heard.is_none() {
                let waited = ShownDuration(waited);
                let whom = Shown(peer);
                self.network(
                    peer,
                    &format!("no reply from {whom} within {waited}, asking the next address"),
                );
            }
        }
        Ok(end)
    }

    /// Sends one request more.
    fn request(&mut self, line: &mut Line) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let number = self.requests.len() as u64 + 1;
        let (peer, local, name) = (line.peer, line.local, self.config.target.name());
        let ask = Ask { number, nonces: &self.nonces, peer, name, local, kept: &self.kept };
        self.service.request(&ask, &mut bytes);
        let (sent, at) = (clock::mono(), clock::wall());
        line.send(&bytes)?;
        self.requests.push(Request { sent, legs: 1 });
        self.counts.sent = 1;
        self.counts.retries = number - 1;
        // No more than retries and addresses.
        self.words.sent(number as u32, peer, &bytes, at);
        self.output.say(self.words.said());
        Ok(())
    }

    /// Waits for the answer to the requests from the `first` on.
    fn wait(
        &mut self,
        line: &mut Line,
        first: u64,
        wait: Duration,
        last: bool,
    ) -> Result<End, Error> {
        let peer = line.peer;
        let mut until = clock::mono() + wait;
        let mut refused = false;
        loop {
            if self.signals.stopped() {
                return Ok(End::Stopped);
            }
            self.snapshots();
            let left = until.saturating_since(clock::mono());
            // What came in time may be read late, by a process that was stopped.
            let patience = match left.is_zero() {
                true => Wait::Now,
                false => Wait::Block(Some(left.min(GLANCE))),
            };
            match line.receive(patience)? {
                Came::Nothing if left.is_zero() => break,
                Came::Nothing => {}
                // It may answer the request that is repeated next.
                Came::Datagram(bytes, at) if at > until => {
                    line.late = Some((bytes, at));
                    break;
                }
                Came::Datagram(bytes, at) => {
                    if self.is_answered(line, first, (&bytes, at), refused) {
                        return Ok(End::Answered);
                    }
                }
                Came::Network(errors) => {
                    for error in errors {
                        if !error.is_refusal() {
                            self.unreachable(peer, error.to_string());
                        } else if !last {
                            self.network(peer, &refused_by(peer, error.from));
                            return Ok(End::Refused);
                        } else if !std::mem::replace(&mut refused, true) {
                            self.tell(Event::Refused { seq: Some(1), peer, by: error.from });
                            until = until.min(clock::mono() + REFUSED);
                        }
                    }
                    if !last {
                        return Ok(End::Silent);
                    }
                }
            }
        }
        Ok(if refused { End::Refused } else { End::Silent })
    }

    /// The network says why nothing arrives; once, however often it does.
    fn unreachable(&mut self, peer: SocketAddr, text: String) {
        if self.heard.as_ref() != Some(&text) {
            self.network(peer, &text);
            self.heard = Some(text);
        }
    }

    /// What failed in this host after a request had left; once, however often it does.
    fn failed(&mut self, error: &Error) {
        let text = error.to_string();
        if self.heard.as_ref() != Some(&text) {
            self.tell(Event::Error { seq: Some(1), text: &text, hint: denied(error) });
            self.heard = Some(text);
        }
    }

    /// What the network, or silence, says of an address.
    fn network(&mut self, peer: SocketAddr, text: &str) {
        self.tell(Event::Network { seq: Some(1), peer, text });
    }

    fn tell(&mut self, event: Event<'_>) {
        self.words.event(event);
        self.output.say(self.words.said());
    }

    /// Says how things stand, if that was asked for.
    fn snapshots(&self) {
        let asked = self.signals.events().try_iter();
        for _ in asked.filter(|event| *event == SignalEvent::Snapshot) {
            self.output.snapshot(format!("{}, 1 in flight", self.counts));
        }
    }
}
