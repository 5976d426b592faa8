//! Timestamps, TTL, ECN and kernel drops: each is there where it was asked for.

use socket2::SockRef;

use super::*;
use crate::clock;

#[test]
fn stamps_ttl_and_ecn_are_told_if_asked() {
    let mut binds = vec!["127.0.0.1:0", "0.0.0.0:0"];
    if has_v6() {
        binds.extend(["[::1]:0", "[::]:0"]);
    }
    let asked = Options { timestamps: true, ttl: true, ecn: true, ..Options::default() };
    for backend in BACKENDS {
        for bind in &binds {
            let mut server = Server::new(bind, backend, &asked);
            if !server.io.abilities().timestamps {
                continue;
            }
            let v6 = server.address.is_ipv6();
            let client = client(server.at(if v6 { "::1" } else { "127.0.0.1" }));
            if v6 {
                SockRef::from(&client).set_unicast_hops_v6(7).expect("hops");
                SockRef::from(&client).set_tclass_v6(0b1011_1001).expect("class");
            } else {
                SockRef::from(&client).set_ttl_v4(7).expect("ttl");
                SockRef::from(&client).set_tos_v4(0b1011_1001).expect("tos");
            }
            let before = clock::wall();
            client.send(b"stamped").expect("send");
            let (meta, _) = server.receive_one();
            let after = clock::wall();
            let stamp = meta.timestamp.expect("a stamp");
            assert!(before <= stamp && stamp <= after, "{backend:?} {bind}: {stamp:?}");
            assert_eq!((meta.ttl, meta.ecn), (Some(7), Some(1)), "{backend:?} {bind}");
            server.echo_nothing();
        }
    }
}

#[test]
fn nothing_is_told_that_was_not_asked() {
    for backend in BACKENDS {
        let mut server = Server::new("0.0.0.0:0", backend, &Options::default());
        client(server.at("127.0.0.1")).send(b"plain").expect("send");
        let (meta, _) = server.receive_one();
        assert_eq!((meta.timestamp, meta.ttl, meta.ecn), (None, None, None), "{backend:?}");
        assert!(!server.io.abilities().timestamps);
    }
}

#[test]
fn a_destination_that_nobody_asks_for_is_not_told() {
    let options = Options { destination: false, ..Options::default() };
    for backend in BACKENDS {
        let mut server = Server::new("0.0.0.0:0", backend, &options);
        assert!(!server.io.abilities().destination, "{backend:?}");
        client(server.at("127.0.0.1")).send(b"plain").expect("send");
        let (meta, bytes) = server.receive_one();
        assert_eq!((meta.local, meta.destination), (None, Destination::Unknown), "{backend:?}");
        assert_eq!(bytes, b"plain");
    }
}

#[test]
fn what_the_queue_has_no_room_for_is_counted_exactly() {
    for backend in BACKENDS {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let queue = socket.try_clone().expect("clone");
        let mut server = Server::on(socket, backend, &Options::default());
        SockRef::from(&queue).set_recv_buffer_size(4096).expect("a small buffer");
        if !server.io.abilities().drops {
            assert_eq!(server.io.drops(), None, "{backend:?}");
            continue;
        }
        assert_eq!(server.io.drops(), Some(0));
        let client = client(server.address);
        let mut received = 0;
        for sent in [1000, 2000, 3000] {
            for _ in 0..1000 {
                client.send(&[7; 100]).expect("send");
            }
            loop {
                match server.io.receive(&mut server.slots, Wait::Now).expect("receive") {
                    0 => break,
                    _ => received += server.datagrams(),
                }
            }
            let lost = server.io.drops().expect("a count");
            assert!(lost > 0);
            assert_eq!(received as u64 + lost, sent, "{backend:?}");
        }
    }
}

impl Server {
    /// Nothing more is queued.
    #[track_caller]
    fn echo_nothing(&mut self) {
        assert_eq!(self.io.receive(&mut self.slots, Wait::Now).expect("receive"), 0);
    }
}
