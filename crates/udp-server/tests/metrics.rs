//! Metrics of the built program: the counts are those of the summary.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_scrape_counts_what_came() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_udp-server"));
    command.args(["-q", "-b", "127.0.0.1:0", "--metrics", "127.0.0.1:0"]).env_remove("RUST_LOG");
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut first, mut second) = (String::new(), String::new());
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let bind = first.trim().strip_prefix("server start at: ").unwrap();
    BufReader::new(server.stderr.take().unwrap()).read_line(&mut second).unwrap();
    let at = second.strip_prefix("metrics: http://").unwrap().split('/').next().unwrap();

    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    for _ in 0..3 {
        client.send_to(b"hello", bind).unwrap();
        assert_eq!(client.recv(&mut [0; 64]).unwrap(), 10);
    }
    let expected = [
        ("received_total", 3),
        ("replied_total", 3),
        ("received_bytes_total", 15),
        ("replied_bytes_total", 30),
        ("failed_total", 0),
    ];
    // The counts are shown after the batch.
    let found = (0..1000).any(|_| {
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        expected.iter().all(|(name, value)| {
            text.contains(&format!("\nudp_server_{name}{{bind=\"{bind}\"}} {value}\n"))
        })
    });
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(found);
}
