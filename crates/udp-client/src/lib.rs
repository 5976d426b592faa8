//! The client as a library, for its own tests. The program itself is a parse, a call and an exit
//! code.

pub mod args;
mod ask;
pub mod config;
pub mod exchange;
pub mod input;
pub mod network;
pub mod output;
pub mod session;
pub mod stats;
pub mod transcript;
