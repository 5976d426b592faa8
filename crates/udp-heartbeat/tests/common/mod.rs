//! The built program with its output, and peers that answer it by plan.
#![allow(dead_code, unused_imports, reason = "each test takes what it needs")]

pub(crate) mod exporter;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use driver::clock::PATIENCE;
pub(crate) use driver::{Launch, Reply, Request};
use nix::sys::signal::Signal;
use udp_core::clock;

/// A UDP service in this process.
pub(crate) struct Peer(driver::Peer);

impl Peer {
    /// A peer that answers each datagram with what `plan` says.
    pub(crate) fn new(plan: impl FnMut(&Request) -> Vec<Reply> + Send + 'static) -> Peer {
        Peer::at("127.0.0.1:0", plan)
    }

    /// The same at this address.
    pub(crate) fn at(
        address: &str,
        plan: impl FnMut(&Request) -> Vec<Reply> + Send + 'static,
    ) -> Peer {
        Peer(driver::Peer::on(address, plan).unwrap())
    }

    /// One that answers everything.
    pub(crate) fn echo() -> Peer {
        Peer::new(|request| vec![request.echo()])
    }

    /// One that answers nothing.
    pub(crate) fn silent() -> Peer {
        Peer::new(|_| Vec::new())
    }

    pub(crate) fn target(&self) -> String {
        self.address.to_string()
    }
}

impl std::ops::Deref for Peer {
    type Target = driver::Peer;

    fn deref(&self) -> &driver::Peer {
        &self.0
    }
}

/// An NTP server's answer to `request`: four bytes in hex, and times of no meaning.
pub(crate) fn ntp(request: &[u8], head: &str) -> Vec<u8> {
    let mut bytes = udp_core::text::hex::decode(head).unwrap();
    bytes.resize(24, 0);
    bytes.extend_from_slice(&request[40..48]);
    bytes.extend_from_slice(&[0xee; 16]);
    bytes
}

/// A local address where nothing listens.
pub(crate) fn closed() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The line that counts beats, of the first target, as it stands.
    pub(crate) fn count_line(&self) -> &str {
        self.stdout.lines().find(|line| line.contains(" sent, ")).unwrap_or_default()
    }

    /// The same without the slots that a busy machine made it miss.
    pub(crate) fn counts(&self) -> &str {
        without_missed(self.count_line())
    }
}

/// A line of counts without the slots that a busy machine made the program miss.
pub(crate) fn without_missed(line: &str) -> &str {
    match line.rsplit_once(", ") {
        Some((rest, last)) if last.ends_with(" slots skipped") => rest,
        _ => line,
    }
}

/// A run under way. It is killed if a test ends without waiting for it.
pub(crate) struct Running(driver::Process);

/// The program with these arguments.
pub(crate) fn command<S: AsRef<str>>(arguments: &[S]) -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_udp-heartbeat")).args(arguments.iter().map(AsRef::as_ref))
}

/// Starts the program with these arguments.
pub(crate) fn start<S: AsRef<str>>(arguments: &[S]) -> Running {
    Running(command(arguments).spawn().unwrap())
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run<S: AsRef<str>>(arguments: &[S]) -> Finished {
    start(arguments).finish()
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.0.signal(signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn finish(self) -> Finished {
        let it = self.0.finish().unwrap();
        Finished { code: it.status.code(), stdout: it.out(), stderr: it.err() }
    }
}

/// Waits until something holds, for a peer's plan to be through.
#[track_caller]
pub(crate) fn wait_until(mut holds: impl FnMut() -> bool) {
    let end = clock::mono() + PATIENCE;
    while !holds() {
        assert!(clock::mono() < end, "it never came to hold");
        clock::sleep(Duration::from_millis(5));
    }
}
