//! A2S_INFO, which Source and GoldSrc game servers answer: name, map, players. A reply carries no identity,
//! so that each beat in flight has a source port of its own.
//!
//! A server first sends a challenge, which it wants back from the same address and port: the request is
//! sent again with it, and it is kept for the port's next beat. What sends challenges for ever is
//! a filter before the server, not the server.

use std::sync::Arc;
use std::time::Duration;

use super::fact::text;
use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Then, Verdict};

pub(super) const ENTRY: Entry = Entry {
    scheme: "a2s",
    port: 27015,
    what: None,
    asks: "A2S_INFO, with the challenge that it brings",
    ok: "the server's information",
    keys: &[Key::new("players", "MIN", "at least so many players")],
    facts: &["name", "map", "players", "max"],
    shown: &["name", "map=", "players=", "max="],
    silence: "the query port is often not the game's",
    interval: Duration::from_secs(5),
    floor: Duration::from_secs(1),
    identity: Identity::Port,
    parse: |params| A2s::parse(params),
};

const WHOLE: [u8; 4] = [0xff; 4];
const SPLIT: [u8; 4] = [0xfe, 0xff, 0xff, 0xff];
const ASK: &[u8] = b"TSource Engine Query\0";
const CHALLENGE: u8 = b'A';
const INFO: u8 = b'I';
const INFO_OF_GOLDSRC: u8 = b'm';

#[derive(Debug)]
struct A2s {
    players: u8,
}

impl A2s {
    fn parse(params: &Params) -> Result<Kind, String> {
        let players = params.parsed("players", "a number from 0 to 255")?.unwrap_or(0);
        Ok(Kind::Service(Arc::new(A2s { players })))
    }

    /// The information; none if it is broken.
    fn info(&self, number: u64, kind: u8, mut reader: Reader<'_>) -> Option<Reply> {
        match kind {
            INFO => drop(reader.u8()?),
            // Its address, as text.
            _ => drop(string(&mut reader)?),
        }
        let (name, map) = (string(&mut reader)?, string(&mut reader)?);
        let (_folder, _game) = (string(&mut reader)?, string(&mut reader)?);
        if kind == INFO {
            let _id = reader.u16()?;
        }
        let [players, max] = reader.array()?;
        let reply = Reply::ok(number).with("name", text(name)).with("map", text(map));
        let reply = reply.with("players", u32::from(players)).with("max", u32::from(max));
        // Bots, kind, system, visibility, secured, and a version; the other's begins with its protocol.
        let _what_follows = reader.array::<5>()?;
        Some(match players < self.players {
            true => Reply { verdict: Verdict::Unexpected, ..reply.because("players") },
            false => reply,
        })
    }
}

/// The bytes up to a zero byte, which is taken too.
fn string<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = reader.rest().iter().position(|byte| *byte == 0)?;
    let text = reader.take(length)?;
    reader.take(1)?;
    Some(text)
}

fn request(challenge: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&WHOLE);
    out.extend_from_slice(ASK);
    out.extend_from_slice(challenge);
}

impl Service for A2s {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        request(ask.kept, out);
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let number = asked.by_port?;
        let malformed = || Reply::invalid(number, "malformed");
        let mut reader = Reader::new(bytes);
        let mut head = reader.array();
        if head == Some(SPLIT) {
            // An id, the number of pieces, which one, their size. The first has all that is read here.
            let piece = reader.array::<8>();
            match piece {
                Some([.., 0, _, _]) => head = reader.array(),
                Some(_) => return Some(Reply::ok(number).then(Then::Wait)),
                None => return Some(malformed()),
            }
        }
        let kind = reader.u8().filter(|_| head == Some(WHOLE));
        Some(match kind {
            Some(CHALLENGE) => match reader.array::<4>().filter(|_| reader.rest().is_empty()) {
                Some(challenge) => {
                    let mut again = Vec::new();
                    request(&challenge, &mut again);
                    let reply = Reply::new(number, Verdict::Unexpected).because("challenge");
                    reply.then(Then::Follow(again)).keeping(challenge.to_vec())
                }
                None => malformed(),
            },
            Some(kind @ (INFO | INFO_OF_GOLDSRC)) => {
                self.info(number, kind, reader).unwrap_or_else(malformed)
            }
            _ => malformed(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fixture, hardened, hex};

    fn info(it: &str) -> Vec<u8> {
        let rest = "0f00 0307 02 64 6c 00 01 312e302e302e3000";
        let mut bytes = hex("ffffffff 49 11");
        bytes.extend(it.replace('|', "\0").bytes());
        bytes.extend(hex(rest));
        bytes
    }

    const VALVE: &str = "A\x1bserver|de_dust|csgo|CS|";

    #[test]
    fn what_goes_out() {
        let mut it = fixture("a2s:");
        let plain = hex("ffffffff54536f7572636520456e67696e6520517565727900");
        assert_eq!(it.request(7), plain);
        it.kept = hex("66097527");
        assert_eq!(it.request(7), [plain, hex("66097527")].concat());
    }

    #[test]
    fn a_challenge_is_followed_and_kept() {
        let it = fixture("a2s:");
        let reply = it.recognise(&hex("ffffffff4166097527")).unwrap();
        assert_eq!((reply.number, reply.verdict), (7, Verdict::Unexpected));
        assert_eq!(reply.reason.as_deref(), Some("challenge"));
        assert_eq!(reply.keep, Some(hex("66097527")));
        let again = hex("ffffffff54536f7572636520456e67696e652051756572790066097527");
        assert_eq!(reply.then, Then::Follow(again));
        // A port that was never used has no beat.
        let unused = Fixture { by_port: None, ..fixture("a2s:") };
        assert_eq!(unused.recognise(&info(VALVE)), None);
    }

    #[test]
    fn verdicts_and_facts() {
        use Verdict::{Invalid, Ok, Unexpected};
        let shown = "A\\x1bserver map=de_dust players=3 max=7";
        let split = [hex("feffffff 00000001 02 00 0004"), info(VALVE)].concat();
        let later = [hex("feffffff 00000001 02 01 0004"), hex("00")].concat();
        let goldsrc =
            b"\xff\xff\xff\xffm192.0.2.1:27015\0name\0map\0dir\0game\0\x01\x02\x2f\x44\x6c\0\0";
        let cases: [(&str, &[u8], Verdict, &str); 9] = [
            ("", &info(VALVE), Ok, shown),
            ("?players=3", &info(VALVE), Ok, shown),
            ("?players=4", &info(VALVE), Unexpected, "players"),
            ("", &split, Ok, shown),
            ("", &later, Ok, "ok"),
            ("", goldsrc, Ok, "name map=map players=1 max=2"),
            ("", b"\xff\xff\xff\xffTSource Engine Query\0", Invalid, "malformed"),
            ("", b"hello", Invalid, "malformed"),
            ("", b"", Invalid, "malformed"),
        ];
        for (keys, bytes, verdict, shown) in cases {
            let it = fixture(&format!("a2s:{keys}"));
            let reply = it.recognise(bytes).unwrap();
            assert_eq!((reply.number, reply.verdict), (7, verdict), "{bytes:?}");
            assert_eq!(it.spec.shown(&reply), shown, "{bytes:?}");
        }
        assert_eq!(fixture("a2s:").recognise(&later).unwrap().then, Then::Wait);
    }

    #[test]
    fn mutations() {
        // Up to the version, which is not read.
        let whole = info(VALVE);
        let read = whole[..whole.len() - 8].to_vec();
        hardened(&fixture("a2s:"), &[read, hex("ffffffff4166097527")], 0..0);
    }
}
