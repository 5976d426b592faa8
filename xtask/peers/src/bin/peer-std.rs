//! The plain loop: `recv_from`, `send_to`, one datagram a call, nothing else.

use std::error::Error;
use std::net::UdpSocket;

fn main() -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(peers::address()?)?;
    let mut buffer = vec![0; peers::LARGEST];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        let _ = socket.send_to(&buffer[..length], peer);
    }
}
