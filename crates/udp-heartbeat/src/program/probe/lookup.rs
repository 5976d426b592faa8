//! The addresses of a probe's target, within its time: a resolver that hangs is left behind, and only
//! so many may hang.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;
use udp_core::cli::parse::ShownDuration;
use udp_core::cli::web::Asker;
use udp_core::endpoint::Role;
use udp_core::error::describe;
use udp_core::{Endpoint, Family};

/// Names that are looked up at a time.
const MOST: usize = 64;

/// Looks names up, each on a thread of its own.
#[derive(Debug, Default)]
pub(super) struct LookUps(Arc<AtomicUsize>);

impl LookUps {
    /// The addresses of `endpoint`, with `port` where it names none, found within `time` and while
    /// `asker` waits.
    pub(super) fn resolve(
        &self,
        endpoint: &Endpoint,
        (family, port): (Family, u16),
        time: Duration,
        asker: &Asker,
    ) -> Result<Vec<SocketAddr>, String> {
        let find = move |endpoint: &Endpoint| {
            endpoint.resolve(Role::Ask, family, port).map_err(|error| error.to_string())
        };
        if !endpoint.is_name() {
            return find(endpoint);
        }
        let running = Running::new(&self.0).ok_or("too many names are being looked up")?;
        let (to, found) = bounded(2);
        let gone = to.clone();
        asker.when_gone(move || drop(gone.try_send(Err("nobody waits for it any more".into()))));
        let name = endpoint.clone();
        let work = move || {
            let addresses = find(&name);
            drop(running);
            // Who asked may have gone on.
            drop(to.try_send(addresses));
        };
        let started = thread::Builder::new().name("resolver".into()).spawn(work);
        started.map_err(|error| format!("cannot start a thread: {}", describe(&error)))?;
        let late = || Err(format!("cannot resolve {endpoint} within {}", ShownDuration(time)));
        found.recv_timeout(time).unwrap_or_else(|_| late())
    }
}

/// One of those that are looked up, as long as this lives.
struct Running(Arc<AtomicUsize>);

impl Running {
    fn new(all: &Arc<AtomicUsize>) -> Option<Running> {
        let running = Running(Arc::clone(all));
        (all.fetch_add(1, Ordering::Relaxed) < MOST).then_some(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_addresses_are_not_looked_up() {
        let lookups = LookUps::default();
        let held: Vec<_> = (0..MOST).map(|_| Running::new(&lookups.0).unwrap()).collect();
        let find = |text: &str| {
            let (endpoint, asker) = (text.parse().unwrap(), Asker::default());
            lookups.resolve(&endpoint, (Family::V4, 9), Duration::from_secs(60), &asker)
        };
        assert_eq!(find("localhost").unwrap_err(), "too many names are being looked up");
        assert_eq!(find("192.0.2.1").unwrap(), ["192.0.2.1:9".parse().unwrap()]);
        drop(held);
        assert_eq!(find("localhost:7").unwrap(), ["127.0.0.1:7".parse().unwrap()]);
    }
}
