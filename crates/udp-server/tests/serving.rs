//! What the server answers, and what it prints about it: the built program on loopback, on both
//! paths.
#![cfg(target_os = "linux")]

mod common;

use std::net::{SocketAddr, UdpSocket};

use common::{Server, ask, asker, asker_on, command, silent};
use nix::sys::signal::Signal;

const PATHS: [&str; 2] = ["auto", "portable"];

#[test]
fn each_line_has_its_time_where_that_is_asked() {
    let server = Server::start(&["-D"]);
    ask(&asker(server.address()), b"hello");
    let ended = server.stop();
    let timed = |line: &str| line.split_once("Z ").is_some_and(|(time, _)| time.len() == 26);
    assert_eq!(ended.stdout.lines().filter(|line| timed(line)).count(), 6, "{}", ended.stdout);
}

#[test]
fn what_is_not_answered_is_counted_by_reason() {
    for io in PATHS {
        let server = Server::start(&["--io", io, "--deny", "127.0.0.3", "--rate-limit", "1/2"]);
        let to = server.address();
        let witness = || asker_on("127.0.0.9:0", to);
        let client = asker(to);
        silent(&client, &b"echo ".repeat(16), &witness());
        silent(&asker_on("127.0.0.3:0", to), b"x", &asker_on("127.0.0.10:0", to));
        silent(&asker_on(("127.0.0.4", to.port()), to), b"own port", &asker_on("127.0.0.11:0", to));
        silent(&client, &[b'x'; 65_503], &asker_on("127.0.0.12:0", to));
        assert_eq!(ask(&client, &b"echo ".repeat(15)), b"echo ".repeat(16));
        silent(&client, b"over the rate", &asker_on("127.0.0.13:0", to));
        let ended = server.stop();
        assert_eq!(ended.drops(), "rate 1, loop 2, access 1, destination 0, source 0, size 1");
        assert_eq!(ended.counts(), [11, 6, 5, 0, 0]);
        assert_eq!(ended.stderr.matches("warning: 127.0.0.1 asks for more than").count(), 1);
    }
}

#[test]
fn an_allowed_block_shuts_out_all_others() {
    // To a dual-stack socket the kernel gives IPv4 peers as IPv4-mapped addresses.
    for bind in ["0.0.0.0:0", "[::]:0"] {
        let options = ["-b", bind, "-q", "--allow", "127.1.0.0/16", "--deny", "127.1.1.0/24"];
        let server = Server::spawn(command(&options));
        let to = SocketAddr::from(([127, 0, 0, 1], server.address().port()));
        let friend = asker_on("127.1.2.3:0", to);
        assert_eq!(ask(&friend, b"x"), b"echo x");
        silent(&asker_on("127.1.1.3:0", to), b"x", &friend);
        silent(&asker_on("127.0.0.1:0", to), b"x", &friend);
        let ended = server.stop();
        assert_eq!(ended.drops(), "rate 0, loop 0, access 2, destination 0, source 0, size 0");
    }
}

#[test]
fn without_the_loop_guard_they_are_answered() {
    let server = Server::start(&["-q", "--no-loop-guard"]);
    let to = server.address();
    let chain = b"echo ".repeat(16);
    assert_eq!(ask(&asker(to), &chain), [b"echo ", &chain[..]].concat());
    assert_eq!(ask(&asker_on(("127.0.0.4", to.port()), to), b"own port"), b"echo own port");
    assert_eq!(server.stop().counts(), [2, 2, 0, 0, 0]);
}

#[test]
fn a_sink_counts_and_says_nothing_back() {
    for io in PATHS {
        let mut server = Server::start(&["--sink", "--io", io, "--count", "3"]);
        let client = asker(server.address());
        for payload in [b"one", b"two", b"six"] {
            client.send(payload).unwrap();
        }
        for payload in ["one", "two", "six"] {
            assert!(server.line().ends_with(payload));
        }
        let ended = server.wait();
        assert_eq!(ended.counts(), [3, 0, 0, 0, 0]);
    }
}

#[test]
fn count_ends_it_after_exactly_so_many() {
    for (io, workers) in [("auto", "1"), ("auto", "3"), ("portable", "1"), ("portable", "2")] {
        let server = Server::start(&["--io", io, "--workers", workers, "--count", "5"]);
        let clients: Vec<UdpSocket> = (0..20).map(|_| asker(server.address())).collect();
        for client in &clients {
            // The server may be gone already.
            let _ = client.send(b"x");
        }
        let ended = server.wait();
        assert!(ended.status.success());
        assert_eq!(ended.counts()[..4], [5, 5, 0, 0], "{io} {workers}");
        let mut answered = 0;
        for client in &clients {
            client.set_nonblocking(true).unwrap();
            answered += usize::from(client.recv(&mut [0; 16]).is_ok());
        }
        assert_eq!(answered, 5);
    }
}

#[test]
fn workers_share_the_load() {
    for io in PATHS {
        let server = Server::start(&["--workers", "4", "-q", "--io", io]);
        for _ in 0..64 {
            assert_eq!(ask(&asker(server.address()), b"x"), b"echo x");
        }
        assert_eq!(server.stop().counts(), [64, 64, 0, 0, 0]);
    }
}

#[test]
fn spinning_serves_as_sleeping_does() {
    let server = Server::start(&["--busy-poll", "50us", "-q"]);
    let client = asker(server.address());
    for _ in 0..100 {
        assert_eq!(ask(&client, b"x"), b"echo x");
    }
    assert_eq!(server.stop().counts(), [100, 100, 0, 0, 0]);
}

#[test]
fn an_overload_is_counted_to_the_datagram() {
    let ways = PATHS.into_iter().flat_map(|io| [["--io", io, "--sink"], ["--io", io, "--raw"]]);
    for way in ways {
        let server = Server::start(&[&["-q", "--recv-buffer", "8K"], &way[..]].concat());
        let client = asker(server.address());
        server.signal(Signal::SIGSTOP);
        for _ in 0..1000 {
            client.send(&[0; 500]).unwrap();
        }
        server.signal(Signal::SIGCONT);
        let [received, _, _, _, lost] = server.stop().counts();
        assert!(received > 0 && lost > 0, "{received} {lost}");
        assert_eq!(received + lost, 1000, "{way:?}");
    }
}
