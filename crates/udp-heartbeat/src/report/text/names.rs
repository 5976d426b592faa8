//! How target names are printed in text.

use std::net::SocketAddr;

use udp_core::text::escape;

/// What a person typed or a resolver said, made safe to show.
pub(crate) fn one_line(text: &str) -> String {
    escape::escape(text.as_bytes())
}

/// A target by its name, and its address where that says more.
pub(crate) fn place(label: &str, address: Option<SocketAddr>) -> String {
    let address = address.map(udp_core::endpoint::host_port).filter(|address| address != label);
    match address {
        Some(address) => format!("{} ({address})", one_line(label)),
        None => one_line(label),
    }
}
