//! Request and reply: a question over UDP, with a time-out, retries, and no mixed-up answers.
//!
//! ```
//! # let server = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! # let address = server.local_addr()?;
//! # let serving = std::thread::spawn(move || {
//! #     let mut buffer = [0; 100];
//! #     let (n, peer) = server.recv_from(&mut buffer)?;
//! #     server.send_to(&[b"echo ", &buffer[..n]].concat(), peer)
//! # });
//! use udp_core::exchange::Exchange;
//!
//! let mut exchange = Exchange::new(address);
//! let reply = exchange.request(b"hello")?;
//! assert_eq!(reply.bytes, b"echo hello");
//! # serving.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A request leaves from a source port where no other is outstanding, by the rules of
//! [`source_port`](crate::source_port), so a late reply never passes for the answer to the next
//! request, whatever the protocol. The sockets are connected: the kernel drops what others send.
//! A retry is the same datagram from the same port, after a wait twice as long (RFC 8085 §3.1.1):
//! what is asked should be harmless to do twice.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::batch::{Backend, Io, Options, Receiver, SLOT, Slots, Wait};
use crate::clock::{self, Mono, Stamps};
use crate::endpoint::host_port;
use crate::error::{Error, ErrorClass, Operation};
use crate::socket::SocketConfig;
use crate::source_port::{Arrival, Lease, PortId, PortPool, Ports, Rules};

/// Sockets that are open at once.
const PORTS: usize = 16;
/// Late replies read from a socket between two requests.
const MOST: usize = 64;
/// Errors in one attempt that a router may have sent; more are this host's.
const HINTS: u32 = 16;

/// Questions to one peer, one after the other.
#[derive(Debug)]
pub struct Exchange {
    peer: SocketAddr,
    timeout: Duration,
    retries: u32,
    pool: PortPool<()>,
    /// By [`PortId::slot`]; the id tells which of the slot's ports it is.
    sockets: Vec<Option<(PortId, Receiver)>>,
    slots: Slots,
    stamps: Stamps,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The payload.
    pub bytes: Vec<u8>,
    /// From the last sending of the request to this reply. With retries it may be too short, as
    /// the reply may be to an earlier one.
    pub rtt: Duration,
    /// How often the request was sent.
    pub attempts: u32,
}

/// Why there is no reply.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The peer, or the way to it and back, stayed silent.
    NoReply {
        /// Who was asked.
        peer: SocketAddr,
        /// How often.
        attempts: u32,
    },
    /// The peer's host said that nothing listens there, to the last attempt.
    Refused(SocketAddr),
    /// This host could not send or receive.
    Local(Error),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::NoReply { peer, attempts } => {
                write!(f, "no reply from {} in {attempts} attempts", host_port(*peer))
            }
            ExchangeError::Refused(peer) => {
                write!(f, "refused by {}: nothing listens there", host_port(*peer))
            }
            ExchangeError::Local(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExchangeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ExchangeError::Local(error) => Some(&error.source),
            _ => None,
        }
    }
}

impl From<Error> for ExchangeError {
    fn from(error: Error) -> Self {
        ExchangeError::Local(error)
    }
}

impl Exchange {
    /// Questions to `peer`, each with a second's time-out and two retries.
    pub fn new(peer: SocketAddr) -> Exchange {
        Exchange {
            peer,
            timeout: Duration::from_secs(1),
            retries: 2,
            pool: PortPool::new(rules(Duration::from_secs(1))),
            sockets: (0..PORTS).map(|_| None).collect(),
            slots: Slots::new(1, SLOT, 0),
            stamps: Stamps::default(),
        }
    }

    /// How long the first attempt waits; each further one waits twice as long as the one before.
    pub fn timeout(mut self, timeout: Duration) -> Exchange {
        self.timeout = timeout;
        self.pool = PortPool::new(rules(timeout));
        self
    }

    /// How often a request that got no reply is sent again.
    pub fn retries(mut self, retries: u32) -> Exchange {
        self.retries = retries;
        self
    }

    /// Sends `bytes`, again where nothing comes, and waits for the reply.
    ///
    /// A refusal ends only an attempt, and is the error if the last one ends so: anybody can forge one,
    /// and a server that starts is not yet there. The wait until the next attempt is kept.
    ///
    /// # Errors
    /// No reply, a refusal, or what this host cannot do: a datagram too large, no route, no socket.
    pub fn request(&mut self, bytes: &[u8]) -> Result<Reply, ExchangeError> {
        let port = self.lease()?;
        let result = self.ask(port, bytes);
        let now = clock::mono();
        match &result {
            // Any further reply to a request that was sent once would be a duplicate.
            Ok(reply) if reply.attempts == 1 => self.pool.settle(port, now),
            Err(ExchangeError::Local(_)) => {
                self.pool.abandon(port);
                self.sockets[port.slot()] = None;
            }
            _ => self.pool.expire(port, now),
        }
        result
    }

    fn ask(&mut self, port: PortId, bytes: &[u8]) -> Result<Reply, ExchangeError> {
        let peer = self.peer;
        let Some((_, receiver)) = &mut self.sockets[port.slot()] else {
            return Err(ExchangeError::NoReply { peer, attempts: 0 });
        };
        let mut wait = self.timeout;
        let mut refused = false;
        let attempts = self.retries.saturating_add(1);
        for attempt in 1..=attempts {
            let sent = clock::mono();
            let end = sent + wait;
            send(receiver, bytes, peer)?;
            refused = false;
            let mut hints = 0;
            loop {
                let left = end.saturating_since(clock::mono());
                if left.is_zero() || (refused && attempt == attempts) {
                    break;
                }
                match receiver.receive(&mut self.slots, Wait::Block(Some(left))) {
                    Ok(0) => {}
                    Ok(_) => {
                        let received = self.slots.get(0);
                        let (wall, now) = (clock::wall(), clock::mono());
                        let stamp = received.meta.timestamp;
                        let came = stamp.map_or(now, |stamp| self.stamps.to_mono(stamp, wall, now));
                        let (bytes, rtt) = (received.bytes.to_vec(), came.saturating_since(sent));
                        return Ok(Reply { bytes, rtt, attempts: attempt });
                    }
                    Err(error) => match ErrorClass::of(&error) {
                        ErrorClass::Refused => refused = true,
                        // What a router says is a hint too, and no answer: among others EACCES
                        // (admin-prohibited over IPv6), EPROTO and ENOPROTOOPT.
                        ErrorClass::Unreachable | ErrorClass::TooLarge => {}
                        ErrorClass::Denied | ErrorClass::Other if hints < HINTS => hints += 1,
                        _ => {
                            return Err(
                                Error::new(Operation::Receive, host_port(peer), error).into()
                            );
                        }
                    },
                }
            }
            wait = wait.saturating_mul(2);
        }
        match refused {
            true => Err(ExchangeError::Refused(peer)),
            false => Err(ExchangeError::NoReply { peer, attempts }),
        }
    }

    /// A source port for a request, on which nothing waits to be read.
    fn lease(&mut self) -> Result<PortId, ExchangeError> {
        loop {
            let now = clock::mono();
            while let Some(port) = self.pool.close_due(now) {
                self.sockets[port.slot()] = None;
            }
            self.drain(now);
            match self.pool.lease((), now) {
                Lease::Reuse(port) => return Ok(port),
                Lease::Open { port_id, close } => {
                    if let Some(port) = close {
                        self.sockets[port.slot()] = None;
                    }
                    match open(self.peer) {
                        Ok(receiver) => {
                            self.sockets[port_id.slot()] = Some((port_id, receiver));
                            return Ok(port_id);
                        }
                        Err(error) => {
                            self.pool.unopened(port_id, error.class() == ErrorClass::Exhausted);
                            return Err(error.into());
                        }
                    }
                }
                Lease::Wait { until } => {
                    let until = until.unwrap_or(now + Duration::from_millis(1));
                    clock::sleep(until - clock::mono());
                }
            }
        }
    }

    /// Takes late and second replies, so that the pool knows which ports had any.
    fn drain(&mut self, now: Mono) {
        for (port, receiver) in self.sockets.iter_mut().flatten() {
            for _ in 0..MOST {
                match receiver.receive(&mut self.slots, Wait::Now) {
                    Ok(0) => break,
                    Ok(_) => {
                        let _: Arrival<()> = self.pool.arrival(*port, now);
                    }
                    // A late refusal: taken, it fails no later call.
                    Err(_) => {}
                }
            }
        }
    }
}

/// How the pool uses its ports: what comes within four time-outs is known to be late.
fn rules(timeout: Duration) -> Rules {
    let linger = timeout.saturating_mul(4);
    Rules { ports: Ports::UpTo(PORTS), rest: timeout / 2, linger }
}

fn open(peer: SocketAddr) -> Result<Receiver, Error> {
    let config = SocketConfig { connect: Some(peer), ..SocketConfig::default() };
    let options =
        Options { gro: false, destination: false, timestamps: true, ..Options::default() };
    Ok(Io::new(config.open()?.socket, Backend::Auto, &options)?.split().0)
}

/// Sends one datagram. The first failure may report what an earlier datagram met (`udp(7)`).
fn send(receiver: &Receiver, bytes: &[u8], peer: SocketAddr) -> Result<(), Error> {
    let once = || receiver.socket().send(bytes).map(drop);
    once().or_else(|_| once()).map_err(|error| Error::new(Operation::Send, host_port(peer), error))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);
    const SHORT: Duration = Duration::from_millis(30);

    /// A peer that answers the datagrams it gets, in order, by what `answers` says: the numbers of
    /// the datagrams that it answers then, each with its own payload.
    fn peer(answers: &'static [&'static [usize]]) -> (SocketAddr, thread::JoinHandle<()>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        let serving = thread::spawn(move || {
            let mut heard = Vec::new();
            for now in answers {
                let mut buffer = [0; 100];
                let (n, from) = socket.recv_from(&mut buffer).unwrap();
                heard.push((buffer[..n].to_vec(), from));
                for &which in *now {
                    socket.send_to(&heard[which].0, heard[which].1).unwrap();
                }
            }
        });
        (address, serving)
    }

    #[test]
    fn each_request_gets_its_own_reply() {
        // What the peer answers at each datagram; then timeout, and by request: payload, answered.
        type Row = (&'static [&'static [usize]], Duration, &'static [(&'static str, bool)]);
        let rows: [Row; 4] = [
            (&[&[0], &[1], &[2]], LONG, &[("a", true), ("", true), ("c", true)]),
            // The first is answered while the second is outstanding.
            (&[&[], &[0], &[1, 2]], SHORT, &[("a", false), ("b", false), ("c", true)]),
            (&[&[], &[0]], SHORT, &[("a", false), ("b", false)]),
            // Each is answered three times.
            (&[&[0, 0, 0], &[1, 1, 1], &[2]], LONG, &[("a", true), ("b", true), ("c", true)]),
        ];
        for (answers, timeout, requests) in rows {
            let (address, serving) = peer(answers);
            let mut exchange = Exchange::new(address).retries(0);
            for (payload, answered) in requests {
                let span = if *answered { LONG } else { timeout };
                exchange.timeout = span;
                match exchange.request(payload.as_bytes()) {
                    Ok(reply) => {
                        assert_eq!((reply.bytes, true), (payload.as_bytes().to_vec(), *answered));
                    }
                    Err(error) => assert!(!answered, "{payload}: {error}"),
                }
            }
            serving.join().unwrap();
        }
    }

    #[test]
    fn silence_is_asked_again_and_refusal_is_told() {
        let (address, serving) = peer(&[&[], &[1]]);
        let reply = Exchange::new(address).timeout(SHORT).retries(20).request(b"x").unwrap();
        assert_eq!(reply.bytes, b"x");
        assert!(reply.attempts >= 2);
        serving.join().unwrap();

        let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let mut exchange = Exchange::new(address).timeout(SHORT).retries(1);
        let said = exchange.request(b"x").unwrap_err().to_string();
        assert_eq!(said, format!("no reply from {} in 2 attempts", host_port(address)));
        assert_eq!(silent.recv(&mut [0; 10]).unwrap() + silent.recv(&mut [0; 10]).unwrap(), 2);
        drop(silent);
        let said = exchange.retries(0).request(b"x").unwrap_err().to_string();
        if cfg!(target_os = "linux") {
            let refused = format!("refused by {}: nothing listens there", host_port(address));
            assert_eq!(said, refused);
        }
    }

    /// A filter that forbids every receive: it is said, and not asked for ever.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_error_that_stays_is_told() {
        let asking = thread::spawn(|| {
            let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
            for call in [libc::SYS_recvmmsg, libc::SYS_recvmsg] {
                crate::sys::seccomp::refuse(call, None, libc::EPERM).unwrap();
            }
            let address = silent.local_addr().unwrap();
            let error = Exchange::new(address).retries(0).request(b"x").unwrap_err();
            let said = format!("cannot receive on {address}: operation not permitted");
            assert_eq!(error.to_string(), said);
        });
        asking.join().unwrap();
    }

    #[test]
    fn what_is_too_large_is_said_and_leaves_the_next_request_alone() {
        let (address, serving) = peer(&[&[0]]);
        let mut exchange = Exchange::new(address).timeout(LONG);
        let error = exchange.request(&[0; 66_000]).unwrap_err();
        assert!(matches!(error, ExchangeError::Local(_)), "{error}");
        assert_eq!(exchange.request(b"x").unwrap().bytes, b"x");
        serving.join().unwrap();
    }
}
