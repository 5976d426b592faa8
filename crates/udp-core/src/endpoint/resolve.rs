//! The addresses that an endpoint stands for: the system's resolver is asked (`getaddrinfo(3)`), so
//! that hosts(5) and nsswitch.conf(5) count; a zone is an interface (RFC 4007 §11).

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6, ToSocketAddrs};

use super::{Endpoint, Family, Host, Role, canonical, unnamed};

impl Endpoint {
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

    /// For IPv4 and IPv6 targets, the local address that they are asked from: the first of each family
    /// that this has and `family` admits; what has no host stands for any address of both.
    ///
    /// # Errors
    /// As of [`resolve`](Self::resolve).
    pub fn locals(&self, family: Family) -> Result<[Option<SocketAddr>; 2], ResolveError> {
        let found = self.resolve(Role::Serve, family, 0)?;
        if self.host == Host::None && family == Family::Any {
            let v6 = SocketAddr::new(unnamed(Role::Serve, Family::V6), self.port.unwrap_or(0));
            return Ok([found.first().copied(), Some(v6)]);
        }
        let first = |v6| found.iter().find(|address| address.is_ipv6() == v6).copied();
        Ok([first(false), first(true)])
    }
}

/// The resolver's own words, without the standard library's preamble.
fn resolver_reason(error: &std::io::Error) -> String {
    let text = crate::error::describe(error);
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    let mut letters = text.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

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
