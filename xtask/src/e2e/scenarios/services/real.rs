//! Real servers: healthy is `ok` with its facts, an unhealthy state has its verdict and reason, and beats in
//! flight at once are all matched. The receive buffers of some hold fewer requests than 200.

use anyhow::Result;

use super::rig::Place;
use super::scenarios;
use super::servers;
use crate::e2e::context::Context;

scenarios!(
    "services": unbound, chrony, coturn, snmpd, freeradius, kamailio, libcoap, ngtcp2, mumble, openvpn, strongswan,
);

fn unbound(context: &Context) -> Result<()> {
    let place = Place::new(context, "unbound", "unbound")?;
    place.write("unbound.conf", servers::UNBOUND)?;
    let server = place.launch("unbound").args(["-d", "-c", "unbound.conf"]);
    let rig = place.start(server, "dns://127.0.0.1/example.org")?;
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

fn chrony(context: &Context) -> Result<()> {
    let place = Place::new(context, "chronyd", "chrony")?;
    place.write("chrony.conf", servers::CHRONY)?;
    let server =
        place.launch("chronyd").args(["-d", "-x", "-U", "-u", "root", "-f", "chrony.conf"]);
    let rig = place.start(server, "ntp://127.0.0.1")?;
    let facts = [("stratum", "3"), ("refid", "127.127.1.1"), ("leap", "0")];
    rig.healthy("ntp://127.0.0.1?stratum=3&offset=1s", &facts)?;
    rig.healthy("ntp://127.0.0.1?v=3", &[("stratum", "3")])?;
    rig.says("ntp://127.0.0.1?stratum=2", "unexpected", "stratum")?;
    rig.in_flight("ntp://127.0.0.1", 200)
}

fn coturn(context: &Context) -> Result<()> {
    let place = Place::new(context, "turnserver", "coturn")?;
    let directory = place.path()?;
    let files = [format!("--pidfile={directory}/pid"), format!("--db={directory}/db")];
    let server = place.launch("turnserver").args(servers::COTURN).args(files);
    let rig = place.start(server, "stun://127.0.0.1")?;
    let facts = [("mapped", "127.0.0.1"), ("mapped_port", "<n>"), ("software", "Coturn<any>")];
    rig.healthy("stun://127.0.0.1", &facts)?;
    rig.healthy("stun://127.0.0.1?mapped=127.0.0.1", &facts)?;
    rig.says("stun://127.0.0.1?mapped=192.0.2.1", "unexpected", "mapped")?;
    rig.says("turn://127.0.0.1", "ok", "401 Unauthorized")?;
    rig.in_flight("stun://127.0.0.1", 200)?;
    rig.in_flight("turn://127.0.0.1", 200)
}

fn snmpd(context: &Context) -> Result<()> {
    let place = Place::new(context, "snmpd", "snmpd")?;
    place.write("snmpd.conf", servers::SNMPD)?;
    place.write("wrong", "a guess")?;
    let server = place.launch("snmpd").env("SNMP_PERSISTENT_DIR", place.path()?);
    let server = server.args(["-f", "-C", "-c", "snmpd.conf", "-Lo", "-p", "pid"]);
    let rig = place.start(server, "snmp://127.0.0.1")?;
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
    let place = Place::new(context, "freeradius", "freeradius")?;
    place.write("radiusd.conf", servers::FREERADIUS)?;
    place.write("secret", "testing123\n")?;
    place.write("wrong", "a guess\n")?;
    let server = place.launch("freeradius").args(["-f", "-l", "stdout", "-n", "radiusd"]);
    let server = server.arg("-d").arg(place.path()?);
    let rig = place.start(server, "radius://127.0.0.1?secret-file=DIR/secret")?;
    rig.healthy("radius://127.0.0.1?secret-file=DIR/secret", &[("code", "2")])?;
    rig.healthy("radius://127.0.0.1?secret-file=DIR/secret&acct=1", &[("code", "5")])?;
    rig.silent("radius://127.0.0.1?secret-file=DIR/wrong")?;
    rig.in_flight("radius://127.0.0.1?secret-file=DIR/secret", 200)
}

fn kamailio(context: &Context) -> Result<()> {
    let place = Place::new(context, "kamailio", "kamailio")?;
    place.write("kamailio.cfg", servers::KAMAILIO)?;
    let server = place.launch("kamailio").args(["-DD", "-E", "-u", "root", "-g", "root"]);
    let server = server.args(["-f", "kamailio.cfg", "-P", "pid", "-Y"]).arg(place.path()?);
    let rig = place.start(server, "sip://127.0.0.1")?;
    let facts = [("code", "200"), ("reason", "OK"), ("server", "kamailio<any>")];
    rig.healthy("sip://127.0.0.1", &facts)?;
    rig.says("sip://127.0.0.1?user=nobody", "declined", "404 Not Found")?;
    rig.says("sip://127.0.0.1?user=nobody&accept=401,404", "ok", "404 Not Found")?;
    rig.says("sip://127.0.0.1?user=busy", "limited", "503 Service Unavailable")?;
    rig.says("sip://127.0.0.1?hops=0", "declined", "483 Too Many Hops")?;
    rig.in_flight("sip://127.0.0.1", 60)
}

fn libcoap(context: &Context) -> Result<()> {
    let place = Place::new(context, "coap-server-notls", "libcoap3-bin")?;
    let server = place.launch("coap-server-notls").args(["-A", "127.0.0.1", "-p", "5683"]);
    let rig = place.start(server, "coap://127.0.0.1/time")?;
    rig.healthy("coap://127.0.0.1/time", &[("code", "2.05")])?;
    // A separate answer, which is acknowledged and not repeated.
    rig.healthy("coap://127.0.0.1/async?query=1", &[("code", "2.05")])?;
    rig.says("coap://127.0.0.1/nope", "declined", "4.04")?;
    rig.in_flight("coap://127.0.0.1/time", 200)
}

fn ngtcp2(context: &Context) -> Result<()> {
    let place = Place::new(context, "gtlsserver", "ngtcp2-server")?;
    servers::certificate(&place)?;
    let server = place.launch("gtlsserver").args(["-q", "127.0.0.1", "443", "key.pem", "cert.pem"]);
    let rig = place.start(server, "quic://127.0.0.1")?;
    rig.healthy("quic://127.0.0.1?version=1", &[("versions", "[\"1\"<any>")])?;
    rig.says("quic://127.0.0.1?version=9", "unexpected", "version")?;
    rig.in_flight("quic://127.0.0.1", 60)
}

fn mumble(context: &Context) -> Result<()> {
    let place = Place::new(context, "murmurd", "mumble-server")?;
    place.write("murmur.ini", servers::MURMUR)?;
    // It becomes a user of its own.
    place.run("chmod 777 .")?;
    let server = place.launch("murmurd").args(["-fg", "-ini", "murmur.ini"]);
    let rig = place.start(server, "mumble://127.0.0.1")?;
    let facts = [("version", "<n>.<n>.<n>"), ("users", "0"), ("max", "10"), ("bandwidth", "72000")];
    rig.healthy("mumble://127.0.0.1", &facts)?;
    rig.in_flight("mumble://127.0.0.1", 200)
}

/// Its budget of 100 first packets in ten seconds is one for all.
fn openvpn(context: &Context) -> Result<()> {
    let place = Place::new(context, "openvpn", "openvpn")?;
    servers::certificate(&place)?;
    let server = place.launch("openvpn").args(servers::OPENVPN);
    let rig = place.start(server, "openvpn://127.0.0.1")?;
    rig.healthy("openvpn://127.0.0.1", &[])?;
    rig.in_flight("openvpn://127.0.0.1", 50)
}

fn strongswan(context: &Context) -> Result<()> {
    let place = Place::new(context, servers::CHARON, "strongswan-charon")?;
    place.write("strongswan.conf", servers::STRONGSWAN)?;
    let configured = format!("{}/strongswan.conf", place.path()?);
    let server = place.launch(servers::CHARON).env("STRONGSWAN_CONF", configured);
    let rig = place.start(server, "ike://127.0.0.1")?;
    rig.healthy("ike://127.0.0.1", &[])?;
    rig.healthy("ike://127.0.0.1:4500", &[])?;
    rig.in_flight("ike://127.0.0.1", 200)
}
