//! The program: from the command line to the exit code, around a [`Prober`].

mod hook;
mod inputs;
mod limits;
mod metrics;
mod probe;
mod recordings;
mod reload;
mod reporter;
mod say;
mod screen;
mod services;
mod watchdog;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, select};
use udp_core::cli::printer::{Handle, Policy, Printer, Reader, stdout};
use udp_core::cli::shutdown::{Hangup, SignalEvent, Signals};
use udp_core::cli::web::{self, Bound, Guard, Web};
use udp_core::cli::{Console, Exit, Failure, Style, notify};
use udp_core::clock;
use udp_core::error::describe;

use crate::args::Args;
use crate::commands::Sort;
use crate::config::{self, Config};
use crate::plan::Plan;
use crate::probe::format::Format;
use crate::probe::schedule::Spacing;
use crate::probe::snapshot::TargetSnapshot;
use crate::probe::targets::{FLOOR, Listed};
use crate::probe::thresholds;
use crate::record::{Options, Recording};
use crate::report::{
    Form, Item, Kind, Output, Show, Start, StartTarget, Status, reporter as make_reporter,
};
use crate::run::{Prober, precision};
use hook::Hook;
use inputs::{read_files, say_twice};
use limits::raise_descriptors;
use metrics::Pages;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use probe::asked;
use probe::{Allow, Probes};
use reload::{Around, Ask, Reloads};
use reporter::Reporter;
use say::{say_figures, say_snapshot};

/// What a run is called whose targets are all services.
const SERVICE: &str = "service";
/// Lines that may wait for the printer.
const LINES: usize = 8192;
/// How long a run that ended by itself waits for an output that takes nothing: a pager whose user
/// reads the first page. One that was told to stop gives it up sooner.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the files, makes the configuration, runs.
///
/// # Errors
/// Bad usage, a name that does not resolve, or a local failure.
pub fn run(args: Args, console: &Console) -> Result<Exit, Failure> {
    if let Some(command) = &args.command {
        return recordings::run(command, Style::of_stdout(&args.common));
    }
    if args.services {
        return services::list(Style::of_stdout(&args.common));
    }
    let files = read_files(&args)?;
    let common = args.common.clone();
    let live = screen::wanted(&args)?;
    raise_descriptors(args.modules.is_some());
    let mut config = Config::new(args, files, fastrand::u64(..))?;
    if live.is_some() {
        config.output.show = Show::only(Kind::Summary);
    }
    Run::new(config, Style::of_stdout(&common), live, console)?.go(console)
}

/// A run that is set up.
struct Run {
    prober: Arc<Prober>,
    output: Output,
    sort: Sort,
    printer: Printer<Item>,
    /// For those who must not keep the printer from its end.
    lines: Arc<Handle<Item>>,
    hook: Option<Arc<Hook>>,
    signals: Signals,
    recording: Option<Recording>,
    /// Nobody reads what is printed.
    gone: Arc<AtomicBool>,
    screen: screen::Screen,
    /// HTTP, if it was asked for.
    web: Option<Web>,
    /// Whether it makes probes on request, which is work without a target.
    probes: bool,
}

impl Run {
    fn new(
        config: Config,
        style: Style,
        live: screen::Wanted,
        console: &Console,
    ) -> Result<Self, Failure> {
        let Config {
            plan,
            twice,
            sources,
            on_change,
            record,
            output,
            sort,
            metrics,
            web_config,
            probes,
        } = config;
        if metrics.is_some() {
            web::give_back_memory();
        }
        let guard = web_config.as_deref().map(Guard::open).transpose()?;
        let probes =
            probes.map(|(modules, allow)| Arc::new(Probes::new(modules, Allow(allow), &plan)));
        let limits = (&plan.warnings, &plan.thresholds);
        let reporter = make_reporter(output, plan.timeout, style, limits);
        let printer = Printer::rendered(stdout(Policy::Lossy), reporter, LINES, Policy::Lossy);
        let printer = printer.map_err(thread_failed)?;
        let over_screen = live.is_some() && io::stderr().is_terminal();
        let hook = on_change.map(|command| Hook::start(command, over_screen)).transpose();
        let hook = hook.map_err(thread_failed)?.map(Arc::new);
        let (mut start, mut options) = (start(&plan), Options::of(&plan));
        let services = plan.targets.iter().filter_map(Listed::service);
        let facts: usize = services.map(|spec| spec.entry().facts.len()).sum();
        let bound = metrics.map(|(at, form)| Ok((Bound::bind(&at, plan.family)?, form)));
        let bound: Option<(Bound, _)> = bound.transpose().map_err(|it: Failure| it)?;
        let reporter = Reporter::new(output, printer.handle().clone(), hook.clone());
        let (screen, feed) = screen::Screen::new(live);
        let (recorder, recording) =
            record.map(Recording::start).transpose().map_err(thread_failed)?.unzip();
        let prober = Arc::new(Prober::new(plan, (reporter, (recorder, feed)))?);
        let targets = prober.snapshot().targets;
        options.digits = precision(targets.len()).digits();
        start.clock = if prober.has_kernel_stamps() { "kernel" } else { "program" };
        if let Some(recording) = &recording {
            recording.begin(&start, options, &targets)?;
        }
        // Not before: there is nothing to sum up yet, and a resolver that hangs is ended by the
        // first signal.
        let hears = sources.any() || recording.is_some() || guard.is_some();
        let signals = Signals::install(if hears { Hangup::Reload } else { Hangup::Stop })?;
        let lines = Arc::new(printer.handle().clone());
        let reloads = Reloads::new();
        let around = Around {
            prober: Arc::downgrade(&prober),
            recording: recording.clone(),
            guard: guard.clone(),
            probes: probes.clone(),
        };
        let start_reload = || reload::start(sources, prober.caller(), reloads.clone(), around);
        let asks = hears.then(start_reload).transpose().map_err(thread_failed)?;
        let (gone, web) = (Arc::new(AtomicBool::new(false)), None);
        let mut run = Run {
            prober,
            output,
            sort,
            printer,
            lines,
            hook,
            signals,
            recording,
            gone,
            screen,
            web,
            probes: probes.is_some(),
        };
        run.forward(asks.clone(), console).map_err(thread_failed)?;
        say_twice(&twice);
        start.twice = twice;
        start.targets = targets.into_iter().map(StartTarget::from).collect();
        run.announce(start, console);
        if let Some((bound, form)) = bound {
            let prober = Arc::downgrade(&run.prober);
            let modules = probes.as_ref().map(|probes| probes.modules());
            let pages = Pages { prober, form, reloads, asks, probes };
            // Which facts of a service are numbers, its answers show.
            let series = match facts {
                0 => pages.series().to_string(),
                facts => format!("up to {}", pages.series() + facts),
            };
            let web = Web::start(bound, Arc::new(pages), guard)?;
            console.note(format!("metrics: {}, {series} series", web.urls("/metrics")));
            if let Some(modules) = modules {
                console.note(format!("probes: {}, {modules} modules", web.urls("/probe")));
            }
            run.web = Some(web);
        }
        Ok(run)
    }

    fn go(mut self, console: &Console) -> Result<Exit, Failure> {
        watchdog::start(&self.prober.caller()).map_err(thread_failed)?;
        self.screen.show(&self.prober, console)?;
        notify::ready();
        let mut snapshot = self.prober.run();
        notify::stopping();
        self.screen.leave();
        let passed = snapshot.targets.iter().all(TargetSnapshot::passed);
        let exit = match self.output.form {
            Form::Nagios => Status::of(&snapshot).exit(),
            Form::Text | Form::Json if self.probes && snapshot.targets.is_empty() => Exit::Worked,
            Form::Text | Form::Json => thresholds::exit(passed, &snapshot.totals),
        };
        for target in &snapshot.targets {
            target.unmet.iter().for_each(|unmet| log::warn!("{}: {unmet}", target.label));
        }
        say_figures(&snapshot);
        let Run {
            prober, output, sort, printer, lines, hook, signals, recording, gone, web, ..
        } = self;
        let shown = !gone.load(Ordering::Relaxed) && output.show.has(Kind::Summary);
        // With the reporter, and its ways to the printer and to the command.
        drop((web, prober, lines));
        let recorded = recording.is_none_or(|it| it.finish(snapshot.clone()));
        let ended = clock::mono();
        let patient = || !signals.stopped() && clock::mono().saturating_since(ended) < PATIENCE;
        if sort == Sort::Loss {
            snapshot.targets.sort_by(|a, b| a.counts.worst_first(&b.counts));
        }
        let reader =
            printer.end(shown.then(|| Item::Summary(Box::new(snapshot))), patient).outcome()?;
        if let Some(hook) = hook.and_then(Arc::into_inner) {
            hook.finish();
        }
        // A reader that goes away ends the run quietly.
        let gone = reader == Reader::Gone || gone.load(Ordering::Relaxed);
        Ok(match recorded {
            // A plugin's code is that of its line.
            false if output.form != Form::Nagios => Exit::Local,
            _ if gone => Exit::Worked,
            _ => exit,
        })
    }

    /// Says what runs.
    fn announce(&self, start: Start, console: &Console) {
        let clock = start.clock;
        log::info!("round trips are timed by the {clock}'s clock at the arrival of each reply");
        if let Spacing::Poisson { seed } = start.spacing {
            console.note(format!("poisson schedule, --seed {seed}"));
        }
        let foreign = start.targets.iter().filter_map(|target| target.address);
        let foreign = foreign.filter(|address| !address.ip().to_canonical().is_loopback()).count();
        if start.interval < FLOOR && foreign > 0 {
            console.note(config::offered_rate(start.interval, foreign, start.bytes));
        }
        if self.output.form == Form::Json || !start.twice.is_empty() {
            // A full channel at the very start is not to be expected; the printer counts it.
            drop(self.printer.handle().offer(Item::Start(Box::new(start))));
        }
    }

    /// Passes signals, and the news that nobody reads any more, on to the prober.
    fn forward(&self, asks: Option<Sender<Ask>>, console: &Console) -> io::Result<()> {
        let (prober, gone) = (Arc::downgrade(&self.prober), self.gone.clone());
        let (console, signals) = (console.clone(), self.signals.clone());
        let on_terminal = self.output.form == Form::Text && io::stdout().is_terminal();
        let lines = Arc::downgrade(&self.lines);
        let mut reader_gone = self.printer.reader_gone().clone();
        let work = move || {
            loop {
                select! {
                    recv(signals.events()) -> event => match event {
                        Ok(SignalEvent::Stop) => {
                            // The terminal has shown the key.
                            let lines = lines.upgrade().filter(|_| on_terminal);
                            if let Some(lines) = lines.filter(|_| signals.interrupted()) {
                                lines.fresh_line();
                            }
                            with(&prober, Prober::stop);
                        }
                        Ok(SignalEvent::Reload) => {
                            // One request that waits is as good as two.
                            let _ = asks.as_ref().map(|asks| asks.try_send(Ask::default()));
                        }
                        Ok(SignalEvent::Snapshot) => with(&prober, |it| say_snapshot(it, &console)),
                        Err(_) => return,
                    },
                    recv(reader_gone) -> news => {
                        // After the printer's end, signals are still to be heard.
                        reader_gone = crossbeam_channel::never();
                        if news.is_ok() {
                            gone.store(true, Ordering::Relaxed);
                            with(&prober, Prober::stop);
                        }
                    }
                }
            }
        };
        thread::Builder::new().name("calls".into()).spawn(work).map(drop)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn thread_failed(error: io::Error) -> Failure {
    Failure::local(format!("cannot start a thread: {}", describe(&error)))
}

/// Does something with the prober, if it is still there.
fn with(prober: &Weak<Prober>, work: impl FnOnce(&Prober)) {
    if let Some(prober) = prober.upgrade() {
        work(&prober);
    }
}

/// What runs, but for what is known only when it does.
fn start(plan: &Plan) -> Start {
    let interval = |target: &Listed| target.interval(plan.interval, plan.given);
    let interval = plan.targets.iter().map(interval).min().unwrap_or(plan.interval);
    let own = plan.targets.iter().all(|target| target.service().is_some());
    Start {
        at: clock::wall(),
        targets: Vec::new(),
        twice: Vec::new(),
        mode: match plan.format {
            _ if own && !plan.targets.is_empty() => SERVICE,
            Format::Plain { .. } => "plain",
            Format::Numbered { .. } => "number",
            Format::Stamp { .. } => "stamp",
            Format::Service(_) => SERVICE,
        },
        bytes: plan.length(),
        interval,
        timeout: plan.timeout,
        count: plan.count,
        spacing: plan.spacing,
        clock: "program",
    }
}
