//! The reporters, one a file, behind one trait. They render into a buffer and write nothing
//! themselves; the printer's thread owns stdout.

mod json;
mod text;

pub use json::Json;
pub use text::{CountLine, Text};

use udp_core::clock::Wall;

use crate::block::Record;
use crate::event::{Service, Summary};
use crate::policy::Reason;

/// Renders events in one format. Each method appends to `out`.
pub trait Report: Send {
    /// The server is ready.
    fn start(&mut self, services: &[Service], now: Wall, out: &mut Vec<u8>);
    /// A datagram came; `kept` is what there is of its payload.
    fn datagram(&mut self, record: &Record, kept: &[u8], out: &mut Vec<u8>);
    /// So many were dropped for this reason since it was last said.
    fn dropped(&mut self, reason: Reason, count: u64, now: Wall, out: &mut Vec<u8>);
    /// So many datagrams were not shown, for want of room or time.
    fn not_shown(&mut self, count: u64, now: Wall, out: &mut Vec<u8>);
    /// The end.
    fn summary(&mut self, summary: &Summary, now: Wall, out: &mut Vec<u8>);
}
