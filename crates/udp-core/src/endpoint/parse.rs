//! Reads an endpoint as it was typed, and tells a probable slip with the right form.
//!
//! Addresses are written as RFC 4291 §2.2 and RFC 4007 §11 have it, ports as in `services(5)`; what
//! `inet_aton(3)` would take for an address (`127.1`, `0x7f000001`) is none here.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::{Endpoint, Host, canonical_ip};
use crate::text::escape::escape;

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
        // An interface's name may hold one.
        if text.split('%').next().is_some_and(|host| host.contains('@')) {
            return Err(ParseEndpointError::User);
        }
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
            if !inside.is_empty() && !inside.contains([':', '%']) {
                return Err(ParseEndpointError::NeedlessBrackets(format!("{inside}{after}")));
            }
            let host = parse_v6(inside).map_err(|error| match error {
                ParseEndpointError::NoZone(ip, _) => {
                    ParseEndpointError::NoZone(ip, Some(after.trim_start_matches(':').into()))
                }
                other => other,
            })?;
            return Ok(Endpoint { host, port });
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
            ip if crate::zone::is_needed(ip) => Err(ParseEndpointError::NoZone(ip, None)),
            ip => Ok(Host::Ip(canonical_ip(ip.into()))),
        },
        Some((ip, zone)) => {
            let ip = address(ip)?;
            // No interface's name holds these two (`dev_valid_name` of Linux).
            let of_a_name = |c: char| c.is_ascii_graphic() && c != ':' && c != '/';
            let plain = !zone.is_empty() && zone.len() < 64 && zone.chars().all(of_a_name);
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
pub(super) fn missing_brackets(text: &str) -> Option<ParseEndpointError> {
    let (host, port) = text.rsplit_once(':')?;
    let ip: Ipv6Addr = host.split('%').next()?.parse().ok()?;
    let number: u16 = port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?;
    let slip = ip.is_loopback() || ip.is_unspecified() || host.contains('%') || number >= 1024;
    slip.then(|| match crate::zone::is_needed(ip) && !host.contains('%') {
        true => ParseEndpointError::NoZone(ip, Some(port.into())),
        false => ParseEndpointError::NoBrackets(format!("[{host}]:{port}")),
    })
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
pub(super) fn service_port(services: &str, name: &str) -> Option<u16> {
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
    /// A link-local address without its zone; the port's text (it may be empty), if it stood in
    /// brackets.
    NoZone(Ipv6Addr, Option<String>),
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
    /// A user before the host.
    User,
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
            ParseEndpointError::NoZone(..) => "a link-local address needs its zone",
            ParseEndpointError::Ipv4 => "not a valid IPv4 address",
            ParseEndpointError::Scheme(_) => "no such scheme",
            ParseEndpointError::Address => "not an IPv6 address",
            ParseEndpointError::Bracket => "expected [address]:port",
            ParseEndpointError::NeedlessBrackets(_) => "brackets are for IPv6 addresses",
            ParseEndpointError::Name(_) => "not a host name",
            ParseEndpointError::User => "there is no user before a host",
        })
    }
}

impl ParseEndpointError {
    /// The right form, where it is obvious.
    pub fn hint(&self) -> Option<String> {
        self.hint_in("", "")
    }

    /// The same, with what stands before the endpoint and behind it.
    pub(crate) fn hint_in(&self, scheme: &str, tail: &str) -> Option<String> {
        let whole = |form: &str| escape(format!("{scheme}{form}{tail}").as_bytes());
        match self {
            ParseEndpointError::BareNumber(number) if number.parse::<u16>().is_err() => None,
            ParseEndpointError::BareNumber(number) => {
                let [any, host] = ["", "HOST"].map(|host| whole(&format!("{host}:{number}")));
                Some(format!("write {any}, or {host}"))
            }
            ParseEndpointError::NoBrackets(form)
            | ParseEndpointError::NeedlessBrackets(form)
            | ParseEndpointError::Name(Some(form)) => Some(format!("write {}", whole(form))),
            ParseEndpointError::NoZone(ip, port) => {
                let (begin, end) = match port.as_deref() {
                    None => ("", String::new()),
                    Some("") => ("[", "]".into()),
                    Some(port) => ("[", format!("]:{port}")),
                };
                let form = |zone| whole(&format!("{begin}{ip}%{zone}{end}"));
                Some(format!("write {}, such as {}", form("INTERFACE"), form("eth0")))
            }
            ParseEndpointError::Ipv4 => Some("four numbers from 0 to 255: 192.0.2.1".into()),
            ParseEndpointError::Scheme(_) => Some("write udp://HOST:PORT or HOST:PORT".into()),
            _ => None,
        }
    }
}

impl std::error::Error for ParseEndpointError {}
