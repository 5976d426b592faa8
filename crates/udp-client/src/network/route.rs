//! From where to whom: the target's addresses, the local one, and what sockets are to be like.
//!
//! Resolves names once, at the start; opens nothing.

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

/// From where and how.
#[derive(Debug, Clone)]
pub struct Route {
    bind: Option<SocketAddr>,
    options: SocketConfig,
}

impl Route {
    /// The target's addresses (at least one), in the resolver's order, and the way to them.
    ///
    /// # Errors
    /// Bad usage: a name that does not resolve, or two addresses that have no family in common.
    pub fn resolve(config: &Config) -> Result<(Vec<SocketAddr>, Route), Failure> {
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
            device: config.interface.clone(),
            ttl: config.ttl,
            dscp: config.dscp,
            broadcast: config.broadcast,
            mode: ReceiveMode::NonBlocking,
            ..SocketConfig::default()
        };
        Ok((peers, Route { bind, options }))
    }

    /// Whose datagrams can be replies. A subnet's broadcast address looks like any other, so the
    /// user's leave to broadcast is what tells it.
    pub fn audience(&self, peer: SocketAddr) -> Audience {
        let group = match peer.ip() {
            IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast() || self.options.broadcast,
            IpAddr::V6(ip) => ip.is_multicast(),
        };
        if group { Audience::Many } else { Audience::One }
    }

    /// A socket that is not connected, on the local address that was given or any of `peer`'s family.
    pub fn socket(&self, peer: SocketAddr) -> SocketConfig {
        let (v6, any) = match peer {
            SocketAddr::V4(_) => (false, IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            SocketAddr::V6(_) => (true, IpAddr::V6(Ipv6Addr::UNSPECIFIED)),
        };
        let local = self.bind.unwrap_or_else(|| SocketAddr::new(any, 0));
        SocketConfig { bind: Some(local), only_v6: v6, ..self.options.clone() }
    }
}
