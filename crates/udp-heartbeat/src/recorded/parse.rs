//! The objects of a recording, with the fields that are read back.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::probe::state::State;
use crate::probe::verdict::Verdict;

/// What a line says.
#[derive(Debug)]
pub(super) enum Object<'a> {
    Run(Box<Run>),
    Beat(Beat<'a>),
    Late(Late<'a>),
    State(Box<StateChange>),
    Summary(Box<Summary>),
    NotRecorded(u64),
    /// Of a later version.
    Other,
}

#[derive(Debug, Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

/// Reads a line; None if it is no line of a recording.
pub(super) fn object(line: &[u8]) -> Option<Object<'_>> {
    fn read<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Option<T> {
        serde_json::from_slice(line).ok()
    }
    // What nearly every line is.
    if line.starts_with(br#"{"type":"beat","#) {
        return read(line).map(Object::Beat);
    }
    match &*read::<Kind<'_>>(line)?.r#type {
        "run" => read(line).map(Object::Run),
        "beat" => read(line).map(Object::Beat),
        "late" => read(line).map(Object::Late),
        "state" => read(line).map(Object::State),
        "summary" => read(line).map(Object::Summary),
        "not_recorded" => read::<NotRecorded>(line).map(|it| Object::NotRecorded(it.count)),
        _ => Some(Object::Other),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) ts: String,
    pub(super) id: String,
    pub(super) options: Options,
    pub(super) targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Options {
    pub(super) interval_ns: u64,
    pub(super) timeout_ns: u64,
    pub(super) down_after: u64,
    pub(super) judged: bool,
    pub(super) mode: String,
    pub(super) percentile_digits: u8,
}

#[derive(Debug, Deserialize)]
pub(super) struct Target {
    pub(super) target: String,
    #[serde(flatten)]
    pub(super) place: Place,
    pub(super) state: String,
    pub(super) interval_ns: Option<u64>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Place {
    address: Option<String>,
    port: Option<u16>,
}

impl Place {
    pub(super) fn get(&self) -> Option<SocketAddr> {
        let (address, port) = (self.address.as_deref()?, self.port?);
        // With its zone, if it has one.
        address
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, port))
            .or_else(|| format!("[{address}]:{port}").parse().ok())
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Beat<'a> {
    #[serde(borrow)]
    pub(super) target: Cow<'a, str>,
    pub(super) seq: u64,
    #[serde(borrow)]
    pub(super) sent: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) class: Cow<'a, str>,
    pub(super) refused: bool,
    pub(super) rtt_ns: Option<u64>,
    #[serde(borrow)]
    pub(super) verdict: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) reason: Option<Cow<'a, str>>,
    pub(super) flow: Option<u16>,
    #[serde(default)]
    pub(super) duplicate: u64,
    #[serde(default)]
    pub(super) unsolicited: u64,
    #[serde(default)]
    pub(super) slots_skipped: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Late<'a> {
    #[serde(borrow)]
    pub(super) target: Cow<'a, str>,
    pub(super) seq: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct StateChange {
    pub(super) target: String,
    pub(super) state: String,
    pub(super) since: String,
    #[serde(flatten)]
    pub(super) place: Place,
}

#[derive(Debug, Deserialize)]
struct NotRecorded {
    count: u64,
}

/// The figures of a target at its end, or of all (without `target`).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Summary {
    pub(super) ts: String,
    pub(super) target: Option<String>,
    pub(super) sent: u64,
    #[serde(flatten)]
    fields: BTreeMap<String, Value>,
}

impl Summary {
    /// A count or a time.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.fields.get(name).and_then(Value::as_u64)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).and_then(Value::as_str)
    }

    /// An address and a port.
    pub(super) fn place(&self, name: &str) -> Option<SocketAddr> {
        let place: Place = serde_json::from_value(self.fields.get(name)?.clone()).ok()?;
        place.get()
    }

    /// Where it was at the end.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        let address = self.text("address").map(String::from);
        let port = self.number("port").and_then(|port| u16::try_from(port).ok());
        Place { address, port }.get()
    }

    /// Texts.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let list = self.fields.get(name).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.map(String::from).collect()
    }
}

/// What is of a run and of no target of it.
#[derive(Debug)]
pub(super) struct RunEnd {
    /// How late sends were: p50, p99, and at most.
    pub(super) lag: [Option<Duration>; 3],
    pub(super) unsolicited_from: Option<SocketAddr>,
    pub(super) kernel_drops: Option<u64>,
}

impl RunEnd {
    pub(super) fn of(summary: &Summary) -> RunEnd {
        let lag = ["send_lag_p50_ns", "send_lag_p99_ns", "send_lag_max_ns"];
        RunEnd {
            lag: lag.map(|name| summary.number(name).map(Duration::from_nanos)),
            unsolicited_from: summary.place("unsolicited_from"),
            kernel_drops: summary.number("kernel_drops"),
        }
    }
}

pub(super) fn state_named(name: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state.to_string() == name)
}

pub(super) fn verdict_named(name: &str) -> Option<Verdict> {
    Verdict::ALL.into_iter().find(|it| it.name() == name)
}
