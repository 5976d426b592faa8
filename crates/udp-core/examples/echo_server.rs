//! The tutorial's server, as small as it gets: `cargo run -p udp-core --example echo_server`.
//!
//! It answers each datagram with `echo ` and what it held. It is for reading and copying; what a
//! server on the open internet needs besides is what `udp-server` adds.

use std::error::Error;
use std::io::{self, Write};

use udp_core::error::ErrorClass;
use udp_core::socket::SocketConfig;
use udp_core::text::escape::escape;
use udp_core::{Endpoint, Family, Shown, endpoint};

fn main() -> Result<(), Box<dyn Error>> {
    let typed = std::env::args().nth(1).unwrap_or_else(|| "0.0.0.0:7000".into());
    let wanted: Endpoint = typed.parse()?;
    let address = wanted.resolve(endpoint::Role::Serve, Family::Any, endpoint::DEFAULT_PORT)?[0];
    let config = SocketConfig { bind: Some(address), ..SocketConfig::default() };
    let socket = config.open()?.socket;

    let mut out = io::stdout().lock();
    writeln!(out, "server start at: {}", endpoint::host_port(socket.local_addr()?))?;
    writeln!(out, "wait for connection...")?;

    // As large as a datagram can be, so that none is ever cut.
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, peer) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            // A signal, or a peer's host that said no to an earlier reply: none of them is an end.
            Err(error) if ErrorClass::of(&error) != ErrorClass::Other => continue,
            Err(error) => return Err(error.into()),
        };
        let data = &buffer[..length];
        writeln!(out, "recvfrom {}: {}", Shown(peer), escape(data))?;
        if let Err(error) = socket.send_to(&[b"echo ", data].concat(), peer) {
            writeln!(out, "sendto {} failed: {error}", Shown(peer))?;
        }
    }
}
