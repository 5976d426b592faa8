//! One flow: a socket, its outstanding datagrams, and the sockets' options. `socket(7)`, `udp(7)`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use anyhow::{Context as _, Result};
use nix::sys::socket::{setsockopt, sockopt};
use udp_core::batch::{Backend, Io, Options, Slots, Wait};

use super::outstanding::{Outstanding, Settled};
use super::payload::{Name, Payload};
use super::post::{Post, source};
use super::{Load, Sending, Tally, Target};
use hdrhistogram::Histogram;

/// Room for bursts, so that the generator loses nothing itself.
const SOCKET_BUFFER: usize = 4 << 20;

pub(super) struct Flow {
    id: u32,
    pub(super) socket: UdpSocket,
    io: Io,
    pub(super) outstanding: Outstanding,
    /// Of how many source addresses, where there are many.
    sources: Option<u32>,
    names: Vec<Name>,
}

impl Flow {
    pub(super) fn open(load: &Load, target: &Target, id: u32, places: u32) -> Result<Self> {
        let any: IpAddr = Ipv4Addr::UNSPECIFIED.into();
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).context("cannot bind a flow")?;
        // Only the privileged may go above the system's limit; the others get what it allows.
        let _ = setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &SOCKET_BUFFER));
        let _ = setsockopt(&socket, sockopt::SndBufForce, &SOCKET_BUFFER)
            .or_else(|_| setsockopt(&socket, sockopt::SndBuf, &SOCKET_BUFFER));
        let mut sources = None;
        match load.sending {
            Sending::Sources(count) => sources = Some(count),
            Sending::Single | Sending::Segmented => {
                socket.connect(target.address).context("cannot connect a flow")?;
            }
        }
        if load.sending == Sending::Segmented {
            let segment = i32::try_from(load.size.first()).context("size")?;
            setsockopt(&socket, sockopt::UdpGsoSegment, &segment)
                .context("this kernel cannot send segmented (UDP_SEGMENT)")?;
        }
        let options = Options { gro: load.sending == Sending::Segmented, ..Options::default() };
        let own = socket.try_clone().context("cannot share a flow's socket")?;
        let io = Io::new(own, Backend::Auto, &options)?;
        Ok(Self {
            id,
            socket,
            io,
            outstanding: Outstanding::new(places),
            sources,
            names: Vec::new(),
        })
    }

    /// Sends what the table has room for, at most `most`. How many the kernel took.
    pub(super) fn refill(
        &mut self,
        (post, payload): (&mut Post, &Payload),
        next: &mut u64,
        most: usize,
        now: u64,
        tally: &mut Tally,
    ) -> Result<usize> {
        let mut total = 0;
        while total < most && self.outstanding.room() > 0 {
            let wanted = self.outstanding.room().min(most - total).min(post.most());
            self.names.clear();
            for _ in 0..wanted {
                let Some(place) = self.outstanding.enter(*next, now) else { break };
                self.names.push(Name { number: *next, flow: self.id, place });
                *next += 1;
            }
            let sent = post.send((&self.socket, &mut self.io), payload, &self.names);
            let sent = sent.context("cannot send")?;
            for name in &self.names[sent..] {
                self.outstanding.withdraw(name.place);
            }
            tally.sent += sent as u64;
            total += sent;
            if sent < wanted {
                tally.unsent += (wanted - sent) as u64;
                break;
            }
        }
        Ok(total)
    }

    /// Takes replies. How many slots they filled.
    pub(super) fn take(&mut self, slots: &mut Slots, wait: Wait) -> Result<usize> {
        match self.io.receive(slots, wait) {
            Ok(taken) => Ok(taken),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(0),
            Err(error) => Err(error).context("cannot receive"),
        }
    }

    /// Checks what [`take`](Self::take) took at `now`.
    pub(super) fn judge(
        &mut self,
        slots: &Slots,
        payload: &Payload,
        now: u64,
        tally: &mut Tally,
        mut rtt: Option<&mut Histogram<u64>>,
    ) {
        for received in slots.iter() {
            for reply in received.segments() {
                let name = payload.read(reply).filter(|name| {
                    let home = self.sources.map(|count| source(name.number, count));
                    name.flow == self.id && (home.is_none() || home == received.meta.local)
                });
                let Some(name) = name else {
                    tally.bad += 1;
                    continue;
                };
                match self.outstanding.settle(name.place, name.number) {
                    Settled::Answer(sent_at) => {
                        tally.good += 1;
                        if let Some(rtt) = rtt.as_deref_mut() {
                            rtt.saturating_record(now.saturating_sub(sent_at));
                        }
                    }
                    Settled::Late => tally.late += 1,
                    Settled::Unknown => tally.bad += 1,
                }
            }
        }
    }
}
