//! What a UDP service is asked in its own language, and what its reply says. Pure: bytes and times
//! in, bytes and verdicts out; no socket, no clock, no file.
//!
//! # One protocol, one file
//!
//! A protocol is a type that implements [`Service`], and an [`Entry`] (`pub(super) const ENTRY`) that
//! [`SERVICES`] lists; help, `--services` and the documentation are made from that table. Its type
//! holds what the URL's keys said, checked by the entry's `parse`, so that nothing can fail later.
//!
//! - [`Service::request`] writes the datagram for one beat. What makes it this beat's is taken from
//!   [`Ask::nonces`] by the beat's number, of the width that the protocol has: [`Nonces`] gives the
//!   number back without a table, however late the reply is.
//! - [`Service::recognise`] finds the number in what came, and says what the reply means. `None` is a
//!   datagram that is no reply to any of our requests: the wrong identity, the wrong kind of message, too
//!   short to tell. What has our identity and is broken behind it is a [`Reply`] with
//!   [`Verdict::Invalid`]. The datagram came from the right address and port; that is all that was
//!   checked. It may be anything at all: no panic, no allocation by an unchecked length, no loop that
//!   does not end.
//! - [`Service::requested`] finds the number in the first bytes of one of our own requests, as an ICMP error
//!   quotes them (at least 8, mostly all).
//!
//! A [`Reply`] is built by [`Reply::new`] and the methods on it. Its reason is the protocol's own word
//! (`SERVFAIL`, `404 Not Found`), without figures that differ from reply to reply, because reasons are
//! counted; an `ok` has none, unless what was asked may be answered in several ways. The engine applies
//! `accept=` afterwards ([`Spec::judge`]), so a protocol never looks at it. Facts are few, named as the
//! entry lists them, and made of a stranger's strings by [`Fact::text`] alone.
//!
//! What else a reply may ask for is its [`Then`]: an acknowledgement, a further leg of the same beat
//! (a challenge), or more patience. What is to be remembered of it for the next request from the
//! same port is [`Reply::keeping`], which comes back as [`Ask::kept`].

mod a2s;
mod accept;
mod bedrock;
mod coap;
mod dns;
mod fact;
mod ike;
mod mumble;
mod nonce;
mod ntp;
mod openvpn;
mod params;
mod quic;
mod radius;
mod reply;
mod sip;
mod snmp;
mod spec;
mod stun;
#[cfg(test)]
mod testing;
mod verdict;
mod wire;

pub use accept::Accept;
pub use fact::{Fact, Facts};
pub use nonce::Nonces;
pub use params::{Key, Params, ReadFile, Secret};
pub use reply::{Reply, Then};
pub use spec::{Kind, Spec, SpecError, decoded, target};
pub use verdict::Verdict;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use crate::clock::Wall;

/// A protocol, with what its keys said.
pub trait Service: Debug + Send + Sync {
    /// Appends the request of one beat to `out`.
    fn request(&self, ask: &Ask<'_>, out: &mut Vec<u8>);

    /// What `bytes` from the service say, and to which beat; none if they answer none.
    fn recognise(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<Reply>;

    /// The number of the beat whose request begins with `bytes`, none if it is not to be found.
    fn requested(&self, asked: &Asked<'_>, bytes: &[u8]) -> Option<u64> {
        let _ = (asked, bytes);
        None
    }

    /// The default port, where the keys make it another one than the entry's.
    fn port(&self) -> Option<u16> {
        None
    }

    /// Whether the request holds a secret, so that its bytes are shown nowhere.
    fn is_secret(&self) -> bool {
        false
    }

    /// Whether [`Ask::local`] is needed, which costs a look at the routing table.
    fn wants_local(&self) -> bool {
        false
    }
}

/// What a request is made of.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The beat's number, from 1.
    pub number: u64,
    /// The target's nonces.
    pub nonces: &'a Nonces,
    /// Where the request is sent to.
    pub peer: SocketAddr,
    /// The name that stood for it, for protocols that tell hosts of one address apart by it.
    pub name: Option<&'a str>,
    /// Where it leaves from, if [`Service::wants_local`] and it is known.
    pub local: Option<SocketAddr>,
    /// What an earlier reply to this port asked to remember; empty at first.
    pub kept: &'a [u8],
}

/// What a reply is held against.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The number of the last beat that was sent. Replies are to beats from 1 to this one.
    pub last: u64,
    /// The target's nonces.
    pub nonces: &'a Nonces,
    /// Where the datagram came from, which is where requests are sent to.
    pub peer: SocketAddr,
    /// Where it arrived, if [`Service::wants_local`] and it is known.
    pub local: Option<SocketAddr>,
    /// What an earlier reply to this port asked to remember.
    pub kept: &'a [u8],
    /// For [`Identity::Port`]: the beat that left from the port this arrived on, none if that
    /// was never used.
    pub by_port: Option<u64>,
    /// The time of day when it arrived.
    pub arrived: Wall,
    /// The time of day when a beat was sent, none if that is forgotten.
    pub sent: &'a dyn Fn(u64) -> Option<Wall>,
}

impl<'a> Asked<'a> {
    /// What the request of this beat was made of but for the target's name, to write it once more and
    /// compare.
    pub fn ask(&self, number: u64) -> Ask<'a> {
        let Asked { nonces, peer, local, kept, .. } = *self;
        Ask { number, nonces, peer, name: None, local, kept }
    }
}

/// How many beats may be in flight from one port, by what a reply carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// Any number: 30 bits or more that we choose.
    Any,
    /// 65,536: 16 bits.
    Short,
    /// 256: 8 bits.
    Byte,
    /// One: nothing, so that the port must tell.
    Port,
}

impl Identity {
    /// So many beats.
    pub fn in_flight(self) -> u64 {
        match self {
            Identity::Any => u64::MAX,
            Identity::Short => 1 << 16,
            Identity::Byte => 1 << 8,
            Identity::Port => 1,
        }
    }
}

/// A service as the table lists it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Entry {
    /// What stands before `://`.
    pub scheme: &'static str,
    /// The default port.
    pub port: u16,
    /// What stands behind the host and a `/`, `NAME`; none if nothing may.
    pub what: Option<&'static str>,
    /// What is asked, in a few words.
    pub asks: &'static str,
    /// What `ok` means, in a few words.
    pub ok: &'static str,
    /// The keys, without `accept`, which all take.
    pub keys: &'static [Key],
    /// The names of the facts.
    pub facts: &'static [&'static str],
    /// The facts of an ok that text shows, in order: `name` shows the value alone, `name=` both.
    pub shown: &'static [&'static str],
    /// The usual causes of silence, after `no answer from TARGET: `; empty where there are none of its own.
    pub silence: &'static str,
    /// How often it is asked unless told otherwise.
    pub interval: Duration,
    /// How often it may be asked without `--fast`.
    pub floor: Duration,
    /// How replies are told apart.
    pub identity: Identity,
    /// Reads the keys.
    pub parse: fn(&Params) -> Result<Kind, String>,
}

/// Every service there is.
pub const SERVICES: &[&Entry] = &[
    &dns::ENTRY,
    &ntp::ENTRY,
    &stun::STUN,
    &stun::TURN,
    &sip::ENTRY,
    &quic::ENTRY,
    &snmp::ENTRY,
    &radius::ENTRY,
    &coap::ENTRY,
    &a2s::ENTRY,
    &bedrock::ENTRY,
    &mumble::ENTRY,
    &openvpn::ENTRY,
    &ike::ENTRY,
    &spec::STAMP,
    &spec::UDP,
];
