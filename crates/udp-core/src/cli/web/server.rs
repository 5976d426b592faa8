//! Takes connections in and answers their requests, on one thread; asks the program for its pages on others.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::sleep;

use super::connections::{AtWork, Connection, Connections, Slow};
use super::pages::{self, HEALTHY, READY, RELOAD};
use super::site::{Reply, Request, Site, Weight};
use crate::cli::Failure;
use crate::endpoint::{Role, host_port};
use crate::error::{Error, Operation, describe};
use crate::{Endpoint, Family};

/// Bytes of a request's head.
const HEAD: usize = 8 * 1024;
/// How long a head may take to come.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Pages that are being made at a time; the others wait for their turn.
const QUICK: usize = 8;
/// The same for pages that take long: there, nobody waits.
const LONG: usize = 64;
/// After a connection could not be taken in: descriptors may be short.
const PAUSE: Duration = Duration::from_millis(50);

/// HTTP that is served as long as this lives.
#[derive(Debug)]
pub struct Web {
    addresses: Vec<SocketAddr>,
    _stop: oneshot::Sender<()>,
}

/// Sockets that are bound, to serve on.
#[derive(Debug)]
pub struct Bound(Vec<TcpListener>);

impl Bound {
    /// Binds every address of `endpoint`.
    ///
    /// # Errors
    /// A name that does not resolve, or an address that cannot be bound.
    pub fn bind(endpoint: &Endpoint, family: Family) -> Result<Bound, Failure> {
        let addresses = endpoint.resolve(Role::Serve, family, 0)?;
        let bind = |address: SocketAddr| {
            let failed = |error| Error::new(Operation::Bind, host_port(address), error);
            let listener = TcpListener::bind(address).map_err(failed)?;
            listener.set_nonblocking(true).map_err(failed)?;
            Ok(listener)
        };
        let listeners: Result<_, Error> = addresses.into_iter().map(bind).collect();
        // The hint of a bind speaks of UDP's own option.
        listeners.map(Bound).map_err(|error| Failure { hint: None, ..error.into() })
    }
}

impl Web {
    /// Serves `site` on the sockets of `bound`.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(bound: Bound, site: Arc<dyn Site>) -> Result<Web, Failure> {
        let failed =
            |error: io::Error| Failure::local(format!("cannot serve HTTP: {}", describe(&error)));
        let addresses: io::Result<_> = bound.0.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(failed)?;
        let mut builder = Builder::new_current_thread();
        builder.enable_io().enable_time().max_blocking_threads(QUICK + LONG).thread_name("page");
        let runtime = builder.build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let work = move || serve(&runtime, bound, site, stopped);
        thread::Builder::new().name("web".into()).spawn(work).map_err(failed)?;
        Ok(Web { addresses, _stop: stop })
    }

    /// Where it is served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where a page is, for people.
    pub fn urls(&self, path: &str) -> String {
        let url = |address: &SocketAddr| format!("http://{}{path}", host_port(*address));
        self.addresses.iter().map(url).collect::<Vec<_>>().join(", ")
    }
}

/// What all connections share.
struct Shared {
    site: Arc<dyn Site>,
    connections: Connections,
    quick: Arc<Semaphore>,
    long: Arc<Semaphore>,
}

fn serve(runtime: &Runtime, bound: Bound, site: Arc<dyn Site>, stopped: oneshot::Receiver<()>) {
    let shared = Arc::new(Shared {
        site,
        connections: Connections::default(),
        quick: Arc::new(Semaphore::new(QUICK)),
        long: Arc::new(Semaphore::new(LONG)),
    });
    runtime.block_on(async {
        for (index, listener) in (0..).zip(bound.0) {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(take_in(listener, index << 48, shared.clone()))),
                Err(error) => log::error!("cannot serve HTTP: {}", describe(&error)),
            }
        }
        // Its sender is dropped.
        let _ = stopped.await;
    });
}

/// Takes connections in; their numbers begin at `id`.
async fn take_in(listener: tokio::net::TcpListener, mut id: u64, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                id += 1;
                shared.connections.make_room();
                let connection = Arc::new(Connection::default());
                let work = converse(stream, peer, id, connection.clone(), shared.clone());
                // It cannot end before it is entered: this thread runs all tasks.
                let task = tokio::spawn(work).abort_handle();
                shared.connections.add(id, connection, task);
            }
            Err(error) => {
                log::debug!("cannot take a connection in: {}", describe(&error));
                shared.connections.end_one(Slow::Any);
                sleep(PAUSE).await;
            }
        }
    }
}

/// Answers a connection's requests until its end.
async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    id: u64,
    connection: Arc<Connection>,
    shared: Arc<Shared>,
) {
    let service = service_fn(|request| answer(request, &connection, &shared));
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_header_size(HEAD)
        .max_buf_size(2 * HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("HTTP with {}: {error}", host_port(peer));
    }
    shared.connections.remove(id);
}

type Answer = Response<Full<Bytes>>;

async fn answer(
    request: hyper::Request<Incoming>,
    connection: &Arc<Connection>,
    shared: &Arc<Shared>,
) -> Result<Answer, Infallible> {
    shared.connections.touch(connection);
    let _at_work = AtWork::new(connection);
    let (head, _) = request.into_parts();
    if let Some(reply) = pages::refusal(&head.method, head.uri.path(), &head.headers) {
        let mut answer = plain(reply);
        let headers = answer.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(pages::allowed(head.uri.path())));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        return Ok(answer);
    }
    let request = Request::new(&head.uri, head.headers);
    let own = shared.site.pages().iter().find(|page| page.path == request.path);
    let answer = match (request.path.as_str(), own) {
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
    };
    shared.connections.touch(connection);
    Ok(answer)
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
    let site = Arc::clone(&shared.site);
    // Whoever asked may go: what is under way still counts until it is done.
    let work = move || {
        let _permit = permit;
        site.page(&request)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Reply { status, content_type, body }) => {
            let body = shared.connections.hold(body, connection);
            response(status, content_type, Bytes::from_owner(body))
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
