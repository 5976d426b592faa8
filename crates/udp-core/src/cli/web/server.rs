//! Takes connections in, on one thread; the program is asked for its pages on others.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::connections::{Connection, Slow};
use super::conversation::{LONG, QUICK, Shared, welcome};
use super::guard::Guard;
use super::site::Site;
use crate::cli::Failure;
use crate::endpoint::{Role, host_port};
use crate::error::{Error, Operation, describe};
use crate::{Endpoint, Family};

/// Threads beside those of the pages: one reads what `--web-config` names, one checks passwords.
const GUARDS: usize = 2;
/// After a connection could not be taken in: descriptors may be short.
const PAUSE: Duration = Duration::from_millis(50);

/// HTTP that is served as long as this lives.
#[derive(Debug)]
pub struct Web {
    addresses: Vec<SocketAddr>,
    scheme: &'static str,
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
    /// Serves `site` on the sockets of `bound`, to those whom `guard` lets in.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn start(
        bound: Bound,
        site: Arc<dyn Site>,
        guard: Option<Arc<Guard>>,
    ) -> Result<Web, Failure> {
        let failed =
            |error: io::Error| Failure::local(format!("cannot serve HTTP: {}", describe(&error)));
        let addresses: io::Result<_> = bound.0.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses.map_err(failed)?;
        let mut builder = Builder::new_current_thread();
        builder.enable_io().enable_time().thread_name("page");
        builder.max_blocking_threads(QUICK + LONG + GUARDS);
        let runtime = builder.build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel();
        let scheme = if guard.as_ref().is_some_and(|it| it.has_tls()) { "https" } else { "http" };
        let work = move || serve(&runtime, bound, (site, guard), stopped);
        thread::Builder::new().name("web".into()).spawn(work).map_err(failed)?;
        Ok(Web { addresses, scheme, _stop: stop })
    }

    /// Where it is served.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where a page is, for people.
    pub fn urls(&self, path: &str) -> String {
        let url = |address: &SocketAddr| format!("{}://{}{path}", self.scheme, host_port(*address));
        self.addresses.iter().map(url).collect::<Vec<_>>().join(", ")
    }
}

type Served = (Arc<dyn Site>, Option<Arc<Guard>>);

fn serve(runtime: &Runtime, bound: Bound, (site, guard): Served, stopped: oneshot::Receiver<()>) {
    let shared = Shared::new(site, guard);
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
                if !shared.connections.make_room() {
                    continue;
                }
                let connection = Arc::new(Connection::default());
                let work = welcome(stream, peer, connection.clone(), shared.clone());
                let (connections, id) = (shared.clone(), id);
                let work = async move {
                    work.await;
                    connections.connections.remove(id);
                };
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
