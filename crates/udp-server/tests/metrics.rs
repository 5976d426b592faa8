//! Metrics of the built program: the counts are those of the summary.
#![cfg(target_os = "linux")]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;

use common::{Server, ask, asker};

#[test]
fn a_scrape_counts_what_came() {
    let mut server = Server::start(&["-q", "--metrics", "127.0.0.1:0"]);
    let bind = server.address();
    let said = server.complaint();
    let at = said.strip_prefix("metrics: http://").unwrap().split('/').next().unwrap();
    let client = asker(bind);
    for _ in 0..3 {
        ask(&client, b"hello");
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
    assert!(found);
}
