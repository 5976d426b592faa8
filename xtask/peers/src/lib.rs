//! What the peers share: where they listen, and how large a datagram they take.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

/// The largest UDP datagram, and the largest merged run of them.
pub const LARGEST: usize = 65_535;

/// Every IPv4 address at the port that is the only argument.
///
/// # Errors
/// No argument, or one that is no port.
pub fn address() -> Result<SocketAddr, Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("the only argument is the port to serve")?;
    Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.parse()?)))
}
