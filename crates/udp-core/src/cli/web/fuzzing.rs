//! What must hold for any bytes on a connection, in a web configuration, and in a client's certificate: the
//! bodies of fuzz targets, as in `crate::fuzzing`. No socket and no file is touched.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::{Builder, Runtime};

use super::alternative_names::alternative_names;
use super::config;
use super::connections::Connection;
use super::conversation::{Shared, converse};
use super::site::{Page, Reply, Request, Site, Weight};
use crate::cli::Failure;

/// Counts the pages that are asked of it.
#[derive(Default)]
struct Sample(AtomicUsize);

impl Site for Sample {
    fn program(&self) -> &'static str {
        "sample"
    }

    fn pages(&self) -> &'static [Page] {
        const { &[Page { path: "/metrics", what: "", weight: Weight::Quick }] }
    }

    fn page(&self, request: &Request) -> Reply {
        self.0.fetch_add(1, Ordering::Relaxed);
        let asked = (request.accept(), request.query.get("target"), request.header("host"));
        // Long enough for gzip, and nothing of it is the client's own.
        Reply::ok("text/plain", vec![b'x'; 2000 + asked.0.len()])
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// A client that sends its bytes in pieces, then waits, and takes whatever it is answered.
struct Client {
    left: Vec<u8>,
    piece: usize,
    answers: Arc<Mutex<Vec<u8>>>,
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.piece.min(self.left.len()).min(into.remaining());
        if length == 0 {
            return Poll::Pending;
        }
        let rest = self.left.split_off(length);
        into.put_slice(&std::mem::replace(&mut self.left, rest));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Comes behind all bytes, ends whatever they have begun, and is answered if nothing was.
const LAST: &[u8] = b"\r\n\r\nGET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a timer");
}

/// Any bytes of a client: each head is answered at most once, one that announces a body by no page, and
/// after it nothing is, so that no body is ever taken for a request (RFC 9112 §11.2).
pub fn request(data: &[u8]) {
    let asked = [data, LAST].concat();
    let site = Arc::new(Sample::default());
    let shared = Shared::new(site.clone(), None);
    let connection = Arc::new(Connection::default());
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let answers = Arc::new(Mutex::new(Vec::new()));
    let client =
        Client { left: asked.clone(), piece: 1 + data.len() % 300, answers: answers.clone() };
    RUNTIME.with(|runtime| {
        // An error is the connection's end as well.
        let _ = runtime.block_on(converse(client, peer, &None, &connection, &shared));
    });
    let answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
    let heads = heads(&asked);
    let bodyless = heads.iter().take_while(|head| !announces_a_body(head)).count();
    let pages = site.0.load(Ordering::Relaxed);
    assert!(pages <= bodyless, "{pages} pages for {bodyless} requests");
    let answers = String::from_utf8_lossy(&answers);
    let count = answers.matches("HTTP/1.").count();
    assert!(count <= (bodyless + 1).min(heads.len()), "{count} answers for {bodyless} requests");
    assert!(count == 0 || answers.starts_with("HTTP/1."), "{answers}");
}

/// The heads in the order of their coming, each to its empty line, read as generously as anybody may.
fn heads(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes).to_lowercase().replace('\r', "");
    let heads = text.split("\n\n").filter(|head| !head.trim_matches('\n').is_empty());
    heads.map(String::from).collect()
}

fn announces_a_body(head: &str) -> bool {
    head.lines().filter_map(|line| line.split_once(':')).any(|(name, value)| match name.trim() {
        "transfer-encoding" => true,
        "content-length" => value.trim() != "0",
        _ => false,
    })
}

/// Any web configuration whose files are missing: taken, or refused with lines that the file has.
pub fn configuration(data: &[u8]) {
    let mut load = |_: &Path| Err(Failure::local("there is no such file"));
    let Err(failure) = config::parse(Path::new("web.yml"), data, &mut load) else { return };
    let lines = 1 + data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    for fault in &failure.faults {
        assert!((1..=lines).contains(&fault.line), "{fault:?} of {lines} lines");
        assert!(!fault.message.is_empty() && !fault.to_string().contains(char::is_control));
    }
    assert!(!failure.faults.is_empty() || !failure.message.is_empty());
}

/// Any certificate of a client: names are found, or not, and none is longer than what it was read from.
pub fn certificate(data: &[u8]) {
    let names = alternative_names(data).unwrap_or_default();
    // An IPv6 address of 16 bytes takes up to 39 letters.
    assert!(names.iter().map(String::len).sum::<usize>() <= 3 * data.len());
}
