//! Peers to ask, and the program to ask with. Every wait has an end; nothing waits for a time.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long anything may take before the test gives up.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

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

pub(crate) fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-client"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Runs the client with these arguments and this input to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Finished {
    finish(client(arguments), input)
}

#[track_caller]
pub(crate) fn finish(mut command: Command, input: &[u8]) -> Finished {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A client that stops reading leaves a broken pipe.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read = |source: &mut (dyn Read + Send)| {
        let mut all = Vec::new();
        source.read_to_end(&mut all).unwrap();
        all
    };
    let out = thread::spawn(move || read(&mut stdout));
    let err = thread::spawn(move || read(&mut stderr));
    let status = wait(child);
    writer.join().unwrap();
    let stdout = out.join().unwrap();
    Finished {
        code: status.code(),
        out: String::from_utf8_lossy(&stdout).into_owned(),
        stdout,
        err: String::from_utf8(err.join().unwrap()).unwrap(),
    }
}

/// Waits for the child's end; one that does not end in time is killed and fails the test.
#[track_caller]
pub(crate) fn wait(mut child: Child) -> ExitStatus {
    let (done, ended) = mpsc::channel::<()>();
    let id = child.id();
    let watchdog = thread::spawn(move || {
        if ended.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
            return false;
        }
        true
    });
    let status = child.wait().unwrap();
    drop(done);
    assert!(watchdog.join().unwrap(), "the client did not end");
    status
}
