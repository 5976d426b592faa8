//! Watches UDP paths and measures them: the library under the program `udp-heartbeat`.

pub mod args;
mod config;
mod probe;
mod report;
mod run;
mod targets_file;

pub use run::run;
