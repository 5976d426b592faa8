//! A peer that answers by plan, and the built program with its output.
#![allow(dead_code, reason = "each test takes what it needs")]

#[cfg(unix)]
pub(crate) mod exporter;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use udp_core::clock::{self, Mono};

/// No run of a test takes as long as this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A datagram that a peer received.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// 1 for the first one.
    pub(crate) number: usize,
    pub(crate) from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

impl Request {
    /// The tutorial's answer, at once.
    pub(crate) fn echo(&self) -> Reply {
        Reply { to: self.from, after: Duration::ZERO, bytes: [b"echo ", &self.bytes[..]].concat() }
    }

    /// These bytes, at once.
    pub(crate) fn with(&self, bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { to: self.from, after: Duration::ZERO, bytes: bytes.into() }
    }
}

/// A datagram that a peer sends.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) to: SocketAddr,
    pub(crate) after: Duration,
    pub(crate) bytes: Vec<u8>,
}

impl Reply {
    pub(crate) fn after(mut self, ms: u64) -> Reply {
        self.after = Duration::from_millis(ms);
        self
    }
}

/// A UDP service in this process.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Request>>>,
    serving: Option<JoinHandle<()>>,
}

/// What ends a peer.
const END: &[u8] = b"\0end of the peer\0";

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
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let serving = Some(thread::spawn(move || serve(&socket, plan, &noted)));
        Peer { address, seen, serving }
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

    /// What it received.
    pub(crate) fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let mut here = self.address;
        if here.ip().is_unspecified() {
            here.set_ip([127, 0, 0, 1].into());
        }
        let any = if here.is_ipv6() { "[::1]:0" } else { "127.0.0.1:0" };
        UdpSocket::bind(any).unwrap().send_to(END, here).unwrap();
        let ended = self.serving.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the peer's plan failed");
    }
}

fn serve(
    socket: &UdpSocket,
    mut plan: impl FnMut(&Request) -> Vec<Reply>,
    seen: &Mutex<Vec<Request>>,
) {
    let mut later: BTreeMap<(Mono, usize), Reply> = BTreeMap::new();
    let mut bytes = [0; 65_536];
    let (mut number, mut order) = (0, 0);
    loop {
        while let Some(entry) = later.first_entry()
            && entry.key().0 <= clock::mono()
        {
            let reply = entry.remove();
            socket.send_to(&reply.bytes, reply.to).unwrap();
        }
        let wait = later.keys().next().map(|(when, _)| when.saturating_since(clock::mono()));
        let wait = wait.map(|wait| wait.max(Duration::from_micros(100)));
        socket.set_read_timeout(wait).unwrap();
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        if &bytes[..length] == END {
            return;
        }
        number += 1;
        let request = Request { number, from, bytes: bytes[..length].to_vec() };
        seen.lock().unwrap().push(request.clone());
        for reply in plan(&request) {
            if reply.after.is_zero() {
                socket.send_to(&reply.bytes, reply.to).unwrap();
            } else {
                order += 1;
                later.insert((clock::mono() + reply.after, order), reply);
            }
        }
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
    pub(crate) fn books(&self) -> &str {
        self.stdout.lines().find(|line| line.contains(" sent, ")).unwrap_or_default()
    }

    /// The same without the slots that a busy machine made it miss.
    pub(crate) fn counts(&self) -> &str {
        without_missed(self.books())
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
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

/// Starts the program with these arguments.
pub(crate) fn start<S: AsRef<str>>(arguments: &[S]) -> Running {
    start_saying_to(Stdio::piped(), arguments)
}

/// The same with a stderr that is not read here, unless it is a pipe of this one's.
pub(crate) fn start_saying_to<S: AsRef<str>>(stderr: Stdio, arguments: &[S]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-heartbeat"));
    command.args(arguments.iter().map(AsRef::as_ref)).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    let mut child = command.spawn().unwrap();
    let stdout = drain(child.stdout.take().unwrap());
    let stderr = match child.stderr.take() {
        Some(stderr) => drain(stderr),
        None => drain(std::io::empty()),
    };
    Running { child, stdout, stderr }
}

/// Runs the program to its end.
#[track_caller]
pub(crate) fn run<S: AsRef<str>>(arguments: &[S]) -> Finished {
    start(arguments).finish()
}

fn drain(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (all, receiver) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let _ = all.send(bytes);
    });
    receiver
}

impl Running {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, signal).unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Finished {
        // Both streams end when the program does.
        let text = |stream: &Receiver<Vec<u8>>| {
            let bytes = stream.recv_timeout(PATIENCE).expect("the program does not end");
            String::from_utf8(bytes).unwrap()
        };
        let (stdout, stderr) = (text(&self.stdout), text(&self.stderr));
        let code = self.child.wait().unwrap().code();
        Finished { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
