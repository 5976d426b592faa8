//! Endpoints: `host:port` in every form a person types it, resolution, and how an address is shown.
//!
//! Accepted are `host`, `host:port`, `1.2.3.4:port`, `[v6]`, `[v6]:port`, a bare `v6`,
//! `[v6%zone]:port`, `:port`, and each behind `udp://`. A port is a number or one of the system's
//! service names (`services(5)`). What is probably a slip is an error with a
//! [hint](ParseEndpointError::hint) that has the right form. An IPv4-mapped IPv6 address (`::ffff:1.2.3.4`, RFC 4291 §2.5.5.2)
//! is an IPv4 address everywhere. Nothing here opens a socket; [`Endpoint::resolve`] asks the
//! system's resolver (`getaddrinfo(3)`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::str::FromStr;

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
        matches!(self.host, Host::Name(_))
    }

    /// The addresses this endpoint stands for, in the resolver's order, at least one of them.
    /// May block as long as the resolver does.
    ///
    /// # Errors
    /// When the name does not resolve, has no address of `family`, or port 0 is to be asked.
    pub fn resolve(
        &self,
        role: Role,
        family: Family,
        default_port: u16,
    ) -> Result<Vec<SocketAddr>, ResolveError> {
        let fail = |reason: String| ResolveError { endpoint: self.to_string(), reason };
        let port = self.port.unwrap_or(default_port);
        if port == 0 && role == Role::Ask {
            return Err(fail("port 0 is not a valid destination".into()));
        }
        let found = match &self.host {
            Host::None => vec![SocketAddr::new(unnamed(role, family), port)],
            Host::Ip(ip) => vec![SocketAddr::new(*ip, port)],
            Host::Zoned(ip, zone) => {
                let index = crate::zone::index(*ip, zone)
                    .ok_or_else(|| fail(format!("no interface is called {zone}")))?;
                vec![SocketAddrV6::new(*ip, port, 0, index).into()]
            }
            Host::Name(name) => (name.as_str(), port)
                .to_socket_addrs()
                .map_err(|error| fail(resolver_reason(&error)))?
                .collect(),
        };
        let mut usable: Vec<SocketAddr> = Vec::with_capacity(found.len());
        for address in found.into_iter().map(canonical) {
            if family.admits(address.ip()) && !usable.contains(&address) {
                usable.push(address);
            }
        }
        if usable.is_empty() {
            if matches!(self.host, Host::Ip(_) | Host::Zoned(..)) {
                let other = if family == Family::V4 { Family::V6 } else { Family::V4 };
                return Err(fail(format!("it is an {other} address, and {family} was asked for")));
            }
            return Err(fail(format!("it has no {family} address")));
        }
        Ok(usable)
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

/// The resolver's own words, without the standard library's preamble.
fn resolver_reason(error: &std::io::Error) -> String {
    let text = crate::error::describe(error);
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = match text.split_once("://") {
            // A scheme has no case (RFC 3986 §3.1).
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("udp") => {
                rest.strip_suffix('/').unwrap_or(rest)
            }
            Some((scheme, _)) => return Err(ParseEndpointError::Scheme(scheme.to_string())),
            None => text,
        };
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseEndpointError::BareNumber(text.to_string()));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or(ParseEndpointError::Bracket)?;
            let port = match after.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if after.is_empty() => None,
                None => return Err(ParseEndpointError::Bracket),
            };
            if inside.parse::<Ipv4Addr>().is_ok() {
                return Err(ParseEndpointError::NeedlessBrackets(format!("{inside}{after}")));
            }
            return Ok(Endpoint { host: parse_v6(inside)?, port });
        }
        if let Some(form) = other_separator(text) {
            return Err(ParseEndpointError::Name(Some(form)));
        }
        // More than one colon without brackets can only be an IPv6 address.
        if text.matches(':').count() > 1 {
            if let Some(slip) = missing_brackets(text) {
                return Err(slip);
            }
            let host = parse_v6(text)?;
            return Ok(Endpoint { host, port: None });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (text, None),
        };
        let host = match host {
            "" if port.is_some() => Host::None,
            "" => return Err(ParseEndpointError::Empty),
            _ => match host.parse::<Ipv4Addr>() {
                Ok(ip) => Host::Ip(ip.into()),
                // The resolver would take `300.1` for 300.0.0.1 and `0x7f000001` for 127.0.0.1
                // (`inet_aton(3)`), and a top-level domain is never a number (RFC 3696 §2).
                Err(_) if ends_in_a_number(host) => return Err(ParseEndpointError::Ipv4),
                Err(_) if is_name(host) => Host::Name(host.to_string()),
                Err(_) => {
                    let every = (host == "*" && port.is_some()).then(|| text[1..].to_string());
                    return Err(ParseEndpointError::Name(every));
                }
            },
        };
        Ok(Endpoint { host, port })
    }
}

/// An IPv6 address with or without a zone; a mapped one is IPv4, which has no zones.
fn parse_v6(text: &str) -> Result<Host, ParseEndpointError> {
    let address = |text: &str| text.parse::<Ipv6Addr>().map_err(|_| ParseEndpointError::Address);
    match text.split_once('%') {
        None => match address(text)? {
            // Which link is meant nobody can know (RFC 4007 §6).
            ip if crate::zone::is_needed(ip) => Err(ParseEndpointError::NoZone(ip)),
            ip => Ok(Host::Ip(canonical_ip(ip.into()))),
        },
        Some((ip, zone)) => {
            let ip = address(ip)?;
            let plain =
                !zone.is_empty() && zone.len() < 64 && zone.chars().all(|c| c.is_ascii_graphic());
            if plain && ip.to_ipv4_mapped().is_none() {
                Ok(Host::Zoned(ip, zone.to_string()))
            } else {
                Err(ParseEndpointError::Address)
            }
        }
    }
}

/// Whether a bare IPv6 address was probably meant as `[address]:port`: what stands before its last
/// colon is an address too, and what follows is no address's usual last group but a port's number.
fn missing_brackets(text: &str) -> Option<ParseEndpointError> {
    let (host, port) = text.rsplit_once(':')?;
    let ip: Ipv6Addr = host.split('%').next()?.parse().ok()?;
    let number: u16 = port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?;
    let slip = ip.is_loopback() || ip.is_unspecified() || host.contains('%') || number >= 1024;
    slip.then(|| ParseEndpointError::NoBrackets(format!("[{host}]:{port}")))
}

fn ends_in_a_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x").or(last.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
    }
}

/// The right form of a host and a port with something other than a colon between them.
fn other_separator(text: &str) -> Option<String> {
    let between = [' ', '\t', ',', ';'];
    let (host, port) = text.trim().split_once(between)?;
    let port = port.trim_start_matches(between);
    let plain = !port.is_empty() && port.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let host = host.strip_suffix(':').unwrap_or(host);
    let host = match host.parse::<Ipv6Addr>() {
        Ok(ip) => format!("[{ip}]"),
        Err(_) if host.is_empty() || host.contains(':') => return None,
        Err(_) => host.to_string(),
    };
    plain.then(|| format!("{host}:{port}"))
}

/// A port: decimal digits alone (no sign, no blanks), 0 to 65535; or a service's name.
fn parse_port(text: &str) -> Result<u16, ParseEndpointError> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| ParseEndpointError::Port);
    }
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    service_port(&services, text).ok_or(ParseEndpointError::Port)
}

/// The port of a service's name or alias in a table as `services(5)` describes: that of UDP, or of
/// another protocol where there is none.
fn service_port(services: &str, name: &str) -> Option<u16> {
    let entries = services.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_ascii_whitespace();
        let official = words.next()?;
        let (port, protocol) = words.next()?.split_once('/')?;
        (official == name || words.any(|alias| alias == name)).then_some((port, protocol))
    });
    let (port, _) = entries.min_by_key(|(_, protocol)| *protocol != "udp")?;
    port.parse().ok()
}

/// Whether a host name could be looked up at all: no blanks, controls or delimiters, at most the
/// 253 characters of RFC 1035 §2.3.4 (and the final dot). Underscores and non-ASCII letters are
/// left to the resolver.
fn is_name(text: &str) -> bool {
    text.len() <= 254
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'))
        && !text.starts_with(['.', '-'])
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => f.write_str(&self.label(port)),
            None => f.write_str(&self.host_text()),
        }
    }
}

/// Why a text is no endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseEndpointError {
    /// Nothing there.
    Empty,
    /// The port is no number from 0 to 65535, nor a service's name.
    Port,
    /// A number alone, which is probably a port.
    BareNumber(String),
    /// An IPv6 address and a port without brackets; this is how it was probably meant.
    NoBrackets(String),
    /// A link-local address without its zone.
    NoZone(Ipv6Addr),
    /// A host that ends in a number and is no IPv4 address.
    Ipv4,
    /// A scheme other than `udp`.
    Scheme(String),
    /// No IPv6 address where only one can stand.
    Address,
    /// A bracket is missing, or something other than `:port` follows it.
    Bracket,
    /// Brackets around an IPv4 address; this is how it was probably meant.
    NeedlessBrackets(String),
    /// The host can be no name; perhaps this was meant.
    Name(Option<String>),
}

impl fmt::Display for ParseEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseEndpointError::Empty => "a host or :port is needed",
            ParseEndpointError::Port => {
                "the port is not a number from 0 to 65535 or a service's name"
            }
            ParseEndpointError::BareNumber(_) => "a number alone is no host",
            ParseEndpointError::NoBrackets(_) => "an IPv6 address with a port needs brackets",
            ParseEndpointError::NoZone(_) => "a link-local address needs its zone",
            ParseEndpointError::Ipv4 => "not a valid IPv4 address",
            ParseEndpointError::Scheme(_) => "no such scheme",
            ParseEndpointError::Address => "not an IPv6 address",
            ParseEndpointError::Bracket => "expected [address]:port",
            ParseEndpointError::NeedlessBrackets(_) => "brackets are for IPv6 addresses",
            ParseEndpointError::Name(_) => "not a host name",
        })
    }
}

impl ParseEndpointError {
    /// The right form, where it is obvious.
    pub fn hint(&self) -> Option<String> {
        match self {
            ParseEndpointError::BareNumber(number) => {
                Some(format!("write :{number}, or HOST:{number}"))
            }
            ParseEndpointError::NoBrackets(form)
            | ParseEndpointError::NeedlessBrackets(form)
            | ParseEndpointError::Name(Some(form)) => Some(format!("write {form}")),
            ParseEndpointError::NoZone(ip) => {
                Some(format!("write {ip}%INTERFACE, such as {ip}%eth0"))
            }
            ParseEndpointError::Ipv4 => Some("four numbers from 0 to 255: 192.0.2.1".into()),
            ParseEndpointError::Scheme(_) => Some("write udp://HOST:PORT or HOST:PORT".into()),
            _ => None,
        }
    }
}

impl std::error::Error for ParseEndpointError {}

/// Why an endpoint has no address: `cannot resolve nowhere.invalid: name or service not known`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveError {
    endpoint: String,
    reason: String,
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot resolve {}: {}", self.endpoint, self.reason)
    }
}

impl std::error::Error for ResolveError {}

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
            ("[localhost]:9", "not an IPv6 address"),
            ("1:2:3", "not an IPv6 address"),
            ("::1%", "not an IPv6 address"),
            ("::ffff:1.2.3.4%lo", "not an IPv6 address"),
            ("a b?", "not a host name"),
            ("-x:7000", "not a host name"),
            ("ho/st", "not a host name"),
            ("host\u{1b}[2J", "not a host name"),
        ];
        for (text, expected) in cases {
            assert_eq!(resolve(text, Role::Ask, Family::Any), Err(expected.into()), "{text}");
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
                "write fe80::1%INTERFACE, such as fe80::1%eth0",
            ),
            ("300.1.1.1", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("127.1:7000", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("0x7f000001", "not a valid IPv4 address", "four numbers from 0 to 255: 192.0.2.1"),
            ("[1.2.3.4]:9", "brackets are for IPv6 addresses", "write 1.2.3.4:9"),
            ("1.2.3.4, 9", "not a host name", "write 1.2.3.4:9"),
            ("host: 7", "not a host name", "write host:7"),
            ("host ntp", "not a host name", "write host:ntp"),
            ("::1\t9", "not a host name", "write [::1]:9"),
            ("*:9", "not a host name", "write :9"),
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
            assert_eq!(service_port(table, name), port, "{name}");
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
        for text in ["host", "host:5", "1.2.3.4:5", "[::1]:5", "::1", "[fe80::1%eth0]:5", ":5"] {
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
