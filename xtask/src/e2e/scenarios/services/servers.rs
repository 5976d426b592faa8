//! The configuration of each real server: the least that makes it answer.

use anyhow::Result;

use super::rig::Place;

/// A key and a certificate that it signed itself.
pub(super) fn certificate(place: &Place<'_>) -> Result<()> {
    let new = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem";
    place.run(&format!("{new} -subj /CN=test -days 9 2>&1"))
}

pub(super) const UNBOUND: &str = r#"server:
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

pub(super) const CHRONY: &str = "local stratum 3
allow 127.0.0.1
cmdport 0
bindaddress 127.0.0.1
pidfile DIR/pid
";

pub(super) const COTURN: [&str; 9] = [
    "-n",
    "--listening-ip=127.0.0.1",
    "--no-tls",
    "--no-dtls",
    "--no-cli",
    "--log-file=stdout",
    "--lt-cred-mech",
    "--user=u:p",
    "--realm=example.org",
];

pub(super) const SNMPD: &str = "agentAddress udp:127.0.0.1:161
rocommunity public 127.0.0.1
rouser nobody
sysName a host
";

pub(super) const FREERADIUS: &str = "prefix = /usr
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

pub(super) const KAMAILIO: &str = r#"fork=no
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

pub(super) const MURMUR: &str = "database=DIR/murmur.sqlite
host=127.0.0.1
users=10
bandwidth=72000
";

pub(super) const OPENVPN: [&str; 26] = [
    "--tls-server",
    "--proto",
    "udp",
    "--local",
    "127.0.0.1",
    "--lport",
    "1194",
    "--ca",
    "cert.pem",
    "--cert",
    "cert.pem",
    "--key",
    "key.pem",
    "--dh",
    "none",
    "--dev",
    "tun",
    "--mode",
    "server",
    "--server",
    "10.8.0.0",
    "255.255.255.0",
    "--topology",
    "subnet",
    "--verb",
    "1",
];

pub(super) const CHARON: &str = "/usr/lib/ipsec/charon";

pub(super) const STRONGSWAN: &str = "charon {
  load = random nonce aes sha1 sha2 hmac kdf openssl kernel-netlink socket-default stroke
  filelog {
    stderr {
      default = 1
    }
  }
}
";
