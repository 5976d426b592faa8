//! Which datagrams are answered. Pure: addresses, bytes and a time in, a verdict out.
//!
//! The checks stand in the order of what they cost, and the first that fails is the one counted:
//! destination, source, access list, prefix chain, rate, size. The first three look at addresses
//! alone and hold for a whole run of datagrams that one peer sent ([`Policy::admit_run`]); the
//! rest is asked by the service, which knows what it would answer.

pub mod access;
pub mod loops;
pub mod rate;
pub mod scope;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use udp_core::batch::max_payload;
use udp_core::clock::Mono;

pub use access::{Access, Block, Lists};
pub use loops::{LoopGuard, Sources};
pub use rate::{Limiter, Rate, RateLimit};

/// Why a datagram is not answered, as precisely as `-v` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropCause {
    /// It was sent to a broadcast or multicast address.
    Group,
    /// Its source port is 0.
    PortZero,
    /// Its source is a broadcast, multicast or unspecified address.
    UnanswerableSource,
    /// Its source is an IPv4 address, and it came by IPv6.
    MappedSource,
    /// Its source port is below 1024.
    PrivilegedPort,
    /// Its source port is one that this server listens on.
    OwnPort,
    /// The access list does not admit its source.
    NotAllowed,
    /// Its payload begins with [`loops::CHAIN`] prefixes.
    PrefixChain,
    /// It is what a STAMP reflector sent.
    Reflection,
    /// Its source is over its rate.
    OverRate,
    /// The reply would exceed the largest datagram.
    TooLong,
    /// It is too short for a STAMP packet.
    TooShort,
    /// It is no STAMP packet authenticated with the key.
    Unauthenticated,
}

/// How the summary counts drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A source over its rate.
    Rate,
    /// A loop, or what would become one.
    Loop,
    /// A source that may not be answered.
    Access,
    /// Not sent to a unicast address.
    Destination,
    /// A source that cannot be answered.
    Source,
    /// A size that cannot be answered.
    Size,
}

impl Reason {
    /// In the summary's order.
    pub const ALL: [Reason; 6] = [
        Reason::Rate,
        Reason::Loop,
        Reason::Access,
        Reason::Destination,
        Reason::Source,
        Reason::Size,
    ];

    /// The summary's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Rate => "rate",
            Reason::Loop => "loop",
            Reason::Access => "access",
            Reason::Destination => "destination",
            Reason::Source => "source",
            Reason::Size => "size",
        }
    }
}

impl DropCause {
    /// Which of the summary's counts this is.
    pub fn reason(self) -> Reason {
        match self {
            DropCause::OverRate => Reason::Rate,
            DropCause::PrivilegedPort
            | DropCause::OwnPort
            | DropCause::PrefixChain
            | DropCause::Reflection => Reason::Loop,
            DropCause::NotAllowed | DropCause::Unauthenticated => Reason::Access,
            DropCause::Group => Reason::Destination,
            DropCause::PortZero | DropCause::UnanswerableSource | DropCause::MappedSource => {
                Reason::Source
            }
            DropCause::TooLong | DropCause::TooShort => Reason::Size,
        }
    }

    /// In a few words, after "not answered: ".
    pub fn as_str(self) -> &'static str {
        match self {
            DropCause::Group => "sent to a broadcast or multicast address (see --answer-broadcast)",
            DropCause::PortZero => "source port 0",
            DropCause::UnanswerableSource => "a broadcast, multicast or unspecified source",
            DropCause::MappedSource => "an IPv4 source by way of IPv6",
            DropCause::PrivilegedPort => "a source port below 1024 (see --no-loop-guard)",
            DropCause::OwnPort => "a source port that this server listens on (see --no-loop-guard)",
            DropCause::NotAllowed => "not admitted by --allow and --deny",
            DropCause::PrefixChain => "already 16 prefixes (see --no-loop-guard)",
            DropCause::Reflection => "a STAMP packet that was reflected before",
            DropCause::OverRate => "over the rate limit (see --rate-limit)",
            DropCause::TooLong => "the reply would exceed the largest datagram",
            DropCause::TooShort => "too short for a STAMP packet",
            DropCause::Unauthenticated => "no STAMP packet authenticated with our key",
        }
    }
}

/// Whether a datagram sent to a broadcast or multicast address is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupReplies {
    /// No.
    #[default]
    Never,
    /// `--answer-broadcast`
    Answer,
}

/// What a datagram was sent to, as far as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentTo {
    /// One of this host's own addresses, or nobody can tell.
    Us,
    /// A broadcast or multicast address.
    Group,
    /// An address of the other family than its source, an IPv4-mapped one in an IPv6 header: no
    /// reply finds a way back there.
    OtherFamily,
}

/// Who is answered, and how often. Each worker has its own; the buckets alone are shared.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Whether what was sent to a group is answered.
    pub groups: GroupReplies,
    /// The sources that are never answered.
    pub sources: Sources,
    /// The access list.
    pub access: Arc<Access>,
    /// What is asked of each datagram.
    pub limits: Limits,
}

/// The checks that look at each datagram, not at addresses alone.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The buckets, where replies are limited.
    pub limiter: Option<Arc<Limiter>>,
    /// Whether prefix chains are looked for.
    pub guard: LoopGuard,
}

impl Policy {
    /// Decides by addresses alone; one answer for all datagrams of a run.
    ///
    /// # Errors
    /// Why none of them is answered.
    pub fn admit_run(&self, peer: SocketAddr, sent_to: SentTo) -> Result<(), DropCause> {
        if sent_to == SentTo::Group && self.groups == GroupReplies::Never {
            return Err(DropCause::Group);
        }
        if sent_to == SentTo::OtherFamily {
            return Err(DropCause::MappedSource);
        }
        if let Some(cause) = self.sources.cause(peer) {
            return Err(cause);
        }
        if self.access.admits(peer.ip()) { Ok(()) } else { Err(DropCause::NotAllowed) }
    }
}

impl Limits {
    /// Whether `payload` is a loop's, where this server puts `prefix` in front.
    pub fn is_prefix_chain(&self, payload: &[u8], prefix: &[u8]) -> bool {
        self.guard == LoopGuard::On && loops::is_prefix_chain(payload, prefix)
    }

    /// Takes tokens for `wanted` replies to `ip`; returns for how many there were any.
    pub fn take(&self, ip: IpAddr, wanted: u32, now: Mono) -> u32 {
        self.limiter.as_ref().map_or(wanted, |limiter| limiter.take(ip, wanted, now))
    }
}

/// Whether a reply of `len` bytes to `ip` is a datagram at all.
pub fn fits(ip: IpAddr, len: usize) -> bool {
    len <= max_payload(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            groups: GroupReplies::Never,
            sources: Sources::new(LoopGuard::On, [7000]),
            access: Arc::new(Access::new(&Lists {
                deny: vec!["10.0.0.0/8".parse().unwrap()],
                ..Lists::default()
            })),
            limits: Limits { limiter: None, guard: LoopGuard::On },
        }
    }

    #[test]
    fn the_first_check_that_fails_is_the_one_counted() {
        let policy = policy();
        for (peer, sent_to, expected) in [
            ("10.0.0.1:0", SentTo::Group, Err(DropCause::Group)),
            ("10.0.0.1:0", SentTo::Us, Err(DropCause::PortZero)),
            ("10.0.0.1:7", SentTo::OtherFamily, Err(DropCause::MappedSource)),
            ("10.0.0.1:7", SentTo::Us, Err(DropCause::PrivilegedPort)),
            ("10.0.0.1:7000", SentTo::Us, Err(DropCause::OwnPort)),
            ("10.0.0.1:5000", SentTo::Us, Err(DropCause::NotAllowed)),
            ("11.0.0.1:5000", SentTo::Us, Ok(())),
        ] {
            assert_eq!(policy.admit_run(peer.parse().unwrap(), sent_to), expected, "{peer}");
        }
        let open = Policy { groups: GroupReplies::Answer, ..policy };
        assert_eq!(open.admit_run("11.0.0.1:5000".parse().unwrap(), SentTo::Group), Ok(()));
    }

    #[test]
    fn every_refusal_has_one_of_the_six_words() {
        for (cause, word) in [
            (DropCause::Group, "destination"),
            (DropCause::PortZero, "source"),
            (DropCause::UnanswerableSource, "source"),
            (DropCause::MappedSource, "source"),
            (DropCause::PrivilegedPort, "loop"),
            (DropCause::OwnPort, "loop"),
            (DropCause::PrefixChain, "loop"),
            (DropCause::Reflection, "loop"),
            (DropCause::NotAllowed, "access"),
            (DropCause::Unauthenticated, "access"),
            (DropCause::OverRate, "rate"),
            (DropCause::TooLong, "size"),
            (DropCause::TooShort, "size"),
        ] {
            assert_eq!(cause.reason().as_str(), word, "{cause:?}");
        }
        let words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words, ["rate", "loop", "access", "destination", "source", "size"]);
    }

    #[test]
    fn the_largest_reply_depends_on_the_family() {
        let (v4, v6) = (IpAddr::from([127, 0, 0, 1]), "::1".parse().unwrap());
        assert!(fits(v4, 65_507) && !fits(v4, 65_508));
        assert!(fits(v6, 65_527) && !fits(v6, 65_528));
    }

    #[test]
    fn without_the_guard_a_prefix_chain_is_answered() {
        let chain = b"echo ".repeat(16);
        for (guard, expected) in [(LoopGuard::On, true), (LoopGuard::Off, false)] {
            assert_eq!(Limits { limiter: None, guard }.is_prefix_chain(&chain, b"echo "), expected);
        }
    }
}
