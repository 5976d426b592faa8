//! The sockets behind the ports: opened when a beat is to leave by one, read without waiting.
//!
//! One target's are connected to it, so that the kernel drops what others send. Those that many
//! targets share are connected to nobody, and send in batches. Refusals come by the error queue
//! where there is one (IP_RECVERR, `ip(7)`): it says whose datagram was refused, and holds it.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};

use udp_core::batch::{Abilities, Backend, Io, Options, Outbox, Receiver, SLOT, Sender, Slots};
use udp_core::clock::Stamps;
use udp_core::socket::icmp::{self, IcmpError};
use udp_core::socket::{ReceiveMode, SocketConfig};
use udp_core::{Error, Family};

use super::incoming::Gathered;
use super::poller::Watch;
use crate::probe::targets::{Datagram, PortKey, PortOwner};

/// Datagrams in one receive.
pub(super) const BATCH: usize = 16;
/// Datagrams in one send. More would make the time of each less exact.
pub(super) const SENDS: usize = 16;
/// Bytes of a first beat that is not cut on any path, whatever the later ones' number: the least
/// path MTU that Linux believes in is 552 (net.ipv4.route.min_pmtu), and headers take up to 68. On
/// a device of this host with a smaller MTU still, such a beat fails and says that it is too long.
const ANY_PATH: usize = 464;
/// Asked for where many targets share a socket: their replies may come all at once.
const SHARED_BUFFER: usize = 4 << 20;

/// Where beats of each family leave from, IPv4 first, if that is fixed.
pub(super) type LocalAddresses = [Option<SocketAddr>; 2];

/// All sockets.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(super) template: SocketConfig,
    pub(super) local: LocalAddresses,
    pub(super) backend: Backend,
    /// No beat is longer than any path takes.
    pub(super) small: bool,
    pub(super) open: Vec<Port>,
    watch: Watch,
    pub(super) by_key: HashMap<PortKey, usize>,
    /// Which one was asked for last, as most beats leave from the same.
    pub(super) recent: usize,
    pub(super) slots: Slots,
    pub(super) gathered: Gathered,
    pub(super) stamps: Stamps,
    /// What the first socket could do.
    pub(super) abilities: Option<Abilities>,
    /// Datagrams that found the receive queue of a socket full which is closed now.
    pub(super) lost: u64,
}

#[derive(Debug)]
pub(super) struct Port {
    pub(super) key: PortKey,
    pub(super) peer: Option<SocketAddr>,
    pub(super) receiver: Receiver,
    /// Of a shared port.
    pub(super) sender: Option<(Sender, Outbox)>,
    /// ICMP errors come by an error queue.
    pub(super) queue: bool,
    /// Of a connected one: on the same port, what others than the peer send.
    pub(super) others: Option<UdpSocket>,
}

/// What came back from a receive.
pub(crate) enum Came<'a> {
    Datagram(Datagram<'a>),
    /// An error on the port; `None` for a peer that is not known.
    Error(PortKey, Option<SocketAddr>, IcmpError),
}

/// How far a receive got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    /// Nothing is left that came until now.
    All,
    /// Time was up.
    Part,
}

impl Ports {
    /// Sockets as `template` has them, but for where they are bound and connected to, to send beats
    /// of `length` bytes at most.
    pub(crate) fn new(
        (template, local): (SocketConfig, LocalAddresses),
        backend: Backend,
        length: usize,
    ) -> Self {
        Ports {
            template,
            local,
            backend,
            small: length <= ANY_PATH,
            open: Vec::new(),
            watch: Watch::default(),
            by_key: HashMap::new(),
            recent: 0,
            slots: Slots::new(BATCH, SLOT, 0),
            gathered: Gathered::default(),
            stamps: Stamps::default(),
            abilities: None,
            lost: 0,
        }
    }

    /// The sockets, in an order that stays while none is opened or closed, and all of them together.
    pub(super) fn sockets(&self) -> (impl ExactSizeIterator<Item = &UdpSocket>, &Watch) {
        (self.open.iter().map(|port| port.receiver.socket()), &self.watch)
    }

    /// How many sockets are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether replies are stamped by the kernel, as far as is known.
    pub(crate) fn kernel_stamps(&self) -> bool {
        self.abilities.is_some_and(|it| it.timestamps)
    }

    /// How many datagrams found a receive queue full, by the kernel's own count; None if it has none.
    pub(crate) fn lost_in_host(&mut self) -> Option<u64> {
        self.abilities.filter(|it| it.drops)?;
        let open = self.open.iter_mut().filter_map(|port| port.receiver.drops()).sum::<u64>();
        Some(self.lost + open)
    }

    /// Opens the socket of a port, if it is not open: towards `peer`, or one of its family.
    ///
    /// # Errors
    /// The system call that failed.
    pub(crate) fn ensure(&mut self, key: PortKey, peer: SocketAddr) -> Result<(), Error> {
        if let Some(index) = self.index(key) {
            self.recent = index;
            return Ok(());
        }
        let shared = !matches!(key.owner, PortOwner::Path(_));
        let config = SocketConfig {
            bind: self.local[usize::from(peer.is_ipv6())],
            connect: (!shared).then_some(peer),
            family: if peer.is_ipv6() { Family::V6 } else { Family::V4 },
            only_v6: peer.is_ipv6(),
            // The identification that a fragment would need is dear where every address is another.
            dont_fragment: shared && self.small,
            recv_buffer: shared.then_some(SHARED_BUFFER),
            mode: ReceiveMode::NonBlocking,
            ..self.template.clone()
        };
        let (socket, others) = match shared {
            true => (config.open()?.socket, None),
            false => config.open_beside()?,
        };
        let options =
            Options { gro: false, destination: false, timestamps: true, ..Options::default() };
        let io = Io::new(socket, self.backend, &options)?;
        let abilities = io.abilities();
        let (receiver, sender) = io.split();
        udp_core::socket::set_mode(receiver.socket(), ReceiveMode::NonBlocking)?;
        let queue = icmp::enable(receiver.socket());
        let outbox = || Outbox::new(SENDS, SENDS * SLOT);
        self.abilities.get_or_insert(abilities);
        self.watch.add(receiver.socket(), self.open.len());
        self.by_key.insert(key, self.open.len());
        self.open.push(Port {
            key,
            peer: (!shared).then_some(peer),
            receiver,
            sender: shared.then(|| (sender, outbox())),
            queue,
            others,
        });
        Ok(())
    }

    /// Closes a port's socket, if it is open.
    pub(crate) fn close(&mut self, key: PortKey) {
        let Some(index) = self.by_key.remove(&key) else { return };
        let mut closed = self.open.swap_remove(index);
        self.lost += closed.receiver.drops().unwrap_or(0);
        if let Some(moved) = self.open.get(index) {
            self.by_key.insert(moved.key, index);
            self.watch.moved(moved.receiver.socket(), index);
        }
    }

    /// Closes all sockets of an owner.
    pub(crate) fn close_all(&mut self, owner: PortOwner) {
        let keys: Vec<PortKey> =
            self.by_key.keys().filter(|key| key.owner == owner).copied().collect();
        keys.into_iter().for_each(|key| self.close(key));
    }

    /// Sends one datagram at once, without waiting for room.
    pub(crate) fn send(&self, key: PortKey, to: SocketAddr, bytes: &[u8]) -> io::Result<()> {
        let Some(port) = self.port(key) else { return Err(io::ErrorKind::NotConnected.into()) };
        let socket = port.receiver.socket();
        loop {
            let result = match port.peer {
                Some(_) => socket.send(bytes),
                None => socket.send_to(bytes, to),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map(drop),
            }
        }
    }

    /// Where a datagram to that peer leaves from, if it can be known without sending it.
    pub(crate) fn local(&self, key: PortKey, to: SocketAddr) -> Option<SocketAddr> {
        let mut local = self.port(key)?.receiver.socket().local_addr().ok()?;
        if local.ip().is_unspecified() {
            let family = if to.is_ipv6() { Family::V6 } else { Family::V4 };
            // Connecting asks the routing table and sends nothing.
            let config = SocketConfig { connect: Some(to), family, ..self.template.clone() };
            local.set_ip(config.open().ok()?.socket.local_addr().ok()?.ip());
        }
        Some(local)
    }

    /// Puts a datagram with those that leave next from a shared port. False if there is no room.
    pub(crate) fn push(&mut self, key: PortKey, to: SocketAddr, bytes: &[u8]) -> bool {
        let Some(index) = self.index(key) else { return false };
        match &mut self.open[index].sender {
            Some((_, outbox)) => outbox.push(to, None, bytes).is_ok(),
            None => false,
        }
    }

    /// Sends what was pushed, and reports each datagram by its number.
    pub(crate) fn flush(&mut self, key: PortKey, mut report: impl FnMut(usize, io::Result<()>)) {
        let Some(index) = self.index(key) else { return };
        let Some((sender, outbox)) = &mut self.open[index].sender else { return };
        sender.send(outbox, &Slots::none(), |sent| {
            let mut result = Some(sent.result);
            for number in sent.first..sent.first + sent.datagrams {
                // Joined datagrams fare alike; the reason goes with the first.
                let each = match &mut result {
                    Some(Ok(())) => Ok(()),
                    other => other.take().unwrap_or_else(|| Err(io::ErrorKind::Other.into())),
                };
                report(number, each);
            }
        });
    }

    fn port(&self, key: PortKey) -> Option<&Port> {
        self.index(key).map(|index| &self.open[index])
    }

    pub(super) fn index(&self, key: PortKey) -> Option<usize> {
        let is_recent = self.open.get(self.recent).is_some_and(|port| port.key == key);
        if is_recent { Some(self.recent) } else { self.by_key.get(&key).copied() }
    }
}
