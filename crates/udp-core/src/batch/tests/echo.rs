//! Echoes of single datagrams, of merged runs, and of many peers.

use super::*;

#[test]
fn a_lone_datagram_of_any_length_is_echoed() {
    for backend in BACKENDS {
        for prefix in [&b""[..], b"echo "] {
            let mut server =
                Server::new("127.0.0.1:0", backend, &Options::default()).with_prefix(prefix);
            let client = client(server.address);
            for length in [0, 1, 2, 100, 1400, 1472, 9000, MAX_V4 - prefix.len()] {
                let payload = payload(length, 1);
                client.send(&payload).expect("send");
                server.echo(1);
                assert!(reply(&client) == [prefix, &payload].concat(), "{backend:?} {length}");
            }
        }
    }
}

#[test]
fn the_largest_datagram_over_ipv6_is_echoed() {
    if !has_v6() {
        return;
    }
    for backend in BACKENDS {
        let mut server = Server::new("[::1]:0", backend, &Options::default());
        let client = client(server.address);
        let payload = payload(MAX_V6, 1);
        client.send(&payload).expect("send");
        server.echo(1);
        assert!(reply(&client) == payload, "{backend:?}");
    }
}

#[test]
fn runs_come_back_datagram_by_datagram() {
    // Lengths of the datagrams that are sent together.
    let runs: &[(&str, Vec<usize>)] = &[
        ("equal", vec![64; 32]),
        ("a shorter tail", [vec![64; 20], vec![10]].concat()),
        ("one byte each", vec![1; 64]),
        ("more than a segmented send takes", vec![32; 150]),
        ("as many bytes as fit", vec![1400; 46]),
        ("more bytes than fit", vec![1400; 100]),
        ("a run behind a run", [vec![100; 5], vec![50; 5], vec![200; 5]].concat()),
        ("an empty one in the middle", vec![8, 8, 0, 8, 8]),
        ("empty ones alone", vec![0, 0, 0]),
        ("large ones", vec![60_000, 60_000]),
    ];
    for backend in BACKENDS {
        for prefix in [&b""[..], b"echo "] {
            for (name, lengths) in runs {
                let mut server =
                    Server::new("127.0.0.1:0", backend, &Options::default()).with_prefix(prefix);
                let datagrams: Vec<Vec<u8>> =
                    lengths.iter().enumerate().map(|(i, n)| payload(*n, i)).collect();
                let client = client(server.address);
                let client = send_together(client, server.address, &datagrams);
                server.echo(datagrams.len());
                for (i, sent) in datagrams.iter().enumerate() {
                    let expected = [prefix, sent].concat();
                    assert!(reply(&client) == expected, "{backend:?} {name}: datagram {i}");
                }
            }
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_kernel_hands_over_a_run_as_one() {
    let mut server = Server::new("127.0.0.1:0", Backend::Auto, &Options::default());
    let mut datagrams = vec![payload(100, 1); 10];
    datagrams.push(payload(30, 2));
    send_together(client(server.address), server.address, &datagrams);
    assert_eq!(server.receive(), 1);
    let run = server.slots.get(0);
    assert_eq!((run.meta.len, run.meta.segment, run.meta.datagrams()), (1030, 100, 11));
    assert!(run.segments().eq(datagrams.iter().map(Vec::as_slice)));
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_queued_is_taken_at_once() {
    for (bind, backend) in BACKENDS.iter().flat_map(|b| [("127.0.0.1:0", b), ("0.0.0.0:0", b)]) {
        let mut server = Server::new(bind, *backend, &Options::default());
        let client = client(server.at("127.0.0.1"));
        // No two of one length, so that nothing is merged; more than there are slots.
        for length in 1..=40 {
            client.send(&payload(length, length)).expect("send");
        }
        for expected in [1..=32, 33..=40] {
            assert_eq!(server.receive(), expected.clone().count(), "{backend:?} at {bind}");
            for (received, length) in server.slots.iter().zip(expected) {
                assert!(received.bytes == payload(length, length), "{backend:?}: {length} bytes");
                assert_eq!(received.meta.peer, client.local_addr().expect("an address"));
                assert_eq!(received.meta.local, Some(LOOPBACK), "{backend:?} at {bind}");
                assert_eq!(received.meta.destination, Destination::Unicast);
                assert!(!received.meta.truncated);
            }
        }
        assert_eq!(server.io.receive(&mut server.slots, Wait::Now).expect("receive"), 0);
        assert!(server.slots.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn lone_datagrams_of_one_peer_are_answered_as_one() {
    for prefix in [&b""[..], b"echo "] {
        let mut server =
            Server::new("127.0.0.1:0", Backend::Auto, &Options::default()).with_prefix(prefix);
        let client = client(server.address);
        let asker = Io::new(client.try_clone().expect("clone"), Backend::Auto, &Options::default());
        let mut asker = asker.expect("open");
        for i in 0..8 {
            client.send(&payload(64, i)).expect("send");
        }
        server.echo(8);
        let mut slots = Slots::new(4, SLOT, 0);
        assert_eq!(asker.receive(&mut slots, Wait::Block(Some(LONG))).expect("receive"), 1);
        assert_eq!(slots.get(0).meta.datagrams(), 8, "they came back as one run");
        for (i, segment) in slots.get(0).segments().enumerate() {
            assert_eq!(segment, [prefix, &payload(64, i)].concat());
        }
    }
}

#[test]
fn a_part_of_a_run_can_be_answered() {
    for backend in BACKENDS {
        for prefix in [&b""[..], b"echo "] {
            let mut server =
                Server::new("127.0.0.1:0", backend, &Options::default()).with_prefix(prefix);
            let datagrams: Vec<Vec<u8>> = (0..9).map(|i| payload(20, i)).collect();
            let client = send_together(client(server.address), server.address, &datagrams);
            let (mut number, mut expected) = (0, Vec::new());
            while number < datagrams.len() {
                server.receive();
                for (slot, received) in server.slots.iter().enumerate() {
                    for i in 0..received.meta.datagrams() {
                        if number % 3 != 1 {
                            server.outbox.echo(&server.slots, slot, i..i + 1).expect("room");
                            expected.push([prefix, &datagrams[number]].concat());
                        }
                        number += 1;
                    }
                }
                server.io.send(&mut server.outbox, &server.slots, |s| s.result.expect("sent"));
            }
            for expected in expected {
                assert_eq!(reply(&client), expected, "{backend:?}");
            }
        }
    }
}

#[test]
fn every_peer_gets_its_own_in_order() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        let clients: Vec<UdpSocket> = (0..5).map(|_| client(server.address)).collect();
        let mut sent = vec![Vec::new(); clients.len()];
        for i in 0..60 {
            // Neighbours of one peer and of several, of one length and of several.
            let who = (i / 3 + i % 2) % clients.len();
            let datagram = payload(20 + i % 4, i);
            clients[who].send(&datagram).expect("send");
            sent[who].push(datagram);
        }
        server.echo(60);
        for (client, sent) in clients.iter().zip(sent) {
            for (i, datagram) in sent.into_iter().enumerate() {
                assert_eq!(reply(client), datagram, "{backend:?}: datagram {i} of its peer");
            }
        }
    }
}

#[test]
fn pushed_datagrams_go_where_they_are_sent() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        let clients: Vec<UdpSocket> = (0..3).map(|_| client(server.address)).collect();
        for i in 0..12 {
            let to = clients[i % 3].local_addr().expect("address");
            server.outbox.push(to, None, &payload(i, i)).expect("room");
        }
        assert_eq!(server.outbox.len(), 12);
        let mut told = Vec::new();
        server.io.send(&mut server.outbox, &Slots::none(), |sent| {
            sent.result.expect("sent");
            told.push((sent.first, sent.datagrams, sent.peer));
        });
        assert_eq!(told.iter().map(|(_, n, _)| n).sum::<usize>(), 12);
        for i in 0..12 {
            assert_eq!(reply(&clients[i % 3]), payload(i, i), "{backend:?}");
        }
    }
}

#[test]
fn a_full_outbox_says_so_and_is_empty_after_a_send() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        let client = client(server.address);
        let to = client.local_addr().expect("address");
        let mut outbox = Outbox::new(2, 10);
        assert_eq!(outbox.push(to, None, &[1; 11]), Err(Full), "more bytes than there is room for");
        assert_eq!(outbox.push(to, None, &[1; 4]), Ok(()));
        assert_eq!(outbox.push(to, None, &[2; 4]), Ok(()));
        assert_eq!(
            outbox.push(to, None, &[3; 1]),
            Err(Full),
            "more datagrams than there is room for"
        );
        assert_eq!(outbox.len(), 2);
        server.io.send(&mut outbox, &Slots::none(), |sent| sent.result.expect("sent"));
        assert!(outbox.is_empty());
        assert_eq!(outbox.push(to, None, &[3; 10]), Ok(()));
        assert_eq!((reply(&client), reply(&client)), (vec![1; 4], vec![2; 4]));
    }
}
