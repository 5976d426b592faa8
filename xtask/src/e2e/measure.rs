//! Reads a running program's counts, memory and share of the processor from outside
//! (proc_pid_status(5), schedstat).

use std::time::Duration;

use anyhow::{Context as _, Result};
use driver::proc;
use regex::Regex;

use super::process::Finished;
use crate::say;

/// The server's summary, figure by figure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) received: u64,
    pub(crate) replied: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// Lost in this host.
    pub(crate) lost: u64,
    pub(crate) rate: u64,
    pub(crate) looped: u64,
    pub(crate) access: u64,
    pub(crate) destination: u64,
    pub(crate) source: u64,
    pub(crate) size: u64,
}

impl Totals {
    /// Reads the summary that a server printed when it ended with code 0.
    pub(crate) fn of(finished: &Finished) -> Result<Self> {
        finished.exits(0)?;
        Self::parse(&finished.out())
    }

    pub(crate) fn parse(out: &str) -> Result<Self> {
        let shape = r"(?m)^(\d+) received, (\d+) replied, (\d+) dropped, (\d+) failed, (\d+) kernel drops
dropped: rate (\d+), loop (\d+), access (\d+), destination (\d+), source (\d+), size (\d+)$";
        let found = Regex::new(shape)?.captures(out);
        let found = found.with_context(|| {
            let from = out.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
            format!("no summary with its totals at the end of {:?}", &out[from..])
        })?;
        let figure = |n: usize| found[n].parse::<u64>().context("a count out of range");
        Ok(Self {
            received: figure(1)?,
            replied: figure(2)?,
            refused: figure(3)?,
            failed: figure(4)?,
            lost: figure(5)?,
            rate: figure(6)?,
            looped: figure(7)?,
            access: figure(8)?,
            destination: figure(9)?,
            source: figure(10)?,
            size: figure(11)?,
        })
    }

    /// Whether every received datagram has its place, and every refusal its reason.
    pub(crate) fn balance(&self) -> bool {
        let reasons =
            self.rate + self.looped + self.access + self.destination + self.source + self.size;
        self.received == self.replied + self.refused + self.failed && self.refused == reasons
    }
}

/// A program's memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// Resident memory of a process, now and at its highest.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let (now, peak) = proc::memory(pid).context("no such process")?;
    Ok(Memory { now: now / 1024, peak: peak / 1024 })
}

/// The processor time that the threads of a process have had.
pub(crate) fn processor(pid: u32) -> Result<Duration> {
    Ok(Duration::from_nanos(proc::cpu_nanos(pid).context("no such process")?))
}

/// Says a figure that was measured on the way; nothing depends on it.
pub(crate) fn figure(scenario: &str, text: &str) {
    say::line(&format!("# {scenario}: {text}"));
}

/// A number that the environment sets, for the longer versions of a scenario.
pub(crate) fn chosen(variable: &str, usual: u64) -> Result<u64> {
    match std::env::var(variable) {
        Ok(text) => text.parse().with_context(|| format!("{variable} is no number: {text}")),
        Err(_) => Ok(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read_to_the_last_figure() {
        let text = "recvfrom ('127.0.0.1', 1): x\n--- 0.0.0.0:7000 server statistics ---\n\
                    21 received, 4 replied, 15 dropped, 2 failed, 7 kernel drops\n\
                    dropped: rate 5, loop 4, access 3, destination 2, source 1, size 0\n";
        let totals = Totals::parse(text).unwrap();
        assert_eq!((totals.received, totals.lost, totals.rate, totals.source), (21, 7, 5, 1));
        assert!(totals.balance());
        assert!(!Totals { looped: 5, ..totals }.balance());
        assert!(!Totals { failed: 3, ..totals }.balance());
        let _ = Totals::parse("21 received").expect_err("half a summary");
    }
}
