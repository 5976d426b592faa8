//! Their session-sender, our session-reflector.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::suite::{Report, send, theirs};
use super::{FAMILIES, Keys, Losses, counts, lossy, ours, scenarios};
use crate::e2e::check;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::Totals;

scenarios!("interop/server":
    every_packet_is_answered,
    extensions_come_back_as_unknown,
    other_keys_are_refused,
    loss_is_theirs_to_see,
);

/// Packets of a run.
const COUNT: u64 = 5;
/// How many seconds they wait for a reply.
const TIMEOUT: u8 = 5;
/// The same where some never come, and where none does.
const LOSSY_TIMEOUT: u8 = 2;
const SILENT_TIMEOUT: u8 = 1;

/// Our server, and where it reflects.
fn reflector(context: &Context, ip: IpAddr, key: Option<&str>) -> Result<(Server, SocketAddr)> {
    context.tools()?;
    let stamp = SocketAddr::new(ip, 0).to_string();
    let options = [&["-q", "--stamp", &stamp], ours(key).as_slice()].concat();
    let server = context.serve(&options)?;
    let address = *server.addresses.get(1).context("no second start line")?;
    Ok((server, address))
}

/// Our own counts, which agree with theirs.
#[track_caller]
fn totals(server: Server, expected: Totals) -> Result<()> {
    let place = check::here();
    check::same(&format!("{place}: our totals"), expected, Totals::of(&server.stop()?)?)
}

fn every_packet_is_answered(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        for key in keys.forms() {
            let (server, address) = reflector(context, ip, key)?;
            let mut received = 0;
            // Their clock's form is theirs to choose; an SSID that does not come back ends them.
            for extra in [&[][..], &["--clock-source", "PTP"], &["--ssid", "77"]] {
                let strict = ["--on-zero-ssid", "stop"];
                let options = [&theirs(key), extra, &strict].concat();
                let report = send(context, address, COUNT, TIMEOUT, &options)?;
                all_answered(&report, COUNT).with_context(|| format!("{address} {options:?}"))?;
                received += COUNT;
            }
            totals(server, Totals { received, replied: received, ..Totals::default() })?;
        }
    }
    Ok(())
}

/// They had an answer to each of `count`, and it made sense to them.
fn all_answered(report: &Report, count: u64) -> Result<()> {
    let summary = &report.summary;
    counts(summary, &[("packets_sent", count), ("packets_received", count), ("packets_lost", 0)])?;
    counts(
        &summary["measurements"],
        &[
            ("unique_replies", count),
            ("late_replies", 0),
            ("duplicate_replies", 0),
            ("unknown_replies", 0),
            ("reordered_replies", 0),
            ("last_reflector_sequence", count - 1),
        ],
    )?;
    // They send with 255 hops.
    let replies: Vec<_> = (0..count).map(|sequence| (sequence, 255)).collect();
    check::same("their replies: sequence and TTL", &replies, &report.replies)?;
    let figure = |of: &Value, name: &str| {
        of[name].as_f64().with_context(|| format!("{name} is no number in {summary}"))
    };
    let [min, avg, max] = ["min_rtt_ms", "avg_rtt_ms", "max_rtt_ms"].map(|n| figure(summary, n));
    let (min, avg, max) = (min?, avg?, max?);
    let limit = f64::from(TIMEOUT) * 1000.0;
    check::holds(
        &format!("a round trip takes some time, and less than they wait: {min} {avg} {max}"),
        0.0 < min && min <= avg && avg <= max && max < limit,
    )?;
    // One machine, one clock: what was sent came, and what came was answered, in that order.
    let oneway = &summary["owd"];
    counts(oneway, &[("samples", count)])?;
    for way in ["forward_min_ms", "reverse_min_ms"] {
        let least = figure(oneway, way)?;
        check::holds(&format!("{way} {least} is no time before"), least >= 0.0)?;
    }
    let quality = &oneway["clock_quality"];
    counts(quality, &[("unsynchronized", count), ("invalid_estimate", 0), ("unknown", 0)])?;
    check::same(
        "our clock's form",
        "NTP",
        quality["last_reflector"]["format"].as_str().unwrap_or(""),
    )
}

/// RFC 8972 section 4: what is not known comes back with U set, and padding is known. With a key,
/// the HMAC TLV that they put behind the others is verified here, and ours by them.
fn extensions_come_back_as_unknown(context: &Context) -> Result<()> {
    const KNOWN: [&str; 2] = ["1", "8"];
    let keys = Keys::new()?;
    for key in keys.forms() {
        let (server, address) = reflector(context, FAMILIES[0], key)?;
        let tlvs = ["--extra-padding", "40", "--location", "--timestamp-info", "--cos"];
        let more = ["--direct-measurement", "--follow-up-telemetry"];
        let options = [&theirs(key), &tlvs[..], &more].concat();
        let report = send(context, address, COUNT, TIMEOUT, &options)?;
        all_answered(&report, COUNT)?;
        let seen = &report.summary["measurements"]["tlv_validation"];
        counts(seen, &[("evaluated_replies", COUNT), ("rejected_replies", 0)])?;
        let kinds = seen["by_type"].as_object().context("no TLVs by type")?;
        let expected: &[&str] = match key {
            None => &["1", "2", "3", "4", "5", "7"],
            Some(_) => &["1", "2", "3", "4", "5", "7", "8"],
        };
        check::same("the TLVs", expected, &kinds.keys().map(String::as_str).collect::<Vec<_>>())?;
        for (kind, of) in kinds {
            let unknown = if KNOWN.contains(&kind.as_str()) { 0 } else { COUNT };
            counts(of, &[("observed", COUNT)]).with_context(|| format!("TLV {kind}"))?;
            counts(
                &of["flags"],
                &[("unrecognized", unknown), ("malformed", 0), ("integrity_failed", 0)],
            )
            .with_context(|| format!("TLV {kind}"))?;
        }
        totals(server, Totals { received: COUNT, replied: COUNT, ..Totals::default() })?;
    }
    Ok(())
}

fn other_keys_are_refused(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        let (server, address) = reflector(context, ip, Some(&keys.right))?;
        for key in [Some(keys.wrong.as_str()), None] {
            let report = send(context, address, COUNT, SILENT_TIMEOUT, &theirs(key))?;
            counts(&report.summary, &[("packets_sent", COUNT), ("packets_received", 0)])?;
        }
        let refused = 2 * COUNT;
        totals(
            server,
            Totals { received: refused, refused, access: refused, ..Totals::default() },
        )?;
    }
    Ok(())
}

/// Our own count in each answer is what lets a sender tell the directions apart.
fn loss_is_theirs_to_see(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for key in keys.forms() {
        let (server, address) = reflector(context, FAMILIES[0], key)?;
        let network = lossy(address, Losses { up: &[3, 4], down: &[7] })?;
        let report = send(context, network.address, 10, LOSSY_TIMEOUT, &theirs(key))?;
        counts(
            &report.summary,
            &[("packets_sent", 10), ("packets_received", 7), ("packets_lost", 3)],
        )?;
        // Eight came here, numbered 0 to 7; from the fifth packet on our numbers are not theirs.
        counts(
            &report.summary["measurements"],
            &[("last_reflector_sequence", 7), ("independent_sequence_observations", 5)],
        )?;
        totals(server, Totals { received: 8, replied: 8, ..Totals::default() })?;
    }
    Ok(())
}
