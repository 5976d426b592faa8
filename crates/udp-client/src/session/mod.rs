//! The client's event loop: one select over input, network, deadline and interrupt.
//!
//! This is the one owner of what is going on. It asks the [`exchange`](crate::exchange) what to
//! do, does it with the sockets, and tells the transcript; everything else is threads that feed
//! it through channels.

pub mod addresses;
mod receive;
mod report;
mod send;

use std::collections::VecDeque;
use std::time::Duration;

use crossbeam_channel::{never, select};
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::{Console, Exit, Failure};
use udp_core::clock::{self, Mono, Wall};

use self::addresses::Addresses;
use crate::ask;
use crate::config::{Config, Source};
use crate::exchange::Exchange;
use crate::exchange::{Message, Replies};
use crate::input::{self, Fault, Feed, Input, Restore};
use crate::network::{Network, Receiver, Route, failure};
use crate::output::{self, Output};
use crate::stats::Mode;
use crate::transcript::{PendingOutput, Transcript};

/// After the last reply, a second one is listened for: twice as long as the last reply took, and
/// within these bounds.
const AFTER_LAST: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));
/// A refusal is a hint (RFC 8085 §5.2): at the end the right answer is waited for as long as its time
/// lasts, and at most so long.
const REFUSED: Duration = Duration::from_secs(1);
/// What is said is handed on at the latest when it is so long.
const BLOCK: usize = 64 * 1024;
/// Batches that are heard in a row before anything else gets its turn.
const BATCHES_IN_A_ROW: usize = 16;
/// How long to sleep when nothing is due.
const LONG: Duration = Duration::from_secs(3600);

/// Runs what is configured, and says how it ended.
///
/// # Errors
/// A target that does not resolve, or a local failure.
pub fn run(config: Config, console: &Console) -> Result<Exit, Failure> {
    if let Some(spec) = &config.service {
        return ask::run(&config, spec, console);
    }
    let (peers, route) = Route::resolve(&config)?;
    let mut addresses = Addresses::new(peers);
    let (mut network, receiver) = Network::start(route, config.mode)?;
    open_first(&mut network, &mut addresses)?;
    let signals = Signals::install(Hangup::Stop)?;
    let editing = config.source == Source::Editor;
    let (restore, ahead) = editing.then(Restore::take_over).unzip();
    let (input, screen) = input::start(&config, ahead.unwrap_or_default())?;
    let output = Output::start(screen, &config, console, &signals)?;
    let mut session = Session::new(config, addresses, network, output);
    let ending = session.converse(&receiver, &input, &signals);
    // Stopped in the middle of a line, the editor shows nothing more.
    let at_work = session.prompt == Prompt::Asked;
    let exit = session.finish(ending, restore.as_ref().filter(|_| at_work));
    if let Some(restore) = restore {
        restore.put_back();
    }
    exit
}

/// Opens a port to the first address that there is a way to, so that what cannot work is said at
/// once.
fn open_first(network: &mut Network, addresses: &mut Addresses) -> Result<(), Failure> {
    let mut first = None;
    for asked in 0..addresses.count() {
        let Err(error) = network.open_first(addresses.peer()) else { return Ok(()) };
        log::info!("{error}");
        first.get_or_insert(error);
        addresses.turn_from(addresses.peer(), asked);
    }
    first.map_or(Ok(()), |error| Err(failure(error)))
}

/// What waits for its turn.
#[derive(Debug)]
enum Pending {
    Message(Message),
    /// Input that makes no message, and why.
    Unusable(Fault),
}

/// Whether a person is being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prompt {
    Idle,
    Asked,
}

/// Whether there is a port to leave from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PortsReady {
    /// As far as is known.
    Now,
    /// Not before this.
    At(Mono),
    /// Not before something happens to a message in flight.
    Later,
}

/// Why a conversation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Done,
    Stopped,
    ReaderGone,
}

struct Session {
    config: Config,
    addresses: Addresses,
    exchange: Exchange,
    network: Network,
    transcript: Box<dyn Transcript>,
    said: PendingOutput,
    output: Output,
    queue: VecDeque<Pending>,
    /// The number of the last message.
    seq: u64,
    input_over: bool,
    prompt: Prompt,
    /// No message leaves before.
    next_send: Mono,
    /// Whether messages have to wait for a port.
    ports: PortsReady,
    /// Since when there has been no room on the way out.
    busy_since: Option<Mono>,
    last_rtt: Duration,
    /// Since when there is nothing left to send or to wait for.
    done: Option<Mono>,
    /// Until when a second reply, or one after a refusal, is listened for then.
    linger: Option<Mono>,
    /// Two readings of the same moment, to tell the wall time of others.
    anchor: (Mono, Wall),
    /// What went wrong with the input.
    failure: Option<Failure>,
}

impl Session {
    fn new(config: Config, addresses: Addresses, network: Network, output: Output) -> Session {
        let transcript = output::transcript(&config);
        Session {
            exchange: Exchange::new(config.settings.clone()),
            config,
            addresses,
            network,
            transcript,
            said: PendingOutput::default(),
            output,
            queue: VecDeque::new(),
            seq: 0,
            input_over: false,
            prompt: Prompt::Idle,
            next_send: Mono::default(),
            ports: PortsReady::Now,
            busy_since: None,
            last_rtt: Duration::ZERO,
            done: None,
            linger: None,
            anchor: (clock::mono(), clock::wall()),
            failure: None,
        }
    }

    fn converse(&mut self, receiver: &Receiver, input: &Input, signals: &Signals) -> Ending {
        let no_input = never();
        let reader_gone = self.output.reader_gone().clone();
        loop {
            self.anchor = (clock::mono(), clock::wall());
            for batch in receiver.batches().try_iter().take(BATCHES_IN_A_ROW) {
                self.hear(&batch);
            }
            if self.overslept() {
                self.catch_up(receiver);
            }
            self.look_at_deadlines();
            self.send_what_may_go();
            if self.is_over() {
                return Ending::Done;
            }
            self.ask(input);
            self.say();
            let wanted = self.queue.is_empty() && !self.input_over;
            select! {
                recv(receiver.batches()) -> batch => match batch {
                    Ok(batch) => self.hear(&batch),
                    Err(_) => return self.fail("cannot receive: the receiver has ended"),
                },
                recv(if wanted { &input.feed } else { &no_input }) -> feed => {
                    self.prompt = Prompt::Idle;
                    match feed {
                        Ok(Feed::Items(items)) => self.take(items),
                        Ok(Feed::End) => self.end_input(),
                        Ok(Feed::Interrupted) => return Ending::Stopped,
                        Ok(Feed::Failed(why)) => {
                            self.failure = Some(Failure::local(why));
                            self.end_input();
                        }
                        Err(_) => self.input_over = true,
                    }
                }
                recv(signals.events()) -> event => match event {
                    Ok(SignalEvent::Snapshot) => self.snapshot(),
                    Ok(SignalEvent::Stop | SignalEvent::Reload) | Err(_) => return Ending::Stopped,
                },
                recv(reader_gone) -> _ => return Ending::ReaderGone,
                default(self.patience()) => {}
            }
        }
    }

    fn take(&mut self, items: Vec<input::Item>) {
        for item in items {
            self.queue.push_back(match item {
                Ok(payload) => {
                    self.seq += 1;
                    Pending::Message(Message { seq: self.seq, payload, ..Message::default() })
                }
                Err(fault) => Pending::Unusable(fault),
            });
        }
    }

    fn end_input(&mut self) {
        self.input_over = true;
        self.leave_prompt();
    }

    fn fail(&mut self, why: &str) -> Ending {
        self.failure = Some(Failure::local(why));
        Ending::Done
    }

    /// Whether everything has been said and heard. A service that answers twice does so at once,
    /// so the end waits that long for it.
    fn is_over(&mut self) -> bool {
        if !self.input_over || !self.queue.is_empty() || self.exchange.outstanding() > 0 {
            return false;
        }
        if self.config.source.is_prompt() {
            return true;
        }
        let now = clock::mono();
        let done = *self.done.get_or_insert(now);
        let until = match self.exchange.refused_until() {
            Some(until) if now < until => until.min(done + REFUSED),
            _ if self.config.settings.replies == Replies::Any => return true,
            _ if self.exchange.counts().replied == 0 => return true,
            _ => done + (self.last_rtt * 2).clamp(AFTER_LAST.0, AFTER_LAST.1),
        };
        self.linger = Some(until);
        now >= until
    }

    /// How long there is nothing to do unless something happens.
    fn patience(&self) -> Duration {
        let can_send = !self.queue.is_empty() && self.exchange.outstanding() < self.config.window;
        let send = match self.ports {
            _ if !can_send => None,
            PortsReady::Now => Some(self.next_send),
            PortsReady::At(due) => Some(due),
            PortsReady::Later => None,
        };
        let dues = [self.exchange.next_due(), self.exchange.next_close(), send, self.linger];
        let next = dues.into_iter().flatten().min();
        next.map_or(LONG, |due| due.saturating_since(clock::mono()))
    }

    fn waits(&self) -> bool {
        self.config.mode == Mode::Request
    }
}
