//! Drives a built program as a person or a script would, for end-to-end scenarios and for each
//! program's own tests: child processes, terminals, peers that answer by plan, text with figures in it.
//!
//! A black box: std sockets, pipes, signals and a pseudo-terminal, no code shared with the programs.
#![cfg(unix)]
#![allow(missing_docs, reason = "for tests of this workspace alone")]

pub mod check;
pub mod clock;
pub mod json;
pub mod net;
pub mod proc;
pub mod process;
pub mod server;
pub mod terminal;

pub use net::{Peer, Reply, Request};
pub use process::{Finished, Launch, Process};
pub use server::Server;
pub use terminal::Terminal;
pub use vt100;
