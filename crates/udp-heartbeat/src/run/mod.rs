//! A run: from the configuration to the exit code.

mod ending;
mod engine;
mod hook;
mod incoming;
mod lookup;
mod outgoing;
mod poller;
mod ports;
mod refresh;
mod reload;
mod reporter;
mod setup;

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, select};
use udp_core::cli::parse::ShownDuration;
use udp_core::cli::printer::{Handle, Policy, Printer};
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::{self, Console, Exit, Failure, Style};
use udp_core::clock;
use udp_core::error::describe;

use crate::args::Args;
use crate::config::{self, Config, Files, Sources};
use crate::probe::schedule::{Spacing, Timeline};
use crate::probe::stats::distribution::{Distribution, Precision};
use crate::probe::thresholds;
use crate::report::{
    Form, Item, Kind, RunSummary, Show, Start, Status, TargetSummary, reporter as make_reporter,
};
use engine::{Call, Ended, Engine, Fixed};
use hook::Hook;
use lookup::Resolver;
use outgoing::Batch;
use poller::{Poller, Waker};
use ports::Ports;
use reporter::{Name, Reporter};

/// Bytes of a file of targets.
const LONGEST_LIST: u64 = 64 << 20;
/// Lines that may wait for the printer.
const LINES: usize = 8192;
/// What other threads may have said that the loop has not taken yet; then they wait.
const CALLS: usize = 64;
/// How long the end waits for an output that is stuck.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads the files, makes the configuration, runs.
///
/// # Errors
/// Bad usage, a name that does not resolve, or a local failure.
pub fn run(args: Args, console: &Console) -> Result<Exit, Failure> {
    let files = read_files(&args)?;
    let common = args.common.clone();
    let config = Config::new(args, &files, fastrand::u64(..))?;
    Run::new(config, Style::of_stdout(&common), console)?.go()
}

fn read_files(args: &Args) -> Result<Files, Failure> {
    let targets = args.targets_file.as_deref().map(read_list).transpose()?;
    let key = args.stamp_key_file.as_deref().map(cli::files::stamp_key).transpose()?;
    Ok(Files { targets, key })
}

/// A list of targets (`-` is stdin), with its name.
fn read_list(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let content = match path.as_os_str() == "-" {
        true => cli::files::read_stdin(LONGEST_LIST)?,
        false => cli::files::read(path, LONGEST_LIST)?,
    };
    Ok((path.display().to_string(), content))
}

/// A run that is set up.
struct Run<'a> {
    config: Config,
    engine: Engine<'a>,
    printer: Printer<Item>,
    start: Start,
}

impl<'a> Run<'a> {
    fn new(config: Config, style: Style, console: &'a Console) -> Result<Self, Failure> {
        let thread_failed = |error: io::Error| {
            Failure::local(format!("cannot start a thread: {}", describe(&error)))
        };
        let (waiter, bell) = Poller::new().map_err(thread_failed)?;
        let (caller, calls) = bounded(CALLS);
        let found = {
            let (caller, bell) = (caller.clone(), bell.clone());
            move |found| {
                // The loop is there until the end.
                let _ = caller.send(Call::Found(found));
                bell.ring();
            }
        };
        let mut config = config;
        let mut resolver = None;
        let names = config.targets.iter().filter(|target| target.endpoint.is_name()).count();
        if names > 0 || config.sources.list.is_some() {
            let (family, port) = (config.family, config.default_port);
            resolver = Some(Resolver::start(names, family, port, found).map_err(thread_failed)?);
        }
        let template = setup::template(&mut config)?;
        let placed = setup::resolve(&config, resolver.as_mut(), &calls)?;
        // Not before: there is nothing to sum up yet, and a resolver that hangs is ended by the
        // first signal.
        let again = config.sources.any();
        let signals = Signals::install(if again { Hangup::Reload } else { Hangup::Stop })?;
        let requests = again.then(|| watch(config.sources.clone(), &caller, &bell));
        let requests = requests.transpose().map_err(thread_failed)?;
        let labels: Vec<String> =
            config.targets.iter().map(|it| it.endpoint.label(config.default_port)).collect();
        let limits = (&config.warnings, &config.thresholds);
        let reporter = make_reporter(config.output, config.timeout, style, limits);
        let printer = Printer::rendered(io::stdout(), reporter, LINES, Policy::Lossy);
        let printer = printer.map_err(thread_failed)?;
        let gone = printer.reader_gone().clone();
        forward(&signals, gone, requests, caller, bell).map_err(thread_failed)?;
        let hook = config.on_change.take().map(Hook::start).transpose().map_err(thread_failed)?;
        let lines = Some(printer.handle().clone());
        let names = labels.iter().zip(&config.targets).map(|(label, listed)| Name {
            label: label.as_str().into(),
            given: listed.endpoint.to_string(),
            labels: listed.labels.clone(),
        });
        let names = names.collect();
        let mut reporter = Reporter::new(names, config.output, lines, hook);
        let mut ports = Ports::new(template, config.backend, config.format.length());
        let (targets, start) =
            setup::targets(&mut config, &labels, &placed, &mut ports, &mut reporter)?;
        Poller::be_exact();
        let now = clock::mono();
        let count = u32::try_from(config.targets.len()).unwrap_or(u32::MAX);
        let admits = setup::admission(&config);
        let engine = Engine {
            timeline: Timeline::new(config.spacing, now, config.interval, count),
            targets,
            ports,
            reporter,
            waiter,
            calls,
            resolver,
            admits: Box::new(admits),
            console,
            fixed: Fixed {
                thresholds: config.thresholds.clone(),
                warnings: config.warnings.clone(),
                judged: config.judged,
                summaries: config.output.show.has(Kind::Summary),
                count: config.count,
                family: config.family,
                default_port: config.default_port,
            },
            deadline: config.deadline.map(|deadline| now + deadline),
            intervals: config.report_every.map(|every| (now + every, every)),
            lag: Distribution::new(Precision::Fine),
            batch: Batch::default(),
            next_tick: now,
            unread: 0,
        };
        Ok(Run { config, engine, printer, start })
    }

    fn go(mut self) -> Result<Exit, Failure> {
        self.announce();
        let ended = self.engine.run();
        let present = self.engine.targets.present().collect();
        let mut summary = self.engine.summary(present);
        summary.totals.unsolicited += self.engine.targets.strays();
        summary.unsolicited_from = self.engine.targets.unsolicited_from();
        summary.kernel_drops = self.engine.ports.lost_in_host();
        let passed = summary.targets.iter().all(TargetSummary::passed);
        let exit = thresholds::exit(passed, &summary.totals);
        for target in &summary.targets {
            target.unmet.iter().for_each(|unmet| log::warn!("{}: {unmet}", target.label));
        }
        say_figures(&summary);
        let exit = match self.config.output.form {
            Form::Nagios => Status::of(&summary).exit(),
            Form::Text | Form::Json => exit,
        };
        let (lines, hook) = self.engine.reporter.into_parts();
        let gone = finish(self.printer, lines, ended, summary, self.config.output.show)?;
        if let Some(hook) = hook {
            hook.finish();
        }
        // A reader that goes away ends the run quietly.
        Ok(if gone { Exit::Worked } else { exit })
    }

    /// Says what runs.
    fn announce(&mut self) {
        let config = &self.config;
        for target in &config.twice {
            log::warn!("{target} stands twice and is one target");
        }
        let clock = self.start.clock;
        log::info!("round trips are timed by the {clock}'s clock at the arrival of each reply");
        if let Spacing::Poisson { seed } = config.spacing {
            self.engine.console.note(format!("poisson schedule, --seed {seed}"));
        }
        let slow = config.interval >= config::FAST;
        let foreign = self.start.targets.iter().filter_map(|target| target.address);
        let foreign = foreign.filter(|address| !address.ip().to_canonical().is_loopback()).count();
        if !slow && foreign > 0 {
            let rate = config::offered_rate(config.interval, foreign, self.start.bytes);
            self.engine.console.note(rate);
        }
        if config.output.form == Form::Json {
            let line = Item::Start(Box::new(self.start.clone()));
            // A full channel at the very start is not to be expected; the printer counts it.
            drop(self.printer.handle().offer(line));
        }
    }
}

/// Starts the thread that reads files again; where it is asked to.
fn watch(sources: Sources, caller: &Sender<Call>, bell: &Waker) -> io::Result<Sender<()>> {
    let (requests, asked) = bounded(1);
    let (caller, bell) = (caller.clone(), bell.clone());
    let work = move || {
        sources.watch(&asked, |fresh| {
            // The loop is there until the end.
            let _ = caller.send(Call::Fresh(fresh));
            bell.ring();
        });
    };
    thread::Builder::new().name("files".into()).spawn(work)?;
    Ok(requests)
}

/// Passes signals, and the news that nobody reads any more, on to the loop.
fn forward(
    signals: &Signals,
    reader_gone: Receiver<()>,
    requests: Option<Sender<()>>,
    caller: Sender<Call>,
    bell: Waker,
) -> io::Result<()> {
    let signals = signals.clone();
    let work = move || {
        let mut reader_gone = reader_gone;
        loop {
            let call = select! {
                recv(signals.events()) -> event => match event {
                    Ok(SignalEvent::Stop) => Call::Stop,
                    Ok(SignalEvent::Reload) => {
                        // One request that waits is as good as two.
                        let _ = requests.as_ref().map(|requests| requests.try_send(()));
                        continue;
                    }
                    Ok(SignalEvent::Snapshot) => Call::Snapshot,
                    Err(_) => return,
                },
                recv(reader_gone) -> gone => {
                    reader_gone = crossbeam_channel::never();
                    match gone {
                        Ok(()) => Call::Gone,
                        // The printer has ended; signals are still to be heard.
                        Err(_) => continue,
                    }
                }
            };
            if caller.send(call).is_err() {
                return;
            }
            bell.ring();
        }
    };
    thread::Builder::new().name("calls".into()).spawn(work).map(drop)
}

/// Prints the summary and lets the printer end. Whether its reader is gone.
fn finish(
    printer: Printer<Item>,
    lines: Option<Handle<Item>>,
    ended: Ended,
    summary: RunSummary,
    show: Show,
) -> Result<bool, Failure> {
    let handle = printer.handle();
    if ended != Ended::Gone
        && show.has(Kind::Summary)
        && handle.offer_within(Item::Summary(Box::new(summary)), PATIENCE).is_err()
    {
        log::warn!("nobody reads what is printed: no summary");
    }
    drop(lines);
    let finished = printer.finish(Some(PATIENCE));
    match finished.error {
        Some(error) => Err(Failure::local(format!("cannot print: {}", describe(&error)))),
        None => Ok(finished.gone || ended == Ended::Gone),
    }
}

/// What the summary has no room for, most of it with -v.
fn say_figures(summary: &RunSummary) {
    let span = |span: Option<Duration>| match span {
        Some(span) => ShownDuration(span).to_string(),
        None => "-".into(),
    };
    log::info!(
        "send lag p50/p99/max = {}/{}/{}",
        span(summary.lag_p50),
        span(summary.lag_p99),
        span(summary.lag_max)
    );
    for target in summary.targets.iter().filter(|target| target.loss_runs > 0) {
        log::info!(
            "{}: {} loss bursts, longest {}; unavailable {} in total, longest outage {}",
            target.label,
            target.loss_runs,
            target.longest_run,
            ShownDuration(target.outage),
            ShownDuration(target.longest_outage),
        );
    }
}
