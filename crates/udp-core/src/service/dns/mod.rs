//! DNS: a question, and the records that answer it (RFC 1035, EDNS of RFC 6891, cookies of RFC 7873).
//!
//! A reply is known by its id and its question, whose letters may come back in either case; a server that
//! could not read the question may leave it out. Messages are parsed by the `domain` crate.

mod answer;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{Class, Rtype};
use domain::base::{Name, ToName};

use super::params::wrong;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service};
use answer::Answer;

pub(super) const ENTRY: Entry = Entry {
    scheme: "dns",
    port: 53,
    what: Some("NAME"),
    asks: "the name's records; without a name those of the root, and every reply is ok",
    ok: "NOERROR and at least min records of the type",
    keys: &[
        Key::new("type", "TYPE", "the type asked for (default A, without a name NS)"),
        Key::new("class", "IN|CH|HS", "its class (default IN)"),
        Key::new("rd", "0|1", "whether recursion is desired (default 1)"),
        Key::new("edns", "SIZE|0", "the size that EDNS offers, 0 for none of it (default 1232)"),
        Key::new("nsid", "1", "ask the server for its identifier"),
        Key::new("cookie", "1|0", "send a cookie, and the server's back (default 1)"),
        Key {
            repeats: true,
            ..Key::new(
                "expect",
                "RECORD",
                "a record that must be there, as zone files have its data; repeatable",
            )
        },
        Key::new("min", "N", "at least so many records of the type (default 1)"),
        Key::new("aa", "1", "the answer must be authoritative"),
    ],
    facts: &["rcode", "answers", "first", "ttl", "aa", "nsid", "serial"],
    shown: &["rcode", "first", "ttl=", "nsid="],
    silence: "the server does not answer this network, or waits longer for its upstream than the timeout",
    interval: Duration::from_secs(1),
    floor: Duration::from_millis(100),
    identity: Identity::Short,
    parse: |params| Ok(Kind::Service(Arc::new(Dns::parse(params)?))),
};

/// Option codes of EDNS.
const NSID: u16 = 3;
const COOKIE: u16 = 10;
/// The OPT pseudo-record's type.
const OPT: u16 = 41;

/// What is asked, and what is demanded of the answer.
#[derive(Debug)]
struct Dns {
    name: Asking,
    rtype: Rtype,
    class: Class,
    recursion: bool,
    edns: u16,
    nsid: bool,
    cookie: bool,
    demand: Demand,
}

/// The name that is asked for.
#[derive(Debug)]
enum Asking {
    Same(Name<Vec<u8>>),
    /// Text in which `{n}` stands for the beat's number.
    Numbered(String),
}

/// What an answer must be.
#[derive(Debug)]
struct Demand {
    /// Any answer will do: none in particular was asked for.
    nothing: bool,
    expect: Vec<String>,
    min: usize,
    authoritative: bool,
}

impl Dns {
    fn parse(params: &Params) -> Result<Dns, String> {
        let what = params.what();
        let name = match what {
            Some(text) if text.contains("{n}") => {
                parse_name(&text.replace("{n}", &u64::MAX.to_string()))?;
                Asking::Numbered(text.to_owned())
            }
            text => Asking::Same(parse_name(text.unwrap_or("."))?),
        };
        let rtype = match params.get("type") {
            Some(text) => Rtype::from_str(&text.to_ascii_uppercase())
                .map_err(|_| wrong("type", text, "not a record type"))?,
            None if what.is_some() => Rtype::A,
            None => Rtype::NS,
        };
        // RFC 8482: servers answer ANY as they like; the others are no queries for UDP.
        if let Rtype::ANY | Rtype::AXFR | Rtype::IXFR | Rtype::OPT = rtype {
            return Err(wrong(
                "type",
                &rtype.to_string(),
                "no type that a health check can ask for",
            ));
        }
        let class = match params.one_of("class", &["IN", "CH", "HS"])? {
            None | Some(0) => Class::IN,
            Some(1) => Class::CH,
            Some(_) => Class::HS,
        };
        const SIZE: &str = "0, or a number from 512 to 65535";
        let edns = params.parsed("edns", SIZE)?.unwrap_or(1232);
        if (1..512).contains(&edns) {
            return Err(wrong("edns", &edns.to_string(), SIZE));
        }
        let (nsid, cookie) = (params.flag("nsid")?.unwrap_or(false), params.flag("cookie")?);
        if edns == 0 && (nsid || cookie == Some(true)) {
            return Err("edns=0: nsid and cookie are parts of EDNS".into());
        }
        let form = |text| answer::normal(rtype, text);
        let demand = Demand {
            nothing: what.is_none()
                && !["expect", "min", "aa"].iter().any(|key| params.get(key).is_some()),
            expect: params.all("expect").map(form).collect(),
            min: params.parsed("min", "a number")?.unwrap_or(1),
            authoritative: params.flag("aa")?.unwrap_or(false),
        };
        Ok(Dns {
            name,
            rtype,
            class,
            recursion: params.flag("rd")?.unwrap_or(true),
            edns,
            nsid,
            cookie: edns != 0 && cookie.unwrap_or(true),
            demand,
        })
    }

    fn name(&self, number: u64) -> Cow<'_, Name<Vec<u8>>> {
        match &self.name {
            Asking::Same(name) => Cow::Borrowed(name),
            Asking::Numbered(text) => {
                // It was tried with the longest number there is.
                let name = parse_name(&text.replace("{n}", &number.to_string()));
                Cow::Owned(name.unwrap_or_else(|_| Name::root_vec()))
            }
        }
    }

    fn options(&self, ask: &Ask<'_>) -> Vec<u8> {
        let mut options = Vec::new();
        let mut option = |code: u16, parts: [&[u8]; 2]| {
            options.extend_from_slice(&code.to_be_bytes());
            let length = parts.iter().map(|part| part.len()).sum::<usize>();
            // The longest is a cookie of 40 bytes.
            options.extend_from_slice(&(length as u16).to_be_bytes());
            parts.iter().for_each(|part| options.extend_from_slice(part));
        };
        if self.nsid {
            option(NSID, [&[], &[]]);
        }
        if self.cookie {
            option(COOKIE, [&ask.nonces.constant(), ask.kept]);
        }
        options
    }
}

impl Service for Dns {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        let words =
            |words: &[u16]| words.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<_>>();
        let edns = u16::from(self.edns != 0);
        let flags = u16::from(self.recursion) << 8;
        out.extend(words(&[ask.nonces.short(ask.number), flags, 1, 0, 0, edns]));
        out.extend_from_slice(self.name(ask.number).as_slice());
        out.extend(words(&[self.rtype.to_int(), self.class.to_int()]));
        if self.edns != 0 {
            let options = self.options(ask);
            out.push(0);
            // Two nonces at most: the length fits.
            out.extend(words(&[OPT, self.edns, 0, 0, options.len() as u16]));
            out.extend(options);
        }
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let answer = Answer::of(bytes)?;
        let number = asked.nonces.of_short(answer.id, asked.last)?;
        let same = |name: &dyn Fn(&Name<Vec<u8>>) -> bool| name(&self.name(number));
        let ours = match &answer.question {
            Some(it) => {
                same(&|name| it.qname().name_eq(name)) // Without regard to case.
                    && (it.qtype(), it.qclass()) == (self.rtype, self.class)
            }
            None => !answer.is_noerror(),
        };
        let client = asked.nonces.constant();
        // RFC 7873 §5.3: a reply with another client's cookie is not for us.
        let foreign = |cookie: &[u8]| self.cookie && !cookie.starts_with(&client);
        if !ours || answer.cookie.as_deref().is_some_and(foreign) {
            return None;
        }
        let kept =
            answer.cookie.as_deref().filter(|it| self.cookie && (16..=40).contains(&it.len()));
        let kept = kept.map(|it| it[client.len()..].to_vec());
        let mut reply = answer.judge(number, self.rtype, self.class, &self.demand);
        if let Some(kept) = kept {
            if answer.wants_cookie() && kept != asked.kept {
                let mut again = Vec::new();
                self.request(&Ask { kept: &kept, ..asked.ask(number) }, &mut again);
                reply = reply.then(super::Then::Follow(again));
            }
            reply = reply.keeping(kept);
        }
        Some(reply)
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        asked.nonces.of_short(u16::from_be_bytes(*bytes.first_chunk()?), asked.last)
    }
}

fn parse_name(text: &str) -> Result<Name<Vec<u8>>, String> {
    Name::from_str(text).map_err(|error| {
        format!("{}: no domain name: {error}", crate::text::escape::escape(text.as_bytes()))
    })
}

#[cfg(test)]
mod tests;
