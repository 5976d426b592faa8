//! Watches UDP paths and measures them: the library under the program `udp-heartbeat`.

pub mod args;
mod config;
mod expectation;
mod probe;
mod report;
mod run;

pub use run::run;
