//! Every test here runs on every backend, in one process.

use std::net::UdpSocket;
use std::time::Duration;

use super::*;

/// Longer than any wait that succeeds.
const LONG: Duration = Duration::from_secs(20);

const BACKENDS: [Backend; 2] = [Backend::Auto, Backend::Portable];

struct Pair {
    io: Io,
    slots: Slots,
    outbox: Outbox,
    client: UdpSocket,
}

#[track_caller]
fn pair(backend: Backend, prefix: &[u8]) -> Pair {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind the server");
    let client = UdpSocket::bind("127.0.0.1:0").expect("bind the client");
    client.connect(socket.local_addr().expect("address")).expect("connect");
    client.set_read_timeout(Some(LONG)).expect("time-out");
    let io = Io::new(socket, backend, &Options::default()).expect("open");
    let mut slots = Slots::new(32, SLOT, 64);
    assert!(slots.set_prefix(prefix));
    let outbox = Outbox::new(slots.capacity(), 1 << 16);
    Pair { io, slots, outbox, client }
}

impl Pair {
    /// Echoes until `datagrams` were answered.
    #[track_caller]
    fn echo(&mut self, datagrams: usize) {
        let mut done = 0;
        while done < datagrams {
            let filled =
                self.io.receive(&mut self.slots, Wait::Block(Some(LONG))).expect("receive");
            assert!(filled > 0, "{done} of {datagrams} came");
            for (i, received) in self.slots.iter().enumerate() {
                self.outbox.echo(&self.slots, i, 0..received.meta.datagrams()).expect("room");
            }
            self.io.send(&mut self.outbox, &self.slots, |sent| {
                assert!(sent.datagrams > 0);
                sent.result.expect("sent");
                done += sent.datagrams;
            });
        }
    }

    #[track_caller]
    fn reply(&self) -> Vec<u8> {
        let mut bytes = vec![0; 70_000];
        let len = self.client.recv(&mut bytes).expect("a reply");
        bytes.truncate(len);
        bytes
    }
}

#[test]
fn a_lone_datagram_of_any_length_is_echoed() {
    for backend in BACKENDS {
        for prefix in [&b""[..], b"echo "] {
            let mut pair = pair(backend, prefix);
            for length in [0, 1, 2, 100, 1400, 1472, 9000, MAX_V4 - prefix.len()] {
                let payload: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
                pair.client.send(&payload).expect("send");
                pair.echo(1);
                assert!(pair.reply() == [prefix, &payload].concat(), "{backend:?} {length}");
            }
        }
    }
}
