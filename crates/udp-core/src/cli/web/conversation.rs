//! One connection: its handshake, and the answers to its requests.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY,
    WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::coding;
use super::config::Rules;
use super::connections::{AtWork, Connection, Connections};
use super::guard::Guard;
use super::half::HalfClosed;
use super::pages::{self, HEALTHY, READY, RELOAD};
use super::passwords::Denied;
use super::site::{Here, Reply, Request, Site, Weight};
use crate::cli::Failure;
use crate::endpoint::host_port;

/// Bytes of a request's head.
const HEAD: usize = 8 * 1024;
/// How long a handshake may take, and how long a head may take to come.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Pages that are being made at a time; the others wait for their turn.
pub(super) const QUICK: usize = 8;
/// The same for pages that take long: there, nobody waits.
pub(super) const LONG: usize = 64;
/// The first byte of a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// For who speaks HTTP to TLS.
const IS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
    Connection: close\r\n\r\nHTTPS is spoken here\n";

/// What all connections share.
pub(super) struct Shared {
    site: Arc<dyn Site>,
    pub(super) guard: Option<Arc<Guard>>,
    /// Held by who reads the guard's files.
    pub(super) reads: Arc<Semaphore>,
    pub(super) connections: Connections,
    pub(super) quick: Arc<Semaphore>,
    pub(super) long: Arc<Semaphore>,
}

impl Shared {
    /// What those share who are served by `site`, once `guard` has let them in.
    pub(super) fn new(site: Arc<dyn Site>, guard: Option<Arc<Guard>>) -> Arc<Shared> {
        Arc::new(Shared {
            site,
            guard,
            reads: Arc::new(Semaphore::new(1)),
            connections: Connections::default(),
            quick: Arc::new(Semaphore::new(QUICK)),
            long: Arc::new(Semaphore::new(LONG)),
        })
    }

    /// What the guard's files say now; none where everybody is let in.
    async fn rules(&self) -> Result<Option<Arc<Rules>>, Failure> {
        let Some(guard) = self.guard.clone() else { return Ok(None) };
        let turn = self.reads.clone().acquire_owned().await;
        // No disk holds up this thread.
        let work = move || {
            let _turn = turn;
            guard.rules()
        };
        let read = tokio::task::spawn_blocking(work).await;
        read.unwrap_or_else(|_| Err(Failure::local("the web configuration cannot be read")))
            .map(Some)
    }
}

/// What a connection's bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The TLS that a connection has.
pub(super) type Tls = Option<Arc<ServerConfig>>;

/// Serves a connection until its end, by TLS where that is asked for.
pub(super) async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
) {
    let tls = match shared.rules().await {
        Ok(rules) => rules.and_then(|rules| rules.tls.clone()),
        // Where TLS is spoken, there is nobody yet to whom it could be said why.
        Err(_) if shared.guard.as_ref().is_some_and(|guard| guard.has_tls()) => return,
        Err(_) => None,
    };
    let stream: Box<dyn Stream> = match &tls {
        None => Box::new(stream),
        Some(config) => match timeout(HEAD_TIME, handshake(stream, config)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return log::debug!("TLS with {}: {error}", host_port(peer)),
            Err(_) => return log::debug!("TLS with {}: timed out", host_port(peer)),
        },
    };
    if let Err(error) = converse(stream, peer, &tls, &connection, &shared).await {
        log::debug!("HTTP with {}: {error}", host_port(peer));
    }
}

/// Answers what is asked over `stream` until its end.
pub(super) async fn converse(
    stream: impl Stream,
    peer: SocketAddr,
    tls: &Tls,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> hyper::Result<()> {
    let service = service_fn(|request| {
        // At once: hyper looks whether the client is still there before the answer is begun.
        connection.set_impatient(false);
        let at_work = AtWork::new(connection);
        answer(request, peer, tls, at_work, shared)
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD)
        .max_buf_size(2 * HEAD)
        .serve_connection(TokioIo::new(HalfClosed(stream, Arc::clone(connection))), service)
        .await
}

async fn handshake(stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<Box<dyn Stream>> {
    let mut first = [HANDSHAKE];
    stream.peek(&mut first).await?;
    if first != [HANDSHAKE] {
        // What was not read when a socket is closed takes the answer with it.
        let _ = stream.try_read(&mut vec![0; HEAD]);
        stream.try_write(IS_TLS)?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Box::new(TlsAcceptor::from(Arc::clone(config)).accept(stream).await?))
}

type Answer = Response<Full<Bytes>>;

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    tls: &Tls,
    at_work: AtWork,
    shared: &Arc<Shared>,
) -> io::Result<Answer> {
    let connection = at_work.connection();
    shared.connections.touch(connection);
    let (head, _) = request.into_parts();
    let Ok(rules) = shared.rules().await else {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        return Ok(plain(Reply::text(status, "the web configuration is bad")));
    };
    if !is_same(tls, rules.as_ref().and_then(|rules| rules.tls.as_ref())) {
        // Whether its client is still welcome shows when it comes again.
        return Err(io::Error::other("TLS is configured anew"));
    }
    let denied = match &rules {
        Some(rules) => denied(&head, rules, peer, shared).await,
        None => None,
    };
    let mut answer = match denied {
        Some(denied) => denied,
        None => page(head, connection, shared).await,
    };
    if let Some(rules) = rules {
        answer.headers_mut().extend(rules.headers.clone());
    }
    shared.connections.touch(connection);
    Ok(answer)
}

fn is_same(one: &Tls, other: Option<&Arc<ServerConfig>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        (one, other) => one.is_none() && other.is_none(),
    }
}

/// What is said to somebody who is not let in.
async fn denied(head: &Parts, rules: &Rules, peer: SocketAddr, shared: &Shared) -> Option<Answer> {
    let guard = shared.guard.as_ref()?;
    let authorization = head.headers.get(AUTHORIZATION);
    let peer = peer.ip().to_canonical();
    match guard.passwords.admit(&rules.users, authorization, peer).await {
        Ok(()) => None,
        Err(Denied::Busy) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            Some(plain(Reply::text(status, "too many passwords are being checked")))
        }
        Err(Denied::Wrong) => {
            let mut answer = plain(Reply::text(StatusCode::UNAUTHORIZED, "Unauthorized"));
            let basic = HeaderValue::from_static("Basic");
            answer.headers_mut().insert(WWW_AUTHENTICATE, basic);
            Some(answer)
        }
    }
}

/// What is asked for.
async fn page(head: Parts, connection: &Arc<Connection>, shared: &Arc<Shared>) -> Answer {
    if let Some(reply) = pages::refusal(&head) {
        let mut answer = plain(reply);
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(pages::allowed(head.uri.path())));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        return answer;
    }
    let request = Request::new(&head.uri, head.headers);
    let own = shared.site.pages().iter().find(|page| page.path == request.path);
    match (request.path.as_str(), own) {
        (_, Some(page)) => make(request, page.weight, connection, shared).await,
        (RELOAD, None) => reload(shared).await,
        ("/", None) => plain(pages::front(&*shared.site)),
        (HEALTHY, None) => {
            plain(Reply::text(StatusCode::OK, format!("{} is Healthy.", shared.site.program())))
        }
        (READY, None) if shared.site.is_ready() => {
            plain(Reply::text(StatusCode::OK, format!("{} is Ready.", shared.site.program())))
        }
        (READY, None) => plain(Reply::text(StatusCode::SERVICE_UNAVAILABLE, "not ready")),
        (_, None) => plain(Reply::text(StatusCode::NOT_FOUND, "no such page")),
    }
}

/// Has the program make a page.
async fn make(
    request: Request,
    weight: Weight,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Answer {
    let Some(permit) = permit(weight, shared).await else {
        return plain(Reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once"));
    };
    connection.set_impatient(weight == Weight::Long);
    let site = Arc::clone(&shared.site);
    let _here = Here(request.asker.clone());
    // Whoever asked may go: what is under way still counts until it is done.
    let work = move || {
        let _permit = permit;
        let reply = site.page(&request);
        let coded = request.takes_gzip().then(|| coding::gzip(&reply.body)).flatten();
        (reply, coded)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok((Reply { status, content_type, body }, coded)) => {
            let is_coded = coded.is_some();
            let body = shared.connections.hold(coded.unwrap_or(body), connection);
            let mut response = response(status, content_type, Bytes::from_owner(body));
            let headers = response.headers_mut();
            headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
            if is_coded {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            }
            response
        }
        Err(_) => plain(Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the page failed")),
    }
}

/// Leave to make a page.
async fn permit(weight: Weight, shared: &Shared) -> Option<OwnedSemaphorePermit> {
    match weight {
        Weight::Long => shared.long.clone().try_acquire_owned().ok(),
        Weight::Quick => shared.quick.clone().acquire_owned().await.ok(),
    }
}

async fn reload(shared: &Arc<Shared>) -> Answer {
    let permit = permit(Weight::Quick, shared).await;
    let site = Arc::clone(&shared.site);
    let work = move || {
        let _permit = permit;
        site.reload()
    };
    plain(match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Reply::text(StatusCode::OK, "reloaded"),
        Ok(Err(reason)) => {
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("failed to reload: {reason}"))
        }
        Err(_) => Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "failed to reload"),
    })
}

fn plain(reply: Reply) -> Answer {
    response(reply.status, reply.content_type, reply.body.into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
