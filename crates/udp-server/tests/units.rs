//! The units in `packaging/systemd`, and the server started the way they do it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use common::{Launch, PATIENCE, Server, ask, asker, command};
use nix::sys::signal::Signal;
use udp_core::clock;

fn unit(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd").join(name)
}

#[test]
fn the_service_asks_for_no_capability_and_says_when_it_is_ready() {
    let text = std::fs::read_to_string(unit("udp-server.service")).unwrap();
    for line in ["Type=notify", "DynamicUser=yes", "CapabilityBoundingSet=", "NoNewPrivileges=yes"]
    {
        assert!(text.lines().any(|found| found == line), "{line}");
    }
    let options = text.lines().find_map(|line| line.strip_prefix("ExecStart=udp-server "));
    // With the list that is installed there.
    let list = unit("udp-toolkit.access").display().to_string();
    let options = options.expect("options").replace("/etc/udp-toolkit/access", &list);
    let options: Vec<&str> = options.split(' ').collect();
    // The very options of the unit, on a port that is free.
    let server = Server::start(&options);
    assert_eq!(ask(&asker(server.address()), b"x"), b"echo x");
}

/// A socket that a child inherits under its present number.
fn passed() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&socket).set_cloexec(false).unwrap();
    socket
}

/// The server with `sockets` passed to it; they must have numbers in a row.
fn activated(sockets: &[&UdpSocket], names: &str) -> Launch {
    command(&[])
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDS_FIRST_FD", sockets[0].as_raw_fd().to_string())
        .env("LISTEN_FDNAMES", names)
}

#[test]
fn it_serves_the_sockets_it_was_passed_and_says_when_it_is_ready() {
    let directory = std::env::temp_dir().join(format!("udp-server-units-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();

    let echo = passed();
    let address = echo.local_addr().unwrap();
    let client = asker(address);
    // What comes before the server does is queued, and served.
    client.send(b"early").unwrap();
    let server = Server::spawn(activated(&[&echo], "echo").env("NOTIFY_SOCKET", &path));
    drop(echo);
    assert_eq!(server.addresses, [address]);
    let mut reply = [0; 64];
    let len = client.recv(&mut reply).unwrap();
    assert_eq!(&reply[..len], b"echo early");
    assert_eq!(ask(&client, b"x"), b"echo x");
    let mut message = [0; 256];
    let len = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..len], b"READY=1\n");
    let ended = server.stop();
    assert_eq!(ended.counts(), [2, 2, 0, 0, 0]);
    let len = manager.recv(&mut message).unwrap();
    assert_eq!(&message[..len], b"STOPPING=1\n");
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_descriptor_that_is_no_udp_socket_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_cloexec(false).unwrap();
    let number = listener.as_raw_fd().to_string();
    let server = command(&[]).env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", number);
    let ended = server.finish().unwrap();
    ended.exits(4).unwrap();
    let text = ended.err();
    assert!(text.starts_with("error: cannot serve the socket that was passed: "), "{text}");
}

/// Processor time that process `pid` has used, in the kernel's ticks: `proc(5)`, `/proc/PID/stat`.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

/// Waits for a stretch of 200 ms (20 ticks of 100 Hz) in which the server uses next to nothing: one
/// that never sleeps has none, however busy the machine is.
fn idles(server: &Server, case: &str) {
    let deadline = clock::mono() + PATIENCE;
    loop {
        let before = ticks(server.id());
        clock::sleep(Duration::from_millis(200));
        let used = ticks(server.id()) - before;
        if used <= 1 {
            return;
        }
        assert!(clock::mono() < deadline, "{case}: {used} of 20 ticks while idle");
    }
}

#[test]
fn a_passed_socket_serves_again_after_any_end() {
    let ways: [&[&str]; 3] = [&[], &["--io", "portable"], &["--max-datagram", "2000"]];
    for (first, second) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0)] {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let case = format!("{:?}, {signal}, {:?}", ways[first], ways[second]);
            let manager = passed();
            let client = asker(manager.local_addr().unwrap());
            let buffer = socket2::SockRef::from(&manager).recv_buffer_size().unwrap();

            let server = Server::spawn(activated(&[&manager], "").args(ways[first]));
            assert_eq!(ask(&client, b"x"), b"echo x", "{case}");
            server.signal(signal);
            server.wait();
            if signal == Signal::SIGTERM {
                let after = socket2::SockRef::from(&manager).recv_buffer_size().unwrap();
                assert_eq!(after, buffer, "{case}: the receive buffer");
            }

            // Runs of equal datagrams, which a socket that still has UDP_GRO would merge.
            for number in 0..50 {
                client.send(format!("{number:02}").as_bytes()).unwrap();
            }
            let server = Server::spawn(activated(&[&manager], "").args(ways[second]));
            let mut reply = [0; 64];
            for number in 0..50 {
                let len = client.recv(&mut reply).unwrap();
                let expected = format!("echo {number:02}");
                assert_eq!(&reply[..len], expected.as_bytes(), "{case}");
            }
            idles(&server, &case);
            assert_eq!(server.stop().counts()[..2], [50, 50], "{case}");
        }
    }
}

#[test]
fn nothing_is_lost_when_a_passed_socket_is_served_by_one_after_the_other() {
    const WINDOW: usize = 32;
    let manager = passed();
    let client = asker(manager.local_addr().unwrap());
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let load = std::thread::spawn(move || {
        let mut reply = [0; 64];
        let mut answered = 0;
        for _ in 0..WINDOW {
            client.send(b"load").unwrap();
        }
        // Each answer brings the next: one that is lost stays out for ever.
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            client.recv(&mut reply).expect("an answer within a minute");
            client.send(b"load").unwrap();
            answered += 1;
        }
        for _ in 0..WINDOW {
            client.recv(&mut reply).expect("an answer within a minute");
            answered += 1;
        }
        answered
    });
    let mut served = 0;
    for _ in 0..10 {
        let server = Server::spawn(activated(&[&manager], "").arg("-q"));
        ask(&asker(manager.local_addr().unwrap()), b"x");
        let [received, replied, ..] = server.stop().counts();
        assert_eq!(received, replied);
        served += replied - 1;
    }
    stop.send(()).unwrap();
    let server = Server::spawn(activated(&[&manager], "").arg("-q"));
    let answered: u64 = load.join().unwrap();
    served += server.stop().counts()[1];
    assert_eq!(served, answered);
}

/// Datagrams that found the receive queue of the port full: `proc_net(5)`, the last column.
fn dropped(port: u16) -> u64 {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    let own = format!(":{port:04X}");
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|line| line[1].ends_with(&own)).unwrap();
    line.last().unwrap().parse().unwrap()
}

/// More comes than can be served, and while nobody serves.
#[test]
fn over_ten_starts_an_overload_loses_what_the_kernel_counts_and_no_more() {
    let manager = passed();
    let address = manager.local_addr().unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let load = std::thread::spawn(move || {
        let client = asker(address);
        let mut sent = 0;
        while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            sent += u64::from(client.send(b"load").is_ok());
        }
        sent
    });
    let (mut sent, mut received) = (0, 0);
    let mut serve = || {
        let server = Server::spawn(activated(&[&manager], "").arg("-q"));
        let client = asker(address);
        client.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        // The queue may have no room for it.
        loop {
            client.send(b"x").unwrap();
            sent += 1;
            if client.recv(&mut [0; 64]).is_ok() {
                break;
            }
        }
        received += server.stop().counts()[0];
    };
    (0..10).for_each(|_| serve());
    stop.send(()).unwrap();
    let loaded: u64 = load.join().unwrap();
    serve();
    manager.set_nonblocking(true).unwrap();
    let waits = std::iter::from_fn(|| manager.recv(&mut [0; 64]).ok()).count() as u64;
    assert_eq!(sent + loaded, received + dropped(address.port()) + waits);
}
