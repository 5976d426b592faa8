//! One fault: caused, lived through while it is asked all the time, cured, and the time measured
//! until the next answer.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::e2e::clock::{self, Deadline, PATIENCE, pause};
use crate::e2e::context::Server;
use crate::e2e::measure::{figure, processor};
use crate::e2e::netns::{ASKER, Net, SERVER, at};

/// What an asker sees while a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answers {
    /// The fault keeps every answer away.
    None,
    /// It spoils some, or none.
    Some,
    /// It is none of the asker's business.
    All,
}

/// How long each fault lasts, and how often it is asked meanwhile.
const LASTS: Duration = Duration::from_millis(300);
const EVERY: Duration = Duration::from_millis(6);

/// How much of a processor the server may use while it can serve nobody or nobody much.
const IDLE_SHARE: f64 = 0.10;
/// The promise is a second; a busy machine may need longer to run us at all.
const BACK_IN: Duration = Duration::from_secs(5);

/// A server under trial and whoever asks it.
pub(super) struct Trial<'a> {
    pub(super) net: &'a Net,
    pub(super) server: &'a Server,
    /// How long a datagram is asked with.
    pub(super) payload: usize,
    /// How much of a processor the server may use meanwhile.
    pub(super) share: f64,
    socket: UdpSocket,
    number: u64,
    worst_back: Duration,
    worst_share: f64,
    faults: usize,
}

impl<'a> Trial<'a> {
    pub(super) fn new(net: &'a Net, server: &'a Server) -> Result<Self> {
        let socket = net.asker.bind((ASKER, 0))?;
        Ok(Self {
            net,
            server,
            payload: 64,
            share: IDLE_SHARE,
            socket,
            number: 0,
            worst_back: Duration::ZERO,
            worst_share: 0.0,
            faults: 0,
        })
    }

    /// Causes a fault, asks while it lasts, cures it, and waits for the next answer.
    pub(super) fn fault(
        &mut self,
        name: &str,
        during: Answers,
        cause: impl FnOnce() -> Result<()>,
        cure: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.answered(PATIENCE).with_context(|| format!("before {name}"))?;
        let pid = self.server.process.id();
        let before = processor(pid)?;
        let began = clock::now();
        cause().with_context(|| format!("causing {name}"))?;
        let (asked, got) = self.live_through()?;
        let lasted = began.elapsed();
        let used = processor(pid).with_context(|| format!("during {name}"))?.saturating_sub(before);
        cure().with_context(|| format!("curing {name}"))?;
        let back = self.answered(BACK_IN).with_context(|| format!("after {name}"))?;
        let share = used.as_secs_f64() / lasted.as_secs_f64();
        self.worst_back = self.worst_back.max(back);
        self.worst_share = self.worst_share.max(share);
        self.faults += 1;
        ensure!(self.server.process.runs()?, "{name} ended the server");
        ensure!(
            share <= self.share,
            "{name}: {:.0} % of a processor for {asked} asks",
            share * 100.0
        );
        match during {
            Answers::None => {
                ensure!(got == 0, "{name}: {got} answers of {asked}, the fault is none");
            }
            Answers::All => ensure!(got > 0, "{name}: no answer of {asked}"),
            Answers::Some => {}
        }
        Ok(())
    }

    /// The same with shell commands inside the server's host.
    pub(super) fn commands(
        &mut self,
        name: &str,
        during: Answers,
        cause: &str,
        cure: &str,
    ) -> Result<()> {
        let host = &self.net.server;
        self.fault(name, during, || host.run(cause).map(drop), || host.run(cure).map(drop))
    }

    /// Asks all the time; how many asks left and how many answers came.
    fn live_through(&mut self) -> Result<(u64, u64)> {
        // An answer that was on its way when the fault began is not the fault's.
        pause(Duration::from_millis(20));
        self.socket.set_nonblocking(true)?;
        while self.socket.recv(&mut [0; 16]).is_ok() {}
        self.socket.set_nonblocking(false)?;
        self.socket.set_read_timeout(Some(EVERY))?;
        let (mut asked, mut got) = (0, 0);
        let mut buffer = vec![0; 1 << 16];
        let end = Deadline::after(LASTS);
        while end.left().is_some() {
            // Where the fault is in the way of asks, they fail or vanish.
            let next = clock::now() + EVERY;
            asked += u64::from(self.ask().is_ok());
            got += u64::from(self.socket.recv(&mut buffer).is_ok());
            pause(next.saturating_duration_since(clock::now()));
        }
        Ok((asked, got))
    }

    fn ask(&mut self) -> std::io::Result<u64> {
        self.number += 1;
        let mut text = format!("{:020}", self.number).into_bytes();
        text.resize(self.payload, b'.');
        let server: SocketAddr = at(SERVER);
        self.socket.send_to(&text, server)?;
        Ok(self.number)
    }

    /// Asks until an answer comes to something asked from now on; the time that took.
    fn answered(&mut self, within: Duration) -> Result<Duration> {
        let began = clock::now();
        let end = Deadline::after(within);
        let first = self.number + 1;
        let mut buffer = vec![0; 1 << 16];
        self.socket.set_read_timeout(Some(Duration::from_millis(10)))?;
        while end.left().is_some() {
            let _ = self.ask();
            while let Ok(n) = self.socket.recv(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..n]).into_owned();
                let number =
                    text.strip_prefix("echo ").and_then(|t| t.get(..20)?.parse::<u64>().ok());
                if number.is_some_and(|n| n >= first) {
                    return Ok(began.elapsed());
                }
            }
        }
        bail!("no answer within {within:?}")
    }

    /// Says what the worst of it was.
    pub(super) fn report(&self, scenario: &str) {
        figure(
            scenario,
            &format!(
                "{} faults survived, back in {:.3} s at worst, {:.1} % of a processor at worst meanwhile",
                self.faults,
                self.worst_back.as_secs_f64(),
                self.worst_share * 100.0
            ),
        );
    }
}
