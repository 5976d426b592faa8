//! The client's parts. The program itself is a parse, a call and an exit code.

pub mod args;
pub mod config;
pub mod evidence;
pub mod exchange;
pub mod input;
pub mod network;
pub mod outcome;
pub mod output;
pub mod session;
pub mod stats;
pub mod transcript;

pub use udp_core::expect as expectation;
