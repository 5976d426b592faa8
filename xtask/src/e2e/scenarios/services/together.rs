//! Twelve services at once, each at a real server, asked by one process that a targets file tells: every
//! figure of every target is right.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use driver::json::of_type;
use serde_json::{Value, json};

use super::rig::Server;
use super::scenarios;
use super::servers::{
    CHRONY, COTURN, FREERADIUS, KAMAILIO, LIBCOAP, MUMBLE, NGTCP2, OPENVPN, SNMPD, STRONGSWAN,
    UNBOUND,
};
use super::summary;
use crate::e2e::context::Context;
use crate::e2e::measure::chosen;
use crate::e2e::netns::Net;
use crate::e2e::{check, clock, json};

scenarios!("services": together);

const SERVERS: [&Server; 11] = [
    &UNBOUND,
    &CHRONY,
    &COTURN,
    &SNMPD,
    &FREERADIUS,
    &KAMAILIO,
    &LIBCOAP,
    &NGTCP2,
    &MUMBLE,
    &OPENVPN,
    &STRONGSWAN,
];

/// Each target, its verdict (none: silence), its reason, and a fact of it.
const TARGETS: [(&str, &str, &str, (&str, &str)); 16] = [
    ("dns://127.0.0.1:53/example.org", "ok", "", ("first", "192.0.2.7")),
    ("dns://127.0.0.1:53/elsewhere.example", "failing", "SERVFAIL", ("rcode", "SERVFAIL")),
    ("dns://127.0.0.1:53/deny.example", "", "", ("", "")),
    ("ntp://127.0.0.1:123", "ok", "", ("stratum", "3")),
    ("stun://127.0.0.1:3478", "ok", "", ("mapped", "127.0.0.1")),
    ("turn://127.0.0.1:3478", "ok", "401 Unauthorized", ("software", "Coturn<any>")),
    ("snmp://127.0.0.1:161", "ok", "", ("uptime", "<n>")),
    ("radius://127.0.0.1:1812?secret-file=SECRET", "ok", "", ("code", "2")),
    ("sip://127.0.0.1:5060", "ok", "", ("code", "200")),
    ("sip://127.0.0.1:5060?user=nobody", "declined", "404 Not Found", ("code", "404")),
    ("coap://127.0.0.1:5683/time", "ok", "", ("code", "2.05")),
    ("coap://127.0.0.1:5683/nope", "declined", "4.04", ("code", "4.04")),
    ("quic://127.0.0.1:443", "ok", "", ("versions", "[\"1\"<any>")),
    ("mumble://127.0.0.1:64738", "ok", "", ("max", "10")),
    ("openvpn://127.0.0.1:1194", "ok", "", ("", "")),
    ("ike://127.0.0.1:500", "ok", "", ("", "")),
];

fn together(context: &Context) -> Result<()> {
    let beats = chosen("UDP_SERVICES_BEATS", 5)?;
    let net = Arc::new(Net::new()?);
    let start = |server: &&Server| server.start_in(context, net.clone());
    let rigs = SERVERS.iter().map(start).collect::<Result<Vec<_>>>()?;
    let place = rigs.first().context("no server")?.place();
    place.write("secret", "testing123\n")?;
    let secret = place.url("DIR/secret")?;
    let targets = TARGETS.map(|(url, ..)| url.replace("SECRET", &secret));
    place.write("targets", &targets.join("\n"))?;
    let options = ["-i", "1s", "-c", &beats.to_string(), "-W", "900ms", "--json", "--targets-file"];
    let asking = place.heartbeat().args(options).arg(place.url("DIR/targets")?).spawn()?;
    clock::pause(Duration::from_secs(beats.saturating_sub(1)));
    let run = asking.finish()?;
    run.exits(1)?;
    let events = json::events("udp-heartbeat", &run.stdout)?;
    for ((_, verdict, reason, (fact, pattern)), url) in TARGETS.iter().zip(&targets) {
        figures(summary(&events, url)?, beats, verdict, reason)?;
        let its = |reply: &&Value| reply["target"] == url.as_str() && !fact.is_empty();
        for reply in of_type(&events, "reply").into_iter().filter(its) {
            let fact = &reply["facts"][fact];
            let text = fact.as_str().map_or_else(|| fact.to_string(), String::from);
            check::matches(url, pattern, &text)?;
        }
    }
    check::holds("no secret in the output", !(run.out() + &run.err()).contains("testing123"))
}

/// All beats of a target have this verdict and reason, or none is answered.
fn figures(summary: &Value, beats: u64, verdict: &str, reason: &str) -> Result<()> {
    let answered = if verdict.is_empty() { 0 } else { beats };
    let (mut expected, mut got) = (json!({}), json!({}));
    let figures = [("sent", beats), ("received", answered), ("lost", beats - answered)];
    let none = ["late", "failed", "pending", "duplicate", "unsolicited"].map(|name| (name, 0));
    for (name, figure) in figures.into_iter().chain(none) {
        expected[name] = figure.into();
        got[name] = summary[name].clone();
    }
    for name in ["ok", "unexpected", "declined", "failing", "limited", "invalid"] {
        expected[name] = if name == verdict { answered } else { 0 }.into();
        got[name] = summary["verdicts"][name].as_u64().unwrap_or_default().into();
    }
    expected["reasons"] = if reason.is_empty() { json!({}) } else { json!({ reason: answered }) };
    got["reasons"] = summary["reasons"].clone();
    check::same(&summary["target"].to_string(), expected, got)
}
