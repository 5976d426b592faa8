//! Every test here runs on every backend, in one process.

mod addresses;
mod echo;
mod failures;
mod options;
mod waiting;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use super::*;

/// Longer than any wait that succeeds.
const LONG: Duration = Duration::from_secs(20);

const BACKENDS: [Backend; 2] = [Backend::Auto, Backend::Portable];

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server on a batch layer, with what it needs.
struct Server {
    io: Io,
    slots: Slots,
    outbox: Outbox,
    address: SocketAddr,
}

impl Server {
    #[track_caller]
    fn new(bind: &str, backend: Backend, options: &Options) -> Server {
        Server::on(UdpSocket::bind(bind).expect("bind"), backend, options)
    }

    #[track_caller]
    fn on(socket: UdpSocket, backend: Backend, options: &Options) -> Server {
        make_room(&socket);
        let address = socket.local_addr().expect("an address");
        let io = Io::new(socket, backend, options).expect("open");
        let slots = Slots::new(32, SLOT, 64);
        let outbox = Outbox::new(slots.capacity(), 1 << 18);
        Server { io, slots, outbox, address }
    }

    #[track_caller]
    fn with_prefix(mut self, prefix: &[u8]) -> Server {
        assert!(self.slots.set_prefix(prefix));
        self
    }

    /// Waits for a batch.
    #[track_caller]
    fn receive(&mut self) -> usize {
        let filled = self.io.receive(&mut self.slots, Wait::Block(Some(LONG))).expect("receive");
        assert!(filled > 0, "something comes in time");
        assert_eq!(filled, self.slots.len());
        filled
    }

    /// Waits for one datagram, which comes alone.
    #[track_caller]
    fn receive_one(&mut self) -> (Meta, Vec<u8>) {
        assert_eq!(self.receive(), 1);
        let one = self.slots.get(0);
        assert_eq!(one.meta.datagrams(), 1);
        (*one.meta, one.bytes.to_vec())
    }

    /// Echoes until `datagrams` were answered.
    #[track_caller]
    fn echo(&mut self, datagrams: usize) {
        let mut done = 0;
        while done < datagrams {
            self.receive();
            for (i, received) in self.slots.iter().enumerate() {
                self.outbox.echo(&self.slots, i, 0..received.meta.datagrams()).expect("room");
            }
            let mut told = vec![0; self.outbox.len()];
            self.io.send(&mut self.outbox, &self.slots, |sent| {
                told[sent.first..sent.first + sent.datagrams].iter_mut().for_each(|n| *n += 1);
                sent.result.expect("sent");
            });
            assert!(told.iter().all(|n| *n == 1), "every datagram has its result, once: {told:?}");
            assert!(self.outbox.is_empty());
            done += told.len();
        }
        assert_eq!(done, datagrams);
    }

    /// How many datagrams the last batch had.
    fn datagrams(&self) -> usize {
        self.slots.iter().map(|received| received.meta.datagrams()).sum()
    }

    /// This server's port at `ip`.
    fn at(&self, ip: &str) -> SocketAddr {
        SocketAddr::new(ip.parse().expect("an address"), self.address.port())
    }
}

/// A client of `server` that hears nobody else.
#[track_caller]
fn client(server: SocketAddr) -> UdpSocket {
    let bind = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
    let socket = UdpSocket::bind(bind).expect("bind the client");
    socket.connect(server).expect("connect");
    make_room(&socket);
    socket.set_read_timeout(Some(LONG)).expect("time-out");
    socket
}

/// Asks for a queue that holds all datagrams of a test.
fn make_room(socket: &UdpSocket) {
    socket2::SockRef::from(socket).set_recv_buffer_size(1 << 21).expect("a receive buffer");
}

/// The next datagram.
#[track_caller]
fn reply(client: &UdpSocket) -> Vec<u8> {
    let mut bytes = vec![0; 70_000];
    let len = client.recv(&mut bytes).expect("a reply");
    bytes.truncate(len);
    bytes
}

/// Sends datagrams together, as one segmented send where they are alike and the system can.
#[track_caller]
fn send_together(from: UdpSocket, to: SocketAddr, datagrams: &[Vec<u8>]) -> UdpSocket {
    let keep = from.try_clone().expect("clone");
    let mut io =
        Io::new(from, Backend::Auto, &Options { gro: false, ..Options::default() }).expect("open");
    let bytes = datagrams.iter().map(Vec::len).sum();
    let mut outbox = Outbox::new(datagrams.len(), bytes);
    for datagram in datagrams {
        outbox.push(to, None, datagram).expect("room");
    }
    io.send(&mut outbox, &Slots::none(), |sent| sent.result.expect("sent"));
    keep.set_read_timeout(Some(LONG)).expect("time-out");
    keep
}

/// `length` bytes that differ from those of another `seed`.
fn payload(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| ((i * 7 + seed * 13) % 251) as u8).collect()
}

/// Whether this machine speaks IPv6; where it does not, those cases are left out.
fn has_v6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}
