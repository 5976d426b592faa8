//! The receiving thread: waits for all ports at once and hands on what came, many at a time.
//!
//! Each datagram has the time at which the kernel took it in, so that neither a busy session nor a
//! stopped process lengthens round-trip times. The channel is bounded: where the session does not keep up,
//! datagrams wait in their sockets, and what does not fit there the kernel drops.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crossbeam_channel::{Sender, bounded};
use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use udp_core::ErrorClass;
use udp_core::clock::{self, Mono, Stamps};
use udp_core::socket::icmp::{self, IcmpError, IcmpKind};
use udp_core::socket::stamped;
use udp_core::source_port::PortId;

use super::socket::Port;

/// No UDP payload is longer.
const LARGEST: usize = 65_536;
/// Batches that may wait for the session.
const CAPACITY: usize = 8;
/// A batch takes no more datagrams once it has so many bytes.
const MOST_BYTES: usize = 256 * 1024;
/// What is read of one socket before the others get their turn.
const TURN: usize = 64;

/// The token of what wakes the receiver; no slot comes near it.
const WAKE: Token = Token(usize::MAX);

/// What came to one source port.
#[derive(Debug)]
pub struct Arrived {
    /// The source port.
    pub port_id: PortId,
    /// When.
    pub at: Mono,
    /// What.
    pub what: What,
}

/// Kinds of arrivals.
#[derive(Debug)]
pub enum What {
    /// A datagram from somebody who can answer; where its bytes are in the batch.
    Datagram(SocketAddr, Range<usize>),
    /// A datagram from somebody else.
    Foreign(SocketAddr, Range<usize>),
    /// What the network says about a datagram that was sent.
    Icmp(IcmpError),
    /// The receive failed in another way.
    Failed(io::Error),
}

/// What came since the last batch, in order for each source port.
#[derive(Debug, Default)]
pub struct Batch {
    /// The arrivals.
    pub arrivals: Vec<Arrived>,
    bytes: Vec<u8>,
}

impl Batch {
    /// The bytes of a datagram of this batch.
    pub fn bytes(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }
}

/// The sockets of one source port, as the receiver sees them.
#[derive(Debug)]
struct Listening {
    port_id: PortId,
    socket: Arc<UdpSocket>,
    companion: Option<UdpSocket>,
}

/// The open ports.
#[derive(Debug)]
pub struct Ports {
    registry: Registry,
    waker: Waker,
    over: AtomicBool,
    /// By the source port's slot.
    table: Mutex<Vec<Option<Listening>>>,
}

impl Ports {
    /// An empty table, and the poll that its sockets will wake.
    pub(super) fn new() -> io::Result<(Ports, Poll)> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let waker = Waker::new(&registry, WAKE)?;
        let table = Mutex::default();
        Ok((Ports { registry, waker, over: AtomicBool::new(false), table }, poll))
    }

    /// Hands a port's sockets to the receiver; the one to send with comes back.
    pub(super) fn listen(&self, port_id: PortId, port: Port) -> io::Result<Arc<UdpSocket>> {
        let Port { mut socket, mut companion, .. } = port;
        // Held over the registration: the receiver must find the port when its first event comes.
        let mut table = self.table();
        self.registry.register(&mut socket, token(port_id.slot(), false), Interest::READABLE)?;
        if let Some(companion) = &mut companion {
            self.registry.register(companion, token(port_id.slot(), true), Interest::READABLE)?;
        }
        let socket = Arc::new(socket);
        while table.len() <= port_id.slot() {
            table.push(None);
        }
        let listening = Listening { port_id, socket: Arc::clone(&socket), companion };
        if let Some(place) = table.get_mut(port_id.slot()) {
            *place = Some(listening);
        }
        Ok(socket)
    }

    /// Takes a source port's sockets away from the receiver; closed, they leave the poll by themselves.
    pub(super) fn forget(&self, port_id: PortId) {
        if let Some(place) = self.table().get_mut(port_id.slot()) {
            *place = None;
        }
    }

    /// Ends the receiver.
    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        if let Err(error) = self.waker.wake() {
            log::debug!("cannot wake the receiver: {error}");
        }
    }

    /// Whether it has been ended.
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn table(&self) -> MutexGuard<'_, Vec<Option<Listening>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The token of a source port's socket, or of its companion.
fn token(slot: usize, companion: bool) -> Token {
    Token(slot * 2 + usize::from(companion))
}

/// The slot behind a token, and whether it is the companion's.
fn untoken(token: Token) -> (usize, bool) {
    (token.0 / 2, token.0 % 2 == 1)
}

/// The receiving thread's end for the session. It ends with this.
#[derive(Debug)]
pub struct Receiver {
    batches: crossbeam_channel::Receiver<Batch>,
    ports: Arc<Ports>,
}

impl Receiver {
    /// What came.
    pub fn batches(&self) -> &crossbeam_channel::Receiver<Batch> {
        &self.batches
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ports.end();
    }
}

/// Starts the thread.
pub(super) fn start(poll: Poll, ports: Arc<Ports>) -> io::Result<Receiver> {
    let (sender, batches) = bounded(CAPACITY);
    let shared = Arc::clone(&ports);
    let run = move || receive(poll, &shared, &sender);
    thread::Builder::new().name("receiver".into()).spawn(run)?;
    Ok(Receiver { batches, ports })
}

fn receive(mut poll: Poll, ports: &Ports, sender: &Sender<Batch>) {
    let mut events = Events::with_capacity(256);
    let mut buffer = vec![0; LARGEST];
    let mut stamps = Stamps::default();
    let mut ready: Vec<Token> = Vec::new();
    while !ports.is_over() {
        // Sockets that had their turn and may hold more are looked at again at once.
        let patience = (!ready.is_empty()).then_some(std::time::Duration::ZERO);
        match poll.poll(&mut events, patience) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                log::error!("cannot wait for datagrams: {error}");
                return;
            }
            _ => ready.extend(events.iter().map(Event::token).filter(|t| *t != WAKE)),
        }
        ready.sort_unstable();
        ready.dedup();
        let mut batch = Batch::default();
        let table = ports.table();
        ready.retain(|&token| {
            let (slot, companion) = untoken(token);
            let listening = table.get(slot).and_then(Option::as_ref);
            listening.is_some_and(|it| drain(it, companion, (&mut buffer, &mut stamps), &mut batch))
        });
        drop(table);
        if !batch.arrivals.is_empty() && sender.send(batch).is_err() {
            return;
        }
    }
}

/// Reads a socket until it is empty (an event comes only once), or its turn is over: `true`.
fn drain(
    port: &Listening,
    companion: bool,
    (buffer, stamps): (&mut [u8], &mut Stamps),
    batch: &mut Batch,
) -> bool {
    let socket: &UdpSocket = match (&port.companion, companion) {
        (Some(other), true) => other,
        _ => &port.socket,
    };
    let mut failed = false;
    for _ in 0..TURN {
        if batch.bytes.len() >= MOST_BYTES {
            return true;
        }
        let received = stamped::receive(socket, buffer, UdpSocket::recv_from);
        let (wall, now) = (clock::wall(), clock::mono());
        let mut at = now;
        let what = match received {
            Ok((length, from, stamp)) => {
                at = stamp.map_or(now, |stamp| stamps.to_mono(stamp, wall, now));
                let start = batch.bytes.len();
                batch.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                let range = start..batch.bytes.len();
                if companion { What::Foreign(from, range) } else { What::Datagram(from, range) }
            }
            Err(error) => match ErrorClass::of(&error) {
                ErrorClass::NotReady => return false,
                ErrorClass::Interrupted => continue,
                class => {
                    // The error queue says what it was, by whom; the call that failed is spent.
                    let tell = |error| {
                        let (port_id, what) = (port.port_id, What::Icmp(error));
                        batch.arrivals.push(Arrived { port_id, at, what });
                    };
                    if icmp::drain(socket, tell) {
                        continue;
                    }
                    match class {
                        ErrorClass::Refused => {
                            What::Icmp(IcmpError::new(IcmpKind::PortUnreachable))
                        }
                        // One that stays is not asked again before something comes.
                        _ if std::mem::replace(&mut failed, true) => return false,
                        _ => What::Failed(error),
                    }
                }
            },
        };
        batch.arrivals.push(Arrived { port_id: port.port_id, at, what });
    }
    true
}
