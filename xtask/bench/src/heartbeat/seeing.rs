//! What looking costs: reports of long recordings, and `--record` and `--live` beside runs without them.

use std::ffi::OsString;
use std::fs;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use driver::proc;
use serde_json::Value;
use udp_core::clock::{self, Mono, Wall};

use super::targets;
use crate::figure::{Figure, Sample};
use crate::goal::{Against, Goal};
use crate::scenario::{Asks, Lane, Scenario, Seeing, Work};

/// From a start until the figures of the whole are taken, and from then to the end.
const BEGINNING: Duration = Duration::from_secs(1);
const ENDING: Duration = Duration::from_millis(300);
/// The shortest span that says something.
const LEAST: Duration = Duration::from_secs(3);
const LIVE_TARGETS: u32 = 1000;
/// 2026-05-04T00:00:00Z.
const DAY: u64 = 1_777_852_800_000_000_000;

/// One look.
pub(super) fn measure(
    seeing: Seeing,
    program: &Path,
    server: SocketAddr,
    slice: Duration,
) -> Result<Sample> {
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let recording = directory.path().join("run.ndjson");
    let span = slice.max(LEAST);
    let mut words = vec!["--deadline".into(), OsString::from(millis(BEGINNING + span + ENDING))];
    match seeing {
        Seeing::Report(beats) => {
            write_recording(&recording, beats)?;
            report(program, &recording, &directory.path().join("run.html"))
        }
        Seeing::Record(recorded) => {
            words
                .extend([&server.to_string(), "-q", "--number", "-i", "100us"].map(OsString::from));
            if recorded {
                words.extend(["--record".into(), recording.into()]);
            }
            let mut child = Command::new(program).args(words).stdout(Stdio::piped()).spawn()?;
            let cost = watch(&mut child, span);
            let said = child.wait_with_output().context("cannot wait")?;
            let said = String::from_utf8_lossy(&said.stdout);
            // `N sent, …`
            let sent =
                said.lines().find_map(|line| line.split_once(" sent, ")?.0.parse::<f64>().ok());
            let beats = sent.context("no count of what was sent")? * share(span);
            Ok(Sample::from([(Figure::OwnPerBeat, cost?.own / beats)]))
        }
        Seeing::Live { live, recorded } => {
            let file = targets(server.port(), LIVE_TARGETS, Asks::Plain)?;
            words.extend(["--targets-file".into(), file.path().into()]);
            words.push(OsString::from(if live { "--live" } else { "-q" }));
            if recorded {
                words.extend(["--record".into(), recording.clone().into()]);
            }
            let (terminal, pts) = pty_process::blocking::open().context("no terminal")?;
            terminal.resize(pty_process::Size::new(60, 200)).context("cannot size a terminal")?;
            let command = pty_process::blocking::Command::new(program).args(words);
            let command = command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
            let mut child = command.spawn(pts).context("cannot start it on a terminal")?;
            thread::spawn(move || {
                let mut terminal = terminal;
                while let Ok(1..) = terminal.read(&mut [0; 1 << 16]) {}
            });
            let cost = watch(&mut child, span);
            child.wait().context("cannot wait")?;
            let mut sample =
                Sample::from([(Figure::Core, cost?.all / span.as_nanos() as f64 * 100.0)]);
            if !recorded {
                return Ok(sample);
            }
            let text = fs::read_to_string(&recording).context("no recording")?;
            let last: Value = serde_json::from_str(text.lines().last().unwrap_or_default())
                .context("the recording has no end")?;
            for (figure, name) in
                [(Figure::Lateness, "send_lag_p50_ns"), (Figure::Lateness99, "send_lag_p99_ns")]
            {
                sample.insert(figure, last[name].as_f64().context("no lag")?);
            }
            Ok(sample)
        }
    }
}

fn millis(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

/// Which share of a run's beats the watched span has.
fn share(span: Duration) -> f64 {
    span.as_secs_f64() / (BEGINNING + span + ENDING).as_secs_f64()
}

/// CPU nanoseconds of a span: of the first thread, which sends and receives the beats, and of all.
struct Cost {
    own: f64,
    all: f64,
}

fn watch(child: &mut Child, span: Duration) -> Result<Cost> {
    let pid = child.id();
    let look = |until: Mono| -> Result<(u64, u64)> {
        clock::sleep(until.saturating_since(clock::mono()));
        proc::thread_nanos(pid).zip(proc::cpu_nanos(pid)).context("it ended early")
    };
    let start = clock::mono() + BEGINNING;
    let (before, after) = (look(start)?, look(start + span)?);
    let own = after.0.saturating_sub(before.0) as f64;
    Ok(Cost { own, all: after.1.saturating_sub(before.1) as f64 })
}

/// A page: how long it takes, how large it is, and how much memory that needs.
fn report(program: &Path, recording: &Path, page: &Path) -> Result<Sample> {
    let start = clock::mono();
    let mut child = Command::new(program)
        .arg("report")
        .arg(recording)
        .arg("-o")
        .arg(page)
        .spawn()
        .context("cannot start the report")?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait")? {
            break status;
        }
        peak = proc::memory(child.id()).map_or(peak, |(_, most)| most.max(peak));
        clock::sleep(Duration::from_millis(2));
    };
    let took = clock::mono().saturating_since(start);
    if !status.success() {
        bail!("the report: {status}");
    }
    let size = fs::metadata(page).context("no page")?.len();
    Ok(Sample::from([
        (Figure::Wall, took.as_nanos() as f64),
        (Figure::OutputSize, size as f64),
        (Figure::PeakMemory, peak as f64),
    ]))
}

/// A recording of a path whose delay wanders and that loses some.
fn write_recording(path: &Path, beats: u64) -> Result<()> {
    let mut out = BufWriter::new(fs::File::create(path).context("no recording")?);
    let mut random = fastrand::Rng::with_seed(beats);
    let options = r#"{"mode":"number","bytes":14,"interval_ns":100000000,"timeout_ns":1000000000,"count":null,"deadline_ns":null,"schedule":"periodic","seed":null,"down_after":3,"up_after":1,"limits":[],"judged":false,"clock":"kernel","percentile_digits":3}"#;
    let day = Wall::from_nanos(DAY).rfc3339();
    let place = r#""target":"echo.example:7000","address":"192.0.2.7","port":7000,"state":"up""#;
    writeln!(
        out,
        r#"{{"type":"run","v":1,"ts":"{day}","version":"0","id":"bench","options":{options},"targets":[{{{place}}}]}}"#
    )?;
    let mut wandering = 0.0;
    for seq in 1..=beats {
        let sent = Wall::from_nanos(DAY + seq * 100_000_000).rfc3339();
        wandering = 0.99 * wandering + random.f64() - 0.5;
        let rtt = (11e6 + 2e5 * wandering + 9e6 * random.f64().powi(12)).max(1e5) as u64;
        let (class, rtt, verdict) = match random.u8(..100) {
            0 => ("lost", "null".to_owned(), "null"),
            _ => ("received", rtt.to_string(), "\"ok\""),
        };
        writeln!(
            out,
            r#"{{"type":"beat","v":1,"ts":"{sent}","target":"echo.example:7000","seq":{seq},"sent":"{sent}","class":"{class}","late":false,"refused":false,"rtt_ns":{rtt},"verdict":{verdict},"reason":null,"flow":null}}"#
        )?;
    }
    out.flush().context("cannot write the recording")
}

pub(crate) fn scenario() -> Scenario {
    let lane = |name: &str, seeing| Lane {
        name: name.to_owned(),
        contender: "raw".to_owned(),
        work: Work::See(seeing),
    };
    let lanes = vec![
        lane("page of 100,000 beats", Seeing::Report(100_000)),
        lane("page of 1,000,000 beats", Seeing::Report(1_000_000)),
        lane("100 µs", Seeing::Record(false)),
        lane("100 µs, recorded", Seeing::Record(true)),
        lane("1,000 × 1/s, live", Seeing::Live { live: true, recorded: false }),
        // How late sends are stands at the end of a recording.
        lane("1,000 × 1/s, recorded", Seeing::Live { live: false, recorded: true }),
        lane("1,000 × 1/s, live, recorded", Seeing::Live { live: true, recorded: true }),
    ];
    let goal = Goal::at_most;
    let (alone, unrecorded) = (Against::Nothing, Against::Beyond("100 µs"));
    let (small, large) = ("page of 100,000 beats", "page of 1,000,000 beats");
    let (recorded, live) = ("100 µs, recorded", "1,000 × 1/s, live");
    let (cost, late) = (
        "`--record`: what a beat costs its thread more",
        "`--live`: how late sends are, without it",
    );
    let goals = vec![
        goal(Figure::OutputSize, "a page of 100,000 beats, size", small, alone, 1e6),
        goal(Figure::Wall, "a page of 100,000 beats, time", small, alone, 2e9),
        goal(Figure::Wall, "a page of 1,000,000 beats, time", large, alone, 10e9),
        goal(Figure::PeakMemory, "a page of 1,000,000 beats, memory", large, alone, 150e6),
        goal(Figure::OwnPerBeat, cost, recorded, unrecorded, 1000.0),
        goal(Figure::Core, "`--live` of 1,000 targets", live, alone, 5.0),
        goal(
            Figure::Lateness,
            late,
            "1,000 × 1/s, live, recorded",
            Against::Lane("1,000 × 1/s, recorded"),
            1.2,
        ),
    ];
    let about = "reports of long recordings, `--record` and `--live`, and what they cost the beats";
    Scenario { name: "seeing", about, lanes, goals, open_to_peers: None }
}
