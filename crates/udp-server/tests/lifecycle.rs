//! Start and end: ports, exit codes, signals, and an output that fails.
#![cfg(target_os = "linux")]

mod common;

use common::{Server, ask, asker, asker_on, command, run, silent};
use nix::sys::signal::Signal;

#[test]
fn a_second_server_is_refused_and_the_first_unharmed() {
    for first in [&[][..], &["--workers", "2"], &["--reuse-address"]] {
        let server = Server::start(first);
        let bind = server.address().to_string();
        for second in [&[][..], &["--workers", "2"], &["--reuse-address"]] {
            let ended = run(&[&["-b", &bind], second].concat());
            assert_eq!(ended.status.code(), Some(4), "{first:?} {second:?}");
            let message = format!("error: cannot bind {bind}: address already in use\nhint: ");
            assert!(ended.stderr.starts_with(&message), "{}", ended.stderr);
            assert_eq!(ended.stdout, "");
        }
        assert_eq!(ask(&asker(server.address()), b"x"), b"echo x");
    }
}

#[test]
fn a_restart_binds_at_once() {
    let server = Server::start(&[]);
    let bind = server.address().to_string();
    ask(&asker(server.address()), b"x");
    server.stop();
    let again = Server::spawn(command(&["-b", &bind]));
    assert_eq!(ask(&asker(again.address()), b"x"), b"echo x");
}

#[test]
fn servers_of_one_user_may_share_a_port() {
    let first = Server::start(&["--reuse-port"]);
    let bind = first.address().to_string();
    let second = Server::spawn(command(&["-b", &bind, "--reuse-port"]));
    for _ in 0..32 {
        assert_eq!(ask(&asker(first.address()), b"x"), b"echo x");
    }
    let sum = first.stop().counts()[1] + second.stop().counts()[1];
    assert_eq!(sum, 32);
}

#[test]
fn what_this_host_lacks_is_a_local_failure() {
    let nowhere = run(&["-b", "127.0.0.1:0", "--interface", "no-such-if"]);
    assert_eq!(nowhere.status.code(), Some(4));
    assert_eq!(nowhere.stderr, "error: cannot use the interface no-such-if: no such device\n");
    let key = run(&["-b", "127.0.0.1:0", "--stamp", "127.0.0.1:0", "--stamp-key-file", "/none"]);
    assert_eq!(key.status.code(), Some(4));
    assert!(key.stderr.contains("/none: no such file"), "{}", key.stderr);
    let foreign = run(&["-b", "198.51.100.77:0"]);
    assert_eq!(foreign.status.code(), Some(4));
}

#[test]
fn signals_end_it_with_its_counts() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        for io in ["auto", "portable"] {
            let server = Server::start(&["--io", io]);
            ask(&asker(server.address()), b"x");
            server.signal(signal);
            let ended = server.wait();
            assert_eq!(ended.status.code(), Some(0), "{signal}");
            assert_eq!(ended.counts(), [1, 1, 0, 0, 0]);
        }
    }
}

#[test]
fn files_are_read_again_on_sighup() {
    let directory = std::env::temp_dir().join(format!("udp-server-files-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("access");
    let write = |content: &str| std::fs::write(&path, content).unwrap();
    let file = path.to_str().unwrap();
    let bad = |lines: usize| "nobody\n".repeat(lines);
    let said = |lines| {
        (1..=lines).map(|n| format!("{file}:{n}: 'nobody': expected allow CIDR or deny CIDR\n"))
    };

    write(&bad(12));
    let ended = run(&["-b", "127.0.0.1:0", "--access-file", file]);
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(ended.stderr, said(10).collect::<String>());

    write("deny 127.0.0.1\r\n");
    let mut server = Server::start(&["-q", "-v", "--access-file", file]);
    let (known, other) = (asker(server.address()), asker_on("127.0.0.2:0", server.address()));
    silent(&known, b"x", &other);
    for content in ["allow 127.0.0.1", "bad"] {
        write(content);
        server.signal(Signal::SIGHUP);
        let told = if content == "bad" { "warning: not read again: " } else { "info: access list" };
        while !server.complaint().starts_with(told) {}
        assert_eq!(ask(&known, b"x"), b"echo x");
        silent(&other, b"x", &known);
    }
    let ended = server.stop();
    assert_eq!(ended.counts(), [8, 5, 3, 0, 0]);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_snapshot_is_one_line_on_stderr_and_it_goes_on() {
    let mut server = Server::start(&["-q"]);
    let client = asker(server.address());
    ask(&client, b"x");
    server.signal(Signal::SIGUSR1);
    let expected =
        format!("{}: 1 received, 1 replied, 0 dropped, 0 failed, 0 kernel drops", server.address());
    // The counts are published once a batch, after its replies have left.
    while server.complaint() != expected {
        server.signal(Signal::SIGUSR1);
    }
    ask(&client, b"x");
    let ended = server.stop();
    assert!(ended.stderr.ends_with(&(expected + "\n")), "{}", ended.stderr);
    assert_eq!(ended.counts(), [2, 2, 0, 0, 0]);
}
