//! Faults of the machine and its operator: limits lowered under a running server (prlimit(1)),
//! signals by the thousand, a process that is stopped and let go, moved and put last.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::super::scenarios;
use super::trial::{Answers, Trial};
use crate::e2e::check;
use crate::e2e::clock::pause;
use crate::e2e::context::Context;
use crate::e2e::measure::Totals;
use crate::e2e::netns::{Net, needs, shell};

scenarios!("faults/limits": limits_lowered, too_few_threads, signals_by_the_thousand);

/// Runs a program as a user of its own who may have so many threads.
const WITH_THREADS: &str = "
import os, resource, sys
threads, program = int(sys.argv[1]), sys.argv[2]
# Opened here: the user need not be able to read the workspace.
file = os.open(program, os.O_PATH)
os.setgroups([])
os.setgid(61234)
os.setuid(61234)
resource.setrlimit(resource.RLIMIT_NPROC, (threads, threads))
os.execve(file, sys.argv[2:], {})
";

fn limits_lowered(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q", "--workers", "2"])?;
    let pid = server.process.id();
    let mut trial = Trial::new(&net, &server)?;
    for (name, limit) in [
        ("no more descriptors", "--nofile=0"),
        ("no more address space", "--as=4096"),
        ("no more data", "--data=0"),
        ("no more stack", "--stack=4096"),
        ("no files to write", "--fsize=0"),
        ("nothing locked", "--memlock=0"),
        ("no more processes", "--nproc=0"),
        ("no pending signals", "--sigpending=0"),
        ("no priority", "--nice=0"),
        ("no messages", "--msgqueue=0"),
    ] {
        let kind = limit.split_once('=').map_or(limit, |(kind, _)| kind);
        // The soft limit alone, so that it can be put back.
        let before = shell(&format!("prlimit --pid {pid} {kind} -o SOFT,HARD --noheadings --raw"))?;
        let before = before.split_whitespace().collect::<Vec<_>>().join(":");
        trial.fault(
            name,
            Answers::All,
            || shell(&format!("prlimit --pid {pid} {limit}:")).map(drop),
            || shell(&format!("prlimit --pid {pid} {kind}={before}")).map(drop),
        )?;
    }
    trial.fault(
        "one processor, and put last",
        Answers::All,
        || shell(&format!("taskset -a -p 1 {pid}; renice -n 19 -p {pid}")).map(drop),
        || shell(&format!("taskset -a -p ffff {pid}; renice -n 0 -p {pid}")).map(drop),
    )?;
    trial.report("faults/limits");
    let totals = Totals::of(&server.stop()?)?;
    check::holds(&format!("nothing failed: {totals:?}"), totals.balance() && totals.failed == 0)
}

/// Where there is no thread for something, a start is a failure in one line, and nothing is said of
/// having started.
fn too_few_threads(context: &Context) -> Result<()> {
    needs(&["python3"])?;
    let net = Net::new()?;
    let mut wanting = Vec::new();
    for threads in 1..=8 {
        let launch = net.server.launch(context, "python3").args(["-c", WITH_THREADS]);
        let launch = launch.arg(threads.to_string()).arg(&context.programs.server);
        let finished = launch.args(["-q", "--bind", "127.0.0.1:0", "--workers", "16"]).finish()?;
        finished.exits(4)?.prints("")?.complains("error: cannot <any>\n")?;
        wanting.push(finished.err());
    }
    check::holds(
        &format!("workers are among what is wanting: {wanting:?}"),
        wanting.iter().any(|line| line.starts_with("error: cannot start a worker: ")),
    )
}

/// The signals that a server may get and that must not end it.
const STORMS: [(&str, Signal); 6] = [
    ("storm of SIGUSR1", Signal::SIGUSR1),
    ("storm of SIGWINCH", Signal::SIGWINCH),
    ("storm of SIGCHLD", Signal::SIGCHLD),
    ("storm of SIGURG", Signal::SIGURG),
    ("storm of SIGCONT", Signal::SIGCONT),
    ("storm of SIGPIPE", Signal::SIGPIPE),
];

fn signals_by_the_thousand(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let server = net.serve(context, &["-q"])?;
    let mut trial = Trial::new(&net, &server)?;
    // Thousands of signals are work; what must not be is a whole processor.
    trial.share = 0.6;
    for (name, signal) in STORMS {
        let storm = || {
            for n in 0..2000 {
                server.process.signal(signal)?;
                if n % 20 == 0 {
                    pause(std::time::Duration::from_millis(2));
                }
            }
            Ok(())
        };
        trial.fault(name, Answers::All, storm, || Ok(()))?;
    }
    let stop = || server.process.signal(Signal::SIGSTOP);
    trial.fault("stopped", Answers::None, stop, || server.process.signal(Signal::SIGCONT))?;
    let stutter = || {
        for _ in 0..200 {
            server.process.signal(Signal::SIGSTOP)?;
            server.process.signal(Signal::SIGCONT)?;
        }
        Ok(())
    };
    trial.fault("stopped and let go 200 times", Answers::All, stutter, || Ok(()))?;
    trial.report("faults/limits");
    let totals = Totals::of(&server.stop()?)?;
    check::holds(&format!("nothing failed: {totals:?}"), totals.balance() && totals.failed == 0)
}
