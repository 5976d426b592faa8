//! Prometheus itself: it scrapes the programs as docs/prometheus.md has it, once with classic histograms
//! and once with native ones, and has to find what the programs say of themselves.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::http::{address, ask, query, request};
use super::promtool;
use super::web_config::{USER, certificates};
use crate::e2e::check;
use crate::e2e::clock::{Deadline, PATIENCE, pause};
use crate::e2e::context::Context;
use crate::e2e::net::closed;
use crate::e2e::process::Process;

/// Beats whose every figure is compared.
const BEATS: &str = "40";
/// The lowest bound of a bucket, in seconds.
const LOWEST: f64 = 1.0 / 16384.0;

/// Looks until there is something.
fn wait<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Deadline::after(3 * PATIENCE);
    loop {
        let seen = look();
        if let Ok(Some(seen)) = seen {
            return Ok(seen);
        }
        if deadline.left().is_none() {
            bail!("{what}: not in time, {:?}", seen.err());
        }
        pause(Duration::from_millis(100));
    }
}

/// Prometheus, with what it is told to do beside the configuration in `directory`.
fn prometheus(context: &Context, directory: &Path, more: &[&str]) -> Result<(Process, String)> {
    let storage = format!("--storage.tsdb.path=data{}", more.len());
    let launch = context.launch(&"prometheus".into()).directory(directory).args(more);
    let launch = launch.args(["--config.file=prometheus.yml", "--web.listen-address=127.0.0.1:0"]);
    let process = launch.arg(storage).spawn()?;
    let address = process.err.between("msg=\"Listening on\" address=", "\n")?;
    Ok((process, address))
}

/// The one value of an expression, once there is one that will do.
fn one(at: &str, expression: &str, good: impl Fn(f64) -> bool) -> Result<f64> {
    wait(expression, || {
        let found = query(at, expression)?;
        Ok(found.into_iter().map(|(_, value)| value).find(|value| good(*value)))
    })
}

pub(super) fn scraped_by_prometheus(context: &Context) -> Result<()> {
    promtool()?;
    let directory = certificates(context)?;
    let path = directory.path();
    let stamp = closed()?.to_string();
    let serve = ["-q", "--stamp", stamp.as_str(), "--metrics", "127.0.0.1:0"];
    let (server, dying) = (context.serve(&serve)?, context.serve(&["-q"])?);
    let (steady, doomed) = (server.address().to_string(), dying.address().to_string());
    // Never answers, so that the figures of the other target stand still for a while.
    let silent = UdpSocket::bind("127.0.0.1:0")?;
    let silent = silent.local_addr()?.to_string();

    let tls = "tls_server_config: {cert_file: server.crt, key_file: server.key}";
    fs::write(path.join("web.yml"), format!("{tls}\nbasic_auth_users: {USER}\n"))?;
    let measured = context
        .heartbeat()
        .directory(path)
        .args([&steady, &silent])
        .args(["-c", BEATS, "-i", "0.1", "-W", "100", "--show", "summary", "--json"]);
    let measured =
        measured.args(["--metrics", "127.0.0.1:0", "--web-config", "web.yml"]).spawn()?;

    let hosts = format!("{steady} site=ams\nstamp://{stamp} site=ams\n{doomed} site=fra\n");
    fs::write(path.join("hosts"), &hosts)?;
    let watching = context.heartbeat().directory(path).args("-q -i 0.1 -W 0.5".split(' '));
    let watching =
        watching.args(["--targets-file", "hosts", "--metrics", "127.0.0.1:0"]).spawn()?;
    let watched = address(&watching)?;

    let config = format!(
        "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
         rule_files: [rules.yml]\n\
         scrape_configs:\n\
         - job_name: measured\n  scheme: https\n  \
           tls_config: {{ca_file: server.crt, server_name: localhost}}\n  \
           basic_auth: {{username: alice, password: secret}}\n  \
           static_configs: [{{targets: [\"{}\"]}}]\n\
         - job_name: watching\n  static_configs: [{{targets: [\"{watched}\", \"{}\"]}}]\n",
        address(&measured)?,
        address(&server.process)?
    );
    fs::write(path.join("prometheus.yml"), config)?;
    let rules =
        fs::read_to_string(context.root.join("packaging/prometheus/udp-toolkit.rules.yml"))?;
    let minutes = regex::Regex::new("for: [0-9]+m")?;
    fs::write(path.join("rules.yml"), &*minutes.replace_all(&rules, "for: 0s"))?;
    let (_classic, classic) = prometheus(context, path, &[])?;
    let (_native, native) = prometheus(context, path, &["--enable-feature=native-histograms"])?;

    dies(&classic, &doomed, || dying.stop().map(drop))?;
    fs::write(path.join("hosts"), format!("{hosts}{silent} site=fra\n"))?;
    reloads(&watched, [&classic, &native], &steady, &silent)?;
    draws(context, &classic)?;
    drop(watching);
    figures(measured, [&classic, &native], &steady)
}

/// A target that dies fires the alert, and no other target does.
fn dies(at: &str, doomed: &str, die: impl FnOnce() -> Result<()>) -> Result<()> {
    let down = "ALERTS{alertname=\"UdpTargetDown\",alertstate=\"firing\",job=\"watching\"}";
    let up = format!("udp_heartbeat_up{{target=\"{doomed}\"}}");
    one(at, &up, |up| up == 1.0)?;
    check::same("alerts before", 0, query(at, down)?.len())?;
    die()?;
    let fires = wait("the alert", || Ok(Some(query(at, down)?).filter(|it| !it.is_empty())))?;
    let targets: Vec<_> = fires.iter().map(|(labels, _)| labels["target"].as_str()).collect();
    check::same("who is down", vec![Some(doomed)], targets)
}

/// Another target is there after a reload, and the counters of the others went on.
fn reloads(watched: &str, at: [&str; 2], steady: &str, added: &str) -> Result<()> {
    let reloaded = ask(watched, request("POST", "/-/reload", "").as_bytes())?;
    check::same("reload", (200, "reloaded\n"), (reloaded.status, &*reloaded.body))?;
    for at in at {
        let sent = format!("udp_heartbeat_sent_total{{job=\"watching\",target=\"{added}\"}}");
        one(at, &sent, |sent| sent > 0.0)?;
        for counter in ["sent_total", "received_total", "answers_total", "state_changes_total"] {
            let series =
                format!("udp_heartbeat_{counter}{{job=\"watching\",target=\"{steady}\"}}[1h]");
            one(at, &format!("min(changes({series}))"), |_| true)?;
            one(at, &format!("max(resets({series}))"), |resets| resets == 0.0)?;
        }
    }
    Ok(())
}

/// Every expression of the board has data.
fn draws(context: &Context, at: &str) -> Result<()> {
    let board = fs::read_to_string(context.root.join("packaging/grafana/udp-toolkit.json"))?;
    let board: Value = serde_json::from_str(&board)?;
    let panels = board["panels"].as_array().context("no panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expressions: Vec<_> = targets.filter_map(|target| target["expr"].as_str()).collect();
    check::holds("the board has expressions", expressions.len() > 10)?;
    for expression in expressions {
        let expression = expression.replace("$site", ".*").replace("$target", ".*");
        one(at, &expression.replace("$__rate_interval", "30s"), f64::is_finite)?;
    }
    Ok(())
}

/// What the heartbeat says at its end is what Prometheus has.
fn figures(measured: Process, [classic, native]: [&str; 2], target: &str) -> Result<()> {
    let of = format!("{{job=\"measured\",target=\"{target}\"}}");
    let beats: f64 = BEATS.parse()?;
    for at in [classic, native] {
        one(at, &format!("udp_heartbeat_received_total{of}"), |received| received == beats)?;
    }
    // Histograms, while there is somebody who has them.
    check::same(
        "the count",
        beats,
        one(classic, &format!("udp_heartbeat_rtt_seconds_count{of}"), |_| true)?,
    )?;
    let rtt = format!("udp_heartbeat_rtt_seconds{of}");
    check::same("the count", beats, one(native, &format!("histogram_count({rtt})"), |_| true)?)?;
    let median =
        |at: &str, rtt: &str| one(at, &format!("histogram_quantile(0.5, {rtt})"), |_| true);
    let classic_median = median(classic, &format!("udp_heartbeat_rtt_seconds_bucket{of}"))?;
    let native_median = median(native, &rtt)?;
    let summaries = measured.interrupt()?.out();
    let summaries = summaries.lines().map(serde_json::from_str::<Value>);
    let summary = summaries.flatten().find(|it| it["target"] == target).context("no summary")?;
    let counters = [
        ("sent_total", "sent"),
        ("received_total", "received"),
        ("lost_total", "lost"),
        ("late_total", "late"),
        ("refused_total", "refused"),
        ("failed_total", "failed"),
        ("duplicates_total", "duplicate"),
        ("reordered_total", "reordered"),
        ("unsolicited_total", "unsolicited"),
        ("slots_skipped_total", "slots_skipped"),
    ];
    let seconds = |name: &str| summary[name].as_f64().map(|ns| ns / 1e9).context("no figure");
    let near = |what: &str, one: f64, other: f64, factor: f64| {
        let (one, other) = (one.max(LOWEST), other.max(LOWEST));
        let fits = one <= other * factor && other <= one * factor;
        check::holds(&format!("{what}: {one} and {other} within {factor}"), fits)
    };
    // The last sample, now that the program is gone.
    let last =
        |at: &str, metric: &str| one(at, &format!("last_over_time({metric}{of}[1h])"), |_| true);
    for at in [classic, native] {
        for (metric, field) in counters {
            let counted = last(at, &format!("udp_heartbeat_{metric}"))?;
            check::same(field, summary[field].as_f64(), Some(counted))?;
        }
        let jitter = last(at, "udp_heartbeat_jitter_seconds")?;
        near("jitter", jitter, seconds("jitter_ns")?, 1.001)?;
    }
    let median = seconds("rtt_p50_ns")?;
    // A bucket is a doubling, and natively an eighth of one; a little for the figures' own digits.
    near("the median", classic_median, median, 1.01 * 2.0)?;
    near("the median", native_median, median, 1.01 * 1.0906)?;
    Ok(())
}
