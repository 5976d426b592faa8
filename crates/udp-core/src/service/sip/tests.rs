//! Replies of Kamailio 5.6.3, other forms of the same, and broken ones.

use super::*;
use crate::service::testing::{Fixture, fixture, hardened};

/// The reply with `BRANCH` and `CALL` for those of beat 7, and its lines ended with CRLF.
fn bytes(it: &Fixture, text: &str) -> Vec<u8> {
    let branch = format!("z9hG4bK{}", hex::encode(&it.nonces.long(7)));
    let call = hex::encode(&it.nonces.more(7, 2));
    let lines: Vec<&str> =
        text.lines().map(|line| line.strip_prefix('|').unwrap_or(line)).collect();
    lines.join("\r\n").replace("BRANCH", &branch).replace("CALL", &call).into_bytes()
}

/// With a status line, and more headers.
fn kamailio(it: &Fixture, status: &str, more: &str) -> Vec<u8> {
    let text = format!(
        "SIP/2.0 {status}\n\
         Via: SIP/2.0/UDP 192.0.2.1:5999;branch=BRANCH;rport=34633;received=192.0.2.1\n\
         From: <sip:probe@192.0.2.1>;tag=0000002d\n\
         To: <sip:192.0.2.2:5090>;tag=2ab3ce93beadb85952224a88d0f335e1.a09a0313\n\
         Call-ID: CALL@192.0.2.1\n\
         CSeq: 1 OPTIONS\n\
         Server: kamailio (5.6.3 (x86_64/linux))\n{more}\
         Content-Length: 0\n\n\n"
    );
    bytes(it, &text)
}

#[test]
fn what_goes_out() {
    let mut it = fixture("sip:?user=nobody&hops=0");
    let text = "OPTIONS sip:nobody@192.0.2.1:5060 SIP/2.0\n\
        Via: SIP/2.0/UDP 192.0.2.2:40000;branch=BRANCH;rport\n\
        Max-Forwards: 0\n\
        From: <sip:probe@192.0.2.2>;tag=TAG\n\
        To: <sip:nobody@192.0.2.1:5060>\n\
        Call-ID: CALL@192.0.2.2\n\
        CSeq: 1 OPTIONS\n\
        Contact: <sip:probe@192.0.2.2:40000>\n\
        Accept: application/sdp\n\
        User-Agent: udp-heartbeat\n\
        Content-Length: 0\n\n";
    let tag = hex::encode(&it.nonces.more(7, 3));
    let mut expected = bytes(&it, &text.replace("TAG", &tag));
    expected.extend(b"\r\n");
    assert_eq!(String::from_utf8_lossy(&it.request(7)), String::from_utf8_lossy(&expected));
    assert_eq!(it.requested(&it.request(7)[..113]), Some(7));
    assert_eq!(it.requested(&it.request(7)[..80]), None);
    assert_eq!(it.recognise(&it.request(7)), None);
    it.peer = "[fe80::1%3]:5060".parse().unwrap();
    assert!(it.request(7).starts_with(b"OPTIONS sip:nobody@[fe80::1]:5060 SIP/2.0\r\n"));
    it.name = Some("pbx.example.org");
    let named = String::from_utf8(it.request(7)).unwrap();
    assert!(named.starts_with("OPTIONS sip:nobody@pbx.example.org:5060 SIP/2.0\r\n"), "{named}");
    assert!(named.contains("\r\nTo: <sip:nobody@pbx.example.org:5060>\r\n"), "{named}");
    for keys in ["user=a%20b", "user=a%0d%0ab", "hops=256", "user=<x>"] {
        let spec = format!("sip:?{keys}");
        assert!(crate::service::Spec::parse(&spec, &|_| Ok(vec![])).is_err(), "{keys}");
    }
}

#[test]
fn verdicts() {
    use Verdict::{Declined, Failing, Invalid, Limited, Ok};
    let later = "Retry-After: 5\n";
    let cases = [
        ("", "200 OK", "", Ok, None),
        ("", "202 ", "", Ok, None),
        ("", "302 Moved", "", Declined, Some("302 Moved")),
        ("", "404 Not Found", "", Declined, Some("404 Not Found")),
        ("?accept=401,404", "404 Not Found", "", Ok, Some("404 Not Found")),
        ("?accept=4xx", "483 Too Many Hops", "", Ok, Some("483 Too Many Hops")),
        ("", "486 Busy Here", "", Limited, Some("486 Busy Here")),
        ("", "500", "", Failing, Some("500")),
        ("", "503 Service Unavailable", "", Failing, Some("503 Service Unavailable")),
        ("", "503 Service Unavailable", later, Limited, Some("503 Service Unavailable")),
        ("", "603 Decline", "", Declined, Some("603 Decline")),
        ("", "200OK", "", Invalid, Some("malformed")),
        ("", "099 What", "", Invalid, Some("malformed")),
        ("", "200 OK", "Content-Length: 1\n", Invalid, Some("malformed")),
        ("", "200 OK", "Content-Length: x\n", Invalid, Some("malformed")),
    ];
    for (keys, status, more, verdict, reason) in cases {
        let it = fixture(&format!("sip:{keys}"));
        let got = it.recognise(&kamailio(&it, status, more)).unwrap();
        let got = (got.number, got.verdict, got.reason.as_deref());
        assert_eq!(got, (7, verdict, reason), "{status} {more}");
    }
    let it = fixture("sip:");
    let wait = it.recognise(&kamailio(&it, "100 Trying", "")).unwrap();
    assert_eq!((wait.number, wait.then), (7, Then::Wait));
    let got = it.recognise(&kamailio(&it, "200 OK", "")).unwrap();
    assert_eq!(it.spec.shown(&got), "200 OK server=kamailio (5.6.3 (x86_64/linux))");
}

#[test]
fn other_forms_of_the_same() {
    let it = fixture("sip:");
    let compact = "SIP/2.0 200 OK\nv : SIP/2.0/UDP 192.0.2.1;\n received=192.0.2.1\n\t; Branch = BRANCH , \
                   SIP/2.0/UDP a;branch=z9hG4bK0\ni:CALL@x\ncseq:\t1  OPTIONS\nl:2\n\nab";
    let wide = bytes(&it, compact);
    let bare: Vec<u8> = wide.iter().copied().filter(|byte| *byte != b'\r').collect();
    for bytes in [wide, bare] {
        assert_eq!(it.recognise(&bytes).map(|it| it.verdict), Some(Verdict::Ok));
    }
}

#[test]
fn strangers_and_mutations() {
    let it = fixture("sip:");
    let good = kamailio(&it, "200 OK", "");
    let text = String::from_utf8(good.clone()).unwrap();
    for (from, to) in [
        ("1 OPTIONS", "2 OPTIONS"),
        ("1 OPTIONS", "1 INVITE"),
        ("Call-ID: ", "Call-ID: 0"),
        ("Via: ", "Via: SIP/2.0/UDP x;branch=z9hG4bK1\r\nVia: "),
        ("z9hG4bK", "z9hG4bK0"),
        ("SIP/2.0 ", "SIP/1.0 "),
    ] {
        assert_eq!(it.recognise(text.replacen(from, to, 1).as_bytes()), None, "{to}");
    }
    let at = text.find("z9hG4bK").unwrap() + 7;
    hardened(&it, &[good, kamailio(&it, "404 Not Found", "")], at..at + 16);
}
