//! HTTP as strangers speak it: pages, refusals, and those who never end.
#![cfg(feature = "web")]

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use udp_core::Family;
use udp_core::cli::web::{Bound, Page, Reply, Request, Site, Web, Weight};

/// Longer than anything takes.
const DEADLINE: Duration = Duration::from_secs(60);
/// More than a socket's buffers hold.
const LARGE: usize = 16 << 20;

struct Sample;

impl Site for Sample {
    fn program(&self) -> &'static str {
        "sample"
    }

    fn pages(&self) -> &'static [Page] {
        const fn page(path: &'static str, weight: Weight) -> Page {
            Page { path, what: "a <page>", weight }
        }
        const {
            &[
                page("/metrics", Weight::Quick),
                page("/large", Weight::Quick),
                page("/probe", Weight::Long),
            ]
        }
    }

    fn page(&self, request: &Request) -> Reply {
        match request.path.as_str() {
            "/large" => Reply::ok("text/plain", vec![b'x'; LARGE]),
            "/probe" => Reply::ok("text/plain", request.query.get("target").unwrap_or_default()),
            _ => Reply::ok("text/plain", format!("accept {}", request.accept())),
        }
    }

    fn is_ready(&self) -> bool {
        false
    }

    fn reload(&self) -> Result<(), String> {
        Err("f:1: bad".into())
    }
}

fn start() -> (Web, SocketAddr) {
    let endpoint = "127.0.0.1:0".parse().expect("an endpoint");
    let bound = Bound::bind(&endpoint, Family::Any).expect("binds");
    let web = Web::start(bound, Arc::new(Sample), None).expect("starts");
    let address = web.addresses()[0];
    (web, address)
}

fn connect(to: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(to).expect("connects");
    stream.set_read_timeout(Some(DEADLINE)).expect("is a socket");
    stream
}

/// All that is answered to `request` until the other side closes.
fn ask(to: SocketAddr, request: &str) -> String {
    let mut stream = connect(to);
    // A server that has heard enough may be gone already.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(to: SocketAddr, path: &str) -> String {
    ask(to, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: a/b\r\n\r\n"))
}

#[test]
fn pages_and_refusals() {
    let (_web, at) = start();
    let cases = [
        (get(at, "/metrics"), "200 OK", "accept a/b"),
        (get(at, "/probe?a=1&target=h%3A7+x&target=y"), "200 OK", "h:7 x"),
        (get(at, "/"), "200 OK", "<a href=\"/metrics\">/metrics</a> a &lt;page&gt;"),
        (get(at, "/-/healthy"), "200 OK", "sample is Healthy."),
        (get(at, "/-/ready"), "503 Service Unavailable", "not ready"),
        (get(at, "/nowhere"), "404 Not Found", "no such page"),
        (get(at, "/-/reload"), "405 Method Not Allowed", "only POST"),
        (
            ask(at, "POST /-/reload HTTP/1.0\r\n\r\n"),
            "500 Internal Server Error",
            "failed to reload: f:1: bad",
        ),
        (
            ask(at, "POST /-/reload HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"),
            "400 Bad Request",
            "no body",
        ),
        (ask(at, "GET /metrics HTTP/1.1\r\n\r\n"), "400 Bad Request", "one Host"),
        (ask(at, "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n"), "400 Bad Request", "one Host"),
        (
            ask(at, "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "400 Bad Request",
            "",
        ),
        (
            ask(
                at,
                "GET / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
            ),
            "400 Bad Request",
            "",
        ),
    ];
    for (answer, status, body) in &cases {
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}\r\n"))
                || answer.starts_with(&format!("HTTP/1.0 {status}\r\n")),
            "{answer}"
        );
        assert!(answer.contains(body), "{answer}");
        assert_eq!(answer.matches("HTTP/1.").count(), 1, "one answer each: {answer}");
    }
    let head = ask(at, "HEAD /metrics HTTP/1.0\r\n\r\n");
    assert!(head.contains("content-length: 7") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn what_is_no_request_gets_no_page() {
    let (_web, at) = start();
    let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(1200));
    for request in [
        "\0\u{1}garbage\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\n: x\r\n\r\n",
        "GET / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        &long,
        &many,
    ] {
        let answer = ask(at, request);
        assert!(!answer.contains("200 OK"), "{:.60}: {answer}", request);
    }
    assert!(get(at, "/metrics").contains("200 OK"));
}

#[test]
fn who_is_slow_keeps_nobody_out() {
    let (_web, at) = start();
    // Some never say what they want, the others never take what they asked for.
    let mut slow: Vec<TcpStream> = (0..400).map(|_| connect(at)).collect();
    for (number, stream) in slow.iter_mut().enumerate() {
        let request: &[u8] = match number % 2 {
            0 => b"GET /metrics HTTP/1.1\r\nHo",
            _ => b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
        };
        // One that had to go for another cannot be written to.
        let _ = stream.write_all(request);
    }
    assert!(get(at, "/metrics").contains("200 OK"));
    let large = get(at, "/large");
    assert!(large.starts_with("HTTP/1.1 200 OK") && large.len() > LARGE);
}

#[test]
fn who_ends_its_side_gets_its_answer() {
    let (_web, at) = start();
    for version in ["1.0", "1.1"] {
        for (path, expected) in [("/metrics", 7), ("/-/healthy", 19), ("/large", LARGE)] {
            let mut stream = connect(at);
            let request = format!("GET {path} HTTP/{version}\r\nHost: x\r\n\r\n");
            stream.write_all(request.as_bytes()).expect("takes a request");
            stream.shutdown(Shutdown::Write).expect("is connected");
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).expect("ends");
            let head = answer.windows(4).position(|it| it == b"\r\n\r\n").expect("an answer");
            assert_eq!(answer.len() - head - 4, expected, "{path} {version}");
        }
    }
}

#[test]
fn a_head_that_does_not_come_ends_the_connection() {
    let (_web, at) = start();
    for beginning in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let answer = ask(at, beginning);
        assert_eq!(answer.contains("200 OK"), beginning.ends_with("\n\r\n"), "{answer}");
    }
}

/// What heads are made of, well and badly.
const PIECES: [&str; 24] = [
    "GET ",
    "HEAD ",
    "POST ",
    "get ",
    "/",
    "/metrics",
    "/-/reload",
    "http://x/metrics",
    "?a=%zz",
    " HTTP/1.1",
    " HTTP/1.0",
    "\r\n",
    "\n",
    "\r",
    "Host: x\r\n",
    "Content-Length: ",
    "Content-Length : ",
    "0",
    "5",
    "-1, 5",
    "Transfer-Encoding: chunked\r\n",
    "transfer-encoding:\tidentity\r\n",
    " folded\r\n",
    "Connection: keep-alive\r\n",
];

/// Whether a body is announced before the first head ends, read as generously as anybody may.
fn announces_a_body(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_lowercase().replace('\r', "");
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| match name.trim() {
        "transfer-encoding" => true,
        "content-length" => value.trim() != "0",
        _ => false,
    })
}

#[test]
fn whatever_the_head() {
    let (_web, at) = start();
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..8),
    ];
    let mut runner = proptest::test_runner::TestRunner::default();
    let heads = prop::collection::vec(piece, 0..12);
    let held = runner.run(&heads, |pieces| {
        let mut request = pieces.concat();
        // Which ends whatever it has begun, and is answered if nothing was.
        request.extend(b"\r\n\r\nGET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let mut stream = connect(at);
        let _ = stream.write_all(&request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{answer}");
        if announces_a_body(&request) {
            prop_assert!(!answer.contains("200 OK"), "{answer}");
        }
        Ok(())
    });
    held.expect("every head is survived");
    assert!(get(at, "/metrics").contains("200 OK"));
}
