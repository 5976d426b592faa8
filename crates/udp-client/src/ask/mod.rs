//! Asks a service (`dns://`, `ntp://`, …) once, in its own protocol, and judges the answer.
//!
//! One thread, one connected socket at a time: what others send never comes to it. A request that is
//! repeated has an identity of its own, so that no round trip is that of another one. A refusal is a
//! hint (RFC 8085 §5.2), so the right answer is still waited for a while.

mod line;
mod stamp;
pub(crate) mod usage;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use udp_core::Shown;
use udp_core::batch::Wait;
use udp_core::cli::parse::ShownDuration;
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::{Console, Exit, Failure};
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::host_port;
use udp_core::service::{Ask, Asked, Nonces, Reply, Service, Spec, Then};

use crate::config::Config;
use crate::network::Route;
use crate::output::Output;
use crate::stats::{Counts, Mode};
use crate::transcript::{Event, refused_by};
use line::{Came, Line};
use stamp::Stamp;
use words::{Answered, Words};

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
    let mut failure = None;
    let mut last = peers[0];
    let count = peers.len();
    for (at, peer) in peers.into_iter().enumerate() {
        match asking.exchange(peer, &route, at + 1 == count) {
            Ok(ended) => (end, last) = (ended, peer),
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        }
        if matches!(end, End::Answered | End::Stopped) {
            break;
        }
    }
    if let Some(failure) = failure.filter(|_| asking.counts.sent == 0) {
        return Err(failure);
    }
    match end {
        End::Answered => {}
        End::Silent => {
            asking.counts.lost = 1;
            let causes = spec.entry().silence;
            // What the network says is the cause, and what answers in another language is not silent.
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
    /// The last that the network said, but for refusals.
    heard: Option<String>,
}

impl Asking<'_> {
    /// Asks at one address; at the `last` one as often as is to be tried.
    fn exchange(&mut self, peer: SocketAddr, route: &Route, last: bool) -> Result<End, Failure> {
        let mut line = Line::open(peer, route)?;
        self.kept.clear();
        self.heard = None;
        let first = self.requests.len() as u64 + 1;
        let mut wait = self.config.settings.timeout;
        let mut waited = Duration::ZERO;
        let mut end = End::Silent;
        let retries = if last { self.config.settings.retries } else { 0 };
        for _ in 0..=retries {
            self.request(&mut line)?;
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
    fn request(&mut self, line: &mut Line) -> Result<(), Failure> {
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
    ) -> Result<End, Failure> {
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
                Came::Datagram(_, at) if at > until => break,
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

    /// A datagram came at `at`: whether it is the answer, which is said.
    fn is_answered(
        &mut self,
        line: &mut Line,
        first: u64,
        (bytes, at): (&[u8], Mono),
        after_refusal: bool,
    ) -> bool {
        let peer = line.peer;
        let (now, wall) = (clock::mono(), clock::wall());
        let on_wall = |moment: Mono| {
            let ago = now.saturating_since(moment).as_nanos() as u64;
            Wall::from_nanos(wall.as_nanos().saturating_sub(ago))
        };
        let place = |number: u64| (number as usize).wrapping_sub(1);
        let last = self.requests.len() as u64;
        let sent = |number| self.requests.get(place(number)).map(|it| on_wall(it.sent));
        let asked = Asked {
            last,
            nonces: &self.nonces,
            peer,
            local: line.local,
            kept: &self.kept,
            by_port: Some(first),
            arrived: on_wall(at),
            sent: &sent,
        };
        let reply = self.service.recognise(&asked, bytes);
        // What an earlier address was asked is not this one's to answer.
        let reply = reply.filter(|reply| reply.number >= first);
        let number = reply.as_ref().map_or(0, |reply| reply.number);
        let (Some(mut reply), Some(request)) = (reply, self.requests.get_mut(place(number))) else {
            self.counts.unsolicited += 1;
            self.words.unsolicited(peer, bytes);
            return false;
        };
        self.kept = reply.keep.take().unwrap_or_else(|| std::mem::take(&mut self.kept));
        // What does not leave is not answered.
        match std::mem::take(&mut reply.then) {
            Then::Wait => return false,
            Then::Follow(more) if request.legs < LEGS => {
                *request = Request { sent: clock::mono(), legs: request.legs + 1 };
                let _ = line.send(&more);
                return false;
            }
            Then::Acknowledge(more) => drop(line.send(&more)),
            Then::Follow(_) | Then::Nothing | Then::AcknowledgeRepeats(_) => {}
        }
        let rtt = at.saturating_since(request.sent);
        self.answered(&reply, (peer, bytes), rtt, after_refusal, on_wall(at));
        true
    }

    fn answered(
        &mut self,
        reply: &Reply,
        (peer, bytes): (SocketAddr, &[u8]),
        rtt: Duration,
        after_refusal: bool,
        at: Wall,
    ) {
        let slow = self.config.settings.max_rtt.is_some_and(|most| rtt > most);
        self.counts.replied = 1;
        self.counts.replies = 1;
        self.counts.rtt.record(rtt);
        let answered = Answered { reply, peer, bytes, rtt, slow, after_refusal };
        self.counts.wrong = u64::from(self.words.reply(&answered, at));
    }

    /// The network says why nothing arrives; once, however often it does.
    fn unreachable(&mut self, peer: SocketAddr, text: String) {
        if self.heard.as_ref() != Some(&text) {
            self.network(peer, &text);
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
