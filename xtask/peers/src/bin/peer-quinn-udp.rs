//! quinn-udp: batched receive with merged runs (GRO), each run answered by one segmented send.
//! The library sets its socket to non-blocking, so mio does the waiting.

use std::error::Error;
use std::io::IoSliceMut;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSockRef, UdpSocketState};

fn main() -> Result<(), Box<dyn Error>> {
    let mut socket = UdpSocket::bind(peers::address()?)?;
    let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let mut memory = vec![0; BATCH_SIZE * peers::LARGEST];
    let mut buffers: Vec<_> =
        memory.chunks_exact_mut(peers::LARGEST).map(IoSliceMut::new).collect();
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        poll.poll(&mut events, None)?;
        // Edge triggered: whatever is left unread would not be told again.
        while let Ok(received) = state.recv(UdpSockRef::from(&socket), &mut buffers, &mut metas) {
            for (buffer, meta) in buffers.iter().zip(&metas).take(received) {
                let transmit = Transmit {
                    destination: meta.addr,
                    ecn: None,
                    contents: &buffer[..meta.len],
                    segment_size: (meta.stride < meta.len).then_some(meta.stride),
                    src_ip: meta.dst_ip,
                };
                let _ = state.try_send(UdpSockRef::from(&socket), &transmit);
            }
        }
    }
}
