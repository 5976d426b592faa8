//! From where to whom: the target's addresses, the local one, and what sockets are to be like.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use udp_core::cli::Failure;
use udp_core::endpoint::{DEFAULT_PORT, Role, host_port};
use udp_core::socket::{ReceiveMode, SocketConfig};

use crate::config::Config;

/// Whose datagrams can be replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The peer's alone.
    One,
    /// Anybody's: a group was asked.
    Many,
}

/// Whom to ask and how.
#[derive(Debug, Clone)]
pub struct Route {
    /// The target's addresses, in the resolver's order. Never empty.
    peers: Vec<SocketAddr>,
    /// Which of them is asked.
    current: usize,
    bind: Option<SocketAddr>,
    options: SocketConfig,
}

impl Route {
    /// Resolves the target, and the local address where one was given.
    ///
    /// # Errors
    /// Bad usage: a name that does not resolve, or two addresses that have no family in common.
    pub fn resolve(config: &Config) -> Result<Route, Failure> {
        let mut peers = config.target.resolve(Role::Ask, config.family, DEFAULT_PORT)?;
        let mut bind = None;
        if let Some(endpoint) = &config.bind {
            let locals = endpoint.resolve(Role::Serve, config.family, 0)?;
            let fits = |peer: &SocketAddr, local: &SocketAddr| peer.is_ipv4() == local.is_ipv4();
            let local = locals.iter().find(|local| peers.iter().any(|peer| fits(peer, local)));
            let Some(&local) = local else {
                let (from, to) = (host_port(locals[0]), host_port(peers[0]));
                let reason = format!("cannot ask {to} from {from}: their families differ");
                return Err(Failure::usage(reason));
            };
            peers.retain(|peer| fits(peer, &local));
            bind = Some(local);
        }
        let options = SocketConfig {
            ttl: config.ttl,
            dscp: config.dscp,
            broadcast: config.broadcast,
            mode: ReceiveMode::NonBlocking,
            ..SocketConfig::default()
        };
        Ok(Route { peers, current: 0, bind, options })
    }

    /// Who is asked now.
    pub fn peer(&self) -> SocketAddr {
        let peer = self.peers.get(self.current).or(self.peers.first());
        peer.copied().unwrap_or_else(|| SocketAddr::new(unspecified(false), 0))
    }

    /// How many addresses the target has.
    pub fn addresses(&self) -> usize {
        self.peers.len()
    }

    /// `peer` does not answer: unless another is asked already, the next is, after the last one the
    /// first again.
    pub fn turn_from(&mut self, peer: SocketAddr) {
        if self.peer() == peer {
            self.current = (self.current + 1) % self.peers.len().max(1);
        }
    }

    /// Whose datagrams can be replies. A subnet's broadcast address looks like any other, so the
    /// user's leave to broadcast is what tells it.
    pub fn audience(&self) -> Audience {
        let group = match self.peer().ip() {
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || self.options.broadcast,
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if group { Audience::Many } else { Audience::One }
    }

    /// A socket for it that is not connected, on the local address that was given or any.
    pub fn socket(&self) -> SocketConfig {
        let v6 = self.peer().is_ipv6();
        let local = self.bind.unwrap_or_else(|| SocketAddr::new(unspecified(v6), 0));
        SocketConfig { bind: Some(local), only_v6: v6, ..self.options.clone() }
    }
}

fn unspecified(v6: bool) -> IpAddr {
    if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_turn_and_then_the_first_again() {
        let [six, four]: [SocketAddr; 2] =
            ["[::1]:7000", "127.0.0.1:7000"].map(|text| text.parse().unwrap());
        let options = SocketConfig::default();
        let mut route = Route { peers: vec![six, four], current: 0, bind: None, options };
        assert_eq!((route.peer(), route.socket().only_v6), (six, true));
        route.turn_from(four);
        assert_eq!(route.peer(), six, "another is asked already");
        route.turn_from(six);
        let socket = route.socket();
        assert_eq!((route.peer(), socket.only_v6), (four, false));
        assert_eq!(socket.bind, Some(SocketAddr::new(unspecified(false), 0)));
        route.turn_from(four);
        assert_eq!(route.peer(), six);
    }
}
