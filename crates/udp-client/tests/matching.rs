//! Which reply the built program credits to which message, whatever a peer does.
#![cfg(unix)]

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::{Peer, closed, run};

#[test]
fn a_late_reply_answers_no_other_message() {
    // The first message is answered only when the second is there, which stays unanswered.
    let mut first: Option<(Vec<u8>, SocketAddr)> = None;
    let peer = Peer::new(move |socket, bytes, from, _| match first.take() {
        Some((bytes, from)) => drop(socket.send_to(&bytes, from).unwrap()),
        None => first = Some((bytes.to_vec(), from)),
    });
    let finished = run(&[&peer.target(), "-W", "1", "-m", "one", "-m", "two"], b"");
    assert_eq!(finished.summary(), "2 sent, 0 replied, 2 lost, 1 late");
    let line = format!("late (message 1): recvfrom ('127.0.0.1', {}): one\n", peer.port());
    assert!(finished.out.contains(&line), "{}", finished.out);
    assert_eq!(finished.code, Some(1));
}

#[test]
fn second_replies_shift_nothing() {
    // Every reply comes twice, and says nothing about its message but the order it was asked in.
    let peer = Peer::new(|socket, _, from, number| {
        for _ in 0..2 {
            socket.send_to(format!("reply {number}").as_bytes(), from).unwrap();
        }
    });
    let lines: String = (1..=200).map(|n| format!("{n}\n")).collect();
    let finished = run(&[&peer.target(), "-W", "20"], lines.as_bytes());
    let port = peer.port();
    let told = |verb: &str| {
        let verb = format!("{verb} ('127.0.0.1', {port}): ");
        finished.out.lines().filter_map(|l| l.strip_prefix(&verb)).collect::<Vec<_>>().join(" ")
    };
    let numbers =
        |word: &str| (1..=200).map(|n| format!("{word}{n}")).collect::<Vec<_>>().join(" ");
    assert_eq!(told("sendto"), numbers(""));
    assert_eq!(told("recvfrom"), numbers("reply "));
    let counts = finished.summary().strip_prefix("200 sent, 200 replied, 0 lost");
    assert!(counts.is_some_and(|rest| rest.ends_with(" duplicate")), "{}", finished.summary());
}

#[test]
fn strangers_are_counted_and_credited_to_nobody() {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let from_port = stranger.local_addr().unwrap().port();
    let peer = Peer::new(move |socket, bytes, from, _| {
        stranger.send_to(b"echo hello", from).unwrap();
        socket.send_to(&[b"echo ", bytes].concat(), from).unwrap();
    });
    let arguments = [&peer.target(), "-W", "20", "-m", "hello"];
    let finished = run(&arguments, b"");
    let port = peer.port();
    let stranger = format!("unsolicited: recvfrom ('127.0.0.1', {from_port}): echo hello\n");
    let reply = format!("\nrecvfrom ('127.0.0.1', {port}): echo hello\n");
    assert!(finished.out.contains(&stranger) && finished.out.contains(&reply), "{}", finished.out);
    assert_eq!(finished.summary(), "1 sent, 1 replied, 0 lost, 1 unsolicited");
}

#[test]
fn retries_come_from_the_same_port_and_double_their_wait() {
    let (sender, seen) = std::sync::mpsc::channel();
    let peer = Peer::new(move |socket, bytes, from, number| {
        sender.send((bytes.to_vec(), from)).unwrap();
        if number == 3 {
            socket.send_to(b"at last", from).unwrap();
        }
    });
    let arguments = [&peer.target(), "-W", "300ms", "--retries", "5", "-m", "again", "--json"];
    let finished = run(&arguments, b"");
    assert_eq!(finished.code, Some(0), "{}", finished.out);
    assert!(finished.out.contains(r#""attempt":3"#), "{}", finished.out);
    assert!(finished.out.contains(r#""sent":1,"#), "{}", finished.out);
    drop(peer);
    let seen: Vec<_> = seen.iter().collect();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|it| it == &seen[0]));
}

#[test]
fn a_fixed_port_waits_for_what_may_still_come() {
    let mut first = true;
    let peer = Peer::new(move |socket, bytes, from, _| {
        if std::mem::take(&mut first) {
            return;
        }
        socket.send_to(&[b"echo ", bytes].concat(), from).unwrap();
    });
    let bind = closed().to_string();
    let arguments = [&peer.target(), "--bind", &bind, "-W", "800ms", "-m", "one", "-m", "two"];
    let finished = run(&arguments, b"");
    assert_eq!(finished.summary(), "2 sent, 1 replied, 1 lost");
    assert_eq!(finished.code, Some(1));
}

#[test]
fn one_way_messages_leave_from_one_port_and_refusals_cost_none() {
    let (sender, seen) = std::sync::mpsc::channel();
    let peer = Peer::new(move |_, bytes, from, _| sender.send((bytes.to_vec(), from)).unwrap());
    let finished = run(&[&peer.target(), "--no-reply"], b"a\nb\nc\n");
    assert_eq!((finished.code, finished.summary()), (Some(0), "3 sent, 0 replied, 0 lost"));
    drop(peer);
    let seen: Vec<_> = seen.iter().collect();
    assert_eq!(seen.iter().map(|it| it.0.as_slice()).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert!(seen.iter().all(|it| it.1 == seen[0].1));
    let finished = run(&[&closed().to_string(), "--no-reply"], b"a\nb\nc\n");
    assert!(finished.summary().starts_with("3 sent, 0 replied, 0 lost"), "{}", finished.out);
    assert_eq!(finished.code, Some(0));
}

#[test]
fn several_replies_are_credited_as_asked() {
    let answer = |socket: &UdpSocket, _: &[u8], from: SocketAddr, _: usize| {
        for number in 1..=4 {
            socket.send_to(format!("reply {number}").as_bytes(), from).unwrap();
        }
    };
    let peer = Peer::new(answer);
    let credited = |arguments: &[&str]| {
        let finished = run(&[&[&peer.target(), "-m", "all"], arguments].concat(), b"");
        assert_eq!(finished.code, Some(0), "{}", finished.out);
        finished.out.lines().filter(|line| line.starts_with("recvfrom ")).count()
    };
    assert_eq!(credited(&["-W", "20"]), 1);
    assert_eq!(credited(&["-W", "20", "--replies", "3"]), 3);
    assert_eq!(credited(&["-W", "1", "--replies", "any"]), 4);
    assert_eq!(credited(&["-W", "1", "--replies", "7"]), 4);
    let silent = Peer::silent();
    let finished = run(&[&silent.target(), "--replies", "any", "-W", "50ms", "-m", "x"], b"");
    assert_eq!((finished.code, finished.summary()), (Some(1), "1 sent, 0 replied, 1 lost"));
}

/// Two services at one broadcast address: both answer, each from where it is.
#[test]
#[cfg(target_os = "linux")]
fn a_broadcast_finds_everybody() {
    let open = |address: SocketAddr| {
        let kind = socket2::Type::DGRAM;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, kind, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.into()).unwrap();
        UdpSocket::from(socket)
    };
    let first = open("0.0.0.0:0".parse().unwrap());
    let port = first.local_addr().unwrap().port();
    let second = open(SocketAddr::new("0.0.0.0".parse().unwrap(), port));
    let serve = |socket: UdpSocket, name: &'static str| {
        let own = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut buffer = [0; 100];
        // Only broadcasts reach both.
        std::thread::spawn(move || {
            let (_, from) = socket.recv_from(&mut buffer).unwrap();
            own.send_to(name.as_bytes(), from).unwrap();
        })
    };
    let threads = [serve(first, "first"), serve(second, "second")];
    let target = format!("127.255.255.255:{port}");
    let arguments = [&target, "--broadcast", "--replies", "2", "-W", "20", "-m", "who is there"];
    let finished = run(&arguments, b"");
    assert_eq!(finished.code, Some(0), "{}{}", finished.out, finished.err);
    for name in ["first", "second"] {
        assert!(finished.out.contains(&format!("): {name}\n")), "{}", finished.out);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
#[cfg(target_os = "linux")]
fn a_multicast_group_is_asked() {
    let member = UdpSocket::bind("0.0.0.0:0").unwrap();
    let group = "239.255.77.7".parse().unwrap();
    member.join_multicast_v4(&group, &"127.0.0.1".parse().unwrap()).unwrap();
    let peer = Peer::with(member, |socket, bytes, from, _| {
        socket.send_to(&[b"echo ", bytes].concat(), from).unwrap();
    });
    let port = peer.port();
    let target = format!("239.255.77.7:{port}");
    let finished = run(&[&target, "--bind", "127.0.0.1", "-m", "anyone", "-W", "20"], b"");
    let line = format!("recvfrom ('127.0.0.1', {port}): echo anyone\n");
    assert!(finished.out.contains(&line), "{}{}", finished.out, finished.err);
}
