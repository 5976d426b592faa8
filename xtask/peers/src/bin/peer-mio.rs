//! mio: one poll, then every datagram that is there.

use std::error::Error;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

fn main() -> Result<(), Box<dyn Error>> {
    let mut socket = UdpSocket::bind(peers::address()?)?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let mut buffer = vec![0; peers::LARGEST];
    loop {
        poll.poll(&mut events, None)?;
        // Edge triggered: whatever is left unread would not be told again.
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..length], peer);
        }
    }
}
