//! A running server: started on its cores, ready once it has answered, stopped when the value is
//! dropped. `setpriv(1)`.

use std::ffi::OsString;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use udp_core::clock::{self, Mono};

use crate::contender::{Contender, Output, find_program};
use crate::load::{Framing, Name, Payload, Size, Target};
use crate::machine::{Cores, Pinned};
use driver::proc;

/// How long a server may take to answer for the first time.
const READY: Duration = Duration::from_secs(10);
/// How long one question waits for its answer, and how long it is to the next one.
const ANSWER: Duration = Duration::from_millis(50);
const AGAIN: Duration = Duration::from_micros(200);
const QUESTION: usize = 64;

/// A server that answers.
pub(crate) struct Running {
    child: Child,
    pub(crate) target: Target,
    /// From its start to its first answer.
    pub(crate) first_reply: Duration,
    _unread: Option<ChildStdout>,
    /// Lines that its reader has read so far, where it has one that counts.
    lines: Option<Arc<AtomicU64>>,
}

/// Whether a child must not outlive us, whatever ends us. It takes a program that starts the
/// child, so a start that is timed goes without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tether {
    Tied,
    Timed,
}

impl Running {
    /// Starts `contender` and waits until it answers.
    pub(crate) fn start(contender: &Contender, cores: Cores, tether: Tether) -> Result<Self> {
        let port = free_port()?;
        let words = contender.command_for(port);
        let words = if tether == Tether::Tied { tied(words) } else { words };
        let both = [cores.server, cores.generator];
        let pinned = Pinned::to(if contender.spread { &both } else { &both[..1] })?;
        let started = clock::mono();
        let spawned = spawn(&words, contender.output);
        drop(pinned);
        let (child, reader, unread) =
            spawned.with_context(|| format!("cannot start {}", contender.name))?;
        let target = Target {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            prefix: contender.prefix.to_owned(),
            framing: contender.framing,
        };
        let lines = reader.map(|reader| {
            let lines = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&lines);
            std::thread::spawn(move || read_away(reader, &counted));
            lines
        });
        let first_reply = Duration::ZERO;
        let mut running = Self { child, target, first_reply, _unread: unread, lines };
        let deadline = started + READY;
        let answered = if contender.echoes {
            running.wait_for_an_answer(deadline)
        } else {
            running.wait_for_the_port(deadline)
        };
        let answered = answered.with_context(|| format!("{} does not answer", contender.name))?;
        running.first_reply = answered.saturating_since(started);
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lines read so far, if there is a reader.
    pub(crate) fn lines(&self) -> Option<u64> {
        self.lines.as_ref().map(|lines| lines.load(Ordering::Relaxed))
    }

    /// CPU nanoseconds taken so far.
    pub(crate) fn cpu_nanos(&self) -> Option<u64> {
        proc::cpu_nanos(self.pid())
    }

    /// When the first answer came.
    fn wait_for_an_answer(&mut self, deadline: Mono) -> Result<Mono> {
        let size = if self.target.framing == Framing::Sockperf { 14 + QUESTION } else { QUESTION };
        let payload = Payload::new(Size::Fixed(size), &self.target.prefix, self.target.framing);
        let payload = payload.context("the question is too short")?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind")?;
        socket.connect(self.target.address).context("cannot connect")?;
        socket.set_read_timeout(Some(ANSWER)).context("cannot set a timeout")?;
        let mut question = vec![0; payload.longest()];
        let mut answer = vec![0; payload.longest_reply() + 1];
        let mut number = 0;
        while clock::mono() < deadline {
            payload.write(Name { number, flow: 0, place: 0 }, &mut question);
            number += 1;
            let answered = socket.send(&question).and_then(|_| socket.recv(&mut answer));
            match answered {
                Ok(len) if payload.read(&answer[..len]).is_some() => return Ok(clock::mono()),
                Ok(_) => bail!("its first answer is wrong"),
                // Nobody listens yet, or it is slow to answer for the first time.
                Err(_) => clock::sleep(AGAIN),
            }
            self.check()?;
        }
        bail!("it took longer than {READY:?}");
    }

    /// When nobody else could have its port.
    fn wait_for_the_port(&mut self, deadline: Mono) -> Result<Mono> {
        let port = self.target.address.port();
        while clock::mono() < deadline {
            if UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).is_err() {
                return Ok(clock::mono());
            }
            clock::sleep(AGAIN);
            self.check()?;
        }
        bail!("it took longer than {READY:?}");
    }

    /// It has not ended.
    fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("cannot look after it")? {
            Some(status) => bail!("it ended ({status})"),
            None => Ok(()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Spawned = (Child, Option<Box<dyn Read + Send>>, Option<ChildStdout>);

fn spawn(words: &[OsString], output: Output) -> Result<Spawned> {
    let (program, arguments) = words.split_first().context("no command")?;
    if output == Output::Terminal {
        let (pty, pts) = pty_process::blocking::open().context("cannot open a terminal")?;
        let command = pty_process::blocking::Command::new(program).args(arguments);
        let child = command.env_remove("RUST_LOG").spawn(pts)?;
        return Ok((child, Some(Box::new(pty)), None));
    }
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::null());
    command.stdout(match output {
        Output::Null => Stdio::null(),
        Output::Pipe | Output::Unread | Output::Terminal => Stdio::piped(),
    });
    let mut child = command.spawn()?;
    let stdout = child.stdout.take();
    Ok(match (output, stdout) {
        (Output::Pipe, Some(stdout)) => (child, Some(Box::new(stdout)), None),
        (_, stdout) => (child, None, stdout),
    })
}

/// Reads as a fast reader does, counts lines, and forgets.
fn read_away(mut reader: Box<dyn Read + Send>, lines: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    // A terminal whose program has ended fails to read; a pipe ends.
    while let Ok(len @ 1..) = reader.read(&mut buffer) {
        let ends = buffer[..len].iter().filter(|byte| **byte == b'\n').count();
        lines.fetch_add(ends as u64, Ordering::Relaxed);
    }
}

/// The same command, ended by the kernel when the thread that started it is gone.
fn tied(words: Vec<OsString>) -> Vec<OsString> {
    let Some(setpriv) = find_program("setpriv") else { return words };
    let mut tied: Vec<OsString> = vec![setpriv.into()];
    tied.extend(["--pdeathsig", "KILL", "--"].map(OsString::from));
    tied.extend(words);
    tied
}

/// A port that nobody serves at this moment.
fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("no free port")?;
    Ok(socket.local_addr().context("no free port")?.port())
}

/// Bytes of the program's file.
pub(crate) fn binary_bytes(program: &Path) -> Option<u64> {
    Some(std::fs::metadata(program).ok()?.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    fn cat(command: &str) -> Contender {
        Contender {
            name: "test".to_owned(),
            command: ["/bin/sh", "-c", command].map(OsString::from).to_vec(),
            prefix: "",
            framing: Framing::Bare,
            output: Output::Null,
            spread: false,
            echoes: true,
        }
    }

    #[test]
    fn lines_are_counted_across_reads() {
        let lines = AtomicU64::new(0);
        let text = "recvfrom x: y\n".repeat(10_000) + "no end";
        read_away(Box::new(std::io::Cursor::new(text)), &lines);
        assert_eq!(lines.load(Ordering::Relaxed), 10_000);
    }

    #[test]
    fn a_server_that_ends_is_not_waited_for() {
        let cores = Machine::look().unwrap().cores;
        let error = Running::start(&cat("exit 3"), cores, Tether::Timed).err().unwrap();
        assert!(format!("{error:#}").contains("it ended"), "{error:#}");
    }
}
