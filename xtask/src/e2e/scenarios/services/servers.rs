//! Each real server: the least configuration that makes it answer, its command line, and where it is asked.

use anyhow::Result;

use super::rig::{Place, Server};

pub(super) const UNBOUND: Server = Server {
    program: "unbound",
    package: "unbound",
    url: "dns://127.0.0.1/example.org",
    prepare: |place| {
        place.write("unbound.conf", UNBOUND_CONF)?;
        Ok(place.launch("unbound").args(["-d", "-c", "unbound.conf"]))
    },
};

pub(super) const BIND: Server = Server {
    program: "named",
    package: "bind9",
    url: "dns://127.0.0.1/example.org",
    prepare: |place| {
        place.write("named.conf", BIND_CONF)?;
        place.write("zone", BIND_ZONE)?;
        Ok(place.launch("named").args(["-g", "-n", "1", "-c", "named.conf"]))
    },
};

pub(super) const CHRONY: Server = Server {
    program: "chronyd",
    package: "chrony",
    url: "ntp://127.0.0.1",
    prepare: |place| {
        place.write("chrony.conf", &format!("local stratum 3\n{CHRONY_CONF}"))?;
        Ok(place.launch("chronyd").args(CHRONYD))
    },
};

/// Without a source of time.
pub(super) const CHRONY_ALONE: Server = Server {
    url: "ntp://127.0.0.1?accept=unsynchronised",
    prepare: |place| {
        place.write("chrony.conf", CHRONY_CONF)?;
        Ok(place.launch("chronyd").args(CHRONYD))
    },
    ..CHRONY
};

pub(super) const COTURN: Server = Server {
    program: "turnserver",
    package: "coturn",
    url: "stun://127.0.0.1",
    prepare: |place| {
        let directory = place.path()?;
        let files = [format!("--pidfile={directory}/pid"), format!("--db={directory}/db")];
        Ok(place.launch("turnserver").args(TURNSERVER.split(' ')).args(files))
    },
};

/// It answers nobody without credentials.
pub(super) const COTURN_CLOSED: Server = Server {
    url: "stun://127.0.0.1?accept=401",
    prepare: |place| Ok((COTURN.prepare)(place)?.arg("--secure-stun")),
    ..COTURN
};

pub(super) const SNMPD: Server = Server {
    program: "snmpd",
    package: "snmpd",
    url: "snmp://127.0.0.1",
    prepare: |place| {
        place.write("snmpd.conf", SNMPD_CONF)?;
        let server = place.launch("snmpd").env("SNMP_PERSISTENT_DIR", place.path()?);
        Ok(server.args(["-f", "-C", "-c", "snmpd.conf", "-Lo", "-p", "pid"]))
    },
};

pub(super) const FREERADIUS: Server = Server {
    program: "freeradius",
    package: "freeradius",
    url: "radius://127.0.0.1?secret-file=DIR/secret",
    prepare: |place| {
        place.write("radiusd.conf", FREERADIUS_CONF)?;
        place.write("secret", "testing123\n")?;
        let server = place.launch("freeradius").args(["-f", "-l", "stdout", "-n", "radiusd", "-d"]);
        Ok(server.arg(place.path()?))
    },
};

pub(super) const KAMAILIO: Server = Server {
    program: "kamailio",
    package: "kamailio",
    url: "sip://127.0.0.1",
    prepare: |place| {
        place.write("kamailio.cfg", KAMAILIO_CFG)?;
        let server = place.launch("kamailio").args(["-DD", "-E", "-u", "root", "-g", "root"]);
        let pid = format!("{}/pid", place.path()?);
        Ok(server.args(["-f", "kamailio.cfg", "-P", &pid, "-Y"]).arg(place.path()?))
    },
};

pub(super) const LIBCOAP: Server = Server {
    program: "coap-server-notls",
    package: "libcoap3-bin",
    url: "coap://127.0.0.1/time",
    prepare: |place| Ok(place.launch("coap-server-notls").args(["-A", "127.0.0.1", "-p", "5683"])),
};

pub(super) const NGTCP2: Server = Server {
    program: "gtlsserver",
    package: "ngtcp2-server",
    url: "quic://127.0.0.1",
    prepare: |place| {
        certificate(place)?;
        Ok(place.launch("gtlsserver").args(["-q", "127.0.0.1", "443", "key.pem", "cert.pem"]))
    },
};

pub(super) const MUMBLE: Server = Server {
    program: "murmurd",
    package: "mumble-server",
    url: "mumble://127.0.0.1",
    prepare: |place| {
        place.write("murmur.ini", MURMUR_INI)?;
        // It becomes a user of its own.
        place.run("chmod 777 .")?;
        Ok(place.launch("murmurd").args(["-fg", "-ini", "murmur.ini"]))
    },
};

pub(super) const OPENVPN: Server = Server {
    program: "openvpn",
    package: "openvpn",
    url: "openvpn://127.0.0.1",
    prepare: |place| Ok((OPENVPN_PEER.prepare)(place)?.args(OPENVPN_MODE)),
};

/// Point-to-point: one session at a time.
pub(super) const OPENVPN_PEER: Server = Server {
    prepare: |place| {
        certificate(place)?;
        Ok(place.launch("openvpn").args(OPENVPN_ARGS.split(' ')))
    },
    ..OPENVPN
};

pub(super) const STRONGSWAN: Server = Server {
    program: "/usr/lib/ipsec/charon",
    package: "strongswan-charon",
    url: "ike://127.0.0.1",
    prepare: |place| {
        place.write("strongswan.conf", STRONGSWAN_CONF)?;
        let configured = format!("{}/strongswan.conf", place.path()?);
        // Its file of the process id has a fixed place, so that it gets a /run of its own.
        let start = format!("mount -t tmpfs none /run; exec {}", STRONGSWAN.program);
        let server = place.launch("unshare").args(["--mount", "sh", "-ec", &start]);
        Ok(server.env("STRONGSWAN_CONF", configured))
    },
};

/// A key and a certificate that it signed itself.
fn certificate(place: &Place<'_>) -> Result<()> {
    let new = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem";
    place.run(&format!("{new} -subj /CN=test -days 9 2>&1"))
}

const UNBOUND_CONF: &str = r#"server:
  interface: 127.0.0.1
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "DIR"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  nsid: "ascii_probe1"
  local-zone: "example.org." static
  local-data: "example.org. 300 IN SOA ns.example.org. admin.example.org. 7 1 1 1 1"
  local-data: "example.org. 300 IN A 192.0.2.7"
  local-data: "example.org. 300 IN MX 10 mail.example.org."
  local-zone: "refused.example." refuse
  local-zone: "deny.example." deny
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@5399
remote-control:
  control-enable: no
"#;

/// Two replies a second, and every second one above that cut short.
const BIND_CONF: &str = r#"options {
  directory "DIR";
  listen-on port 53 { 127.0.0.1; };
  listen-on-v6 { none; };
  recursion no;
  pid-file none;
  session-keyfile none;
  server-id "probe1";
  rate-limit { responses-per-second 2; window 5; slip 2; };
};
controls { };
zone "example.org" { type primary; file "zone"; };
"#;

const BIND_ZONE: &str = "$TTL 300
@ SOA ns hostmaster 2026112601 3600 600 86400 300
@ NS ns
@ A 192.0.2.7
ns A 192.0.2.53
";

const CHRONY_CONF: &str = "allow 127.0.0.1
cmdport 0
bindaddress 127.0.0.1
pidfile DIR/pid
";

const CHRONYD: [&str; 7] = ["-d", "-x", "-U", "-u", "root", "-f", "chrony.conf"];

const TURNSERVER: &str = "-n --listening-ip=127.0.0.1 --no-tls --no-dtls --no-cli --log-file=stdout \
                          --lt-cred-mech --user=u:p --realm=example.org";

const SNMPD_CONF: &str = "agentAddress udp:127.0.0.1:161
rocommunity public 127.0.0.1
rouser nobody
sysName a host
";

const FREERADIUS_CONF: &str = "prefix = /usr
logdir = DIR
run_dir = DIR
security {
  allow_vulnerable_openssl = yes
  status_server = yes
}
thread pool {
  start_servers = 1
  max_servers = 4
}
modules {
  always ok {
    rcode = ok
  }
  always reject {
    rcode = reject
  }
}
client localhost {
  ipaddr = 127.0.0.1
  secret = testing123
  require_message_authenticator = yes
}
server probe {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = 1812
  }
  listen {
    type = acct
    ipaddr = 127.0.0.1
    port = 1813
  }
  authorize {
    Autz-Type Status-Server {
      ok
    }
    reject
  }
  accounting {
    Acct-Type Status-Server {
      ok
    }
  }
}
";

const KAMAILIO_CFG: &str = r#"fork=no
children=1
log_stderror=yes
listen=udp:127.0.0.1:5060
disable_tcp=yes
loadmodule "sl.so"
loadmodule "maxfwd.so"
loadmodule "pv.so"
loadmodule "textops.so"
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483","Too Many Hops"); exit; }
  if ($rU=="nobody") { sl_send_reply("404","Not Found"); exit; }
  if ($rU=="busy") {
    append_to_reply("Retry-After: 5\r\n");
    sl_send_reply("503","Service Unavailable");
    exit;
  }
  if (method=="OPTIONS") { sl_send_reply("200","OK"); exit; }
}
"#;

const MURMUR_INI: &str = "database=DIR/murmur.sqlite
host=127.0.0.1
users=10
bandwidth=72000
";

/// A device that needs no driver.
const OPENVPN_ARGS: &str = "--tls-server --proto udp --local 127.0.0.1 --lport 1194 --ca cert.pem \
                            --cert cert.pem --key key.pem --dh none --dev null --ifconfig-noexec";

/// It may be asked more than 100 times in ten seconds.
const OPENVPN_MODE: [&str; 7] =
    ["--dev-type", "tun", "--mode", "server", "--connect-freq-initial", "10000", "10"];

const STRONGSWAN_CONF: &str = "charon {
  load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default stroke
  filelog {
    stderr {
      default = 1
    }
  }
}
";
