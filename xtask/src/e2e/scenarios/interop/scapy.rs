//! Packets that scapy builds and parses, field by field: scapy as session-sender before our
//! reflector, and as session-reflector before our heartbeat.
//!
//! scapy names the flags of a TLV from the wrong end (its `U` is 0x01; RFC 8972 section 4 has it at
//! 0x80), so they are numbers here.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{FAMILIES, Keys, Losses, beat, counts, ours, scenarios};
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::json;
use crate::e2e::measure::Totals;
use crate::e2e::process::{Launch, Process};

scenarios!("interop/scapy":
    our_answers_field_by_field,
    our_beats_field_by_field,
    loss_by_direction,
    a_reflector_without_state,
    a_wrong_key,
);

const TTL: u64 = 77;

fn peer(context: &Context, role: &str, ip: IpAddr) -> Result<Launch> {
    Ok(context
        .launch(&context.tools()?.python)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .arg(context.root.join("xtask/interop/peer.py"))
        .args([role, &ip.to_string()]))
}

fn theirs(key: Option<&str>) -> Vec<&str> {
    key.map_or_else(Vec::new, |key| vec!["--key", key])
}

/// One object a line.
fn objects(text: &str) -> Result<Vec<Value>> {
    text.lines().map(|l| serde_json::from_str(l).with_context(|| format!("no JSON: {l}"))).collect()
}

/// What is asked, the number of its answer in its session, and what becomes of its TLVs, each of
/// them flags, type, length and value.
struct Exchange {
    request: Value,
    own: u64,
    tlvs: Value,
}

fn exchanges() -> Vec<Exchange> {
    let estimate = json!({"S": 0, "Z": 0, "scale": 0, "multiplier": 1});
    // The clock's form (Z) is for the sender of a time to choose, and for the reflector to copy.
    let other = json!({"S": 1, "Z": 1, "scale": 63, "multiplier": 255});
    let ask = |seq: u32, ssid: u16, estimate: &Value, tlvs: &Value| json!({"seq": seq, "ssid": ssid, "err_estimate": estimate, "tlv_objects": tlvs});
    let none = json!([]);
    let known = json!([[0x80, 1, 3, "0a0b0c"]]);
    let several =
        json!([[0x80, 4, 4, "28000000"], [0x80, 1, 8, "0102030405060708"], [0x80, 200, 0, ""]]);
    let cut_short = json!([[0x80, 1, 2, "0a0b"], [0x80, 3, 9, "0a0b"]]);
    [
        (ask(0, 0, &estimate, &none), 0, none.clone()),
        (ask(1, 0, &estimate, &none), 1, none.clone()),
        // A gap in the sender's numbers is none in the reflector's.
        (ask(7, 0, &other, &none), 2, none.clone()),
        // Another SSID is another session.
        (ask(u32::MAX, 0xbeef, &estimate, &none), 0, none.clone()),
        (ask(0, 0xbeef, &other, &known), 1, json!([[0, 1, 3, "0a0b0c"]])),
        // U on what is not known, and M where the packet ends before a TLV does.
        (
            ask(1, 0xbeef, &estimate, &several),
            2,
            json!([[0x80, 4, 4, "28000000"], [0, 1, 8, "0102030405060708"], [0x80, 200, 0, ""]]),
        ),
        (
            ask(2, 0xbeef, &estimate, &cut_short),
            3,
            json!([[0, 1, 2, "0a0b"], [0xc0, 3, 9, "0a0b"]]),
        ),
    ]
    .map(|(request, own, tlvs)| Exchange { request, own, tlvs })
    .into()
}

fn our_answers_field_by_field(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        for key in keys.forms() {
            let sender = peer(context, "sender", ip)?;
            let stamp = SocketAddr::new(ip, 0).to_string();
            let options = [&["-q", "--stamp", &stamp], ours(key).as_slice()].concat();
            let server = context.serve(&options)?;
            let address = *server.addresses.get(1).context("no second start line")?;
            let exchanges = exchanges();
            let requests: String = exchanges.iter().map(|e| format!("{}\n", e.request)).collect();
            let finished = sender
                .args([&address.port().to_string(), "--ttl", &TTL.to_string()])
                .args(theirs(key))
                .stdin(requests)
                .finish()?;
            let answers = objects(&finished.exits(0)?.out())?;
            check::same("the answers", exchanges.len(), answers.len())?;
            for (exchange, answer) in exchanges.iter().zip(&answers) {
                one_answer(exchange, answer, key.is_some()).with_context(|| {
                    format!("{address}: {} was answered {answer}", exchange.request)
                })?;
            }
            let count = answers.len() as u64;
            let expected = Totals { received: count, replied: count, ..Totals::default() };
            check::same("the totals", expected, Totals::of(&server.stop()?)?)?;
        }
    }
    Ok(())
}

/// As these come back with a key: without an HMAC TLV behind them only one TLV, padding, is not
/// marked as of failed integrity.
fn unsigned(tlvs: &Value) -> Value {
    let marked = |tlv: &Value| json!([tlv[0].as_u64().unwrap_or(0) | 0x20, tlv[1], tlv[2], tlv[3]]);
    match tlvs.as_array() {
        Some(several) if several.len() > 1 => several.iter().map(marked).collect(),
        _ => tlvs.clone(),
    }
}

fn one_answer(exchange: &Exchange, answer: &Value, authenticated: bool) -> Result<()> {
    let Exchange { request, own, tlvs } = exchange;
    let tlvs = &if authenticated { unsigned(tlvs) } else { tlvs.clone() };
    form(answer, authenticated, tlvs)?;
    counts(answer, &[("seq", *own), ("ttl_sender", TTL)])?;
    check::same("the sender's number", &request["seq"], &answer["seq_sender"])?;
    check::same("the SSID", &request["ssid"], &answer["ssid"])?;
    check::same("the TLVs", tlvs, &answer["tlv_objects"])?;
    let asked = &request["err_estimate"];
    let asked = json!([asked["S"], asked["Z"], asked["scale"], asked["multiplier"]]);
    check::same("the sender's error estimate", &asked, &answer["err_estimate_sender"])?;
    let time = |name: &str| answer[name].as_u64().with_context(|| format!("no time {name}"));
    let [left, came] = [time("left")?, time("came")?];
    check::same("the sender's time", left, time("ts_sender")?)?;
    let [received, sent] = [time("ts_rx")?, time("ts")?];
    check::holds(
        &format!("left {left}, received {received}, sent {sent}, came {came} in that order"),
        left <= received && received <= sent && sent <= came,
    )
}

/// What holds for every packet of ours: its size, zeros where zeros must be, an error estimate that
/// claims no more than is known, and the HMAC if there is one.
fn form(packet: &Value, authenticated: bool, tlvs: &Value) -> Result<()> {
    let values = tlvs.as_array().context("no list of TLVs")?.iter();
    let behind: u64 = values.map(|t| 4 + t[3].as_str().map_or(0, |v| v.len() as u64 / 2)).sum();
    counts(packet, &[("bytes", behind + if authenticated { 112 } else { 44 })])?;
    let fields = packet.as_object().context("no fields")?;
    let zeros: Vec<_> = fields.iter().filter(|(name, _)| name.starts_with("mbz")).collect();
    check::holds("some bytes must be zero", !zeros.is_empty())?;
    for (name, value) in zeros {
        check::same(name, &json!(0), value)?;
    }
    // Not synchronised, as NTP, to a second: S, Z, scale, multiplier.
    check::same("the error estimate", &json!([0, 0, 32, 1]), &packet["err_estimate"])?;
    check::same("authentic", authenticated.then_some(true), packet["authentic"].as_bool())
}

/// scapy's reflector, and where it is.
fn reflector(context: &Context, ip: IpAddr, options: &[&str]) -> Result<(Process, SocketAddr)> {
    let process = peer(context, "reflector", ip)?.args(options).spawn()?;
    let said = process.wait_for("<port>\n")?;
    let port = said.lines().next().and_then(|line| line.parse().ok()).context("no port")?;
    Ok((process, SocketAddr::new(ip, port)))
}

fn our_beats_field_by_field(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        for key in keys.forms() {
            for size in [0_usize, 150] {
                let (process, address) = reflector(context, ip, &theirs(key))?;
                let base = if key.is_some() { 112 } else { 44 };
                let bytes = size.max(base).to_string();
                let run = ["-c", "5", "-i", "0.02", "-W", "5", "-s", &bytes];
                let events = beat(context, address, &[&ours(key)[..], &run].concat(), 0)?;
                let summary = json::first(&events, "summary")?;
                counts(summary, &[("sent", 5), ("received", 5), ("lost", 0), ("unsolicited", 0)])?;
                let finished = process.interrupt()?;
                let packets = objects(&finished.exits(0)?.out())?;
                // The first line is the port.
                check::same("packets", 5, packets.len() - 1)?;
                let padding = size.checked_sub(base + 4);
                let tlvs = padding.map_or(json!([]), |n| json!([[0x80, 1, n, "00".repeat(n)]]));
                for (number, packet) in (0..).zip(&packets[1..]) {
                    form(packet, key.is_some(), &tlvs).with_context(|| packet.to_string())?;
                    counts(packet, &[("seq", number)])?;
                    let time = |name: &str| packet[name].as_u64().context("no time");
                    let (left, came) = (time("ts")?, time("came")?);
                    check::holds(
                        &format!("sent at {left}, it came at {came}: not before, and soon"),
                        left <= came && came - left < 20 << 32,
                    )?;
                    check::same("one session", &packets[1]["ssid"], &packet["ssid"])?;
                    check::same("the TLVs", &tlvs, &packet["tlv_objects"])?;
                }
            }
        }
    }
    Ok(())
}

const LOSSES: Losses = Losses { up: &[4, 5], down: &[8, 9, 10] };

/// A run of 20 of which the reflector loses [`LOSSES`]: up, down and unknown as we tell them.
fn lossy_run(
    context: &Context,
    options: &[&str],
    key: Option<&str>,
    kind: &str,
) -> Result<[u64; 3]> {
    let [up, down] = [LOSSES.up, LOSSES.down]
        .map(|numbers| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(","));
    let options = [&["--up", &up, "--down", &down], options, &theirs(key)].concat();
    let (_process, address) = reflector(context, FAMILIES[0], &options)?;
    let run = ["-c", "20", "-i", "0.02", "-W", "2"];
    let events = beat(context, address, &[&ours(key)[..], &run].concat(), 0)?;
    let summary = json::first(&events, "summary")?;
    counts(summary, &[("sent", 20), ("received", 15), ("lost", 5), ("unsolicited", 0)])?;
    check::same("the reflector", Some(kind), summary["reflector"].as_str())?;
    let lost: Vec<_> = events.iter().filter(|e| e["type"] == "lost").map(|e| &e["seq"]).collect();
    let expected = [LOSSES.up, LOSSES.down].concat();
    check::same("the lost", format!("{expected:?}"), format!("[{}]", join(&lost)))?;
    let figure = |name: &str| summary[name].as_u64().with_context(|| format!("no {name}"));
    Ok([figure("lost_forward")?, figure("lost_return")?, figure("lost_undetermined")?])
}

fn join(values: &[&Value]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn loss_by_direction(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for key in keys.forms() {
        check::same("up, down, unknown", [2, 3, 0], lossy_run(context, &[], key, "stateful")?)?;
    }
    Ok(())
}

fn a_reflector_without_state(context: &Context) -> Result<()> {
    let found = lossy_run(context, &["--stateless"], None, "stateless")?;
    check::same("up, down, unknown", [0, 0, 5], found)
}

/// It answers all the same, signed with its own key: that is no answer.
fn a_wrong_key(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    let (_process, address) = reflector(context, FAMILIES[1], &theirs(Some(&keys.wrong)))?;
    let run = ["-c", "5", "-i", "0.02", "-W", "1"];
    let events = beat(context, address, &[&ours(Some(&keys.right))[..], &run].concat(), 1)?;
    let summary = json::first(&events, "summary")?;
    counts(summary, &[("sent", 5), ("received", 0), ("lost", 5), ("unsolicited", 5)])
}
