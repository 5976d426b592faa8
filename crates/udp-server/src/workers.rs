//! Starts the worker threads, sums their counters, stops them.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, never};
use udp_core::batch::{Backend, Io, Options, Waker};
use udp_core::cli::Failure;
use udp_core::endpoint::host_port;
use udp_core::error::describe;
use udp_core::socket::{Adopted, broadcasts};
use udp_core::stamp;

use crate::accounting::{Counts, Published};
use crate::args::IoPath;
use crate::config::{Config, Detail, LARGEST_DATAGRAM, Reply};
use crate::count_limit::CountLimit;
use crate::event::{Event, Kind};
use crate::listeners::Listener;
use crate::metrics::Bind;
use crate::policy::{Limiter, Limits, Policy, Sources};
use crate::receive_queue::Queue;
use crate::reload::{Current, Rules};
use crate::serve::{Parts, Serve, Service};
use crate::service::{Echo, Reflector};
use crate::stdout::StdoutLog;
use crate::worker::Worker;

/// The workers.
pub(crate) struct WorkerPool {
    threads: Vec<JoinHandle<(Counts, Option<u64>)>>,
    wakers: Vec<Waker>,
    /// The workers' sockets, to ask the kernel about them.
    queues: Vec<Arc<Queue>>,
    published: Vec<Arc<Published>>,
    /// How many workers each address has, in their order.
    shares: Vec<(String, usize)>,
    /// Passed-in sockets are put back into their old state when all is over.
    adopted: Vec<Adopted>,
    /// Dropped when it is time to stop.
    stop: Option<Sender<()>>,
    /// Says that the datagrams to be served were served.
    pub(crate) spent: Receiver<()>,
    /// Says that a worker is no more.
    pub(crate) ended: Receiver<()>,
}

impl WorkerPool {
    pub(crate) fn start(
        config: &Config,
        listeners: Vec<Listener>,
        rules: &Arc<Current>,
        stdout_log: &StdoutLog,
    ) -> Result<Self, Failure> {
        let (spent_sender, spent) = bounded(1);
        let (ended_sender, ended) = bounded(1);
        let (stop, stopped) = bounded(0);
        let count_limit =
            config.count.map(|count| Arc::new(CountLimit::new(count, spent_sender.clone())));
        // Without a limit of the count nobody sends, and the channel must stay open.
        let spent = if count_limit.is_some() { spent } else { never() };
        let ports = listeners.iter().map(|listener| listener.service.address.port());
        let mut sources = Sources::new(config.guard, ports);
        sources.set_broadcasts(broadcasts());
        let limits =
            Limits { limiter: Limiter::new(config.rate_limit).map(Arc::new), guard: config.guard };
        let Rules { access, key } = rules.get();
        let reflectors = listeners.iter().filter(|it| it.service.kind == Kind::Stamp);
        let stamp_ports: Vec<u16> =
            reflectors.map(|it| it.service.address.port()).chain([stamp::DEFAULT_PORT]).collect();
        let policy = Policy { groups: config.groups, sources, access, limits };
        let workers: usize = listeners.iter().map(|listener| listener.sockets.len()).sum();

        let mut pool = WorkerPool {
            threads: Vec::with_capacity(workers),
            wakers: Vec::with_capacity(workers),
            queues: Vec::with_capacity(workers),
            published: Vec::with_capacity(workers),
            shares: Vec::new(),
            adopted: Vec::new(),
            stop: Some(stop),
            spent,
            ended,
        };
        let services = listeners.iter().map(|listener| listener.service.clone()).collect();
        let mut ready = Vec::with_capacity(workers);
        for Listener { service, sockets, adopted } in listeners {
            let shared = adopted.is_some();
            pool.adopted.extend(adopted);
            let name = host_port(service.address);
            pool.shares.push((name.clone(), sockets.len()));
            for (index, socket) in sockets.into_iter().enumerate() {
                let copy = || {
                    socket
                        .try_clone()
                        .map_err(|e| Failure::local(format!("cannot use {name}: {}", describe(&e))))
                };
                pool.queues.push(Arc::new(Queue::new(copy()?)));
                let second = copy()?;
                let published = Arc::new(Published::default());
                let io =
                    Io::new(socket, backend(config.io), &options(config, service.kind, shared))?;
                pool.wakers.push(io.waker());
                pool.published.push(Arc::clone(&published));
                let datagram_log = match config.detail {
                    Detail::Quiet => None,
                    Detail::Datagrams => Some(stdout_log.datagram_log(workers)),
                };
                let serve = Serve::new(Parts {
                    io,
                    max_datagram: config.max_datagram,
                    service: service_of(config, service.kind, key.as_ref()),
                    policy: match service.kind {
                        Kind::Stamp => {
                            let sources = policy.sources.except(stamp_ports.iter().copied());
                            Policy { sources, ..policy.clone() }
                        }
                        Kind::Echo | Kind::Sink => policy.clone(),
                    },
                    rules: Arc::clone(rules),
                    groups: index == 0,
                    published,
                    datagram_log,
                    count_limit: count_limit.clone(),
                    name: name.clone(),
                });
                let own = (!shared).then_some(second);
                ready.push(Worker::new(serve, own, stopped.clone()));
            }
        }
        // None serves before all are there, and a start that fails says nothing of having begun.
        let (go, gate) = bounded(workers);
        for worker in ready {
            pool.spawn(worker, gate.clone(), Ended(ended_sender.clone()))?;
        }
        // Before the first datagram is reported.
        stdout_log.report(Event::Start(services));
        for _ in 0..workers {
            // There is room for each.
            let _ = go.send(());
        }
        Ok(pool)
    }

    fn spawn(&mut self, worker: Worker, gate: Receiver<()>, ended: Ended) -> Result<(), Failure> {
        let thread = std::thread::Builder::new().name("worker".into()).spawn(move || {
            let _says_so_when_dropped = ended;
            match gate.recv() {
                Ok(()) => worker.run(),
                Err(_) => (Counts::default(), None),
            }
        });
        self.threads.push(thread.map_err(|error| {
            Failure::local(format!("cannot start a worker: {}", describe(&error)))
        })?);
        Ok(())
    }

    /// All that the workers have shown so far.
    pub(crate) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for published in &self.published {
            sum += published.counts();
        }
        sum
    }

    /// What a scrape reads, by address.
    pub(crate) fn binds(&self) -> Vec<Bind> {
        let mut published = self.published.iter().cloned();
        let mut queues = self.queues.iter().cloned();
        let bind = |(name, workers): &(String, usize)| Bind {
            name: name.clone(),
            published: published.by_ref().take(*workers).collect(),
            queues: queues.by_ref().take(*workers).collect(),
        };
        self.shares.iter().map(bind).collect()
    }

    /// Datagrams kernel drops so far.
    pub(crate) fn lost(&self) -> Option<u64> {
        self.queues.iter().map(|queue| queue.dropped()).sum()
    }

    /// Stops the workers; the final counts, and datagrams kernel drops.
    pub(crate) fn stop(&mut self) -> (Counts, Option<u64>) {
        self.stop = None;
        for waker in &self.wakers {
            waker.wake();
        }
        let mut counts = Counts::default();
        let mut lost = Some(0);
        for (thread, published) in self.threads.drain(..).zip(&self.published) {
            // One that panicked leaves the counts that it last showed.
            let (its_books, its_lost) = thread.join().unwrap_or((published.counts(), None));
            counts += its_books;
            lost = lost.zip(its_lost).map(|(sum, its)| sum + its);
        }
        (counts, lost.or_else(|| self.lost()))
    }
}

/// Says so when a worker's thread ends, whatever the reason.
struct Ended(Sender<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        // One notice is enough (the channel holds one), and at the end there is no receiver.
        let _ = self.0.try_send(());
    }
}

fn service_of(config: &Config, kind: Kind, key: Option<&stamp::Key>) -> Service {
    match (kind, &config.reply) {
        (Kind::Stamp, _) => Service::Stamp(Reflector::new(key.cloned())),
        (_, Reply::Echo(prefix)) => Service::Echo(Echo::new(prefix.clone())),
        (_, Reply::Nothing) => Service::Sink,
    }
}

fn backend(io: IoPath) -> Backend {
    match io {
        IoPath::Auto => Backend::Auto,
        IoPath::Portable => Backend::Portable,
    }
}

/// What to ask of the kernel. Merged runs need room for the largest one; a reflector wants a time
/// stamp and a TTL for each packet, and so no merged runs.
fn options(config: &Config, kind: Kind, shared: bool) -> Options {
    let reflects = kind == Kind::Stamp;
    Options {
        gro: !reflects && config.max_datagram == LARGEST_DATAGRAM,
        destination: true,
        timestamps: reflects,
        ttl: reflects,
        ecn: false,
        shared,
        busy_poll: config.busy_poll.unwrap_or_default(),
    }
}
