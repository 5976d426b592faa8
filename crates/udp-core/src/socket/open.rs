//! Opens a socket: its system calls in the one order that works.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
#[cfg(target_os = "linux")]
use std::os::fd::AsFd as _;
use std::time::Duration;

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};

use super::granted::{Granted, set_buffers};
use super::{ReceiveMode, SocketConfig};
use crate::endpoint::{Family, canonical, host_port, ip_text};
use crate::error::{Error, ErrorClass, Operation};

/// A socket that was opened, and what the kernel gave it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened {
    /// The socket, as configured.
    pub socket: UdpSocket,
    /// Its buffers, where the system tells them.
    pub granted: Option<Granted>,
}

impl SocketConfig {
    /// Opens the socket: options that a bind looks at, bind, the other options, connect, mode.
    ///
    /// A buffer size that the kernel clamps or refuses is no error: compare with [`Opened::granted`].
    ///
    /// # Errors
    /// The first system call that failed, with its operation and address.
    pub fn open(&self) -> Result<Opened, Error> {
        let subject = self.subject();
        let failed = |operation: Operation| {
            let address = subject.map(host_port);
            move |source: io::Error| Error { operation, address, source }
        };
        let configure = |option: &'static str| failed(Operation::Configure(option));

        let v6 = subject.map_or(self.family == Family::V6, |address| address.is_ipv6());
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))
            .map_err(failed(Operation::Open))?;

        if v6 {
            // The system's default for it may be either (net.ipv6.bindv6only), so it is always set.
            socket.set_only_v6(self.only_v6).map_err(configure("IPV6_V6ONLY"))?;
        }
        if self.reuse_address {
            socket.set_reuse_address(true).map_err(configure("SO_REUSEADDR"))?;
        }
        #[cfg(unix)]
        if self.reuse_port {
            socket.set_reuse_port(true).map_err(configure("SO_REUSEPORT"))?;
        }
        let granted = set_buffers(&socket, self.recv_buffer, self.send_buffer);
        if let Some(device) = &self.device {
            let fail = |e| Error::new(Operation::UseInterface, device, e);
            bind_to_device(&socket, device).map_err(fail)?;
        }
        if let Some(address) = self.bind {
            let fail = |e| Error::new(Operation::Bind, host_port(address), e);
            socket.bind(&canonical(address).into()).map_err(fail)?;
        }
        if self.reuse_address {
            // Left set, it would let any other user's socket take the port over.
            socket.set_reuse_address(false).map_err(configure("SO_REUSEADDR"))?;
        }
        if self.broadcast {
            socket.set_broadcast(true).map_err(configure("SO_BROADCAST"))?;
        }
        self.set_hops_and_class(&socket, v6, &configure)?;
        #[cfg(target_os = "linux")]
        if self.dont_fragment && !v6 {
            let option = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            // Where it is refused, fragments are no harm.
            let _ = crate::sys::sockopt::set(socket.as_fd(), option, libc::IP_PMTUDISC_DO);
        }
        if let Some(address) = self.connect {
            let fail = |e| Error::new(Operation::Connect, host_port(address), e);
            socket.connect(&canonical(address).into()).map_err(fail)?;
        }
        let socket = UdpSocket::from(socket);
        if let Some(group) = self.bind.filter(|address| canonical(*address).ip().is_multicast()) {
            join(&socket, group, self.device.as_deref())?;
        }
        set_mode(&socket, self.mode)?;
        Ok(Opened { socket, granted })
    }

    /// The address that decides the family and that errors name: what is bound, else what is asked.
    fn subject(&self) -> Option<SocketAddr> {
        self.bind.or(self.connect).map(canonical)
    }

    /// IPv6 options on an IPv6 socket; IPv4's on an IPv4 one, and on a dual-stack one as well,
    /// where a kernel that has none of them is forgiven.
    fn set_hops_and_class<F, C>(
        &self,
        socket: &Socket,
        v6: bool,
        configure: &C,
    ) -> Result<(), Error>
    where
        C: Fn(&'static str) -> F,
        F: FnOnce(io::Error) -> Error,
    {
        let dual = v6 && !self.only_v6;
        if let Some(ttl) = self.ttl {
            let hops = u32::from(ttl);
            if v6 {
                socket.set_unicast_hops_v6(hops).map_err(configure("IPV6_UNICAST_HOPS"))?;
                socket.set_multicast_hops_v6(hops).map_err(configure("IPV6_MULTICAST_HOPS"))?;
            }
            let v4 = socket.set_ttl_v4(hops).and_then(|()| socket.set_multicast_ttl_v4(hops));
            if !v6 || (dual && cfg!(target_os = "linux")) {
                v4.map_err(configure("IP_TTL"))?;
            }
        }
        if self.dscp.is_some() || self.ecn.is_some() {
            let class = self.dscp.unwrap_or_default().traffic_class();
            let class = u32::from(class | self.ecn.map_or(0, |ecn| ecn as u8));
            #[cfg(unix)]
            if v6 {
                socket.set_tclass_v6(class).map_err(configure("IPV6_TCLASS"))?;
            }
            let v4 = socket.set_tos_v4(class);
            if !v6 || (dual && cfg!(target_os = "linux")) {
                v4.map_err(configure("IP_TOS"))?;
            }
        }
        Ok(())
    }

    /// Opens a socket that is connected to the peer of [`SocketConfig::connect`] and, on Linux, a
    /// second one on the same port that is not: Linux delivers a datagram to the one whose address
    /// fits best, so the first gets the peer's and hears its ICMP errors, the second the rest.
    ///
    /// SO_REUSEADDR is what lets the second in, and is cleared again on both, lest other users come
    /// in too (`socket(7)`). Where a system does not let it in, there is the first alone.
    ///
    /// # Errors
    /// The first system call that failed.
    pub fn open_beside(&self) -> Result<(UdpSocket, Option<UdpSocket>), Error> {
        let peer = self.connect.filter(|_| cfg!(target_os = "linux"));
        match peer.map(|peer| self.both(peer)).transpose()?.flatten() {
            Some((socket, others)) => Ok((socket, Some(others))),
            None => Ok((self.open()?.socket, None)),
        }
    }

    /// None where the system does not let two sockets share a port.
    fn both(&self, peer: SocketAddr) -> Result<Option<(UdpSocket, UdpSocket)>, Error> {
        let any = match peer {
            SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::from(Ipv6Addr::UNSPECIFIED),
        };
        let bind = self.bind.unwrap_or_else(|| SocketAddr::new(any, 0));
        let alone = SocketConfig { bind: Some(bind), connect: None, ..self.clone() };
        let others = alone.open()?.socket;
        let fail = |option| {
            move |source| Error::new(Operation::Configure(option), host_port(bind), source)
        };
        let local = others.local_addr().map_err(fail("its port"))?;
        let share = |on| SockRef::from(&others).set_reuse_address(on);
        if share(true).is_err() {
            return Ok(None);
        }
        let connected = SocketConfig { bind: Some(local), reuse_address: true, ..self.clone() };
        let opened = connected.open();
        share(false).map_err(fail("SO_REUSEADDR"))?;
        match opened {
            Err(error) if error.class() == ErrorClass::AddressInUse => Ok(None),
            opened => Ok(Some((opened?.socket, others))),
        }
    }
}

#[cfg(target_os = "linux")]
fn bind_to_device(socket: &Socket, device: &str) -> io::Result<()> {
    // The kernel takes no name for none, and the beginning of a name that is too long.
    if device.is_empty() || device.len() >= libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn bind_to_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Makes `socket` a member of a multicast group (RFC 1112, RFC 3493 §5.2): on the interface of the
/// group's zone, else on `device`, else where the system's routes lead. A member already is none the worse.
///
/// # Errors
/// As `setsockopt(2)`: no such interface, or no route to the group.
pub fn join(socket: &UdpSocket, group: SocketAddr, device: Option<&str>) -> Result<(), Error> {
    let group = canonical(group);
    let index = device.and_then(|name| crate::zone::index(ANY_LINK_LOCAL, name)).unwrap_or(0);
    let socket = SockRef::from(socket);
    let joined = match group {
        SocketAddr::V4(group) => {
            let at = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(group.ip(), &at)
        }
        SocketAddr::V6(group) => {
            let zone = Some(group.scope_id()).filter(|zone| *zone != 0).unwrap_or(index);
            socket.join_multicast_v6(group.ip(), zone)
        }
    };
    match joined {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(()),
        joined => joined.map_err(|e| Error::new(Operation::Join, ip_text(group), e)),
    }
}

/// The resolver turns a zone into an index where an address can have one.
const ANY_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Switches `socket` to another way of waiting; what was received or sent so far is not touched.
///
/// # Errors
/// A [`ReceiveMode::Timeout`] of zero is invalid; otherwise as `setsockopt(2)` and `fcntl(2)`.
pub fn set_mode(socket: &UdpSocket, mode: ReceiveMode) -> Result<(), Error> {
    let (non_blocking, timeout) = match mode {
        ReceiveMode::Blocking => (false, None),
        // The kernel would round what is below a microsecond down to none, which means for ever.
        ReceiveMode::Timeout(span) if !span.is_zero() => {
            (false, Some(span.max(Duration::from_micros(1))))
        }
        ReceiveMode::Timeout(span) => (false, Some(span)),
        ReceiveMode::NonBlocking => (true, None),
    };
    let local =
        socket.local_addr().unwrap_or_else(|_| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
    let fail = |option| move |e| Error::new(Operation::Configure(option), host_port(local), e);
    // Without blocking it is of no effect.
    if !non_blocking {
        socket.set_read_timeout(timeout).map_err(fail("SO_RCVTIMEO"))?;
    }
    socket.set_nonblocking(non_blocking).map_err(fail("O_NONBLOCK"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::{Dscp, Ecn};

    const ANY_PORT: &str = "127.0.0.1:0";

    fn on(address: &str) -> SocketConfig {
        SocketConfig { bind: Some(address.parse().unwrap()), ..SocketConfig::default() }
    }

    #[test]
    fn options_are_set_as_asked() {
        let dscp = Dscp::new(46);
        let config = SocketConfig {
            ttl: Some(9),
            dscp,
            ecn: Some(Ecn::Ect0),
            broadcast: true,
            ..on(ANY_PORT)
        };
        let opened = config.open().unwrap();
        let socket = SockRef::from(&opened.socket);
        assert_eq!(socket.ttl_v4().unwrap(), 9);
        assert_eq!(socket.tos_v4().unwrap(), 46 << 2 | 2);
        assert!(socket.broadcast().unwrap());
        let plain = on(ANY_PORT).open().unwrap();
        assert!(!SockRef::from(&plain.socket).broadcast().unwrap());
        assert_ne!(SockRef::from(&plain.socket).ttl_v4().unwrap(), 9);
    }

    #[test]
    fn a_dual_stack_socket_sets_both_families() {
        let config = SocketConfig { ttl: Some(7), dscp: Dscp::new(10), ..on("[::]:0") };
        let opened = config.open().unwrap();
        let socket = SockRef::from(&opened.socket);
        assert_eq!(socket.unicast_hops_v6().unwrap(), 7);
        #[cfg(target_os = "linux")]
        assert_eq!(socket.ttl_v4().unwrap(), 7);
        assert!(!socket.only_v6().unwrap());
        let alone = SocketConfig { only_v6: true, ..on("[::]:0") }.open().unwrap();
        assert!(SockRef::from(&alone.socket).only_v6().unwrap());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_group_is_joined_and_a_device_is_kept_to() {
        let device = Some("lo".to_string());
        let group = SocketConfig { device: device.clone(), ..on("239.77.0.1:0") }.open().unwrap();
        let to = group.socket.local_addr().unwrap();
        let sender = SocketConfig { device, ..on(ANY_PORT) }.open().unwrap().socket;
        assert!(SockRef::from(&sender).device().unwrap().is_some_and(|name| name == b"lo"));
        sender.send_to(b"all", to).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(group.socket.recv(&mut buffer).unwrap(), 3);
        join(&group.socket, to, Some("lo")).unwrap();
        for name in ["nosuch0", "", "an-interface-too-long"] {
            let nowhere = SocketConfig { device: Some(name.into()), ..on(ANY_PORT) };
            let error = nowhere.open().unwrap_err().to_string();
            assert_eq!(error, format!("cannot use the interface {name}: no such device"));
        }
        let six = on("[::1]:0").open().unwrap().socket;
        let error = join(&six, "[ff02::77%99999]:0".parse().unwrap(), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot join ff02::77%99999: no such device");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fragments_are_forbidden_where_that_is_asked() {
        for (bind, dont_fragment, expected) in [
            (ANY_PORT, false, libc::IP_PMTUDISC_WANT),
            (ANY_PORT, true, libc::IP_PMTUDISC_DO),
            ("[::1]:0", true, libc::IP_PMTUDISC_WANT),
        ] {
            let opened = SocketConfig { dont_fragment, ..on(bind) }.open().unwrap();
            let option = (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER);
            let set = crate::sys::sockopt::get(opened.socket.as_fd(), option).unwrap();
            assert_eq!(set, expected, "{bind}");
        }
    }

    #[test]
    fn a_taken_port_is_refused_whatever_the_options() {
        for reuse_first in [false, true] {
            for reuse_second in [false, true] {
                let first =
                    SocketConfig { reuse_address: reuse_first, ..on(ANY_PORT) }.open().unwrap();
                let taken = first.socket.local_addr().unwrap();
                assert!(!SockRef::from(&first.socket).reuse_address().unwrap());
                let second = SocketConfig {
                    bind: Some(taken),
                    reuse_address: reuse_second,
                    ..SocketConfig::default()
                };
                let error = second.open().unwrap_err();
                assert_eq!(error.class(), ErrorClass::AddressInUse);
                assert_eq!(
                    error.to_string(),
                    format!("cannot bind {taken}: address already in use")
                );
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn sockets_that_both_ask_for_it_share_a_port() {
        let first = SocketConfig { reuse_port: true, ..on(ANY_PORT) }.open().unwrap();
        let bind = Some(first.socket.local_addr().unwrap());
        assert!(SocketConfig { reuse_port: true, bind, ..SocketConfig::default() }.open().is_ok());
        assert!(SocketConfig { bind, ..SocketConfig::default() }.open().is_err());
    }

    #[test]
    fn what_was_granted_compares_with_what_was_asked() {
        let asked = 20_000;
        let config =
            SocketConfig { recv_buffer: Some(asked), send_buffer: Some(asked), ..on(ANY_PORT) };
        let granted = config.open().unwrap().granted.unwrap();
        assert_eq!(granted, Granted { recv_buffer: asked, send_buffer: asked });
        let giant = SocketConfig { recv_buffer: Some(1 << 30), ..on(ANY_PORT) }.open().unwrap();
        assert!(giant.granted.is_some_and(|it| it.recv_buffer < 1 << 30), "{:?}", giant.granted);
    }

    /// A filter of a container refuses options that are only wishes.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_refused_and_not_needed_is_done_without() {
        let peer = on(ANY_PORT).open().unwrap().socket;
        let connect = Some(peer.local_addr().unwrap());
        let (set, get) = (libc::SYS_setsockopt, libc::SYS_getsockopt);
        let refused = [
            (set, (libc::SOL_SOCKET, libc::SO_RCVBUF)),
            (set, (libc::SOL_SOCKET, libc::SO_SNDBUF)),
            (get, (libc::SOL_SOCKET, libc::SO_RCVBUF)),
            (set, (libc::SOL_SOCKET, libc::SO_REUSEADDR)),
            (set, (libc::SOL_SOCKET, libc::SO_RCVTIMEO)),
            (set, (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)),
        ];
        let opened = std::thread::spawn(move || {
            for (call, option) in refused {
                crate::sys::seccomp::refuse(call, Some(option), libc::EPERM).unwrap();
            }
            let config = SocketConfig {
                connect,
                recv_buffer: Some(20_000),
                send_buffer: Some(20_000),
                dont_fragment: true,
                mode: ReceiveMode::NonBlocking,
                ..SocketConfig::default()
            };
            assert_eq!(config.open().unwrap().granted, None);
            config.open_beside().unwrap()
        });
        let (socket, others) = opened.join().unwrap();
        assert!(others.is_none());
        socket.send(b"hello").unwrap();
        assert_eq!(peer.recv(&mut [0; 16]).unwrap(), 5);
    }

    /// One socket alone would hide that no descriptor is left.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_keeps_the_second_socket_out_is_told() {
        let connect = Some("127.0.0.1:9".parse().unwrap());
        let opening = std::thread::spawn(move || {
            crate::sys::seccomp::refuse(libc::SYS_bind, None, libc::EMFILE).unwrap();
            SocketConfig { connect, ..SocketConfig::default() }.open_beside().unwrap_err()
        });
        assert_eq!(opening.join().unwrap().class(), ErrorClass::Exhausted);
    }

    #[test]
    fn a_receive_waits_as_its_mode_says() {
        let opened = on(ANY_PORT).open().unwrap();
        let local = opened.socket.local_addr().unwrap();
        let mut buffer = [0; 16];
        for mode in [ReceiveMode::NonBlocking, ReceiveMode::Timeout(Duration::from_millis(5))] {
            set_mode(&opened.socket, mode).unwrap();
            let error = opened.socket.recv_from(&mut buffer).unwrap_err();
            assert_eq!(ErrorClass::of(&error), ErrorClass::NotReady, "{mode:?}");
        }
        set_mode(&opened.socket, ReceiveMode::Blocking).unwrap();
        opened.socket.send_to(b"hello", local).unwrap();
        assert_eq!(opened.socket.recv_from(&mut buffer).unwrap(), (5, local));
        let zero = set_mode(&opened.socket, ReceiveMode::Timeout(Duration::ZERO)).unwrap_err();
        assert_eq!(zero.class(), ErrorClass::Invalid);
    }

    #[test]
    fn a_connected_socket_hears_its_peer_alone() {
        let peer = on(ANY_PORT).open().unwrap().socket;
        let stranger = on(ANY_PORT).open().unwrap().socket;
        let mode = ReceiveMode::Timeout(Duration::from_secs(10));
        let config = SocketConfig {
            connect: Some(peer.local_addr().unwrap()),
            mode,
            ..SocketConfig::default()
        };
        let socket = config.open().unwrap().socket;
        let local = socket.local_addr().unwrap();
        stranger.send_to(b"forged", local).unwrap();
        peer.send_to(b"true", local).unwrap();
        let mut buffer = [0; 16];
        assert_eq!(socket.recv(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"true");
    }
}
