//! SNMP: one value by GET (v1, RFC 1157; v2c, RFC 3416), or the engine's discovery, which needs no user (v3, RFC
//! 3414 section 4). A reply is known by its request id, in v3 by its message id.

mod ber;

use std::sync::Arc;
use std::time::Duration;

use super::fact::text;
use super::params::wrong;
use super::{
    Ask, Asked, Entry, Fact, Identity, Key, Kind, Params, Reply, Secret, Service, Verdict,
};
use ber::{INTEGER, NULL, OCTETS, OID, SEQUENCE, Values, put, value};

pub(super) const ENTRY: Entry = Entry {
    scheme: "snmp",
    port: 161,
    what: None,
    asks: "sysUpTime.0 or another value (v1, v2c), engine discovery (v3)",
    ok: "a value; a report (v3)",
    keys: &[
        Key::new("v", "1|2c|3", "the version (default 2c)"),
        Key::new("oid", "OID", "the value asked for, in numbers (default 1.3.6.1.2.1.1.3.0)"),
        Key::new("expect", "VALUE", "what the value must be"),
        Key::new("community-file", "FILE", "the file with the community (default: public)"),
    ],
    facts: &["value", "uptime", "boots"],
    shown: &["value", "uptime=", "boots="],
    silence: "another community (v1, v2c), a version that is off, or this host may not ask",
    interval: Duration::from_secs(1),
    floor: Duration::from_millis(100),
    identity: Identity::Any,
    parse: |params| Ok(Kind::Service(Snmp::parse(params)?)),
};

const UPTIME: &str = "1.3.6.1.2.1.1.3.0";
/// usmStats (RFC 3414 section 5), under which the reports stand.
const USM_STATS: &str = "1.3.6.1.6.3.15.1.1.";

const GET: u8 = 0xa0;
const RESPONSE: u8 = 0xa2;
const REPORT: u8 = 0xa8;

/// SMI's own types (RFC 2578), and what stands in a value's place (RFC 3416).
const IP_ADDRESS: u8 = 0x40;
const COUNTER: u8 = 0x41;
const GAUGE: u8 = 0x42;
const TICKS: u8 = 0x43;
const OPAQUE: u8 = 0x44;
const COUNTER_64: u8 = 0x46;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_MIB: u8 = 0x82;

#[derive(Debug)]
enum Snmp {
    /// v1 (0) or v2c (1).
    Get { version: u8, community: Option<Secret>, oid: Vec<u8>, expect: Option<String> },
    /// v3.
    Discover,
}

impl Snmp {
    fn parse(params: &Params) -> Result<Arc<dyn Service>, String> {
        let version = params.one_of("v", &["1", "2c", "3"])?.unwrap_or(1);
        if version == 2 {
            let other =
                ["oid", "expect", "community-file"].into_iter().find(|it| params.get(it).is_some());
            return match other {
                Some(key) => {
                    Err(format!("{key} is for v=1 and v=2c: v=3 asks for the engine alone"))
                }
                None => Ok(Arc::new(Snmp::Discover)),
            };
        }
        let oid = params.get("oid").unwrap_or(UPTIME);
        Ok(Arc::new(Snmp::Get {
            version: version as u8,
            community: params.secret("community-file"),
            oid: ber::oid(oid).ok_or_else(|| wrong("oid", oid, "numbers with dots between"))?,
            expect: params.get("expect").map(String::from),
        }))
    }

    /// The answer to a GET; none if it is broken.
    fn answer(&self, number: u64, mut pdu: Values<'_>) -> Option<Reply> {
        let Snmp::Get { oid, expect, .. } = self else { return None };
        let status = pdu.integer()?;
        let _index = pdu.integer()?;
        let unexpected =
            |reason: &'static str| Reply::new(number, Verdict::Unexpected).because(reason);
        match status {
            0 => {}
            // v1's word for what v2c calls noSuchObject.
            2 => return Some(unexpected("noSuchName")),
            6 => return Some(Reply::new(number, Verdict::Declined).because("noAccess")),
            16 => return Some(Reply::new(number, Verdict::Declined).because("authorizationError")),
            _ => return Some(Reply::new(number, Verdict::Failing).because(status_name(status))),
        }
        let mut bindings = pdu.inside(SEQUENCE)?;
        let mut binding = bindings.inside(SEQUENCE)?;
        let (name, (tag, value)) = (binding.take(OID)?, binding.any()?);
        if pdu.cut || bindings.cut || binding.cut || name != oid.as_slice() {
            return None;
        }
        let fact = match tag {
            NO_SUCH_OBJECT => return Some(unexpected("noSuchObject")),
            NO_SUCH_INSTANCE => return Some(unexpected("noSuchInstance")),
            END_OF_MIB => return Some(unexpected("endOfMibView")),
            INTEGER | COUNTER | GAUGE | TICKS | COUNTER_64 => match ber::integer(value) {
                Some(number) => Fact::Number(number),
                // A counter above what the metrics' numbers hold.
                None => Fact::Text(
                    u64::from_be_bytes(*value.strip_prefix(&[0])?.first_chunk()?).to_string(),
                ),
            },
            OCTETS | OPAQUE => Fact::Text(text(value)),
            OID => Fact::Text(text(ber::oid_text(value)?.as_bytes())),
            IP_ADDRESS => {
                Fact::Text(std::net::Ipv4Addr::from(<[u8; 4]>::try_from(value).ok()?).to_string())
            }
            NULL => return Some(unexpected("no value")),
            _ => return None,
        };
        let is_expected = expect.as_ref().is_none_or(|expect| match &fact {
            Fact::Text(text) => text == expect,
            other => other.to_string() == *expect,
        });
        let ticks =
            fact.number().filter(|_| tag == TICKS && ber::oid(UPTIME).as_ref() == Some(oid));
        let mut reply = Reply::ok(number).with("value", fact);
        if let Some(ticks) = ticks {
            reply = reply.with("uptime", ticks / 100);
        }
        Some(match is_expected {
            true => reply,
            false => Reply { verdict: Verdict::Unexpected, ..reply.because("expect") },
        })
    }
}

impl Service for Snmp {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let id = value(INTEGER, &[&ask.nonces.word(ask.number).to_be_bytes()]);
        let pdu = |bindings: &[u8]| value(GET, &[&id, &[INTEGER, 1, 0, INTEGER, 1, 0], bindings]);
        match self {
            Snmp::Get { version, community, oid, .. } => {
                let community = community.as_ref().map_or(&b"public"[..], Secret::bytes);
                let name = value(OID, &[oid]);
                let binding = value(SEQUENCE, &[&name, &[NULL, 0]]);
                let pdu = pdu(&value(SEQUENCE, &[&binding]));
                let community = value(OCTETS, &[community]);
                put(SEQUENCE, &[&[INTEGER, 1, *version], &community, &pdu], out);
            }
            Snmp::Discover => {
                // The largest message, reportable, the user-based model; no engine, no user, no name.
                let header = [INTEGER, 3, 0, 0xff, 0xe3, OCTETS, 1, 4, INTEGER, 1, 3];
                let header = value(SEQUENCE, &[&id, &header]);
                let user =
                    [OCTETS, 0, INTEGER, 1, 0, INTEGER, 1, 0, OCTETS, 0, OCTETS, 0, OCTETS, 0];
                let user = value(OCTETS, &[&value(SEQUENCE, &[&user])]);
                let scoped = value(SEQUENCE, &[&[OCTETS, 0, OCTETS, 0], &pdu(&[SEQUENCE, 0])]);
                put(SEQUENCE, &[&[INTEGER, 1, 3], &header, &user, &scoped], out);
            }
        }
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut message = Values::new(bytes).inside(SEQUENCE)?;
        let ours = |id: Option<i64>| asked.nonces.of_word(id?.try_into().ok()?, asked.last);
        let version = message.integer()?;
        match self {
            Snmp::Get { version: asked, .. } => {
                let _community = message.take(OCTETS)?;
                let mut pdu = message.inside(RESPONSE)?;
                let number = ours(pdu.integer())?;
                let whole = !message.cut;
                let reply =
                    self.answer(number, pdu).filter(|_| whole && version == i64::from(*asked));
                Some(reply.unwrap_or_else(|| Reply::invalid(number, "malformed")))
            }
            Snmp::Discover => {
                let mut header = message.inside(SEQUENCE)?;
                let number = ours(header.integer())?;
                // Our own request, from an echo, holds a GET.
                let mut pdu = message;
                let echo = pdu.take(OCTETS).is_some()
                    && pdu.inside(SEQUENCE).is_some_and(|mut scoped| {
                        scoped.take(OCTETS);
                        scoped.take(OCTETS);
                        scoped.any().is_some_and(|(tag, _)| tag == GET)
                    });
                if echo {
                    return None;
                }
                let reply = report(number, message).filter(|_| version == 3);
                Some(reply.unwrap_or_else(|| Reply::invalid(number, "malformed")))
            }
        }
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let mut message = Values::new(bytes).inside(SEQUENCE)?;
        let _version = message.integer()?;
        let mut holds_id = match self {
            Snmp::Get { .. } => {
                let _community = message.take(OCTETS)?;
                message.inside(GET)?
            }
            Snmp::Discover => message.inside(SEQUENCE)?,
        };
        // What is quoted may end anywhere behind the number.
        asked.nonces.of_word(holds_id.integer()?.try_into().ok()?, asked.last)
    }

    fn is_secret(&self) -> bool {
        matches!(self, Snmp::Get { community: Some(_), .. })
    }
}

/// What an engine that does not know us reports, behind the header; none if it is broken.
fn report(number: u64, mut message: Values<'_>) -> Option<Reply> {
    let mut user = Values::new(message.take(OCTETS)?).inside(SEQUENCE)?;
    let engine = user.take(OCTETS)?;
    let (boots, time) = (user.integer()?, user.integer()?);
    let mut scoped = message.inside(SEQUENCE)?;
    let (_engine, _name) = (scoped.take(OCTETS)?, scoped.take(OCTETS)?);
    let mut pdu = scoped.inside(REPORT)?;
    let (_id, _status, _index) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
    let mut bindings = pdu.inside(SEQUENCE)?;
    let mut binding = bindings.inside(SEQUENCE)?;
    let name = ber::oid_text(binding.take(OID)?)?;
    let (_tag, _count) = binding.any()?;
    let cut = [&message, &user, &scoped, &pdu, &bindings, &binding].iter().any(|values| values.cut);
    if cut || engine.is_empty() {
        return None;
    }
    let reply = Reply::ok(number).with("uptime", time).with("boots", boots);
    let what = match name.strip_prefix(USM_STATS).unwrap_or(&name) {
        "4.0" => return Some(reply),
        "1.0" => "usmStatsUnsupportedSecLevels".into(),
        "2.0" => "usmStatsNotInTimeWindows".into(),
        "3.0" => "usmStatsUnknownUserNames".into(),
        "5.0" => "usmStatsWrongDigests".into(),
        "6.0" => "usmStatsDecryptionErrors".into(),
        _ => text(format!("report {name}").as_bytes()),
    };
    Some(Reply { verdict: Verdict::Declined, ..reply.because(what) })
}

/// RFC 3416 section 3.
fn status_name(status: i64) -> String {
    const NAMES: [&str; 19] = [
        "noError",
        "tooBig",
        "noSuchName",
        "badValue",
        "readOnly",
        "genErr",
        "noAccess",
        "wrongType",
        "wrongLength",
        "wrongEncoding",
        "wrongValue",
        "noCreation",
        "inconsistentValue",
        "resourceUnavailable",
        "commitFailed",
        "undoFailed",
        "authorizationError",
        "notWritable",
        "inconsistentName",
    ];
    let name = usize::try_from(status).ok().and_then(|at| NAMES.get(at));
    name.map_or_else(|| "error-status".into(), |name| (*name).into())
}

#[cfg(test)]
mod tests;
