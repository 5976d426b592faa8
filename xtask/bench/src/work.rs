//! The work of clients in a scenario: who sends how many beats to whom, and who reads them.

use std::time::Duration;

/// What is looked at, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seeing {
    /// A page of a recording of so many beats.
    Report(u64),
    /// A beat each 100 µs, recorded or not.
    Record(bool),
    /// 1,000 targets at a beat a second.
    Live { live: bool, recorded: bool },
}

/// How often beats are sent, and to how many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beats {
    pub(crate) client: Client,
    pub(crate) interval: Duration,
    pub(crate) targets: u32,
    pub(crate) asks: Asks,
    /// The client stays on the generator's core, so that rows compare that differ in the client
    /// alone; else it runs where it likes.
    pub(crate) own_core: bool,
    /// Its metrics are read once a second.
    pub(crate) scraped: bool,
    /// More options for the client.
    pub(crate) options: &'static [&'static str],
}

/// What a beat is, where there are many targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    Plain,
    Stamp,
    /// One half each.
    DnsAndNtp,
}

/// Who sends beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Heartbeat,
    Irtt,
    Sockperf,
}
