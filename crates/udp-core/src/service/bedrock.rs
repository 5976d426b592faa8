//! Minecraft Bedrock's unconnected ping, which is RakNet's: other games answer the same bytes with other text.
//! Known by its eight bytes.

use std::sync::Arc;
use std::time::Duration;

use super::fact::text;
use super::wire::Reader;
use super::{Ask, Asked, Entry, Identity, Key, Kind, Params, Reply, Service, Verdict};

pub(super) const ENTRY: Entry = Entry {
    scheme: "bedrock",
    port: 19132,
    what: None,
    asks: "unconnected ping",
    ok: "an answer of Minecraft (MCPE) or its education edition (MCEE)",
    keys: &[Key::new("edition", "any", "any other game with RakNet is ok too")],
    facts: &["motd", "version", "online", "max"],
    shown: &["motd", "version=", "online=", "max="],
    silence: "the server is off, or a filter before it drops pings",
    interval: Duration::from_secs(5),
    floor: Duration::from_secs(1),
    identity: Identity::Any,
    parse: |params| Bedrock::parse(params),
};

const PING: u8 = 0x01;
const PONG: u8 = 0x1c;
/// RakNet's mark of messages outside of a connection; without it there is no answer.
const MAGIC: [u8; 16] = [
    0x00, 0xff, 0xff, 0x00, 0xfe, 0xfe, 0xfe, 0xfe, 0xfd, 0xfd, 0xfd, 0xfd, 0x12, 0x34, 0x56, 0x78,
];

#[derive(Debug)]
struct Bedrock {
    any: bool,
}

impl Bedrock {
    fn parse(params: &Params) -> Result<Kind, String> {
        let any = params.one_of("edition", &["any"])?.is_some();
        Ok(Kind::Service(Arc::new(Bedrock { any })))
    }

    /// The reply, of which the text behind the magic is left; none if it is broken.
    fn read(&self, number: u64, mut reader: Reader<'_>) -> Option<Reply> {
        let _server: [u8; 8] = reader.array()?;
        let magic: [u8; 16] = reader.array()?;
        let length = usize::from(reader.u16()?);
        let status = reader.take(length).filter(|_| magic == MAGIC && reader.rest().is_empty())?;
        let fields: Vec<&[u8]> = status.split(|byte| *byte == b';').take(6).collect();
        let reply = Reply::ok(number);
        let minecraft = matches!(fields[..], [b"MCPE" | b"MCEE", ..]);
        if !minecraft && !self.any {
            return Some(Reply { verdict: Verdict::Unexpected, ..reply.because("edition") });
        }
        let figure = |at: usize| str::from_utf8(fields.get(at)?).ok()?.parse::<u32>().ok();
        match (&fields[..], figure(4), figure(5)) {
            ([_, motd, _, version, ..], Some(online), Some(max)) => {
                let reply = reply.with("motd", text(motd)).with("version", text(version));
                Some(reply.with("online", online).with("max", max))
            }
            // Another game's own text.
            _ if !minecraft => Some(reply),
            _ => None,
        }
    }
}

impl Service for Bedrock {
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>) {
        out.push(PING);
        out.extend_from_slice(&ask.nonces.long(ask.number));
        out.extend_from_slice(&MAGIC);
        // The client's id.
        out.extend_from_slice(&ask.nonces.constant());
    }

    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply> {
        let mut reader = Reader::new(bytes);
        let (kind, nonce) = (reader.u8()?, reader.array()?);
        let number = asked.nonces.of_long(nonce, asked.last).filter(|_| kind == PONG)?;
        Some(self.read(number, reader).unwrap_or_else(|| Reply::invalid(number, "malformed")))
    }

    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        asked.nonces.of_long(*bytes.get(1..)?.first_chunk()?, asked.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::testing::{Fixture, fixture, hardened, hex};

    fn pong(it: &Fixture, status: &str) -> Vec<u8> {
        let mut bytes = vec![PONG];
        bytes.extend(it.nonces.long(7));
        bytes.extend(hex("c90691deda42d69f 00ffff00fefefefefdfdfdfd12345678"));
        bytes.extend((status.len() as u16).to_be_bytes());
        bytes.extend(status.as_bytes());
        bytes
    }

    /// jsp-raknet 2.2.0.
    const RAKNET: &str = "MCPE;JSRakNet - JS powered RakNet;408;1.16.20;0;5;\
        -3961183485951491905;JSRakNet;Creative;";

    #[test]
    fn what_goes_out() {
        let it = fixture("bedrock:");
        let mut bytes = vec![1];
        bytes.extend(it.nonces.long(7));
        bytes.extend(hex("00ffff00fefefefefdfdfdfd12345678"));
        bytes.extend(it.nonces.constant());
        assert_eq!(it.request(7), bytes);
        assert_eq!(it.requested(&bytes[..9]), Some(7));
        assert_eq!(it.recognise(&bytes), None);
    }

    #[test]
    fn verdicts_and_facts() {
        use Verdict::{Invalid, Ok, Unexpected};
        let shown = "JSRakNet - JS powered RakNet version=1.16.20 online=0 max=5";
        let cases = [
            ("", RAKNET, Ok, shown),
            ("", "MCEE;a\x1b;1;2;3;4", Ok, "a\\x1b version=2 online=3 max=4"),
            ("", "MCPE;a;1;2;3", Invalid, "malformed"),
            ("", "MCPE;a;1;2;three;4", Invalid, "malformed"),
            ("", "Terraria;a;1;2;3;4", Unexpected, "edition"),
            ("", "", Unexpected, "edition"),
            ("?edition=any", "", Ok, "ok"),
            ("?edition=any", "Other;a;1;2;3;4", Ok, "a version=2 online=3 max=4"),
            ("?accept=edition", "Other", Ok, "edition"),
        ];
        for (keys, status, verdict, shown) in cases {
            let it = fixture(&format!("bedrock:{keys}"));
            let reply = it.recognise(&pong(&it, status)).unwrap();
            assert_eq!((reply.number, reply.verdict), (7, verdict), "{status}");
            assert_eq!(it.spec.shown(&reply), shown);
        }
    }

    #[test]
    fn strangers_and_mutations() {
        let it = fixture("bedrock:");
        let good = pong(&it, RAKNET);
        let mut bytes = good.clone();
        bytes[20] ^= 1;
        assert_eq!(it.recognise(&bytes).unwrap().verdict, Verdict::Invalid);
        bytes.truncate(9);
        assert_eq!(it.recognise(&bytes).unwrap().verdict, Verdict::Invalid);
        hardened(&it, &[good], 1..9);
    }
}
