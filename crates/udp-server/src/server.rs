//! The server as a whole: opens the sockets, starts the workers and the printer, waits for a
//! reason to end, and sums up.

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded, never, select, tick};
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::web::{Bound, Guard, Web};
use udp_core::cli::{Console, Exit, Failure, notify};
use udp_core::endpoint::host_port;
use udp_core::error::describe;

use crate::accounting::Counts;
use crate::config::{Config, Format};
use crate::event::{Event, Service, Summary};
use crate::listeners;
use crate::metrics::Pages;
use crate::policy::Reason;
use crate::reload::{Current, Sources};
use crate::report::CountLine;
use crate::stdout::StdoutLog;
use crate::systemd;
use crate::workers::WorkerPool;

/// How often drops are reported in JSON.
const DROPPED_EVERY: Duration = Duration::from_secs(1);

/// Runs the server until it is asked to stop, or has served what it was to serve.
///
/// # Errors
/// What keeps it from starting: a name, a socket, a key file, a thread.
pub(crate) fn run(config: &Config, console: &Console) -> Result<Exit, Failure> {
    let rules = Arc::new(Current::new(config.sources.read()?));
    let guard = config.web_config.as_deref().map(Guard::open).transpose()?;
    let bound = config.metrics.as_ref().map(|at| Bound::bind(at, config.family)).transpose()?;
    let listeners = listeners::open_all(config, systemd::inherited()?)?;
    // Not before names are resolved: a resolver that hangs is ended by the first signal.
    let has_files = config.sources.any() || guard.is_some();
    let hangup = if has_files { Hangup::Reload } else { Hangup::Stop };
    let signals = Signals::install(hangup)?;
    let services: Vec<Service> = listeners.iter().map(|l| l.service.clone()).collect();
    let stdout_log = StdoutLog::start(config.format, config.style)?;
    let workers = WorkerPool::start(config, listeners, &rules, &stdout_log)?;
    let reload = reloader(&config.sources, &rules, guard.clone())?;
    let web = bound.map(|bound| serve_metrics((bound, guard), config, &workers, &rules, console));
    let _web = web.transpose()?;
    notify::ready();

    let mut server =
        Server { services, workers, stdout_log, reload, dropped: [0; Reason::ALL.len()] };
    let outcome = server.wait(config, &signals, console);
    notify::stopping();
    let written = server.finish();
    outcome.and_then(|exit| written.map(|()| exit))
}

/// Serves the counts by HTTP, and says where.
fn serve_metrics(
    (bound, guard): (Bound, Option<Arc<Guard>>),
    config: &Config,
    workers: &WorkerPool,
    rules: &Arc<Current>,
    console: &Console,
) -> Result<Web, Failure> {
    let (sources, rules) = (config.sources.clone(), Arc::clone(rules));
    let pages = Pages { binds: workers.binds(), sources, rules };
    let series = pages.series();
    let web = Web::start(bound, Arc::new(pages), guard)?;
    console.note(format!("metrics: {}, {series} series", web.urls("/metrics")));
    Ok(web)
}

/// Starts the thread that reads files again; a message asks it to.
fn reloader(
    sources: &Sources,
    rules: &Arc<Current>,
    guard: Option<Arc<Guard>>,
) -> Result<Sender<()>, Failure> {
    let (sender, requests) = bounded(1);
    let (sources, rules) = (sources.clone(), Arc::clone(rules));
    let thread = std::thread::Builder::new().name("reload".into());
    thread
        .spawn(move || sources.serve(&requests, &rules, guard.as_deref()))
        .map_err(|error| Failure::local(format!("cannot start a thread: {}", describe(&error))))?;
    Ok(sender)
}

fn worker_ended() -> Failure {
    Failure::local("a worker ended by itself")
}

struct Server {
    services: Vec<Service>,
    workers: WorkerPool,
    stdout_log: StdoutLog,
    /// Asks for files to be read again.
    reload: Sender<()>,
    /// Drops that were reported so far.
    dropped: [u64; Reason::ALL.len()],
}

impl Server {
    /// Waits for a reason to end.
    fn wait(
        &mut self,
        config: &Config,
        signals: &Signals,
        console: &Console,
    ) -> Result<Exit, Failure> {
        let due = if config.format == Format::Json { tick(DROPPED_EVERY) } else { never() };
        loop {
            select! {
                recv(signals.events()) -> event => match event {
                    Ok(SignalEvent::Snapshot) => console.note(self.snapshot()),
                    Ok(SignalEvent::Reload) => {
                        // One request that waits is as good as two.
                        let _ = self.reload.try_send(());
                    }
                    Ok(SignalEvent::Stop) | Err(_) => {
                        if signals.interrupted() {
                            self.stdout_log.interrupted();
                        }
                        return Ok(Exit::Worked);
                    }
                },
                recv(self.workers.spent) -> _ => return Ok(Exit::Worked),
                recv(self.workers.ended) -> _ => {
                    // One that has served its last datagram says so first.
                    let done = !self.workers.spent.is_empty();
                    return if done { Ok(Exit::Worked) } else { Err(worker_ended()) };
                }
                recv(due) -> _ => self.report_drops(),
            }
        }
    }

    /// One line that says how things stand.
    fn snapshot(&self) -> String {
        let names: Vec<String> = self.services.iter().map(|s| host_port(s.address)).collect();
        let summary = self.summary(self.workers.counts(), self.workers.lost());
        format!("{}: {}", names.join(", "), CountLine(&summary))
    }

    fn summary(&self, counts: Counts, lost: Option<u64>) -> Summary {
        Summary { services: self.services.clone(), counts, lost }
    }

    /// Reports how many datagrams were dropped since the last report, for each reason.
    fn report_drops(&mut self) {
        let counts = self.workers.counts();
        for (reason, reported) in Reason::ALL.into_iter().zip(&mut self.dropped) {
            let count = counts.dropped_for(reason) - *reported;
            *reported += count;
            if count > 0 {
                self.stdout_log.report(Event::Dropped(reason, count));
            }
        }
    }

    /// Stops the workers, and reports the final counts.
    fn finish(mut self) -> Result<(), Failure> {
        let (counts, lost) = self.workers.stop();
        if self.stdout_log.format() == Format::Json {
            self.report_drops();
        }
        let summary = self.summary(counts, lost);
        self.stdout_log.finish(summary)
    }
}
