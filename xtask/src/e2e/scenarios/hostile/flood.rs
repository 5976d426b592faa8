//! The client and the heartbeat in a flood of datagrams that they never asked for: nothing of it is
//! credited, it is counted, memory does not grow, and what is asked is answered again afterwards.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::client::{balanced, count, counts};
use super::terminal::without_editing;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::measure::{chosen, figure, memory};
use crate::e2e::process::Finished;
use crate::e2e::terminal::Terminal;

scenarios!("hostile/flood":
    a_flood_meets_the_client,
    a_flood_meets_the_prompt,
    a_flood_meets_the_heartbeat,
);

/// Sends so many unasked datagrams to whoever asks first, as fast as it can, and answers rightly
/// whatever is asked, in the midst of it and afterwards.
struct Flooder {
    address: SocketAddr,
    over: Arc<AtomicBool>,
    spent: Receiver<()>,
    thread: JoinHandle<u64>,
}

impl Flooder {
    fn new(limit: u64) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let address = socket.local_addr()?;
        let over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&over);
        let (done, spent) = sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let mut sent = 0;
            let Ok((n, victim)) = socket.recv_from(&mut buffer) else { return sent };
            let _ = socket.set_nonblocking(true);
            let _ = socket.send_to(&[b"echo ", &buffer[..n]].concat(), victim);
            while sent < limit && !theirs.load(Ordering::Relaxed) {
                while let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&[b"echo ", &buffer[..n]].concat(), from);
                }
                sent += u64::from(socket.send_to(b"unasked\x1b[2J\n", victim).is_ok());
            }
            let _ = done.send(());
            let _ = socket.set_nonblocking(false);
            let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
            while !theirs.load(Ordering::Relaxed) {
                if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                    let _ = socket.send_to(&[b"echo ", &buffer[..n]].concat(), from);
                }
            }
            sent
        });
        Ok(Self { address, over, spent, thread })
    }

    /// Waits until all have been sent.
    fn wait(&self) -> Result<()> {
        self.spent.recv_timeout(PATIENCE * 3).context("the flood does not end")
    }

    fn end(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        // Should nobody ever have asked.
        let _ = UdpSocket::bind("127.0.0.1:0")?.send_to(b"", self.address);
        self.thread.join().map_err(|_| anyhow::anyhow!("the flood panicked"))
    }
}

/// KiB, for programs that keep nothing of what they were not asked for.
const MEMORY: u64 = 64 * 1024;

fn unasked() -> Result<u64> {
    chosen("UDP_HOSTILE_UNASKED", 100_000)
}

fn a_flood_meets_the_client(context: &Context) -> Result<()> {
    let flooder = Flooder::new(unasked()?)?;
    let target = flooder.address.to_string();
    let mut client = context.client().args([target.as_str(), "-W", "2"]).stdin_open().spawn()?;
    for n in 0..10 {
        client.write(format!("in the flood {n}\n").as_bytes())?;
    }
    flooder.wait()?;
    for n in 0..10 {
        client.write(format!("after it {n}\n").as_bytes())?;
    }
    let last = |out: &[u8]| String::from_utf8_lossy(out).contains("echo after it 9").then_some(());
    client.out.wait_until(last).context("what is asked after the flood is answered")?;
    let peak = memory(client.id())?.peak;
    client.end_input();
    let finished = client.finish()?;
    let sent = flooder.end()?;
    let told = counts(&finished);
    harmless(&finished)?;
    check::holds(&format!("at most {MEMORY} KiB: {peak}"), peak <= MEMORY)?;
    check::same(&told, 20, count(&finished, "sent"))?;
    check::holds(&format!("the unasked are counted: {told}"), count(&finished, "unsolicited") > 0)?;
    figure("hostile/flood", &format!("{sent} unasked datagrams: {told}, peak {peak} KiB"));
    Ok(())
}

/// A person at the prompt is still heard, and the terminal is not buried for ever.
fn a_flood_meets_the_prompt(context: &Context) -> Result<()> {
    let flooder = Flooder::new(unasked()?)?;
    let target = flooder.address.to_string();
    let terminal = Terminal::start(&context.programs.client, &[&target], context.home.path())?;
    let shows = |text: &'static str| {
        move |out: &[u8]| String::from_utf8_lossy(out).contains(text).then_some(())
    };
    terminal.hear(shows("please input message: "))?;
    terminal.type_in("first\r")?;
    terminal.hear(shows("echo first")).context("what is asked in the flood is answered")?;
    flooder.wait()?;
    terminal.type_in("still here\r")?;
    terminal.hear(shows("echo still here")).context("what is asked after the flood is answered")?;
    let peak = memory(terminal.id())?.peak;
    // Typed between two prompts, an end of input would be nobody's.
    let prompts = |out: &[u8]| {
        let shown = without_editing(&String::from_utf8_lossy(out)).ok()?;
        shown.ends_with("please input message: ").then_some(())
    };
    terminal.hear(prompts).context("the prompt is back")?;
    // Ctrl-D
    terminal.type_in("\x04")?;
    let screen = terminal.bytes();
    let (code, _) = terminal.finish()?;
    let sent = flooder.end()?;
    check::same("exit code", 0, code)?;
    check::holds("the screen is not cleared", !screen.windows(4).any(|w| w == b"\x1b[2J"))?;
    check::holds(&format!("at most {MEMORY} KiB: {peak}"), peak <= MEMORY)?;
    figure("hostile/flood", &format!("{sent} unasked datagrams at the prompt: peak {peak} KiB"));
    Ok(())
}

/// Nothing of what came is shown as it came.
fn harmless(finished: &Finished) -> Result<()> {
    let control = finished.stdout.iter().find(|&&b| b < b' ' && b != b'\n');
    check::same("control characters in the output", None, control)
}

fn a_flood_meets_the_heartbeat(context: &Context) -> Result<()> {
    for options in [&["--number"][..], &["--number", "--json"]] {
        let flooder = Flooder::new(unasked()?)?;
        let target = flooder.address.to_string();
        let usual = [target.as_str(), "-i", "50ms", "-c", "20", "-W", "2"];
        let heartbeat = context.heartbeat().args(usual).args(options.iter().copied()).spawn()?;
        heartbeat
            .out
            .wait_until(|out| (out.len() > 500).then_some(()))
            .context("something is shown")?;
        let peak = memory(heartbeat.id()).map_or(0, |m| m.peak);
        let finished = heartbeat.finish()?;
        let sent = flooder.end()?;
        check::holds(&format!("at most {MEMORY} KiB: {peak}"), peak <= MEMORY)?;
        harmless(&finished)?;
        if options == ["--number"] {
            balanced(&finished)?;
            let told = counts(&finished);
            check::holds(
                &format!("the unasked are counted: {told}"),
                count(&finished, "unsolicited") > 0,
            )?;
            figure("hostile/flood", &format!("{sent} unasked datagrams: {told}, peak {peak} KiB"));
        }
    }
    Ok(())
}
