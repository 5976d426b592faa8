//! The events that the reporters print: start, datagrams, drops, the final counts.

use std::net::SocketAddr;

use crate::accounting::Counts;
use crate::block::Block;
use crate::policy::Reason;

/// What is reported.
#[derive(Debug)]
pub enum Event {
    /// The server is ready, on these addresses.
    Start(Vec<Service>),
    /// Datagrams came.
    Datagrams(Block),
    /// So many datagrams were dropped since this was last said.
    Dropped(Reason, u64),
    /// The end.
    Summary(Summary),
}

/// An address that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Where.
    pub address: SocketAddr,
    /// What.
    pub kind: Kind,
}

/// What is served at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Datagrams come back.
    Echo,
    /// Datagrams are counted.
    Sink,
    /// STAMP packets are reflected.
    Stamp,
}

/// The final counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Every address that was served.
    pub services: Vec<Service>,
    /// What happened.
    pub counts: Counts,
    /// Datagrams that found a receive queue full; `None` where the kernel does not count them.
    pub lost: Option<u64>,
}
