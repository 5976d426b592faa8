//! One datagram that cannot be sent, received or merged does not harm the others.

use super::*;
use crate::clock;

/// The number and the result of each datagram.
fn outcomes(server: &mut Server) -> Vec<(usize, Result<(), io::ErrorKind>)> {
    let mut told = Vec::new();
    server.io.send(&mut server.outbox, &server.slots, |sent| {
        let result = sent.result.map_err(|e| e.kind());
        told.extend((sent.first..sent.first + sent.datagrams).map(|number| (number, result)));
    });
    told.sort_by_key(|(number, _)| *number);
    told
}

#[test]
fn one_datagram_that_fails_holds_up_no_other() {
    for backend in BACKENDS {
        let mut server = Server::new("0.0.0.0:0", backend, &Options::default());
        let client = client(server.at("127.0.0.1"));
        let good = client.local_addr().expect("address");
        let port_0 = SocketAddr::new(LOOPBACK, 0);
        let too_long = vec![0; 65_508];
        let cases: [(SocketAddr, &[u8], bool); 8] = [
            (good, b"first", true),
            (good, &too_long, false),
            (good, b"third", true),
            (port_0, b"none", false),
            (port_0, b"none", false),
            (good, b"sixth", true),
            (good, b"seven", true),
            (port_0, b"last", false),
        ];
        for (to, bytes, _) in cases {
            server.outbox.push(to, None, bytes).expect("room");
        }
        let told = outcomes(&mut server);
        let numbers: Vec<usize> = told.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>(), "{backend:?}");
        for ((number, result), (_, bytes, works)) in told.iter().zip(cases) {
            assert_eq!(result.is_ok(), works, "{backend:?}: datagram {number}: {result:?}");
            if works {
                assert_eq!(reply(&client), bytes);
            }
        }
    }
}

#[test]
fn a_run_to_nowhere_fails_datagram_by_datagram() {
    for backend in BACKENDS {
        let mut server = Server::new("127.0.0.1:0", backend, &Options::default());
        for _ in 0..5 {
            server.outbox.push(SocketAddr::new(LOOPBACK, 0), None, b"alike").expect("room");
        }
        let told = outcomes(&mut server);
        assert_eq!(told.len(), 5);
        assert!(told.iter().all(|(_, result)| result.is_err()), "{backend:?}: {told:?}");
    }
}

#[test]
fn a_datagram_longer_than_the_slot_is_marked() {
    for backend in BACKENDS {
        let mut server =
            Server::new("127.0.0.1:0", backend, &Options { gro: false, ..Options::default() });
        server.slots = Slots::new(4, 100, 0);
        let client = client(server.address);
        for (length, truncated) in
            [(99, false), (100, false), (101, true), (5000, true), (0, false)]
        {
            let sent = payload(length, 3);
            client.send(&sent).expect("send");
            let (meta, bytes) = server.receive_one();
            assert_eq!(meta.truncated, truncated, "{backend:?} {length}");
            assert_eq!(bytes, sent[..length.min(100)], "{backend:?} {length}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn slots_too_small_for_runs_are_refused() {
    let mut server = Server::new("127.0.0.1:0", Backend::Auto, &Options::default());
    server.slots = Slots::new(4, SLOT - 1, 0);
    let error = server.io.receive(&mut server.slots, Wait::Now).expect_err("too small");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_refusal_reaches_a_connected_socket_and_does_not_stay() {
    for backend in BACKENDS {
        let gone = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let to = gone.local_addr().expect("address");
        drop(gone);
        let mut asker = Server::on(client(to), backend, &Options::default());
        asker.outbox.push(to, None, b"anyone").expect("room");
        assert_eq!(outcomes(&mut asker), [(0, Ok(()))], "{backend:?}");
        let error = asker.io.receive(&mut asker.slots, Wait::Block(Some(LONG)));
        let error = error.expect_err("the refusal").kind();
        assert_eq!(error, io::ErrorKind::ConnectionRefused, "{backend:?}");
        let now = asker.io.receive(&mut asker.slots, Wait::Now);
        assert_eq!(now.expect("nothing is wrong any more"), 0);
    }
}

/// Runs `test` before a kernel, or a filter, that refuses what is listed.
#[cfg(target_os = "linux")]
fn refused(
    refusals: &[(libc::c_long, Option<(i32, i32)>)],
    errno: i32,
    test: impl FnOnce() + Send + 'static,
) {
    let refusals = refusals.to_vec();
    let thread = std::thread::spawn(move || {
        for (call, option) in refusals {
            crate::sys::seccomp::refuse(call, option, errno).expect("a filter");
        }
        test();
    });
    assert!(thread.join().is_ok(), "error number {errno}");
}

/// Old kernels, WSL1 and filters of containers: what is refused is done without, nothing is lost.
/// Small datagrams fill a batch, and a segmented one is a message of its own.
#[cfg(target_os = "linux")]
#[test]
fn whatever_optional_call_is_refused_datagrams_are_answered() {
    const SET: libc::c_long = libc::SYS_setsockopt;
    const GET: libc::c_long = libc::SYS_getsockopt;
    let socket = |name| Some((libc::SOL_SOCKET, name));
    let (ip, udp) = (|name| Some((libc::IPPROTO_IP, name)), |name| Some((libc::SOL_UDP, name)));
    let mut all = vec![
        (libc::SYS_recvmmsg, None),
        (libc::SYS_sendmmsg, None),
        (libc::SYS_madvise, None),
        (SET, ip(libc::IP_PKTINFO)),
        (SET, ip(libc::IP_RECVTTL)),
        (SET, ip(libc::IP_RECVTOS)),
        (SET, udp(libc::UDP_GRO)),
        (GET, udp(libc::UDP_SEGMENT)),
        (SET, socket(libc::SO_TIMESTAMPNS)),
        (SET, socket(libc::SO_RXQ_OVFL)),
        (GET, socket(libc::SO_MEMINFO)),
    ];
    let mut rows: Vec<_> = all.iter().map(|one| vec![*one]).collect();
    rows.push(std::mem::take(&mut all));
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EOPNOTSUPP, libc::EINVAL] {
        for row in &rows {
            refused(row, errno, || {
                let options =
                    Options { timestamps: true, ttl: true, ecn: true, ..Options::default() };
                let mut server = Server::new("127.0.0.1:0", Backend::Auto, &options);
                let datagrams: Vec<Vec<u8>> =
                    (0..40).map(|i| payload(if i < 30 { 100 } else { i }, i)).collect();
                let client = send_together(client(server.address), server.address, &datagrams);
                server.echo(datagrams.len());
                for (i, datagram) in datagrams.iter().enumerate() {
                    assert!(reply(&client) == *datagram, "datagram {i}");
                }
                assert_eq!(server.io.receive(&mut server.slots, Wait::Now).expect("nothing"), 0);
                server.io.drops();
                // What fails is still told of the one it is.
                let to = client.local_addr().expect("address");
                server.outbox.push(SocketAddr::new(LOOPBACK, 0), None, b"none").expect("room");
                server.outbox.push(to, None, b"x").expect("room");
                let told = outcomes(&mut server);
                assert!(told[0].1.is_err() && told[1].1.is_ok(), "{told:?}");
            });
        }
    }
}

/// A filter that forbids `shutdown(2)`, by which a blocked receive is ended elsewhere.
#[cfg(target_os = "linux")]
#[test]
fn a_receive_ends_where_no_socket_can_be_shut_down() {
    // Whether it is forbidden is asked for each socket, without a descriptor.
    let server = || Server::new("127.0.0.1:0", Backend::Auto, &Options::default());
    assert!(!server().io.waker().is_by_mark());
    refused(&[(libc::SYS_shutdown, None)], libc::EPERM, move || {
        let mut server = server();
        let waker = server.io.waker();
        assert!(waker.is_by_mark());
        let waiting = std::thread::spawn(move || {
            server.io.receive(&mut server.slots, Wait::Block(None)).expect("nothing")
        });
        waker.wake();
        let end = clock::mono() + LONG;
        while !waiting.is_finished() && clock::mono() < end {
            clock::sleep(Duration::from_millis(1));
        }
        assert!(waiting.is_finished());
    });
}

/// A packet filter that drops what this host sends says EPERM as well: once the call has worked,
/// a datagram is not sent a second time for it.
#[cfg(target_os = "linux")]
#[test]
fn what_a_packet_filter_drops_is_no_refusal_of_the_call() {
    refused(&[], 0, || {
        let mut server = Server::new("127.0.0.1:0", Backend::Auto, &Options::default());
        let client = client(server.address);
        let to = client.local_addr().expect("address");
        server.outbox.push(to, None, b"first").expect("room");
        assert_eq!(outcomes(&mut server), [(0, Ok(()))]);
        crate::sys::seccomp::refuse(libc::SYS_sendmmsg, None, libc::EPERM).expect("a filter");
        server.outbox.push(to, None, b"dropped").expect("room");
        assert_eq!(outcomes(&mut server), [(0, Err(io::ErrorKind::PermissionDenied))]);
    });
}

/// What the kernel says when it does not segment: everything goes out singly, and it is not asked
/// again where that is in vain.
#[cfg(target_os = "linux")]
#[test]
fn refused_segmentation_is_withdrawn() {
    // The number, and whether it also stops datagrams of half the length, and other peers' ones.
    let cases = [
        (libc::EOPNOTSUPP, true, true),
        (libc::EIO, true, false),
        (libc::EINVAL, false, false),
        (libc::EMSGSIZE, false, false),
    ];
    for (number, shorter, others) in cases {
        for prefix in [&b""[..], b"echo "] {
            let mut server =
                Server::new("127.0.0.1:0", Backend::Auto, &Options::default()).with_prefix(prefix);
            let SendHalf::Linux(half) = &mut server.io.sender.half else { return };
            half.refuse(100, number);
            let lengths = [vec![200; 10], vec![100; 3]].concat();
            let datagrams: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(i, length)| payload(*length, i)).collect();
            let client = send_together(client(server.address), server.address, &datagrams);
            server.echo(datagrams.len());
            for (i, datagram) in datagrams.iter().enumerate() {
                assert!(reply(&client) == [prefix, datagram].concat(), "{number}: datagram {i}");
            }
            let SendHalf::Linux(half) = &mut server.io.sender.half else { return };
            let peer = client.local_addr().expect("address");
            assert!(!half.joins(peer, 200), "{number}: it is not asked in vain again");
            assert_eq!(half.joins(peer, 50), !shorter, "{number}: shorter ones");
            let other = SocketAddr::new("192.0.2.1".parse().expect("ip"), 9);
            assert_eq!(half.joins(other, 200), !others, "{number}: other peers");
        }
    }
}

/// The same numbers may mean that the peer cannot be reached at all: nothing is concluded then.
#[cfg(target_os = "linux")]
#[test]
fn a_failure_of_all_is_no_refusal_to_segment() {
    let mut server = Server::new("127.0.0.1:0", Backend::Auto, &Options::default());
    let nowhere = SocketAddr::new(LOOPBACK, 0);
    for _ in 0..5 {
        server.outbox.push(nowhere, None, b"alike").expect("room");
    }
    assert!(outcomes(&mut server).iter().all(|(_, result)| result.is_err()));
    let SendHalf::Linux(half) = &mut server.io.sender.half else { return };
    assert!(half.joins(nowhere, 5));
}
