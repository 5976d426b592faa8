//! How long a receive waits, and what ends it.

use std::sync::mpsc;
use std::thread;

use super::*;

#[test]
fn nothing_there_is_no_error() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        let waits = [
            Wait::Now,
            Wait::Block(Some(Duration::ZERO)),
            Wait::Block(Some(Duration::from_micros(1))),
            Wait::Block(Some(Duration::from_millis(20))),
            Wait::Now,
        ];
        for wait in waits {
            let filled = server.io.receive(&mut server.slots, wait).expect("receive");
            assert_eq!((filled, server.slots.len()), (0, 0), "{backend:?} {wait:?}");
        }
        client(server.address).send(b"late").expect("send");
        assert_eq!(server.receive_one().1, b"late");
    }
}

#[test]
fn a_wait_lasts_as_long_as_it_is_told() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        let span = Duration::from_millis(120);
        let before = crate::clock::mono();
        let filled = server.io.receive(&mut server.slots, Wait::Block(Some(span)));
        assert_eq!(filled.expect("receive"), 0);
        assert!(crate::clock::mono().saturating_since(before) >= span, "{backend:?}");
    }
}

#[test]
fn a_wake_up_ends_a_wait_and_all_later_ones() {
    let mut binds = vec!["127.0.0.1:0", "0.0.0.0:0"];
    if has_v6() {
        binds.push("[::]:0");
    }
    for backend in BACKENDS {
        for bind in &binds {
            let mut server = Server::new(bind, backend, &Options::default());
            let ip = if server.address.is_ipv6() { "::1" } else { "127.0.0.1" };
            let client = client(server.at(ip));
            let waker = server.io.waker();
            assert!(!waker.is_woken());
            let (ready, is_ready) = mpsc::channel();
            let waiting = thread::spawn(move || {
                // Once through, so that the next wait is a blocked one soon after.
                server.receive_one();
                ready.send(()).expect("the test waits");
                let filled = server.io.receive(&mut server.slots, Wait::Block(None));
                (filled.expect("receive"), server)
            });
            client.send(b"first").expect("send");
            is_ready.recv_timeout(LONG).expect("the first datagram came");
            waker.wake();
            let (filled, mut server) = waiting.join().expect("it ended");
            assert_eq!(filled, 0, "{backend:?} {bind}");
            assert!(waker.is_woken());
            // What is queued can still be had, an empty datagram too, and answered.
            for payload in [&b"second"[..], b"", b"third"] {
                client.send(payload).expect("send");
                let filled = server.io.receive(&mut server.slots, Wait::Now).expect("receive");
                assert_eq!(filled, 1, "{backend:?} {bind}");
                assert_eq!(server.slots.get(0).bytes, payload);
                server.outbox.echo(&server.slots, 0, 0..1).expect("room");
                server.io.send(&mut server.outbox, &server.slots, |s| s.result.expect("sent"));
                assert_eq!(reply(&client), payload);
            }
            for wait in [Wait::Now, Wait::Block(None), Wait::Block(Some(LONG))] {
                assert_eq!(server.io.receive(&mut server.slots, wait).expect("receive"), 0);
            }
        }
    }
}

/// Whenever it comes: what is sent around a wake-up is received before it, at it, or after it.
#[test]
fn a_wake_up_loses_no_datagram() {
    for backend in BACKENDS {
        for bind in ["127.0.0.1:0", "0.0.0.0:0"] {
            for round in 0..40 {
                let mut server = Server::new(bind, backend, &Options::default());
                let client = client(server.at("127.0.0.1"));
                let waker = server.io.waker();
                let receiving = thread::spawn(move || {
                    let mut datagrams = 0;
                    loop {
                        let wait = Wait::Block(None);
                        match server.io.receive(&mut server.slots, wait).expect("receive") {
                            0 => break (datagrams, server),
                            _ => datagrams += server.datagrams(),
                        }
                    }
                });
                let sending = thread::spawn(move || {
                    (0..20).for_each(|i| {
                        assert_eq!(client.send(&[1; 4][i % 5..]).ok(), Some(4 - i % 5));
                    });
                    client
                });
                if round % 2 == 0 {
                    thread::yield_now();
                }
                waker.wake();
                let _client = sending.join().expect("all is sent");
                let (mut datagrams, mut server) = receiving.join().expect("it ended");
                while server.io.receive(&mut server.slots, Wait::Now).expect("receive") > 0 {
                    datagrams += server.datagrams();
                }
                assert_eq!(datagrams, 20, "{backend:?} {bind}");
            }
        }
    }
}

#[test]
fn a_connected_socket_is_woken_too() {
    for backend in BACKENDS {
        let peer = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let mut asker =
            Server::on(client(peer.local_addr().expect("address")), backend, &Options::default());
        let waker = asker.io.waker();
        let waiting = thread::spawn(move || {
            let filled = asker.io.receive(&mut asker.slots, Wait::Block(None));
            (filled.expect("receive"), asker)
        });
        waker.wake();
        let (filled, mut asker) = waiting.join().expect("it ended");
        assert_eq!(filled, 0, "{backend:?}");
        peer.send_to(b"late", asker.address).expect("send");
        assert_eq!(asker.receive_one().1, b"late", "{backend:?}");
    }
}

#[test]
fn a_wake_up_before_the_wait_counts() {
    for backend in BACKENDS {
        let mut server = Server::new("0.0.0.0:0", backend, &Options::default());
        server.io.waker().wake();
        assert_eq!(server.io.receive(&mut server.slots, Wait::Block(None)).expect("receive"), 0);
        client(server.at("127.0.0.1")).send(b"queued").expect("send");
        assert_eq!(server.io.receive(&mut server.slots, Wait::Block(None)).expect("receive"), 1);
    }
}

#[test]
fn busy_polling_loses_nothing() {
    for backend in BACKENDS {
        let options = Options { busy_poll: Duration::from_micros(200), ..Options::default() };
        let mut server = Server::new("0.0.0.0:0", backend, &options);
        let client = client(server.at("127.0.0.1"));
        let waker = server.io.waker();
        let serving = thread::spawn(move || {
            while server.io.receive(&mut server.slots, Wait::Block(None)).expect("receive") > 0 {
                for (i, received) in server.slots.iter().enumerate() {
                    let all = 0..received.meta.datagrams();
                    server.outbox.echo(&server.slots, i, all).expect("room");
                }
                server.io.send(&mut server.outbox, &server.slots, |s| s.result.expect("sent"));
            }
        });
        for i in 0..300 {
            client.send(&payload(i, i)).expect("send");
            assert_eq!(reply(&client), payload(i, i), "{backend:?}");
        }
        waker.wake();
        serving.join().expect("it ended");
    }
}

/// Both halves work on two threads, each ending by itself.
#[test]
fn the_halves_work_apart() {
    for backend in BACKENDS {
        let server = Server::new("127.0.0.1:0", backend, &Options::default());
        let client = client(server.address);
        let to = client.local_addr().expect("address");
        let Server { io, mut slots, mut outbox, .. } = server;
        let (mut receiver, mut sender) = io.split();
        let waker = receiver.waker();
        let receiving = thread::spawn(move || {
            let mut datagrams = 0;
            while receiver.receive(&mut slots, Wait::Block(None)).expect("receive") > 0 {
                datagrams += slots.iter().map(|r| r.meta.datagrams()).sum::<usize>();
                if datagrams == 20 {
                    break;
                }
            }
            datagrams
        });
        for i in 0..20 {
            client.send(&payload(10, i)).expect("send");
            outbox.push(to, None, &payload(10, i)).expect("room");
            sender.send(&mut outbox, &Slots::none(), |s| s.result.expect("sent"));
            assert_eq!(reply(&client), payload(10, i), "{backend:?}");
        }
        assert_eq!(receiving.join().expect("it ended"), 20);
        assert!(!waker.is_woken());
    }
}
