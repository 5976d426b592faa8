//! Replies of real servers (bind9 9.18, unbound 1.17, dnsmasq 2.90) and broken ones.

use super::*;
use crate::service::testing::{Case, Fixture, fixture, hex, mutated};
use crate::service::{Fact, Then, Verdict};

const NAME: &str = "076578616d706c65036f726700 0001 0001";

/// A reply to beat 7 with these flags and counts, behind our id.
fn reply(it: &Fixture, rest: &str) -> Vec<u8> {
    let mut bytes = it.nonces.short(7).to_be_bytes().to_vec();
    bytes.extend(hex(rest));
    bytes
}

#[test]
fn what_goes_out() {
    let id = |it: &Fixture| crate::text::hex::encode(&it.nonces.short(7).to_be_bytes());
    let plain = fixture("dns:example.org?edns=0");
    assert_eq!(plain.request(7), hex(&format!("{} 0100 0001 0000 0000 0000 {NAME}", id(&plain))));
    let root = fixture("dns:?edns=0&rd=0");
    assert_eq!(
        root.request(7),
        hex(&format!("{} 0000 0001 0000 0000 0000 00 0002 0001", id(&root)))
    );
    let cookie = crate::text::hex::encode(&plain.nonces.constant());
    let mut full = fixture("dns:example.org?nsid=1");
    let head = format!("{} 0100 0001 0000 0000 0001 {NAME} 00 0029 04d0 00000000", id(&full));
    assert_eq!(full.request(7), hex(&format!("{head} 0010 0003 0000 000a 0008 {cookie}")));
    full.kept = vec![0xab; 8];
    let kept = "ab".repeat(8);
    assert_eq!(full.request(7), hex(&format!("{head} 0018 0003 0000 000a 0010 {cookie} {kept}")));
    let numbered = fixture("dns:n%7Bn%7D.test?type=aaaa&edns=0&class=CH");
    let question = "026e37 0474657374 00 001c 0003";
    assert_eq!(numbered.request(7)[12..], hex(question));
    assert_eq!(numbered.requested(&numbered.request(8)[..8]), Some(8));
}

#[test]
fn verdicts() {
    let a = "8580 0001 0001 0000 0000 076578616d706c65036f726700 0001 0001 \
             c00c 0001 0001 0000012c 0004 c0000207";
    let slip =
        "8700 0001 0000 0000 0001 076578616d706c65036f726700 0001 0001 00 0029 04d0 00000000 0000";
    // What the name stands for fitted, its address did not.
    let cut = "8780 0001 0001 0000 0000 076578616d706c65036f726700 0001 0001 \
               c00c 0005 0001 0000012c 0002 c014";
    let error = |flags: &str| format!("{flags} 0001 0000 0000 0000 {NAME}");
    let nx = error("8583");
    let (refused, servfail) = (error("8585"), error("8182"));
    let (none, bad, unknown) = (error("8180"), error("8181"), error("818f"));
    let badcookie = format!("8187 0001 0000 0000 0001 {NAME} 00 0029 04d0 01000000 0000");
    let formerr = "8101 0000 0000 0000 0000";
    // unbound 1.17.1 counts a question that it leaves out.
    let headless = "8101 0001 0000 0000 0000";
    let cases: [Case<'_>; 25] = [
        ("example.org", a, Verdict::Ok, None),
        ("EXAMPLE.org", a, Verdict::Ok, None),
        ("example.org?expect=192.0.2.7", a, Verdict::Ok, None),
        (
            "example.org?expect=192.0.2.7&expect=192.0.2.8",
            a,
            Verdict::Unexpected,
            Some("record not found"),
        ),
        ("example.org?min=2", a, Verdict::Unexpected, Some("too few records")),
        ("example.org?aa=1", a, Verdict::Ok, None),
        ("example.org", slip, Verdict::Limited, Some("TC")),
        ("example.org", cut, Verdict::Limited, Some("TC")),
        ("example.org?min=0", slip, Verdict::Limited, Some("TC")),
        ("example.org", &nx, Verdict::Unexpected, Some("NXDOMAIN")),
        ("example.org?accept=NXDOMAIN", &nx, Verdict::Ok, Some("NXDOMAIN")),
        ("example.org", &refused, Verdict::Declined, Some("REFUSED")),
        ("example.org", &servfail, Verdict::Failing, Some("SERVFAIL")),
        ("example.org", &none, Verdict::Unexpected, Some("NODATA")),
        ("example.org?min=0", &none, Verdict::Ok, None),
        ("example.org?min=0&aa=1", &none, Verdict::Unexpected, Some("not authoritative")),
        ("example.org", &bad, Verdict::Unexpected, Some("FORMERR")),
        ("example.org", formerr, Verdict::Unexpected, Some("FORMERR")),
        ("example.org", headless, Verdict::Unexpected, Some("FORMERR")),
        ("example.org", &unknown, Verdict::Unexpected, Some("RCODE15")),
        ("example.org", &badcookie, Verdict::Unexpected, Some("BADCOOKIE")),
        ("example.org", &a[..a.len() - 2], Verdict::Invalid, Some("broken message")),
        ("example.org?accept=any", &a[..a.len() - 2], Verdict::Invalid, Some("broken message")),
        ("example.org?accept=any", &servfail, Verdict::Ok, Some("SERVFAIL")),
        ("", "8105 0001 0000 0000 0000 00 0002 0001", Verdict::Ok, Some("REFUSED")),
    ];
    for (what, bytes, verdict, reason) in cases {
        let it = fixture(&format!("dns:{what}"));
        let reply = it.recognise(&reply(&it, bytes)).unwrap_or_else(|| panic!("{what} {bytes}"));
        assert_eq!((reply.number, reply.verdict), (7, verdict), "{what} {bytes}");
        assert_eq!(reply.reason.as_deref(), reason, "{what} {bytes}");
    }
}

#[test]
fn facts_and_the_servers_cookie() {
    let mut it = fixture("dns:example.org?nsid=1");
    let client = crate::text::hex::encode(&it.nonces.constant());
    let bytes = |client: &str| {
        format!(
            "8500 0001 0001 0000 0001 {NAME} c00c 0001 0001 0000012c 0004 c0000207 \
             00 0029 04d0 00000000 0026 0003 0006 70726f626531 \
             000a 0018 {client} 010000006b0788626d3c751d939b4946"
        )
    };
    let reply_bytes = reply(&it, &bytes(&client));
    let found = it.recognise(&reply_bytes).unwrap();
    assert_eq!(it.spec.shown(&found), "NOERROR 192.0.2.7 ttl=300 nsid=probe1");
    assert_eq!(found.facts.get("aa"), Some(&Fact::Flag(true)));
    assert_eq!(found.keep, Some(hex("010000006b0788626d3c751d939b4946")));
    // Another client's cookie is another's reply.
    assert_eq!(it.recognise(&reply(&it, &bytes("0102030405060708"))), None);
    // A server that demands its cookie has told it: ask again, once.
    let demand = format!(
        "8107 0001 0000 0000 0001 {NAME} 00 0029 04d0 01000000 001c \
         000a 0018 {client} 010000006b0788626d3c751d939b4946"
    );
    let bytes = reply(&it, &demand);
    let found = it.recognise(&bytes).unwrap();
    let Then::Follow(again) = found.then else { panic!("{:?}", found.then) };
    it.kept = hex("010000006b0788626d3c751d939b4946");
    assert_eq!(again, it.request(7));
    assert_eq!(it.recognise(&bytes).unwrap().then, Then::Nothing);
}

#[test]
fn records_are_compared_as_what_they_are() {
    let cases = [
        ("A", "192.0.2.7", "192.0.2.7"),
        ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
        ("MX", "10 Mail.example.org.", "10 mail.example.org"),
        ("TXT", "\"v=spf1 -all\"", "v=spf1 -all"),
        ("TXT", "\"v=spf1 \" \"-all\"", "v=spf1 -all"),
    ];
    for (rtype, one, other) in cases {
        let rtype = rtype.parse().unwrap();
        assert_eq!(answer::normal(rtype, one), answer::normal(rtype, other));
    }
    let it = fixture("dns:example.org?type=MX&expect=10 MAIL.example.org.");
    let bytes = "8580 0001 0001 0000 0000 076578616d706c65036f726700 000f 0001 \
                 c00c 000f 0001 0000012c 0009 000a 046d61696c c00c";
    assert_eq!(it.recognise(&reply(&it, bytes)).unwrap().verdict, Verdict::Ok);
}

#[test]
fn strangers() {
    let it = fixture("dns:example.org");
    let a = "8580 0001 0001 0000 0000 076578616d706c65036f726700 0001 0001 \
             c00c 0001 0001 0000012c 0004 c0000207";
    let good = reply(&it, a);
    for length in 0..good.len() {
        let found = it.recognise(&good[..length]);
        assert!(found.is_none_or(|it| it.verdict == Verdict::Invalid), "{length}");
    }
    // Another id, a query, another opcode, two questions, another name, type and class.
    for (at, byte) in [(0, !good[0]), (2, 0x05), (2, 0x95), (5, 2), (13, b'f'), (26, 2), (28, 3)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert_eq!(it.recognise(&bytes), None, "byte {at}");
    }
    mutated(&it, &[good, reply(&it, &format!("8583 0001 0000 0000 0000 {NAME}"))], 0..2);
    // Without a question nothing but an error can be for us.
    assert_eq!(it.recognise(&reply(&it, "8180 0000 0000 0000 0000")), None);
}

#[test]
fn slips() {
    let read: &super::super::ReadFile = &|_| Err(std::io::ErrorKind::NotFound.into());
    for spec in [
        "dns:example.org?type=NONSENSE",
        "dns:example.org?type=ANY",
        "dns:example.org?edns=100",
        "dns:example.org?edns=0&nsid=1",
        "dns:example.org?rd=yes",
        "dns:example.org?min=many",
        "dns:exa..mple",
        "dns:{n}.0123456789012345678901234567890123456789012345678901234567890123",
    ] {
        assert!(super::super::Spec::parse(spec, read).is_err(), "{spec}");
    }
}
