//! The units in `packaging/systemd`, and the server started the way they do it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;

use common::{PATIENCE, Server, ask, asker, command};

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
    let options =
        text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/udp-server "));
    let options: Vec<&str> = options.expect("options").split(' ').collect();
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
fn activated(sockets: &[&UdpSocket], names: &str) -> Command {
    let mut server = command(&[]);
    server
        .env("LISTEN_FDS", sockets.len().to_string())
        .env("LISTEN_FDS_FIRST_FD", sockets[0].as_raw_fd().to_string())
        .env("LISTEN_FDNAMES", names);
    server
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
    let mut server = activated(&[&echo], "echo");
    let server = Server::spawn(server.env("NOTIFY_SOCKET", &path));
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
    let mut server = command(&[]);
    server.env("LISTEN_FDS", "1").env("LISTEN_FDS_FIRST_FD", listener.as_raw_fd().to_string());
    let output = server.output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.starts_with("error: cannot serve the socket that was passed: "), "{text}");
}
