//! Endpoints: `host:port` in every form a person types it, resolution, and how an address is shown.
//!
//! Accepted are `host`, `host:port`, `1.2.3.4:port`, `[v6]`, `[v6]:port`, a bare `v6`,
//! `[v6%zone]:port`, `:port`, and each behind `udp://`. A port is a number or one of the system's
//! service names (`services(5)`). What is probably a slip is an error with a
//! [hint](ParseEndpointError::hint) that has the right form. An IPv4-mapped IPv6 address
//! (`::ffff:1.2.3.4`, RFC 4291 §2.5.5.2) is an IPv4 address everywhere. Nothing here opens a
//! socket; [`Endpoint::resolve`] asks the system's resolver (`getaddrinfo(3)`).

mod parse;
mod resolve;

pub use parse::ParseEndpointError;
pub use resolve::ResolveError;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The port that the programs serve and ask when none is given.
pub const DEFAULT_PORT: u16 = 7000;

/// Which family of addresses may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Family {
    /// Either, in the resolver's order.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

impl Family {
    /// Whether `address` may be used.
    pub fn admits(self, address: IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => canonical_ip(address).is_ipv4(),
            Family::V6 => canonical_ip(address).is_ipv6(),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Any => "IP",
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// What an endpoint is for: without a host, one to serve stands for every address of this host,
/// one to ask for the loopback address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// An address to bind.
    Serve,
    /// An address to send to. Port 0 cannot be asked.
    Ask,
}

/// A host and perhaps a port, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Host,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Host {
    /// `:port`
    None,
    Ip(IpAddr),
    /// An IPv6 address with a zone: the resolver turns the zone into an interface.
    Zoned(Ipv6Addr, String),
    Name(String),
}

impl Endpoint {
    /// The endpoint of an address that is already known.
    pub fn from_addr(address: SocketAddr) -> Self {
        let address = canonical(address);
        Endpoint { host: Host::Ip(address.ip()), port: Some(address.port()) }
    }

    /// The port, if one was typed.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The host as it was typed, without brackets; empty for `:port`.
    pub fn host_text(&self) -> String {
        match &self.host {
            Host::None => String::new(),
            Host::Ip(ip) => ip.to_string(),
            Host::Zoned(ip, zone) => format!("{ip}%{zone}"),
            Host::Name(name) => name.clone(),
        }
    }

    /// `host:port` as it was typed, with the port filled in: how a target is called in headers.
    pub fn label(&self, default_port: u16) -> String {
        let port = self.port.unwrap_or(default_port);
        match &self.host {
            Host::Ip(IpAddr::V6(_)) | Host::Zoned(..) => format!("[{}]:{port}", self.host_text()),
            _ => format!("{}:{port}", self.host_text()),
        }
    }

    /// The same with the host filled in that one to ask stands for where none was typed: how a
    /// target is called in what people and scripts read.
    #[must_use]
    pub fn asked(self, family: Family) -> Self {
        match self.host {
            Host::None => Endpoint { host: Host::Ip(unnamed(Role::Ask, family)), ..self },
            _ => self,
        }
    }

    /// Whether the host is a name, whose addresses may change.
    pub fn is_name(&self) -> bool {
        self.name().is_some()
    }

    /// The host, if it is a name.
    pub fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// What `:port` stands for.
fn unnamed(role: Role, family: Family) -> IpAddr {
    match (role, family) {
        (Role::Serve, Family::V6) => Ipv6Addr::UNSPECIFIED.into(),
        (Role::Serve, _) => Ipv4Addr::UNSPECIFIED.into(),
        (Role::Ask, Family::V6) => Ipv6Addr::LOCALHOST.into(),
        (Role::Ask, _) => Ipv4Addr::LOCALHOST.into(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&self.label(port)),
            None => {
                let text = self.host_text();
                // What would be read as an address and a port.
                match parse::missing_brackets(&text) {
                    Some(_) => write!(f, "[{text}]"),
                    None => f.write_str(&text),
                }
            }
        }
    }
}

/// `address` with an IPv4-mapped IPv6 address turned into the IPv4 address it is.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

/// `ip` with an IPv4-mapped IPv6 address turned into the IPv4 address it is.
pub fn canonical_ip(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// An address as the tutorial prints it: `('127.0.0.1', 7000)`.
///
/// A link-local IPv6 address carries its zone, without which it says nothing.
///
/// ```
/// use udp_core::endpoint::Shown;
/// assert_eq!(Shown("127.0.0.1:7000".parse().unwrap()).to_string(), "('127.0.0.1', 7000)");
/// assert_eq!(Shown("[::ffff:1.2.3.4]:5".parse().unwrap()).to_string(), "('1.2.3.4', 5)");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown(pub SocketAddr);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "('{}', {})", ip_text(self.0), self.0.port())
    }
}

/// The host part of an address, with its zone (RFC 4007 §11): `127.0.0.1`, `fe80::1%eth0`.
pub fn ip_text(address: SocketAddr) -> String {
    match canonical(address) {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            format!("{}%{}", v6.ip(), crate::zone::name(v6.scope_id()))
        }
        address => address.ip().to_string(),
    }
}

/// An address as headers and messages write it: `127.0.0.1:7000`, `[::1]:7000`.
pub fn host_port(address: SocketAddr) -> String {
    match canonical(address) {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("[{}]:{}", ip_text(address), v6.port()),
        address => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str, role: Role, family: Family) -> Result<String, String> {
        let endpoint: Endpoint = text.parse().map_err(|e: ParseEndpointError| e.to_string())?;
        let found = endpoint.resolve(role, family, DEFAULT_PORT).map_err(|e| e.to_string())?;
        Ok(host_port(found[0]))
    }

    #[test]
    fn every_form_stands_for_its_address() {
        use Family::{Any, V4, V6};
        use Role::{Ask, Serve};
        let cases = [
            ("127.0.0.1", Ask, Any, "127.0.0.1:7000"),
            ("127.0.0.1:9", Ask, Any, "127.0.0.1:9"),
            ("[::1]", Ask, Any, "[::1]:7000"),
            ("[::1]:9", Ask, Any, "[::1]:9"),
            ("::1", Ask, Any, "[::1]:7000"),
            ("2001:db8::1:2", Ask, Any, "[2001:db8::1:2]:7000"),
            ("2001:4860:4860::8844", Ask, Any, "[2001:4860:4860::8844]:7000"),
            ("[2001:db8::1:7000]", Ask, Any, "[2001:db8::1:7000]:7000"),
            ("udp://1.2.3.4:5", Ask, Any, "1.2.3.4:5"),
            ("UDP://1.2.3.4:5", Ask, Any, "1.2.3.4:5"),
            ("udp://1.2.3.4", Ask, Any, "1.2.3.4:7000"),
            ("udp://[::1]:5/", Ask, Any, "[::1]:5"),
            ("udp://:5", Serve, Any, "0.0.0.0:5"),
            ("udp://:5", Ask, V6, "[::1]:5"),
            ("::", Serve, Any, "[::]:7000"),
            ("::ffff:127.0.0.1", Ask, Any, "127.0.0.1:7000"),
            ("[::ffff:10.0.0.1]:5", Ask, V4, "10.0.0.1:5"),
            (":9", Serve, Any, "0.0.0.0:9"),
            (":9", Serve, V6, "[::]:9"),
            (":9", Ask, Any, "127.0.0.1:9"),
            (":9", Ask, V4, "127.0.0.1:9"),
            (":9", Ask, V6, "[::1]:9"),
            (":0", Serve, Any, "0.0.0.0:0"),
            ("localhost:9", Ask, V4, "127.0.0.1:9"),
            ("1.2.3.4:65535", Ask, Any, "1.2.3.4:65535"),
        ];
        for (text, role, family, expected) in cases {
            assert_eq!(resolve(text, role, family).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        let cases = [
            ("", "a host or :port is needed"),
            (":", "the port is not a number from 0 to 65535 or a service's name"),
            ("host:", "the port is not a number from 0 to 65535 or a service's name"),
            ("host:70000", "the port is not a number from 0 to 65535 or a service's name"),
            ("host:+7", "the port is not a number from 0 to 65535 or a service's name"),
            ("host:-1", "the port is not a number from 0 to 65535 or a service's name"),
            (
                "host:no-such-service",
                "the port is not a number from 0 to 65535 or a service's name",
            ),
            ("[::1", "expected [address]:port"),
            ("[::1]9", "expected [address]:port"),
            ("[]:9", "not an IPv6 address"),
            ("1:2:3", "not an IPv6 address"),
            ("::1%", "not an IPv6 address"),
            ("::ffff:1.2.3.4%lo", "not an IPv6 address"),
            ("a b?", "not a host name"),
            ("-x:7000", "not a host name"),
            ("ho/st", "not a host name"),
            ("host\u{1b}[2J", "not a host name"),
            ("user:password@[::1]:7000", "there is no user before a host"),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, Role::Ask, Family::Any), Err(expected.into()), "{text}");
        }
    }

    #[test]
    fn targets_of_both_families_are_asked_from_what_has_an_address_of_each() {
        for (bind, family, expected) in [
            (":5", Family::Any, [Some("0.0.0.0:5"), Some("[::]:5")]),
            (":5", Family::V6, [None, Some("[::]:5")]),
            (":5", Family::V4, [Some("0.0.0.0:5"), None]),
            ("127.0.0.1", Family::Any, [Some("127.0.0.1:0"), None]),
            ("[::1]:7", Family::Any, [None, Some("[::1]:7")]),
        ] {
            let endpoint: Endpoint = bind.parse().unwrap();
            let expected = expected.map(|it| it.map(|it| it.parse().unwrap()));
            assert_eq!(endpoint.locals(family).unwrap(), expected, "{bind} {family}");
        }
    }

    #[test]
    fn a_probable_slip_is_refused_with_the_right_form() {
        for (text, error, hint) in [
            ("7000", "a number alone is no host", "write :7000, or HOST:7000"),
            ("::1:7000", "an IPv6 address with a port needs brackets", "write [::1]:7000"),
            ("::1:53", "an IPv6 address with a port needs brackets", "write [::1]:53"),
            (
                "2001:db8::1:7000",
                "an IPv6 address with a port needs brackets",
                "write [2001:db8::1]:7000",
            ),
            (
                "fe80::1%eth0:53",
                "an IPv6 address with a port needs brackets",
                "write [fe80::1%eth0]:53",
            ),
            (
                "ff02::1:3",
                "a link-local address needs its zone",
                "write ff02::1:3%INTERFACE, such as ff02::1:3%eth0",
            ),
            (
                "[fe80::1]:7000",
                "a link-local address needs its zone",
                "write [fe80::1%INTERFACE]:7000, such as [fe80::1%eth0]:7000",
            ),
            (
                "fe80::1:7000",
                "a link-local address needs its zone",
                "write [fe80::1%INTERFACE]:7000, such as [fe80::1%eth0]:7000",
            ),
            ("300.1.1.1", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("127.1:7000", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("0x7f000001", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("[1.2.3.4]:9", "brackets are for IPv6 addresses", "write 1.2.3.4:9"),
            ("[localhost]:9", "brackets are for IPv6 addresses", "write localhost:9"),
            ("1.2.3.4, 9", "not a host name", "write 1.2.3.4:9"),
            ("host: 7", "not a host name", "write host:7"),
            ("host ntp", "not a host name", "write host:ntp"),
            ("::1\t9", "not a host name", "write [::1]:9"),
            ("*:9", "not a host name", "write :9"),
            ("h\u{1}: 7", "not a host name", "write h\\x01:7"),
            ("http://host:1", "no such scheme", "write udp://HOST:PORT or HOST:PORT"),
        ] {
            let slip = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(
                (slip.to_string(), slip.hint()),
                (error.into(), Some(hint.into())),
                "{text}"
            );
        }
    }

    #[test]
    fn a_port_may_be_a_services_name() {
        let table = "# comment\nntp\t124/tcp\nhttp 80/tcp\nntp\t123/udp\t# clock\nsip 5060/udp voip\nx y/udp\n";
        for (name, port) in [
            ("ntp", Some(123)),
            ("http", Some(80)),
            ("voip", Some(5060)),
            ("clock", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(parse::service_port(table, name), port, "{name}");
        }
    }

    #[test]
    fn an_endpoint_without_a_usable_address_says_so() {
        let cases = [
            (
                "::1",
                Family::V4,
                "cannot resolve ::1: it is an IPv6 address, and IPv4 was asked for",
            ),
            (
                "127.0.0.1:5",
                Family::V6,
                "cannot resolve 127.0.0.1:5: it is an IPv4 address, and IPv6 was asked for",
            ),
            (
                "[::ffff:1.2.3.4]:5",
                Family::V6,
                "cannot resolve 1.2.3.4:5: it is an IPv4 address, and IPv6 was asked for",
            ),
            (
                "127.0.0.1:0",
                Family::Any,
                "cannot resolve 127.0.0.1:0: port 0 is not a valid destination",
            ),
            (
                "[fe80::1%no-such]:5",
                Family::Any,
                "cannot resolve [fe80::1%no-such]:5: no interface is called no-such",
            ),
        ];
        for (text, family, expected) in cases {
            assert_eq!(resolve(text, Role::Ask, family), Err(expected.into()), "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_zone_becomes_an_interface() {
        let lo = nix::net::if_::if_nametoindex("lo").unwrap();
        for (text, shown) in [
            ("[fe80::1%lo]:5".to_string(), "('fe80::1%lo', 5)".to_string()),
            (format!("[fe80::1%{lo}]:5"), "('fe80::1%lo', 5)".to_string()),
            ("[ff02::1%lo]:5".to_string(), "('ff02::1%lo', 5)".to_string()),
            ("[ff05::1%lo]:5".to_string(), "('ff05::1%lo', 5)".to_string()),
            // Where an address says it all, a zone is checked and adds nothing.
            ("[::1%lo]:5".to_string(), "('::1', 5)".to_string()),
            (format!("[::1%{lo}]:5"), "('::1', 5)".to_string()),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            let found = endpoint.resolve(Role::Ask, Family::Any, DEFAULT_PORT).unwrap();
            assert_eq!(Shown(found[0]).to_string(), shown, "{text}");
        }
        for text in ["[::1%no-such]:5", "[fe80::1%0]:5", "[::1%-1]:5"] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert!(endpoint.resolve(Role::Ask, Family::Any, DEFAULT_PORT).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_typed_again() {
        for text in [
            "host",
            "host:5",
            "1.2.3.4:5",
            "[::1]:5",
            "::1",
            "[fe80::1%eth0]:5",
            ":5",
            // Without brackets the last group is taken for a port.
            "[2001:db8::1:2345]",
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.to_string(), text);
            assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }
        let label = |text: &str| text.parse::<Endpoint>().unwrap().label(7000);
        let asked =
            |text: &str, family| text.parse::<Endpoint>().unwrap().asked(family).label(7000);
        assert_eq!(asked(":9", Family::Any), "127.0.0.1:9");
        assert_eq!(asked(":9", Family::V6), "[::1]:9");
        assert_eq!(asked("example", Family::V6), "example:7000");
        assert_eq!(label("example"), "example:7000");
        assert_eq!(label("::1"), "[::1]:7000");
    }
}
