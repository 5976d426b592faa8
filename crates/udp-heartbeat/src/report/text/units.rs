//! How figures and names stand in text.

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::text::escape;

/// Milliseconds with three places.
pub(super) struct Millis(pub(super) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In whole numbers: a double has not enough places for a nanosecond in a year.
        let micros = (self.0.as_nanos() + 500) / 1000;
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

/// Milliseconds, or a dash for what is not known.
pub(super) struct OrDash(pub(super) Option<Duration>);

impl fmt::Display for OrDash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => Millis(span).fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// What a person typed or a resolver said, made safe to show.
pub(super) fn one_line(text: &str) -> String {
    escape::escape(text.as_bytes())
}

pub(super) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

/// A target by its name, and its address where that says more.
pub(crate) fn place(label: &str, address: Option<SocketAddr>) -> String {
    let address = address.map(udp_core::endpoint::host_port).filter(|address| address != label);
    match address {
        Some(address) => format!("{} ({address})", one_line(label)),
        None => one_line(label),
    }
}
