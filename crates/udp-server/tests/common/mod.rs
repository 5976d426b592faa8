//! The built server as a child process: its output drained as it comes, every wait with a
//! deadline, and the child killed when it is dropped.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed test ends by a panic")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use udp_core::clock;

/// How long anything may take on a busy machine before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn command(options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-server"));
    command.args(options).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A server that is ready.
pub struct Server {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    errors: Receiver<String>,
    complaints: Vec<String>,
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
        Server::spawn(&mut command(&[&["--bind", "127.0.0.1:0"], options].concat()))
    }

    /// Starts `command`, and waits for its start lines.
    pub fn spawn(command: &mut Command) -> Server {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = drained(child.stdout.take().unwrap());
        let errors = drained(child.stderr.take().unwrap());
        let mut server = Server {
            child,
            lines,
            seen: Vec::new(),
            errors,
            complaints: Vec::new(),
            addresses: Vec::new(),
        };
        loop {
            let line = server.line();
            if let Some((_, address)) = line.split_once(" start at: ") {
                server.addresses.push(address.parse().unwrap());
            } else if let Some((_, rest)) = line.split_once(r#""bind":""#) {
                // JSON has no last start line; these servers have one address.
                server.addresses.push(rest.split('"').next().unwrap().parse().unwrap());
                break;
            } else {
                assert!(line.ends_with("wait for connection..."), "{line}");
                break;
            }
        }
        server
    }

    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// The next line of stdout.
    pub fn line(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE).expect("a line within a minute");
        self.seen.push(line.clone());
        line
    }

    /// The next line of stderr.
    pub fn complaint(&mut self) -> String {
        let line = self.errors.recv_timeout(PATIENCE).expect("a line within a minute");
        self.complaints.push(line.clone());
        line
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Stops it as Ctrl-C does.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGINT);
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) -> Ended {
        let mut stdout = std::mem::take(&mut self.seen);
        let mut stderr = std::mem::take(&mut self.complaints);
        let end = clock::mono() + PATIENCE;
        // The channels close when the streams do.
        for (lines, seen) in [(&self.lines, &mut stdout), (&self.errors, &mut stderr)] {
            while let Ok(line) = lines.recv_timeout(end.saturating_since(clock::mono())) {
                seen.push(line);
            }
        }
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(clock::mono() < end, "the server did not end");
            clock::sleep(Duration::from_millis(1));
        };
        let text = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect();
        Ended { status, stdout: text(stdout), stderr: text(stderr) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

    /// `received = replied + dropped + failed`.
    #[track_caller]
    pub fn balances(&self) {
        let [received, replied, dropped, failed, _] = self.counts();
        assert_eq!(received, replied + dropped + failed, "{}", self.stdout);
    }
}

/// The lines of `stream`, read as they come.
fn drained(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    lines
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
    let mut command = command(options);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = clock::mono() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if clock::mono() >= end {
            child.kill().unwrap();
            panic!("{options:?} did not end");
        }
        clock::sleep(Duration::from_millis(1));
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
