//! Peers to ask, and the program to ask with. Every wait has an end; nothing waits for a time.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use driver::Launch;
use udp_core::clock;
use udp_core::socket::stamped;

/// A peer on a socket of its own, which does as told with each datagram until it is asked to stop.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    stop: UdpSocket,
    thread: Option<thread::JoinHandle<()>>,
}

impl Peer {
    /// `serve` is given the socket, the datagram, its sender and its number (from 1).
    pub(crate) fn new(
        serve: impl FnMut(&UdpSocket, &[u8], SocketAddr, usize) + Send + 'static,
    ) -> Peer {
        Peer::on("127.0.0.1:0", serve)
    }

    pub(crate) fn on(
        address: &str,
        serve: impl FnMut(&UdpSocket, &[u8], SocketAddr, usize) + Send + 'static,
    ) -> Peer {
        let socket = UdpSocket::bind(address).unwrap();
        Peer::with(socket, serve)
    }

    pub(crate) fn with(
        socket: UdpSocket,
        mut serve: impl FnMut(&UdpSocket, &[u8], SocketAddr, usize) + Send + 'static,
    ) -> Peer {
        let address = socket.local_addr().unwrap();
        let home = if address.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let stop = UdpSocket::bind(home).unwrap();
        let stopper = stop.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            for number in 1.. {
                let (length, from) = socket.recv_from(&mut buffer).unwrap();
                if from == stopper {
                    return;
                }
                serve(&socket, &buffer[..length], from, number);
            }
        });
        Peer { address, stop, thread: Some(thread) }
    }

    pub(crate) fn echo() -> Peer {
        Peer::new(|socket, bytes, from, _| {
            socket.send_to(&[b"echo ", bytes].concat(), from).unwrap();
        })
    }

    pub(crate) fn silent() -> Peer {
        Peer::new(|_, _, _, _| {})
    }

    pub(crate) fn target(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut to = self.address;
        if to.ip().is_unspecified() {
            to.set_ip("127.0.0.1".parse().unwrap());
        }
        let _ = self.stop.send_to(b"", to);
        if let Some(thread) = self.thread.take() {
            let outcome = thread.join();
            assert!(outcome.is_ok() || thread::panicking(), "the peer panicked");
        }
    }
}

/// An address where nothing listens.
pub(crate) fn closed() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Finished {
    /// The line of counts.
    pub(crate) fn summary(&self) -> &str {
        self.out.lines().rfind(|line| line.contains(" sent, ")).unwrap_or_default()
    }
}

pub(crate) fn client(arguments: &[&str]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_udp-client")).args(arguments)
}

/// Runs the client with these arguments and this input to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Finished {
    finish(client(arguments).stdin(input))
}

#[track_caller]
pub(crate) fn finish(command: Launch) -> Finished {
    finished(command.finish().unwrap())
}

fn finished(it: driver::Finished) -> Finished {
    Finished { code: it.status.code(), out: it.out(), err: it.err(), stdout: it.stdout }
}

/// Keeps the kernel stamping what comes: it begins a moment after the first socket asks for it
/// (`net_enable_timestamp`), and what comes before that is stamped when it is read.
fn stamping() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(stamped::enable(&socket));
    let own = socket.local_addr().unwrap();
    let stamped = (0..5000).any(|_| {
        socket.send_to(b"hello", own).unwrap();
        let after = clock::wall();
        clock::sleep(Duration::from_millis(2));
        let (.., at) = stamped::receive(&socket, &mut [0; 16], UdpSocket::recv_from).unwrap();
        at.is_some_and(|at| at <= after)
    });
    assert!(stamped);
    socket
}

/// The process is stopped from its first message until long after the time of two seconds for the answer,
/// which comes in time or `late`.
pub(crate) fn suspended(
    scheme: &str,
    options: &[&str],
    answer: fn(&[u8]) -> Vec<u8>,
    late: bool,
) -> Finished {
    let _stamping = stamping();
    let (tell_id, id) = std::sync::mpsc::channel::<u32>();
    let peer = Peer::new(move |socket, bytes, from, number| {
        if number > 1 {
            return;
        }
        let id = id.recv().unwrap().to_string();
        let signal = |name: &str| {
            let status = std::process::Command::new("kill").args([name, id.as_str()]).status();
            assert!(status.unwrap().success());
        };
        signal("-STOP");
        let pause = || clock::sleep(Duration::from_millis(2500));
        late.then(pause);
        socket.send_to(&answer(bytes), from).unwrap();
        (!late).then(pause);
        signal("-CONT");
    });
    let target = format!("{scheme}{}", peer.target());
    let client = client(&[&[target.as_str(), "-W", "2"], options].concat()).spawn().unwrap();
    tell_id.send(client.id()).unwrap();
    finished(client.finish().unwrap())
}
