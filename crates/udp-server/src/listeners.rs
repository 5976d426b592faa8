//! Opens the sockets that the configuration names, before anything is served.
//!
//! Several workers of one address share its port by SO_REUSEPORT, under which the kernel would
//! also let a second server of the same user in: so a plain socket is bound first and closed
//! again, which fails while anyone else is there. The option is never cleared afterwards, or all
//! traffic would fall to one socket. The same goes for SO_REUSEADDR, under which the kernel would
//! let us in beside another user's socket that has it too.

use std::net::{SocketAddr, UdpSocket};

use udp_core::cli::Failure;
use udp_core::endpoint::{DEFAULT_PORT, Role, host_port};
use udp_core::error::{Error, Operation, describe};
use udp_core::socket::{self, Adopted, Granted, SocketConfig};
use udp_core::{Endpoint, ErrorClass, Family, stamp};

use crate::config::{BufferSize, Config, Reply};
use crate::event::{Kind, Service};
use crate::systemd::Inherited;

/// An address that is served, and its sockets: one for each worker.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Where, and what.
    pub(crate) service: Service,
    /// At least one.
    pub(crate) sockets: Vec<UdpSocket>,
    /// What the socket was like, if the service manager passed it.
    pub(crate) adopted: Option<Adopted>,
}

/// Opens everything that `config` names, beside what the service manager passed.
///
/// # Errors
/// A name that does not resolve, or the first socket that cannot be opened.
pub(crate) fn open_all(
    config: &Config,
    inherited: Vec<Inherited>,
) -> Result<Vec<Listener>, Failure> {
    let echo = if config.reply == Reply::Nothing { Kind::Sink } else { Kind::Echo };
    let default = (config.binds.is_empty() && inherited.is_empty()).then(|| config.default_bind());
    let binds = config.binds.iter().chain(&default).map(|bind| (bind, DEFAULT_PORT, echo));
    let stamps = config.stamps.iter().map(|bind| (bind, stamp::DEFAULT_PORT, Kind::Stamp));
    let mut wanted: Vec<Wanted> = Vec::new();
    for (endpoint, default_port, kind) in binds.chain(stamps) {
        let addresses = endpoint.resolve(Role::Serve, config.family, default_port)?;
        let optional = addresses.len() > 1;
        for address in addresses {
            let same = |it: &Wanted| (it.address, it.kind) == (address, kind);
            if address.port() == 0 || !wanted.iter().any(same) {
                wanted.push(Wanted { endpoint, address, kind, optional });
            }
        }
    }
    if config.workers > 1 && !inherited.is_empty() {
        return Err(Failure::usage("a socket passed by the service manager has one worker"));
    }
    if config.interface.is_some() && !inherited.is_empty() {
        return Err(Failure::usage(
            "--interface is not for a socket that the service manager passes",
        )
        .with_hint("write BindToDevice= into the socket unit"));
    }
    let mut listeners = Vec::with_capacity(inherited.len() + wanted.len());
    for Inherited { socket, stamp } in inherited {
        let kind = if stamp { Kind::Stamp } else { echo };
        listeners.push(adopt(config, socket, kind)?);
    }
    for it in &wanted {
        let only_v6 = config.family == Family::V6 || has_v4_twin(it.address, &wanted);
        match open(config, it.address, it.kind, only_v6) {
            Ok(listener) => listeners.push(listener),
            // Where a host has no IPv6, its own name may still have such an address.
            Err(error) if it.optional && is_no_address_of_this_host(&error) => log::warn!(
                "{} is not served at {}: {}",
                it.endpoint,
                host_port(it.address),
                describe(&error.source)
            ),
            Err(error) => return Err(error.into()),
        }
    }
    match (listeners.is_empty(), wanted.first()) {
        (true, Some(it)) => {
            Err(Failure::local(format!("cannot bind {}: no address of this host", it.endpoint)))
        }
        _ => Ok(listeners),
    }
}

/// An address to serve.
struct Wanted<'a> {
    endpoint: &'a Endpoint,
    address: SocketAddr,
    kind: Kind,
    /// Whether it is one of several that a name has.
    optional: bool,
}

fn is_no_address_of_this_host(error: &Error) -> bool {
    error.class() == ErrorClass::AddressNotAvailable
        || error.source.kind() == std::io::ErrorKind::Unsupported
}

/// Whether an IPv4 address is to be served on the same port beside `[::]`, which would otherwise
/// claim it too.
fn has_v4_twin(address: SocketAddr, wanted: &[Wanted<'_>]) -> bool {
    let twin = |it: &Wanted| it.address.is_ipv4() && it.address.port() == address.port();
    address.ip().is_unspecified()
        && address.is_ipv6()
        && address.port() != 0
        && wanted.iter().any(twin)
}

fn open(
    config: &Config,
    mut address: SocketAddr,
    kind: Kind,
    only_v6: bool,
) -> Result<Listener, Error> {
    // The kernel gives a copy of a group's datagram to every socket of the port.
    let workers = if address.ip().is_multicast() { 1 } else { config.workers };
    let plain = SocketConfig {
        bind: Some(address),
        device: config.interface.clone(),
        only_v6,
        reuse_address: config.reuse_address,
        reuse_port: config.reuse_port,
        recv_buffer: Some(config.recv_buffer.bytes()),
        send_buffer: config.send_buffer,
        ..SocketConfig::default()
    };
    // SO_REUSEADDR would let us in beside whoever set it before us, and he would keep what is his.
    if config.reuse_address || (workers > 1 && !config.reuse_port) {
        let probe = SocketConfig { reuse_address: false, ..plain.clone() }.open()?;
        address = local(&probe.socket, address)?;
    }
    let mut sockets = Vec::with_capacity(workers);
    for _ in 0..workers {
        let shared = config.reuse_port || workers > 1;
        let opened =
            SocketConfig { bind: Some(address), reuse_port: shared, ..plain.clone() }.open()?;
        // The first of a group that asked for any port says which one it is.
        address = local(&opened.socket, address)?;
        if sockets.is_empty() {
            log_buffers(config, address, opened.granted);
        }
        sockets.push(opened.socket);
    }
    Ok(Listener { service: Service { address, kind }, sockets, adopted: None })
}

/// Takes a socket that is bound already, and gives it the buffers that were asked for.
fn adopt(config: &Config, socket: UdpSocket, kind: Kind) -> Result<Listener, Failure> {
    let failed = |operation, source| Error { operation, address: None, source };
    let address =
        socket.local_addr().map_err(|e| failed(Operation::Configure("the address"), e))?;
    if address.port() == 0 {
        return Err(Failure::local("cannot serve the socket that was passed: it is not bound")
            .with_hint("the socket unit needs ListenDatagram= with an address and a port"));
    }
    if address.ip().is_multicast() {
        socket::join(&socket, address, None)?;
    }
    let adopted =
        Adopted::adopt(&socket).map_err(|e| failed(Operation::Configure("a passed socket"), e))?;
    let receive = Some(config.recv_buffer.bytes());
    log_buffers(config, address, socket::set_buffers(&socket, receive, config.send_buffer));
    let address = udp_core::endpoint::canonical(address);
    Ok(Listener {
        service: Service { address, kind },
        sockets: vec![socket],
        adopted: Some(adopted),
    })
}

fn local(socket: &UdpSocket, asked: SocketAddr) -> Result<SocketAddr, Error> {
    let fail = |e| Error::new(Operation::Bind, host_port(asked), e);
    socket.local_addr().map_err(fail)
}

/// Says what the kernel granted, where that is less than asked or unknown: always if the user asked.
fn log_buffers(config: &Config, address: SocketAddr, granted: Option<Granted>) {
    let address = host_port(address);
    for (level, text) in shortfalls(config, granted) {
        log::log!(level, "{address}: {text}");
    }
}

fn shortfalls(config: &Config, granted: Option<Granted>) -> Vec<(log::Level, String)> {
    let level = |size| match size {
        BufferSize::Asked(_) => log::Level::Warn,
        BufferSize::Default(_) => log::Level::Info,
    };
    let sizes = [
        ("receive", Some(config.recv_buffer), granted.map(|it| it.recv_buffer), "rmem_max"),
        (
            "send",
            config.send_buffer.map(BufferSize::Asked),
            granted.map(|it| it.send_buffer),
            "wmem_max",
        ),
    ];
    let said = sizes.into_iter().filter_map(|(name, asked, got, limit)| {
        let (level, wanted) = asked.map(|size| (level(size), size.bytes()))?;
        let got = match got {
            Some(got) if got >= wanted => return None,
            Some(got) => format!("got {got} (see net.core.{limit})"),
            None => "what was granted is not known".into(),
        };
        Some((level, format!("asked for a {name} buffer of {wanted} bytes, {got}")))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use udp_core::cli::Exit;

    fn config(line: &str) -> Config {
        let words = std::iter::once("udp-server").chain(line.split_whitespace());
        Config::try_from(crate::args::Args::try_parse_from(words).unwrap()).unwrap()
    }

    fn opened(line: &str) -> Vec<Listener> {
        open_all(&config(line), Vec::new()).unwrap()
    }

    #[test]
    fn one_listener_an_address_and_one_socket_a_worker() {
        for (line, kinds, sockets) in [
            ("-b 127.0.0.1:0", vec![Kind::Echo], 1),
            ("-b 127.0.0.1:0 --sink", vec![Kind::Sink], 1),
            ("-b 127.0.0.1:0 --workers 3", vec![Kind::Echo], 3),
            ("-b 127.0.0.1:0 --workers 2 --reuse-port", vec![Kind::Echo], 2),
            (
                "-b 127.0.0.1:0 -b :0 --stamp 127.0.0.1:0",
                vec![Kind::Echo, Kind::Echo, Kind::Stamp],
                1,
            ),
        ] {
            let listeners = opened(line);
            assert_eq!(listeners.iter().map(|l| l.service.kind).collect::<Vec<_>>(), kinds);
            for listener in listeners {
                assert_eq!(listener.sockets.len(), sockets, "{line}");
                for socket in &listener.sockets {
                    assert_eq!(socket.local_addr().unwrap(), listener.service.address);
                }
                assert_ne!(listener.service.address.port(), 0);
            }
        }
    }

    #[test]
    fn a_second_start_is_refused_with_workers_too() {
        for workers in ["", " --workers 2"] {
            let first = opened(&format!("-b 127.0.0.1:0{workers}"));
            let address = first[0].service.address;
            for options in ["", " --workers 2", " --reuse-address", " --reuse-port"] {
                let line = format!("-b {address}{options}");
                let result = open_all(&config(&line), Vec::new());
                // Servers that both share by intent are one user's own business.
                let both = !workers.is_empty() && options == " --reuse-port";
                assert_eq!(result.is_err(), !both, "{line} after{workers}");
                if let Err(failure) = result {
                    assert_eq!(failure.exit, Exit::Local);
                    assert_eq!(
                        failure.message,
                        format!("cannot bind {address}: address already in use")
                    );
                }
            }
        }
    }

    #[test]
    fn both_families_can_be_named_on_one_port() {
        let v4 = opened("-b 0.0.0.0:0");
        let port = v4[0].service.address.port();
        drop(v4);
        let both = opened(&format!("-b [::]:{port} -b 0.0.0.0:{port}"));
        assert_eq!(both.len(), 2);
    }

    #[test]
    fn what_was_passed_takes_the_default_addresss_place() {
        let passed = |stamp| Inherited { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), stamp };
        let listeners = open_all(&config(""), vec![passed(false), passed(true)]).unwrap();
        let kinds: Vec<_> = listeners.iter().map(|l| l.service.kind).collect();
        assert_eq!(kinds, [Kind::Echo, Kind::Stamp]);
        assert!(open_all(&config("--workers 2"), vec![passed(false)]).is_err());
    }

    #[test]
    fn an_address_that_is_named_twice_is_served_once() {
        let port = opened("-b 127.0.0.1:0")[0].service.address.port();
        assert_eq!(opened(&format!("-b 127.0.0.1:{port} -b 127.0.0.1:{port}")).len(), 1);
        let groups = opened("-b 239.77.0.1:0 --interface lo --workers 3");
        assert_eq!(groups[0].sockets.len(), 1);
        let passed = Inherited { socket: UdpSocket::bind("127.0.0.1:0").unwrap(), stamp: false };
        let failure = open_all(&config("--interface lo"), vec![passed]).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
    }

    #[test]
    fn a_socket_that_was_passed_unbound_is_refused() {
        for domain in [socket2::Domain::IPV4, socket2::Domain::IPV6] {
            let unbound = socket2::Socket::new(domain, socket2::Type::DGRAM, None).unwrap();
            let passed = Inherited { socket: unbound.into(), stamp: false };
            let failure = open_all(&config(""), vec![passed]).unwrap_err();
            assert_eq!(failure.exit, Exit::Local);
            assert_eq!(failure.message, "cannot serve the socket that was passed: it is not bound");
        }
    }

    #[test]
    fn a_grant_that_is_not_told_is_said_to_who_asked() {
        use log::Level::{Info, Warn};
        for (line, expected) in [
            ("", vec![(Info, "receive buffer of 1048576")]),
            (
                "--recv-buffer 2K --send-buffer 1K",
                vec![(Warn, "receive buffer of 2048"), (Warn, "send buffer of 1024")],
            ),
        ] {
            let said = |(level, what)| {
                (level, format!("asked for a {what} bytes, what was granted is not known"))
            };
            let expected: Vec<_> = expected.into_iter().map(said).collect();
            assert_eq!(shortfalls(&config(line), None), expected, "{line}");
        }
    }

    #[test]
    fn a_name_without_an_address_is_a_usage_error() {
        let failure = open_all(&config("-b no.such.name.invalid:7000"), Vec::new()).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
    }
}
