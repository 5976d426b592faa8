//! The UDP echo server and STAMP reflector, as a library: the program is [`run`] and nothing else.
//!
//! A datagram goes `socket -> batch -> policy -> service -> batch -> socket` within one worker
//! thread; what is told about it goes sideways, through a bounded channel, to the printer.

pub mod args;
pub mod config;
pub mod counters;
pub mod event;
pub mod policy;
pub mod report;
pub mod service;
