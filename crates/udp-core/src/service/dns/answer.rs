//! A DNS reply taken apart, and what it is worth.

use std::net::IpAddr;

use domain::base::iana::{Class, OptRcode, Rtype};
use domain::base::opt::UnknownOptData;
use domain::base::{Message, ParsedName, Question};
use domain::rdata::AllRecordData;

use super::{COOKIE, Demand, NSID};
use crate::service::{Fact, Reply, Verdict};

/// The length of a message without any section.
const HEADER: usize = 12;

/// A message that is a reply to a query.
pub(super) struct Answer<'a> {
    message: Message<&'a [u8]>,
    pub(super) id: u16,
    /// None if the server left it out.
    pub(super) question: Option<Question<ParsedName<&'a [u8]>>>,
    rcode: OptRcode,
    /// The client's part and perhaps the server's.
    pub(super) cookie: Option<Vec<u8>>,
    nsid: Option<Vec<u8>>,
}

/// The records that were asked for.
#[derive(Default)]
struct Records {
    count: usize,
    first: Option<String>,
    ttl: Option<u32>,
    serial: Option<u32>,
    /// All of them, where some are expected.
    all: Vec<String>,
}

impl<'a> Answer<'a> {
    /// None if it is no reply to one question.
    pub(super) fn of(bytes: &'a [u8]) -> Option<Answer<'a>> {
        let message = Message::from_octets(bytes).ok()?;
        let header = message.header();
        if !header.qr() || header.opcode().to_int() != 0 {
            return None;
        }
        let mut questions = message.question();
        let question = match message.header_counts().qdcount() {
            0 => None,
            // A header alone, as unbound says FORMERR: it counts a question that it leaves out.
            1 if bytes.len() == HEADER => None,
            1 => Some(questions.next()?.ok()?),
            _ => return None,
        };
        let (mut rcode, mut cookie, mut nsid) = (OptRcode::from_rcode(header.rcode()), None, None);
        if let Some(record) = message.opt() {
            rcode = record.rcode(header);
            for option in record.opt().iter::<UnknownOptData<_>>().flatten() {
                match option.code().to_int() {
                    COOKIE => cookie = Some(option.as_slice().to_vec()),
                    NSID => nsid = Some(option.as_slice().to_vec()),
                    _ => {}
                }
            }
        }
        Some(Answer { message, id: header.id(), question, rcode, cookie, nsid })
    }

    pub(super) fn is_noerror(&self) -> bool {
        self.rcode == OptRcode::NOERROR
    }

    /// Whether the server asks for its cookie (RFC 7873 §5.3).
    pub(super) fn wants_cookie(&self) -> bool {
        self.rcode == OptRcode::BADCOOKIE
    }

    /// What the reply to beat `number` is worth.
    pub(super) fn judge(&self, number: u64, rtype: Rtype, class: Class, demand: &Demand) -> Reply {
        let Some(records) = self.records(rtype, class, !demand.expect.is_empty()) else {
            return Reply::invalid(number, "broken message");
        };
        let header = self.message.header();
        let rcode = match self.rcode.to_mnemonic_str() {
            Some(name) => name.to_owned(),
            None => format!("RCODE{}", self.rcode.to_int()),
        };
        let verdict = match self.rcode {
            OptRcode::NOERROR => Verdict::Ok,
            OptRcode::REFUSED | OptRcode::NOTIMP | OptRcode::NOTAUTH => Verdict::Declined,
            OptRcode::SERVFAIL => Verdict::Failing,
            _ => Verdict::Unexpected,
        };
        let found = |expected: &String| records.all.contains(expected);
        let shortfall = if verdict != Verdict::Ok {
            Some((verdict, rcode.clone()))
        } else if header.tc() && records.count == 0 {
            // Response rate limiting lets one in a few through so (BIND's slip). What there is was cut off.
            Some((Verdict::Limited, "TC".into()))
        } else {
            let reason = if records.count == 0 && demand.min > 0 {
                Some("NODATA")
            } else if records.count < demand.min {
                Some("too few records")
            } else if !demand.expect.iter().all(found) {
                Some("record not found")
            } else if demand.authoritative && !header.aa() {
                Some("not authoritative")
            } else {
                None
            };
            reason.map(|reason| (Verdict::Unexpected, reason.into()))
        };
        let (verdict, reason) = match shortfall {
            Some((_, reason)) if demand.nothing => {
                (Verdict::Ok, Some(reason).filter(|reason| reason != "NODATA"))
            }
            Some((verdict, reason)) => (verdict, Some(reason)),
            None => (Verdict::Ok, None),
        };
        let mut reply = Reply::new(number, verdict).with("rcode", rcode);
        reply.reason = reason.map(Into::into);
        reply = reply.with("answers", records.count as u32);
        if let Some(first) = records.first {
            reply = reply.with("first", first);
        }
        if let Some(ttl) = records.ttl {
            reply = reply.with("ttl", ttl);
        }
        reply = reply.with("aa", header.aa());
        if let Some(nsid) = &self.nsid {
            reply = reply.with("nsid", Fact::text(nsid));
        }
        match records.serial {
            Some(serial) => reply.with("serial", serial),
            None => reply,
        }
    }

    /// The records of the type in the answer, whosever they are: a CNAME leads elsewhere. None if the
    /// message is broken anywhere.
    fn records(&self, rtype: Rtype, class: Class, all: bool) -> Option<Records> {
        let mut records = Records::default();
        if self.message.as_slice().len() == HEADER {
            return (self.message.header_counts().ancount() == 0).then_some(records);
        }
        let mut section = self.message.answer().ok()?;
        for record in section.by_ref() {
            let record = record.ok()?;
            if record.rtype() != rtype || record.class() != class {
                continue;
            }
            let record = record.into_any_record::<AllRecordData<_, ParsedName<_>>>().ok()?;
            let ttl = record.ttl().as_secs();
            records.ttl = Some(records.ttl.map_or(ttl, |least| least.min(ttl)));
            if let (0, AllRecordData::Soa(soa)) = (records.count, record.data()) {
                records.serial = Some(soa.serial().into_int());
            }
            records.count += 1;
            if records.first.is_none() {
                records.first = Some(record.data().to_string());
            }
            if all {
                records.all.push(normal(rtype, &record.data().to_string()));
            }
        }
        let mut section = section.next_section().ok()?;
        while let Some(mut rest) = section {
            rest.by_ref().try_for_each(|record| record.map(drop)).ok()?;
            section = rest.next_section().ok()?;
        }
        Some(records)
    }
}

/// A record's data in the one form that others are compared with: addresses as they are shown, names in
/// lower case and without the dot at their end, texts without the quotes around them.
pub(super) fn normal(rtype: Rtype, data: &str) -> String {
    if let Ok(address) = data.parse::<IpAddr>() {
        return address.to_string();
    }
    if rtype == Rtype::TXT {
        let joined = data.replace("\" \"", "");
        let inside = joined.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
        return inside.map(str::to_owned).unwrap_or(joined);
    }
    let words = data.split_ascii_whitespace();
    let short = |word: &str| match word.strip_suffix('.') {
        Some(word) if !word.is_empty() => word.to_ascii_lowercase(),
        _ => word.to_ascii_lowercase(),
    };
    words.map(short).collect::<Vec<_>>().join(" ")
}
