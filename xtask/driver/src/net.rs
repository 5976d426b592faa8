//! The far side of a conversation: plain std sockets that ask a server, or stand as a peer that
//! answers by plan, stays silent, or is not there at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::check;
use crate::clock::{self, Deadline, PATIENCE};

/// The largest datagram that IPv4 carries.
pub const LARGEST: usize = 65_507;

/// A socket that asks and waits for the answer.
pub struct Asker {
    pub socket: UdpSocket,
}

impl Asker {
    /// An unconnected socket on a free port of 127.0.0.1.
    pub fn new() -> Result<Self> {
        Self::on("127.0.0.1:0")
    }

    pub fn on(address: &str) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket })
    }

    pub fn address(&self) -> Result<SocketAddr> {
        self.socket.local_addr().context("a socket without an address")
    }

    pub fn port(&self) -> Result<u16> {
        Ok(self.address()?.port())
    }

    pub fn send(&self, to: SocketAddr, bytes: &[u8]) -> Result<()> {
        let sent =
            self.socket.send_to(bytes, to).with_context(|| format!("cannot send to {to}"))?;
        check::same("bytes sent", bytes.len(), sent)
    }

    /// The next datagram and where it came from.
    pub fn receive(&self) -> Result<(Vec<u8>, SocketAddr)> {
        let mut buffer = vec![0; 1 << 16];
        let (n, from) = self.socket.recv_from(&mut buffer).context("no reply came")?;
        buffer.truncate(n);
        Ok((buffer, from))
    }

    /// Sends `bytes` and expects `reply`, from the very address that was asked.
    #[track_caller]
    pub fn expect(&self, to: SocketAddr, bytes: &[u8], reply: &[u8]) -> Result<()> {
        let place = check::here();
        self.send(to, bytes)?;
        let (got, from) = self.receive().with_context(|| format!("{place}: asked {to}"))?;
        if got != reply {
            let (got, reply) = (got.escape_ascii(), reply.escape_ascii());
            bail!("{place}: expected the reply {reply}, got {got}");
        }
        check::same(&format!("{place}: the reply's source"), to, from)
    }

    /// Nothing is there to be read now.
    #[track_caller]
    pub fn expect_nothing(&self) -> Result<()> {
        self.socket.set_nonblocking(true)?;
        let mut buffer = [0; 64];
        let outcome = self.socket.recv_from(&mut buffer);
        self.socket.set_nonblocking(false)?;
        match outcome {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => bail!("{}: expected silence, got {error}", check::here()),
            Ok((n, from)) => bail!(
                "{}: expected silence, got {} from {from}",
                check::here(),
                buffer[..n].escape_ascii()
            ),
        }
    }
}

/// What a peer does about a datagram.
#[derive(Debug, Clone)]
pub struct Reply {
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    pub after: Duration,
}

impl Reply {
    pub fn now(to: SocketAddr, bytes: impl Into<Vec<u8>>) -> Self {
        Self { to, bytes: bytes.into(), after: Duration::ZERO }
    }

    /// The same, so many milliseconds later.
    pub fn after(mut self, ms: u64) -> Self {
        self.after = Duration::from_millis(ms);
        self
    }
}

/// A datagram that came to a peer.
#[derive(Debug, Clone)]
pub struct Request {
    /// Counted from 1.
    pub number: usize,
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Request {
    /// The tutorial's reply.
    pub fn echo(&self) -> Reply {
        self.with([b"echo ", self.bytes.as_slice()].concat())
    }

    /// These bytes, at once.
    pub fn with(&self, bytes: impl Into<Vec<u8>>) -> Reply {
        Reply::now(self.from, bytes)
    }
}

/// A reply that waits: when it is due, its place in the plan, where it goes, what it holds.
type Due = Reverse<(Instant, usize, SocketAddr, Vec<u8>)>;

type Seen = (Mutex<Vec<Request>>, Condvar);

/// A peer that answers by plan, until it is dropped.
pub struct Peer {
    pub address: SocketAddr,
    seen: Arc<Seen>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// A peer on a free port of 127.0.0.1 that does what `plan` says.
    pub fn new(plan: impl FnMut(&Request) -> Vec<Reply> + Send + 'static) -> Result<Self> {
        Self::on("127.0.0.1:0", plan)
    }

    pub fn on(
        address: &str,
        plan: impl FnMut(&Request) -> Vec<Reply> + Send + 'static,
    ) -> Result<Self> {
        let socket = UdpSocket::bind(address).with_context(|| format!("cannot bind {address}"))?;
        let address = socket.local_addr()?;
        let seen: Arc<Seen> = Arc::default();
        let over = Arc::new(AtomicBool::new(false));
        let (their_seen, their_over) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = std::thread::spawn(move || serve(&socket, plan, &their_seen, &their_over));
        Ok(Self { address, seen, over, thread: Some(thread) })
    }

    /// Answers as the tutorial's server does.
    pub fn echo() -> Result<Self> {
        Self::new(|request| vec![request.echo()])
    }

    /// Takes everything and never answers.
    pub fn silent() -> Result<Self> {
        Self::new(|_| Vec::new())
    }

    /// All that came so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until what came is as `enough` wants it.
    pub fn wait_until(&self, enough: impl Fn(&[Request]) -> bool) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        let mut seen = self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !enough(&seen) {
            let Some(left) = deadline.left() else {
                bail!("the peer waited in vain; {} datagrams came", seen.len());
            };
            seen = self.seen.1.wait_timeout(seen, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// The payloads that came so far.
    pub fn payloads(&self) -> Vec<Vec<u8>> {
        self.seen().into_iter().map(|r| r.bytes).collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // A datagram to itself ends the wait; should it be lost, the read timeout does.
        if let Ok(waker) = UdpSocket::bind((unspecified(self.address), 0)) {
            let _ = waker.send_to(b"", self.address);
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the peer's plan failed");
        }
    }
}

fn unspecified(like: SocketAddr) -> IpAddr {
    if like.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    }
}

fn serve(
    socket: &UdpSocket,
    mut plan: impl FnMut(&Request) -> Vec<Reply>,
    seen: &Seen,
    over: &AtomicBool,
) {
    // By time, and in the order of the plan where the times are equal.
    let mut due: BinaryHeap<Due> = BinaryHeap::new();
    let mut buffer = vec![0; 1 << 16];
    let mut order = 0;
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        let now = clock::now();
        while let Some(Reverse((at, ..))) = due.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((_, _, to, bytes))) = due.pop() {
                let _ = socket.send_to(&bytes, to);
            }
        }
        let idle = Duration::from_millis(500);
        let wait = due.peek().map_or(idle, |Reverse((at, ..))| (*at - now).min(idle));
        let _ = socket.set_read_timeout(Some(wait.max(Duration::from_micros(100))));
        // Time-outs, and ICMP errors that earlier sends earned, are not the plan's business.
        let Ok((n, from)) = socket.recv_from(&mut buffer) else { continue };
        if over.load(Ordering::Relaxed) {
            return;
        }
        number += 1;
        let request = Request { number, from, bytes: buffer[..n].to_vec() };
        let replies = plan(&request);
        seen.0.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        seen.1.notify_all();
        for reply in replies {
            if reply.after.is_zero() {
                let _ = socket.send_to(&reply.bytes, reply.to);
            } else {
                order += 1;
                due.push(Reverse((clock::now() + reply.after, order, reply.to, reply.bytes)));
            }
        }
    }
}

/// An address of the loopback network where nothing listens, below the range from which systems
/// choose ports by themselves, and never given twice: no other scenario can come to own it.
pub fn closed() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(21_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if port > 31_000 {
            bail!("no closed port is left");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return Ok(address);
        }
    }
}
