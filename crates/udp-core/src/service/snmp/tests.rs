//! Replies of net-snmp 5.9.3, and broken ones.

use super::*;
use crate::service::testing::{Fixture, fixture, hardened, hex};

/// The bytes with `ID` for the four of beat 7.
fn bytes(it: &Fixture, text: &str) -> Vec<u8> {
    hex(&text.replace("ID", &crate::text::hex::encode(&it.nonces.word(7).to_be_bytes())))
}

/// An answer to a GET of `UPTIME` with this error and this value.
fn answer(it: &Fixture, version: u8, status: u8, value: &str) -> Vec<u8> {
    let own = bytes(it, "0204 ID");
    let value = hex(value);
    let binding = ber::value(SEQUENCE, &[&hex("0608 2b06010201010300"), &value]);
    let bindings = ber::value(SEQUENCE, &[&binding]);
    let pdu = ber::value(RESPONSE, &[&own, &[2, 1, status, 2, 1, 0], &bindings]);
    ber::value(SEQUENCE, &[&[2, 1, version], &hex("0406 7075626c6963"), &pdu])
}

const REPORT_V3: &str = "3071 020103 3011 0204ID 020300ffe3 040100 020103 \
    0421 301f 041180001f888096db9e139588076b0000000002010102010404000400 0400 \
    3036 041180001f888096db9e139588076b00000000 0400 \
    a81f 0204ID 020100 020100 3011 300f 060a2b060106030f0101NN00 410101";

fn report_of(it: &Fixture, which: &str) -> Vec<u8> {
    bytes(it, &REPORT_V3.replace("NN", which))
}

#[test]
fn what_goes_out() {
    let v2 = fixture("snmp:");
    let expected = "3029 020101 0406 7075626c6963 a01c 0204 ID 020100 020100 300e 300c \
                    0608 2b06010201010300 0500";
    assert_eq!(v2.request(7), bytes(&v2, expected));
    assert_eq!(v2.requested(&v2.request(7)), Some(7));
    assert_eq!(v2.requested(&v2.request(7)[..21]), Some(7));
    assert_eq!(v2.requested(&v2.request(7)[..20]), None);
    let v1 = fixture("snmp:?v=1&oid=1.3&community-file=/secret");
    let expected = "3026 020100 040a 74657374696e67313233 a015 0204 ID 020100 020100 3007 3005 \
                    0601 2b 0500";
    assert_eq!(v1.request(7), bytes(&v1, expected));
    assert!(v1.spec.service().unwrap().is_secret() && !v2.spec.service().unwrap().is_secret());
    assert!(!format!("{:?}", v1.spec).contains("testing123"));
    let v3 = fixture("snmp:?v=3");
    let expected = "303e 020103 3011 0204ID 020300ffe3 040104 020103 \
                    0410 300e 0400 020100 020100 0400 0400 0400 \
                    3014 0400 0400 a00e 0204ID 020100 020100 3000";
    assert_eq!(v3.request(7), bytes(&v3, expected));
    assert_eq!(v3.requested(&v3.request(7)[..13]), Some(7));
    for keys in ["v=2", "v=3&oid=1.3", "oid=sysUpTime.0", "community-file=/none", "v=3&expect=1"] {
        let spec = format!("snmp:?{keys}");
        let read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        assert!(crate::service::Spec::parse(&spec, &read).is_err(), "{keys}");
    }
}

#[test]
fn verdicts() {
    use Verdict::{Declined, Failing, Invalid, Ok, Unexpected};
    let cases = [
        ("", 1, 0, "430200e2", Ok, None, "226 uptime=2"),
        ("v=1", 0, 0, "430200e2", Ok, None, "226 uptime=2"),
        ("expect=226", 1, 0, "430200e2", Ok, None, "226 uptime=2"),
        ("expect=227", 1, 0, "430200e2", Unexpected, Some("expect"), "expect"),
        ("expect=up", 1, 0, "0402 7570", Ok, None, "up"),
        ("expect=1.3.6", 1, 0, "0602 2b06", Ok, None, "1.3.6"),
        ("", 1, 0, "0403 611b62", Ok, None, "a\\x1bb"),
        ("", 1, 0, "4004 c0000207", Ok, None, "192.0.2.7"),
        ("", 1, 0, "4609 00ffffffffffffffff", Ok, None, "18446744073709551615"),
        ("", 1, 0, "0201 ff", Ok, None, "-1"),
        ("", 1, 0, "8000", Unexpected, Some("noSuchObject"), "noSuchObject"),
        ("", 1, 0, "8100", Unexpected, Some("noSuchInstance"), "noSuchInstance"),
        ("", 1, 0, "8200", Unexpected, Some("endOfMibView"), "endOfMibView"),
        ("accept=noSuchObject", 1, 0, "8000", Ok, Some("noSuchObject"), "noSuchObject"),
        ("", 1, 0, "0500", Unexpected, Some("no value"), "no value"),
        ("v=1", 0, 2, "0500", Unexpected, Some("noSuchName"), "noSuchName"),
        ("", 1, 5, "0500", Failing, Some("genErr"), "genErr"),
        ("", 1, 99, "0500", Failing, Some("error-status"), "error-status"),
        ("", 1, 16, "0500", Declined, Some("authorizationError"), "authorizationError"),
        ("", 0, 0, "430200e2", Invalid, Some("malformed"), "malformed"),
        ("", 1, 0, "4003 c00002", Invalid, Some("malformed"), "malformed"),
        ("", 1, 0, "4300", Invalid, Some("malformed"), "malformed"),
        ("", 1, 0, "4700", Invalid, Some("malformed"), "malformed"),
        ("oid=1.3", 1, 0, "430200e2", Invalid, Some("malformed"), "malformed"),
    ];
    for (keys, version, status, value, verdict, reason, shown) in cases {
        let it = fixture(format!("snmp:?{keys}").trim_end_matches('?'));
        let got = it.recognise(&answer(&it, version, status, value)).unwrap();
        let said = (got.number, got.verdict, got.reason.as_deref());
        assert_eq!(said, (7, verdict, reason), "{keys} {value}");
        assert_eq!(it.spec.shown(&got), shown);
    }
}

#[test]
fn a_true_answer_and_reports() {
    let it = fixture("snmp:");
    let true_one = "302b 020101 0406 7075626c6963 a21e 0204 ID 020100 020100 3010 300e \
                    0608 2b06010201010300 430200e2";
    assert_eq!(bytes(&it, true_one), answer(&it, 1, 0, "430200e2"));
    let it = fixture("snmp:?v=3");
    for (which, verdict, reason) in [
        ("04", Verdict::Ok, None),
        ("03", Verdict::Declined, Some("usmStatsUnknownUserNames")),
        ("09", Verdict::Declined, Some("report 1.3.6.1.6.3.15.1.1.9.0")),
    ] {
        let got = it.recognise(&report_of(&it, which)).unwrap();
        assert_eq!((got.number, got.verdict, got.reason.as_deref()), (7, verdict, reason));
        assert_eq!(got.facts.shown(&["uptime=", "boots="]), "uptime=4 boots=1");
    }
}

#[test]
fn strangers_and_mutations() {
    let it = fixture("snmp:");
    let good = answer(&it, 1, 0, "430200e2");
    assert_eq!(it.recognise(&it.request(7)), None);
    let id = 17..21;
    assert_eq!(good[id.clone()], it.nonces.word(7).to_be_bytes());
    hardened(&it, &[good, answer(&it, 1, 0, "8000"), answer(&it, 1, 5, "0500")], id);
    let it = fixture("snmp:?v=3");
    assert_eq!(it.recognise(&it.request(7)), None);
    let good = report_of(&it, "04");
    assert_eq!(good[9..13], it.nonces.word(7).to_be_bytes());
    hardened(&it, &[good], 9..13);
}
