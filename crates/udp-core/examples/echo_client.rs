//! The tutorial's client in one exchange: `cargo run -p udp-core --example echo_client -- hello`.
//!
//! Unlike the tutorial's it does not wait for ever: a datagram may be lost, so it waits a second.

use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use udp_core::socket::{ReceiveMode, SocketConfig};
use udp_core::text::escape::escape;
use udp_core::{ErrorClass, Shown};

fn main() -> Result<(), Box<dyn Error>> {
    let message = std::env::args().nth(1).unwrap_or_else(|| "hello".into());
    let server: SocketAddr =
        std::env::args().nth(2).unwrap_or_else(|| "127.0.0.1:7000".into()).parse()?;

    // Connected, so that the kernel drops what others send, and tells when nobody listens there.
    let config = SocketConfig {
        connect: Some(server),
        mode: ReceiveMode::Timeout(Duration::from_secs(1)),
        ..SocketConfig::default()
    };
    let socket = config.open()?.socket;
    let mut out = io::stdout().lock();
    socket.send(message.as_bytes())?;
    writeln!(out, "sendto {}: {}", Shown(server), escape(message.as_bytes()))?;

    let mut buffer = vec![0; 65_536];
    match socket.recv(&mut buffer) {
        Ok(length) => {
            writeln!(out, "recvfrom {}: {}", Shown(server), escape(&buffer[..length]))?;
            Ok(())
        }
        Err(error) => match ErrorClass::of(&error) {
            ErrorClass::NotReady => Err("no reply within a second".into()),
            ErrorClass::Refused => Err("nothing listens there".into()),
            _ => Err(error.into()),
        },
    }
}
