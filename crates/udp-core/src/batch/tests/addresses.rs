//! The sender's address, the address that was asked, and the one that the answer leaves from.

use socket2::SockRef;

use super::*;

/// A dual-stack socket on every address.
fn dual_stack() -> UdpSocket {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("socket");
    socket.set_only_v6(false).expect("dual stack");
    let any: SocketAddr = "[::]:0".parse().expect("address");
    socket.bind(&any.into()).expect("bind");
    socket.into()
}

#[test]
fn the_address_that_was_asked_answers() {
    // Bound to, asked at.
    let mut cases =
        vec![("127.0.0.1:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.1"), ("0.0.0.0:0", "127.0.0.2")];
    if cfg!(target_os = "linux") {
        cases.push(("127.0.0.3:0", "127.0.0.3"));
    }
    if has_v6() {
        cases.extend([("[::1]:0", "::1"), ("[::]:0", "::1")]);
        cases.extend([("dual", "::1"), ("dual", "127.0.0.1"), ("dual", "127.0.0.2")]);
    }
    for backend in BACKENDS {
        for (bind, asked) in &cases {
            let mut server = match *bind {
                "dual" => Server::on(dual_stack(), backend, &Options::default()),
                bind => Server::new(bind, backend, &Options::default()),
            };
            if !server.io.abilities().destination {
                continue;
            }
            // A connected client hears only the address that it asked.
            let client = client(server.at(asked));
            client.send(b"who are you").expect("send");
            let (meta, _) = server.receive_one();
            let case = format!("{backend:?} {bind} {asked}");
            assert_eq!(meta.peer, client.local_addr().expect("address"), "{case}");
            assert_eq!(meta.local.map(|ip| ip.to_string()).as_deref(), Some(*asked), "{case}");
            assert_eq!(meta.destination, Destination::Unicast, "{case}");
            server.outbox.echo(&server.slots, 0, 0..1).expect("room");
            server.io.send(&mut server.outbox, &server.slots, |s| s.result.expect("sent"));
            assert_eq!(reply(&client), b"who are you", "{case}");
        }
    }
}

#[test]
fn neighbours_asked_at_different_addresses_are_not_joined() {
    for backend in BACKENDS {
        let mut server = Server::new("0.0.0.0:0", backend, &Options::default());
        if !server.io.abilities().destination {
            continue;
        }
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        client.set_read_timeout(Some(LONG)).expect("time-out");
        let asked = ["127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.2"];
        for (i, ip) in asked.iter().enumerate() {
            client.send_to(&payload(50, i), server.at(ip)).expect("send");
        }
        server.echo(4);
        for (i, ip) in asked.iter().enumerate() {
            let mut bytes = [0; 100];
            let (len, from) = client.recv_from(&mut bytes).expect("a reply");
            assert_eq!((&bytes[..len], from), (&payload(50, i)[..], server.at(ip)), "{backend:?}");
        }
    }
}

#[test]
fn mapped_peers_are_sent_to_as_ipv4() {
    if !has_v6() {
        return;
    }
    for backend in BACKENDS {
        let mut server = Server::on(dual_stack(), backend, &Options::default());
        let client = client(server.at("127.0.0.1"));
        let to = client.local_addr().expect("address");
        server.outbox.push(to, None, b"pushed").expect("room");
        server.io.send(&mut server.outbox, &Slots::none(), |sent| {
            assert_eq!(sent.peer, to);
            sent.result.expect("sent");
        });
        assert_eq!(reply(&client), b"pushed");
    }
}

#[test]
fn broadcast_and_multicast_are_told_from_unicast() {
    let cases = [
        ("127.0.0.1", Destination::Unicast),
        ("127.255.255.255", Destination::Broadcast),
        ("224.0.0.1", Destination::Multicast),
    ];
    for backend in BACKENDS {
        for dual in [false, true] {
            if dual && !has_v6() {
                continue;
            }
            let mut server = match dual {
                true => Server::on(dual_stack(), backend, &Options::default()),
                false => Server::new("0.0.0.0:0", backend, &Options::default()),
            };
            if !server.io.abilities().destination {
                continue;
            }
            for (to, kind) in &cases {
                if dual && *kind == Destination::Multicast {
                    continue; // does not reach an IPv6 socket
                }
                let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
                client.set_broadcast(true).expect("broadcast");
                SockRef::from(&client)
                    .set_multicast_if_v4(&Ipv4Addr::LOCALHOST)
                    .expect("multicast over the loopback interface");
                client.send_to(b"anybody", server.at(to)).expect("send");
                let (meta, _) = server.receive_one();
                assert_eq!(meta.destination, *kind, "{backend:?} dual: {dual} {to}");
                assert_eq!(meta.local, Some(LOOPBACK), "an address to answer from");
                assert_eq!(meta.peer, client.local_addr().expect("address"));
                assert_ne!(meta.interface, 0);
            }
        }
    }
}

/// A socket that is handed over may hold datagrams already, of which less is told.
#[test]
fn what_was_queued_before_is_known_as_well() {
    let cases = [("127.0.0.2", Destination::Unicast), ("127.255.255.255", Destination::Broadcast)];
    for backend in BACKENDS {
        for (to, kind) in cases {
            let socket = UdpSocket::bind("0.0.0.0:0").expect("bind");
            let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
            client.set_broadcast(true).expect("broadcast");
            let port = socket.local_addr().expect("address").port();
            client.send_to(b"early", (to, port)).expect("send");
            let mut server = Server::on(socket, backend, &Options::default());
            if !server.io.abilities().destination {
                continue;
            }
            let (meta, _) = server.receive_one();
            assert_eq!(meta.destination, kind, "{backend:?} {to}");
            let local = (kind == Destination::Unicast).then(|| to.parse().expect("an address"));
            assert_eq!(meta.local, local, "{backend:?} {to}");
        }
    }
}

/// A socket may be bound to a broadcast address itself; what it hears is no less broadcast.
#[cfg(target_os = "linux")]
#[test]
fn a_broadcast_address_can_be_bound_to() {
    for backend in BACKENDS {
        let mut server = Server::new("127.255.255.255:0", backend, &Options::default());
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        client.set_broadcast(true).expect("broadcast");
        client.send_to(b"anybody", server.address).expect("send");
        let (meta, _) = server.receive_one();
        assert_eq!(meta.destination, Destination::Broadcast, "{backend:?}");
        assert_eq!(meta.local, Some(LOOPBACK), "{backend:?}");
    }
}

#[test]
fn a_link_local_address_keeps_its_interface() {
    let meta = |local: &str| Meta {
        peer: "[fe80::2%7]:9".parse().expect("a peer"),
        local: Some(local.parse().expect("an address")),
        interface: 7,
        destination: Destination::Unicast,
        len: 0,
        segment: 0,
        truncated: false,
        timestamp: None,
        ttl: None,
        ecn: None,
    };
    for (local, interface) in [("fe80::1", 7), ("2001:db8::1", 0), ("::1", 0), ("192.0.2.1", 0)] {
        let source = meta(local).source().expect("a source");
        assert_eq!((source.address.to_string().as_str(), source.interface), (local, interface));
    }
    assert_eq!(Meta { local: None, ..meta("::1") }.source(), None);
}
