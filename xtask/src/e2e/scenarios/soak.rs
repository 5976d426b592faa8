//! Soak: hundreds of thousands of exchanges below the server's capacity. Not one is lost, changed
//! or doubled, and the server's memory at the end is what it was near the beginning.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::{self, PATIENCE};
use crate::e2e::context::Context;
use crate::e2e::measure::{Totals, chosen, figure, memory};

scenarios!("soak": nothing_lost_changed_or_doubled);

/// Flows at once, and datagrams that each has under way.
const FLOWS: u64 = 16;
const WINDOW: usize = 8;
/// How much resident memory may differ between the first tenth and the end, in KiB.
const MEMORY: u64 = 1024;

fn nothing_lost_changed_or_doubled(context: &Context) -> Result<()> {
    // Ten million take minutes; the environment asks for them.
    let total = chosen("UDP_SOAK", 200_000)?;
    let server = context.serve(&["-q"])?;
    let (address, pid) = (server.address(), server.process.id());
    let began = clock::now();
    let flows: Vec<Flow> = (0..FLOWS).map(|n| Flow::new(n, address)).collect::<Result<_>>()?;
    let warm = run(flows, total / 10 / FLOWS)?;
    let before = memory(pid)?;
    let each = total / FLOWS - total / 10 / FLOWS;
    let flows = run(warm, each)?;
    let after = memory(pid)?;
    for flow in &flows {
        flow.silent()?;
    }
    let took = began.elapsed().as_secs_f64();
    let sent: u64 = flows.iter().map(|f| f.sent).sum();
    let totals = Totals::of(&server.stop()?)?;
    let expected = Totals { received: sent, replied: sent, ..Totals::default() };
    check::same("the totals", expected, totals)?;
    let differs = before.now.abs_diff(after.now);
    check::holds(
        &format!("memory went from {} to {} KiB", before.now, after.now),
        differs <= MEMORY,
    )?;
    figure(
        "soak",
        &format!(
            "{sent} exchanges in {took:.1} s, 0 lost, changed or doubled; resident {} to {} KiB",
            before.now, after.now
        ),
    );
    Ok(())
}

/// Lets every flow exchange so many.
fn run(flows: Vec<Flow>, each: u64) -> Result<Vec<Flow>> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = flows
            .into_iter()
            .map(|mut flow| scope.spawn(move || flow.exchange(each).map(|()| flow)))
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().map_err(|_| anyhow::anyhow!("a flow panicked"))?)
            .collect()
    })
}

/// One socket's exchanges.
struct Flow {
    socket: UdpSocket,
    random: fastrand::Rng,
    sent: u64,
    /// What is under way, oldest first.
    waiting: std::collections::VecDeque<Vec<u8>>,
}

impl Flow {
    fn new(number: u64, server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let random = fastrand::Rng::with_seed(number);
        Ok(Self { socket, random, sent: 0, waiting: [].into() })
    }

    fn exchange(&mut self, count: u64) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        let end = self.sent + count;
        while self.sent < end || !self.waiting.is_empty() {
            while self.sent < end && self.waiting.len() < WINDOW {
                let payload = self.payload();
                self.socket.send(&payload).context("cannot send")?;
                self.sent += 1;
                self.waiting.push_back(payload);
            }
            let n = self.socket.recv(&mut buffer).context("an exchange was lost")?;
            let Some(expected) = self.waiting.pop_front() else { bail!("an echo too many") };
            let got = buffer[..n].strip_prefix(b"echo ");
            ensure!(
                got == Some(expected.as_slice()),
                "expected the echo of {}, got {}",
                expected.escape_ascii(),
                buffer[..n].escape_ascii()
            );
        }
        Ok(())
    }

    /// A number that never comes twice, and random bytes of a random length behind it.
    fn payload(&mut self) -> Vec<u8> {
        let mut payload = format!("{} ", self.sent).into_bytes();
        let length = self.random.usize(..200);
        payload.extend((0..length).map(|_| self.random.u8(..)));
        payload
    }

    /// Nothing has come that was not waited for.
    fn silent(&self) -> Result<()> {
        self.socket.set_read_timeout(Some(Duration::from_millis(1)))?;
        match self.socket.recv(&mut [0; 64]) {
            Ok(n) => bail!("an echo too many, of {n} bytes"),
            Err(_) => Ok(()),
        }
    }
}
