//! One run of each client, and what its report says.

use std::ffi::OsString;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::Value;
use shared_child::SharedChild;
use udp_core::clock::{self, Mono};

use crate::figure::{Figure, Sample};
use crate::scenario::Beats;
use driver::proc;

use super::scrape::{self, Scrapes};

/// How much longer than asked a client may take.
const GRACE: Duration = Duration::from_secs(15);
/// Bytes of each datagram, where the client can be told.
const SIZE: &str = "64";

/// A client of many targets makes them all, and tells of them all at its end: neither is what it
/// costs to watch them. Its CPU time is taken from so long after its start until so long before
/// its end.
const BEGINNING: Duration = Duration::from_secs(1);
const ENDING: Duration = Duration::from_millis(200);

/// A client's end.
struct Finished {
    stdout: Vec<u8>,
    /// What it took, and in how long.
    cpu_nanos: f64,
    seconds: f64,
    /// The share of its beats that were sent in that time.
    share: f64,
}

/// Our heartbeat at one target.
pub(super) fn heartbeat(
    program: &Path,
    target: SocketAddr,
    beats: Beats,
    span: Duration,
) -> Result<Sample> {
    let target = OsString::from(target.to_string());
    let finished = run(program, heartbeat_arguments(target, beats, span), span)?;
    heartbeat_sample(&finished)
}

/// Our heartbeat at the targets of a file.
pub(super) fn many(program: &Path, targets: &Path, beats: Beats, span: Duration) -> Result<Sample> {
    let mut file = OsString::from("--targets-file=");
    file.push(targets);
    let all = BEGINNING + span + ENDING;
    let mut arguments = heartbeat_arguments(file, beats, all);
    let port = beats.scraped.then(scrape::free_port).transpose()?;
    arguments.extend(port.map(|port| format!("--metrics=127.0.0.1:{port}").into()));
    let (finished, scrapes) = run_watched(program, arguments, span, port)?;
    let mut sample = heartbeat_sample(&finished)?;
    if let Some(Scrapes { longest, memory }) = scrapes {
        sample.insert(Figure::Scrape, longest.as_nanos() as f64);
        sample.insert(Figure::ScrapeMemory, memory as f64);
    }
    Ok(sample)
}

fn heartbeat_arguments(target: OsString, beats: Beats, span: Duration) -> Vec<OsString> {
    let mut arguments = vec![target];
    let options = ["--json", "--quiet", "--size", SIZE, "--interval"].map(OsString::from);
    arguments.extend(options);
    arguments.push(format!("{}us", beats.interval.as_micros()).into());
    arguments.push("--deadline".into());
    arguments.push(format!("{}ms", span.as_millis()).into());
    arguments.extend(beats.options.iter().map(OsString::from));
    arguments
}

fn heartbeat_sample(finished: &Finished) -> Result<Sample> {
    let text = String::from_utf8_lossy(&finished.stdout);
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let summaries: Vec<Value> = events.filter(|event| event["type"] == "summary").collect();
    // Of many targets, the last line is of all of them.
    let summary = summaries.last().context("the heartbeat said no summary")?;
    let count = |name: &str| summary[name].as_f64();
    let sent = count("sent").context("no count of what was sent")?;
    let missed = count("slots_skipped").context("no count of missed slots")?;
    let mut sample = costs(finished, sent);
    sample.insert(Figure::Missed, share(missed, sent + missed));
    sample.insert(Figure::Lost, count("lost").context("no count of what was lost")?);
    for (figure, name) in [
        (Figure::RttMedian, "rtt_p50_ns"),
        (Figure::Rtt99, "rtt_p99_ns"),
        (Figure::Lateness, "send_lag_p50_ns"),
        (Figure::Lateness99, "send_lag_p99_ns"),
    ] {
        if let Some(value) = count(name) {
            sample.insert(figure, value);
        }
    }
    Ok(sample)
}

/// irtt's client at its own server.
pub(super) fn irtt(
    program: &Path,
    target: SocketAddr,
    interval: Duration,
    span: Duration,
) -> Result<Sample> {
    let (interval, length) = (interval.as_micros(), span.as_millis());
    let words =
        format!("client -i {interval}us -d {length}ms -l {SIZE} --wait=100ms -q -o - {target}");
    irtt_sample(&run(program, words.split(' ').map(OsString::from).collect(), span)?)
}

fn irtt_sample(finished: &Finished) -> Result<Sample> {
    // A line or two for people may stand before the object.
    let text = String::from_utf8_lossy(&finished.stdout);
    let object = text.find('{').map_or("", |at| &text[at..]);
    let mut objects = serde_json::Deserializer::from_str(object).into_iter::<Value>();
    let report = objects.next().context("irtt said nothing")?.context("irtt's report")?;
    let stats = &report["stats"];
    let sent = stats["packets_sent"].as_f64().context("no count of what was sent")?;
    let mut sample = costs(finished, sent);
    for (figure, pointer) in [
        (Figure::Missed, "/timer_miss_percent"),
        (Figure::Lateness, "/timer_error/mean"),
        (Figure::RttMedian, "/rtt/median"),
    ] {
        if let Some(value) = stats.pointer(pointer).and_then(Value::as_f64) {
            sample.insert(figure, value);
        }
    }
    Ok(sample)
}

/// sockperf's ping-pong client at its own server, at a fixed rate.
pub(super) fn sockperf(
    program: &Path,
    target: SocketAddr,
    interval: Duration,
    span: Duration,
) -> Result<Sample> {
    let (rate, ip, port) = (1.0 / interval.as_secs_f64(), target.ip(), target.port());
    // Its time is in whole seconds, its warm-up and the last half second are not counted.
    let seconds = span.as_secs() + 1;
    let words =
        format!("ping-pong -i {ip} -p {port} -t {seconds} --mps {rate:.0} -m {SIZE} --full-rtt");
    sockperf_sample(&run(program, words.split(' ').map(OsString::from).collect(), span)?)
}

fn sockperf_sample(finished: &Finished) -> Result<Sample> {
    let text = String::from_utf8_lossy(&finished.stdout);
    let number_after = |mark: &str| -> Option<f64> {
        let (_, rest) = text.split_once(mark)?;
        let rest = rest.trim_start_matches([' ', '=']);
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    let sent = number_after("SentMessages=").context("no count of what was sent")?;
    let mut sample = costs(finished, sent);
    for (figure, mark) in
        [(Figure::RttMedian, "percentile 50.000"), (Figure::Rtt99, "percentile 99.000")]
    {
        if let Some(micros) = number_after(mark) {
            sample.insert(figure, micros * 1e3);
        }
    }
    Ok(sample)
}

fn costs(finished: &Finished, sent: f64) -> Sample {
    let mut sample = Sample::new();
    if sent > 0.0 {
        sample.insert(Figure::CpuPerBeat, finished.cpu_nanos / (sent * finished.share));
    }
    sample.insert(Figure::Core, finished.cpu_nanos / 1e9 / finished.seconds * 100.0);
    sample
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole * 100.0 } else { 0.0 }
}

/// Runs a client to its end; what it said on stdout, and the CPU time that it took.
fn run(program: &Path, arguments: Vec<OsString>, span: Duration) -> Result<Finished> {
    let cpu_before = children_cpu()?;
    let start = clock::mono();
    let (child, reader) = start_client(program, arguments)?;
    let stdout = wait_for_end(&child, reader, program, span + GRACE)?;
    let seconds = clock::mono().saturating_since(start).as_secs_f64();
    let cpu_nanos = (children_cpu()? - cpu_before) as f64;
    Ok(Finished { stdout, cpu_nanos, seconds, share: 1.0 })
}

/// The same, of a span after its beginning and before its end.
fn run_watched(
    program: &Path,
    arguments: Vec<OsString>,
    span: Duration,
    port: Option<u16>,
) -> Result<(Finished, Option<Scrapes>)> {
    let (child, reader) = start_client(program, arguments)?;
    let look = |after: Duration| -> Result<(u64, Mono)> {
        // A child that has ended has no CPU time to be read.
        let _running = child.wait_timeout(after).context("cannot wait")?;
        let cpu = proc::cpu_nanos(child.id()).filter(|nanos| *nanos > 0);
        Ok((cpu.context("it ended early")?, clock::mono()))
    };
    let mut scrapes = None;
    let spans = look(BEGINNING).and_then(|before| {
        let reader = port.map(|port| scrape::start(port, child.id(), span));
        let after = look(span)?;
        let ended = reader.map(|reader| reader.join().unwrap_or_else(|_| bail!("it failed")));
        scrapes = ended.transpose().context("no metrics")?;
        Ok((before, after))
    });
    let stdout = wait_for_end(&child, reader, program, ENDING + GRACE)?;
    let ((cpu_before, start), (cpu_after, end)) = spans?;
    let seconds = end.saturating_since(start).as_secs_f64();
    let share = seconds / (BEGINNING + span + ENDING).as_secs_f64();
    let cpu_nanos = (cpu_after - cpu_before) as f64;
    Ok((Finished { stdout, cpu_nanos, seconds, share }, scrapes))
}

fn start_client(
    program: &Path,
    arguments: Vec<OsString>,
) -> Result<(SharedChild, JoinHandle<Vec<u8>>)> {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let child = SharedChild::spawn(&mut command)
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stdout = child.take_stdout().context("no stdout")?;
    let reader = std::thread::spawn(move || {
        let mut stdout = stdout;
        let mut said = Vec::new();
        let _ = stdout.read_to_end(&mut said);
        said
    });
    Ok((child, reader))
}

fn wait_for_end(
    child: &SharedChild,
    reader: JoinHandle<Vec<u8>>,
    program: &Path,
    most: Duration,
) -> Result<Vec<u8>> {
    if child.wait_timeout(most).context("cannot wait")?.is_none() {
        let _ = child.kill();
        let _ = child.wait();
        bail!("{} does not end", program.display());
    }
    Ok(reader.join().unwrap_or_default())
}

/// CPU nanoseconds of all children that have ended.
fn children_cpu() -> Result<i64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("no resource usage")?;
    Ok(usage.user_time().num_nanoseconds() + usage.system_time().num_nanoseconds())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(stdout: &str) -> Finished {
        Finished { stdout: stdout.as_bytes().to_vec(), cpu_nanos: 50e6, seconds: 1.0, share: 1.0 }
    }

    #[test]
    fn reads_irtts_report() {
        let report = r#"Notice: something
            {"stats": {"timer_error": {"mean": 262370}, "rtt": {"median": 54252},
            "packets_sent": 500, "timer_miss_percent": 13.25}}"#;
        let sample = irtt_sample(&said(report)).unwrap();
        assert_eq!(
            sample,
            Sample::from([
                (Figure::Missed, 13.25),
                (Figure::Lateness, 262_370.0),
                (Figure::RttMedian, 54_252.0),
                (Figure::CpuPerBeat, 1e5),
                (Figure::Core, 5.0),
            ])
        );
        assert!(irtt_sample(&said("no server")).is_err());
    }

    #[test]
    fn reads_the_heartbeats_last_summary() {
        let report = concat!(
            r#"{"type":"start","v":1}"#,
            "\n",
            r#"{"type":"summary","v":1,"sent":5,"slots_skipped":0,"send_lag_p50_ns":1}"#,
            "\n",
            r#"{"type":"summary","v":1,"sent":500,"slots_skipped":125,"lost":7,"rtt_p50_ns":30000,"#,
            r#""rtt_p99_ns":null,"send_lag_p50_ns":20000,"send_lag_p99_ns":90000}"#,
            "\n",
        );
        assert_eq!(
            heartbeat_sample(&said(report)).unwrap(),
            Sample::from([
                (Figure::Missed, 20.0),
                (Figure::Lost, 7.0),
                (Figure::RttMedian, 30_000.0),
                (Figure::Lateness, 20_000.0),
                (Figure::Lateness99, 90_000.0),
                (Figure::CpuPerBeat, 1e5),
                (Figure::Core, 5.0),
            ])
        );
        assert!(heartbeat_sample(&said("")).is_err());
    }

    #[test]
    fn reads_sockperfs_report() {
        let report = "sockperf: [Total Run] RunTime=1.001 sec; SentMessages=1000; Received\n\
                      sockperf: ---> percentile 99.900 =  277.626\n\
                      sockperf: ---> percentile 99.000 =   79.509\n\
                      sockperf: ---> percentile 50.000 =   47.836\n";
        let sample = sockperf_sample(&said(report)).unwrap();
        assert_eq!(
            sample,
            Sample::from([
                (Figure::RttMedian, 47_836.0),
                (Figure::Rtt99, 79_509.0),
                (Figure::CpuPerBeat, 5e4),
                (Figure::Core, 5.0),
            ])
        );
    }
}
