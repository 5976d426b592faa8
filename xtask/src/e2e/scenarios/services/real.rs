//! Real servers: healthy is `ok` with its facts, an unhealthy state has its verdict and reason, and 200 beats in
//! flight at once are all matched.

use anyhow::Result;

use super::scenarios;
use super::servers::{
    BIND, CHRONY, CHRONY_ALONE, COTURN, COTURN_CLOSED, FREERADIUS, KAMAILIO, LIBCOAP, MUMBLE,
    NGTCP2, OPENVPN, OPENVPN_PEER, SNMPD, STRONGSWAN, UNBOUND,
};
use crate::e2e::context::Context;

scenarios!(
    "services": unbound, bind9, chrony, coturn, snmpd, freeradius, kamailio, libcoap, ngtcp2, mumble, openvpn,
    strongswan,
);

fn unbound(context: &Context) -> Result<()> {
    let rig = UNBOUND.start(context)?;
    let facts = [("rcode", "NOERROR"), ("answers", "1"), ("first", "192.0.2.7"), ("ttl", "300")];
    rig.healthy("dns://127.0.0.1/example.org?expect=192.0.2.7", &facts)?;
    rig.healthy("dns://127.0.0.1/EXAMPLE.org?nsid=1&edns=4096", &[("nsid", "probe1")])?;
    rig.healthy("dns://127.0.0.1/example.org?type=MX", &[("first", "10 mail.example.org.")])?;
    rig.says("dns://127.0.0.1/example.org?expect=192.0.2.8", "unexpected", "record not found")?;
    rig.says("dns://127.0.0.1/example.org?type=AAAA", "unexpected", "NODATA")?;
    rig.says("dns://127.0.0.1/no.example.org", "unexpected", "NXDOMAIN")?;
    rig.says("dns://127.0.0.1/no.example.org?accept=NXDOMAIN", "ok", "NXDOMAIN")?;
    rig.says("dns://127.0.0.1/refused.example", "declined", "REFUSED")?;
    rig.says("dns://127.0.0.1/elsewhere.example", "failing", "SERVFAIL")?;
    rig.silent("dns://127.0.0.1/deny.example")?;
    rig.in_flight("dns://127.0.0.1/example.org", 200)
}

/// It answers two questions a second from one address, but for those who send its cookie back.
fn bind9(context: &Context) -> Result<()> {
    let rig = BIND.start(context)?;
    let facts = [("rcode", "NOERROR"), ("first", "192.0.2.7"), ("aa", "true"), ("nsid", "probe1")];
    rig.healthy("dns://127.0.0.1/example.org?aa=1&nsid=1", &facts)?;
    rig.healthy("dns://127.0.0.1/example.org?type=SOA", &[("serial", "2026112601")])?;
    rig.says("dns://127.0.0.1/elsewhere.example", "declined", "REFUSED")?;
    // 200 at once would be one flood to it.
    rig.slowed("dns://127.0.0.1/example.org?cookie=0", "TC")
}

fn chrony(context: &Context) -> Result<()> {
    let rig = CHRONY.start(context)?;
    let facts = [("stratum", "3"), ("refid", "127.127.1.1"), ("leap", "0")];
    rig.healthy("ntp://127.0.0.1?stratum=3&offset=1s", &facts)?;
    rig.healthy("ntp://127.0.0.1?v=3", &[("stratum", "3")])?;
    rig.says("ntp://127.0.0.1?stratum=2", "unexpected", "stratum")?;
    rig.in_flight("ntp://127.0.0.1", 200)?;
    drop(rig);
    CHRONY_ALONE.start(context)?.says("ntp://127.0.0.1", "failing", "unsynchronised")
}

fn coturn(context: &Context) -> Result<()> {
    let rig = COTURN.start(context)?;
    let facts = [("mapped", "127.0.0.1"), ("mapped_port", "<n>"), ("software", "Coturn<any>")];
    rig.healthy("stun://127.0.0.1", &facts)?;
    rig.healthy("stun://127.0.0.1?mapped=127.0.0.1", &facts)?;
    rig.says("stun://127.0.0.1?mapped=192.0.2.1", "unexpected", "mapped")?;
    rig.says("turn://127.0.0.1", "ok", "401 Unauthorized")?;
    rig.in_flight("stun://127.0.0.1", 200)?;
    rig.in_flight("turn://127.0.0.1", 200)?;
    drop(rig);
    COTURN_CLOSED.start(context)?.says("stun://127.0.0.1", "declined", "401 Unauthorized")
}

fn snmpd(context: &Context) -> Result<()> {
    let rig = SNMPD.start(context)?;
    rig.place().write("wrong", "a guess")?;
    rig.healthy("snmp://127.0.0.1", &[("value", "<n>"), ("uptime", "<n>")])?;
    rig.healthy("snmp://127.0.0.1?v=1&oid=1.3.6.1.2.1.1.5.0", &[("value", "a host")])?;
    rig.healthy("snmp://127.0.0.1?v=3", &[("uptime", "<n>"), ("boots", "<n>")])?;
    rig.says("snmp://127.0.0.1?oid=1.3.6.1.2.1.1.99.0", "unexpected", "noSuchObject")?;
    rig.says("snmp://127.0.0.1?v=1&oid=1.3.6.1.2.1.1.99.0", "unexpected", "noSuchName")?;
    rig.says("snmp://127.0.0.1?oid=1.3.6.1.2.1.1.5.0&expect=other", "unexpected", "expect")?;
    rig.silent("snmp://127.0.0.1?community-file=DIR/wrong")?;
    rig.in_flight("snmp://127.0.0.1", 200)?;
    rig.in_flight("snmp://127.0.0.1?v=3", 200)
}

fn freeradius(context: &Context) -> Result<()> {
    let rig = FREERADIUS.start(context)?;
    rig.place().write("wrong", "a guess\n")?;
    rig.healthy("radius://127.0.0.1?secret-file=DIR/secret", &[("code", "2")])?;
    rig.healthy("radius://127.0.0.1?secret-file=DIR/secret&acct=1", &[("code", "5")])?;
    rig.silent("radius://127.0.0.1?secret-file=DIR/wrong")?;
    rig.in_flight("radius://127.0.0.1?secret-file=DIR/secret", 200)
}

fn kamailio(context: &Context) -> Result<()> {
    let rig = KAMAILIO.start(context)?;
    let facts = [("code", "200"), ("reason", "OK"), ("server", "kamailio<any>")];
    rig.healthy("sip://127.0.0.1", &facts)?;
    rig.says("sip://127.0.0.1?user=nobody", "declined", "404 Not Found")?;
    rig.says("sip://127.0.0.1?user=nobody&accept=401,404", "ok", "404 Not Found")?;
    rig.says("sip://127.0.0.1?user=busy", "limited", "503 Service Unavailable")?;
    rig.says("sip://127.0.0.1?hops=0", "declined", "483 Too Many Hops")?;
    rig.in_flight_on_the_way("sip://127.0.0.2", 5060, 200)
}

fn libcoap(context: &Context) -> Result<()> {
    let rig = LIBCOAP.start(context)?;
    rig.healthy("coap://127.0.0.1/time", &[("code", "2.05")])?;
    rig.healthy("coap://127.0.0.1/", &[("code", "2.05")])?;
    // A separate answer, which is acknowledged and not repeated.
    rig.healthy("coap://127.0.0.1/async?query=1", &[("code", "2.05")])?;
    rig.says("coap://127.0.0.1/nope", "declined", "4.04")?;
    rig.in_flight("coap://127.0.0.1/time", 200)
}

fn ngtcp2(context: &Context) -> Result<()> {
    let rig = NGTCP2.start(context)?;
    rig.healthy("quic://127.0.0.1?version=1", &[("versions", "[\"1\"<any>")])?;
    rig.says("quic://127.0.0.1?version=9", "unexpected", "version")?;
    rig.in_flight_on_the_way("quic://127.0.0.2", 443, 200)
}

fn mumble(context: &Context) -> Result<()> {
    let rig = MUMBLE.start(context)?;
    let facts = [("version", "<n>.<n>.<n>"), ("users", "0"), ("max", "10"), ("bandwidth", "72000")];
    rig.healthy("mumble://127.0.0.1", &facts)?;
    rig.hung("mumble://127.0.0.1")?;
    rig.in_flight("mumble://127.0.0.1", 200)
}

fn openvpn(context: &Context) -> Result<()> {
    let rig = OPENVPN.start(context)?;
    rig.healthy("openvpn://127.0.0.1", &[])?;
    rig.hung("openvpn://127.0.0.1")?;
    rig.in_flight("openvpn://127.0.0.1", 200)?;
    drop(rig);
    OPENVPN_PEER.start(context)?.healthy("openvpn://127.0.0.1", &[])
}

fn strongswan(context: &Context) -> Result<()> {
    let rig = STRONGSWAN.start(context)?;
    rig.healthy("ike://127.0.0.1", &[])?;
    rig.healthy("ike://127.0.0.1:4500", &[])?;
    rig.hung("ike://127.0.0.1")?;
    rig.in_flight("ike://127.0.0.1", 200)
}
