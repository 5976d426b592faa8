//! The built server, driven from outside, and clients that ask it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::ExitStatus;

pub use driver::Launch;
pub use driver::clock::PATIENCE;
use nix::sys::signal::Signal;

pub fn command(options: &[&str]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_udp-server")).args(options)
}

/// A server that is ready, and how much of its output was looked at.
pub struct Server {
    server: driver::Server,
    lines: usize,
    complaints: usize,
    pub addresses: Vec<SocketAddr>,
}

/// A server that has ended.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Server {
    /// Starts it on a port of its own choice on 127.0.0.1, with these options beside.
    pub fn start(options: &[&str]) -> Server {
        Server::spawn(command(&["--bind", "127.0.0.1:0"]).args(options))
    }

    /// Starts `command`, and waits for its start lines.
    pub fn spawn(command: Launch) -> Server {
        let server = driver::Server::start(command).unwrap();
        // Start lines are read; the next one is what comes behind.
        let text = server.process.out.text();
        let lines = text.find("connection...\n").map_or(0, |at| at + "connection...\n".len());
        Server { addresses: server.addresses.clone(), server, lines, complaints: 0 }
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The next line of stdout.
    pub fn line(&mut self) -> String {
        self.server.process.out.line(&mut self.lines).unwrap()
    }

    /// The next line of stderr.
    pub fn complaint(&mut self) -> String {
        self.server.process.err.line(&mut self.complaints).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        self.server.process.signal(signal).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.server.process.id()
    }

    /// Stops it as Ctrl-C does.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGINT);
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(self) -> Ended {
        self.server.process.finish().unwrap().into()
    }
}

impl From<driver::Finished> for Ended {
    fn from(it: driver::Finished) -> Ended {
        Ended { status: it.status, stdout: it.out(), stderr: it.err() }
    }
}

impl Ended {
    /// The counts of the summary: received, replied, dropped, failed, lost.
    #[track_caller]
    pub fn counts(&self) -> [u64; 5] {
        let line = self.stdout.lines().find(|line| line.ends_with("kernel drops"));
        let line = line.expect("a summary");
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().unwrap()
    }

    /// The line of drops, without its first word.
    #[track_caller]
    pub fn drops(&self) -> &str {
        self.stdout.lines().find_map(|line| line.strip_prefix("dropped: ")).expect("drops")
    }
}

/// A client's socket on the loopback address of `server`'s family.
pub fn asker(server: SocketAddr) -> UdpSocket {
    let local = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    asker_on(local, server)
}

/// A client's socket on this address, connected to `server`.
pub fn asker_on(local: impl ToSocketAddrs, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(local).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.connect(server).unwrap();
    socket
}

/// Sends `payload` and gives back the reply.
#[track_caller]
pub fn ask(socket: &UdpSocket, payload: &[u8]) -> Vec<u8> {
    socket.send(payload).unwrap();
    let mut reply = vec![0; 65_536];
    let len = socket.recv(&mut reply).expect("a reply within a minute");
    reply.truncate(len);
    reply
}

/// Sends `payload`, and makes sure that it is not answered: what another socket asks afterwards
/// is, and the kernel hands datagrams over in order.
#[track_caller]
pub fn silent(socket: &UdpSocket, payload: &[u8], witness: &UdpSocket) {
    socket.send(payload).unwrap();
    ask(witness, b"witness");
    socket.set_nonblocking(true).unwrap();
    let error = socket.recv(&mut [0; 16]).expect_err("no reply");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    socket.set_nonblocking(false).unwrap();
}

/// Runs the command to its end, which must come by itself.
#[track_caller]
pub fn run(options: &[&str]) -> Ended {
    command(options).finish().unwrap().into()
}
