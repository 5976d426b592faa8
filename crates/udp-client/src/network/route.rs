//! Resolves the target's and the local addresses once, at the start, and says how sockets are to be
//! opened.
//!
//! It opens no socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use udp_core::cli::Failure;
use udp_core::endpoint::{Role, host_port};
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
    /// For IPv4 and IPv6 peers, where --bind names any.
    bind: Option<[Option<SocketAddr>; 2]>,
    options: SocketConfig,
}

impl Route {
    /// The target's addresses (at least one), in the resolver's order, and the way to them.
    ///
    /// # Errors
    /// Bad usage: a name that does not resolve, or two addresses that have no family in common.
    pub fn resolve(config: &Config) -> Result<(Vec<SocketAddr>, Route), Failure> {
        let mut peers = config.target.resolve(Role::Ask, config.family, config.default_port)?;
        let mut bind = None;
        if let Some(endpoint) = &config.bind {
            let locals = endpoint.locals(config.family)?;
            let asked = host_port(peers[0]);
            peers.retain(|peer| locals[usize::from(peer.is_ipv6())].is_some());
            if let (true, Some(from)) = (peers.is_empty(), locals.iter().flatten().next()) {
                let from = host_port(*from);
                let reason = format!("cannot ask {asked} from {from}: their families differ");
                return Err(Failure::usage(reason));
            }
            bind = Some(locals);
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

    /// From which addresses a reply may come. A subnet's broadcast address cannot be recognised, so
    /// with `--broadcast` any address may reply.
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
        let bound = self.bind.and_then(|locals| locals[usize::from(v6)]);
        let local = bound.unwrap_or_else(|| SocketAddr::new(any, 0));
        SocketConfig { bind: Some(local), only_v6: v6, ..self.options.clone() }
    }
}
