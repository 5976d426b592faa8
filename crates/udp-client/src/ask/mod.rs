//! A service, asked once in its own language: the exchange, said in words, and a verdict.
//!
//! One thread, one connected socket at a time: what others send never comes to it. A refusal is a
//! hint (RFC 8085 §5.2), so the right answer is still waited for a while.

mod stamp;
pub(crate) mod usage;
mod words;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use udp_core::ErrorClass;
use udp_core::cli::shutdown::{Hangup, Signals};
use udp_core::cli::{Console, Exit, Failure};
use udp_core::clock::{self, Mono, Wall};
use udp_core::endpoint::host_port;
use udp_core::error::describe;
use udp_core::service::{Ask, Asked, Nonces, Reply, Service, Spec, Then};
use udp_core::socket::{ReceiveMode, SocketConfig};

use crate::config::Config;
use crate::network::Route;
use crate::output::Output;
use crate::stats::{Counts, Mode};
use crate::transcript::Event;
use stamp::Stamp;
use words::{Answered, Words};

/// How often a wait looks whether the program is to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long an answer is waited for after a refusal.
const REFUSED: Duration = Duration::from_millis(200);
/// Legs of one exchange: past so many challenges the last one is its answer.
const LEGS: u32 = 4;

/// How an exchange with one address ended.
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
    let mut asking = Asking { config, service, nonces, words, counts: Counts::default(), signals };
    let mut end = End::Silent;
    let mut failure = None;
    let mut last = peers[0];
    for peer in peers {
        match asking.exchange(peer, &route) {
            Ok(ended) => (end, last) = (ended, peer),
            Err(error) => {
                failure.get_or_insert(error);
                continue;
            }
        }
        output.say(asking.words.said());
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
            if !causes.is_empty() {
                log::warn!("{}: no answer; usual causes: {causes}", host_port(last));
            }
        }
        End::Refused => asking.counts.refused = 1,
        End::Stopped => asking.counts.pending = 1,
    }
    let Asking { mut words, counts, .. } = asking;
    words.summary(&counts, last);
    output.end(words.into_said())?;
    Ok(counts.exit(Mode::Request))
}

struct Asking<'a> {
    config: &'a Config,
    service: &'a dyn Service,
    nonces: Nonces,
    words: Words<'a>,
    counts: Counts,
    signals: Signals,
}

impl Asking<'_> {
    /// Asks at one address, as often as is to be tried.
    fn exchange(&mut self, peer: SocketAddr, route: &Route) -> Result<End, Failure> {
        let mode = ReceiveMode::Timeout(GLANCE);
        let config = SocketConfig { connect: Some(peer), mode, ..route.socket(peer) };
        let socket = config.open()?.socket;
        let local = socket.local_addr().ok();
        let mut bytes = Vec::new();
        let name = self.config.target.name();
        let ask = Ask { number: 1, nonces: &self.nonces, peer, name, local, kept: &[] };
        self.service.request(&ask, &mut bytes);
        let mut wait = self.config.settings.timeout;
        let (mut refused, mut waited, mut attempts) = (false, Duration::ZERO, 0);
        for attempt in 1..=self.config.settings.retries.saturating_add(1) {
            let sent = clock::mono();
            let result = retried(|| socket.send(&bytes));
            match result {
                Ok(_) => self.counts.sent = 1,
                // It says what became of an earlier one; this one did not leave.
                Err(error) if ErrorClass::of(&error) == ErrorClass::Refused => {}
                Err(error) => {
                    let to = host_port(peer);
                    return Err(Failure::local(format!(
                        "cannot send to {to}: {}",
                        describe(&error)
                    )));
                }
            }
            self.counts.retries += u64::from(attempt > 1);
            self.words.sent(attempt, peer, &bytes, clock::wall());
            match self.wait(&socket, (peer, local), sent, wait)? {
                End::Silent => refused = false,
                End::Refused => refused = true,
                end => return Ok(end),
            }
            (waited, attempts) = (waited + wait, attempt);
            wait = wait.saturating_mul(2);
        }
        if refused {
            return Ok(End::Refused);
        }
        self.words.event(Event::Timeout { seq: 1, peer, waited, attempts });
        Ok(End::Silent)
    }

    /// Waits for the answer to what was sent.
    fn wait(
        &mut self,
        socket: &UdpSocket,
        (peer, local): (SocketAddr, Option<SocketAddr>),
        mut sent: Mono,
        wait: Duration,
    ) -> Result<End, Failure> {
        let mut until = sent + wait;
        let (mut refused, mut legs, mut kept) = (false, 1, Vec::new());
        let mut buffer = vec![0; 65_536];
        while clock::mono() < until {
            if self.signals.stopped() {
                return Ok(End::Stopped);
            }
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) => match ErrorClass::of(&error) {
                    ErrorClass::Refused => {
                        if !std::mem::replace(&mut refused, true) {
                            self.words.event(Event::Refused { seq: Some(1), peer, by: None });
                        }
                        until = until.min(clock::mono() + REFUSED);
                        continue;
                    }
                    ErrorClass::NotReady | ErrorClass::Interrupted | ErrorClass::Unreachable => {
                        continue;
                    }
                    _ => {
                        let from = host_port(peer);
                        let reason = describe(&error);
                        return Err(Failure::local(format!(
                            "cannot receive from {from}: {reason}"
                        )));
                    }
                },
            };
            let (at, arrived) = (clock::mono(), clock::wall());
            let ago = at.saturating_since(sent).as_nanos() as u64;
            let was_sent = Wall::from_nanos(arrived.as_nanos().saturating_sub(ago));
            let asked = Asked {
                last: 1,
                nonces: &self.nonces,
                peer,
                local,
                kept: &kept,
                by_port: Some(1),
                arrived,
                sent: &|_| Some(was_sent),
            };
            let bytes = &buffer[..length];
            let Some(mut reply) = self.service.recognise(&asked, bytes) else {
                self.counts.unsolicited += 1;
                let kind = crate::exchange::Unsolicited::Extra;
                self.words.event(Event::Unsolicited { seq: Some(1), peer, bytes, kind });
                continue;
            };
            kept = reply.keep.take().unwrap_or(kept);
            match std::mem::take(&mut reply.then) {
                Then::Wait => continue,
                Then::Follow(more) if legs < LEGS => {
                    legs += 1;
                    sent = clock::mono();
                    // What does not leave is not answered.
                    let _ = retried(|| socket.send(&more));
                    continue;
                }
                Then::Acknowledge(more) => drop(retried(|| socket.send(&more))),
                Then::Follow(_) | Then::Nothing | Then::AcknowledgeRepeats(_) => {}
            }
            self.answered(&reply, (peer, bytes), at.saturating_since(sent), refused, arrived);
            return Ok(End::Answered);
        }
        Ok(if refused { End::Refused } else { End::Silent })
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
}

/// The call once more where a signal cut it short.
fn retried<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
