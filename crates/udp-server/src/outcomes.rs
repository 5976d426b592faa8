//! Counts the outcome of each datagram of one worker, and logs it at a limited rate.

use std::time::Duration;

use udp_core::ErrorClass;
use udp_core::batch::Sent;
use udp_core::clock::Mono;
use udp_core::endpoint::host_port;
use udp_core::error::describe;
use udp_core::socket::broadcasts;

use crate::accounting::Counts;
use crate::log_limit::{Kind, LogLimit, More};
use crate::policy::{DropCause, Limiter, Sources};

/// How long a list of broadcast addresses is trusted when it is in doubt.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The counts of one worker, with what was said about them.
#[derive(Debug)]
pub(crate) struct Outcomes {
    /// The counts.
    pub(crate) counts: Counts,
    said: LogLimit,
    /// What log lines call the socket.
    socket: String,
    looked: Option<Mono>,
}

impl Outcomes {
    /// Empty counts of the socket called `socket`.
    pub(crate) fn new(socket: String) -> Self {
        Outcomes { counts: Counts::default(), said: LogLimit::default(), socket, looked: None }
    }

    /// `datagrams` of `peer` are not answered.
    pub(crate) fn dropped(
        &mut self,
        cause: DropCause,
        datagrams: u64,
        peer: std::net::SocketAddr,
        limiter: Option<&Limiter>,
        now: Mono,
    ) {
        self.counts.drop_run(cause, datagrams);
        if cause == DropCause::OverRate
            && let Some(limiter) = limiter
            && limiter.is_first_bite()
        {
            let (rate, burst) = (limiter.rate().per_second(), limiter.rate().burst());
            log::warn!(
                "{} asks for more than {rate} replies a second (burst {burst}) and is not answered \
                 beyond that, nor is anyone else who does; --rate-limit changes this",
                peer.ip()
            );
        }
        if log::log_enabled!(log::Level::Info)
            && let Some(more) = self.said.speak(Kind::Dropped(cause), datagrams, now)
        {
            log::info!("{} is not answered: {}{}", host_port(peer), cause.as_str(), More(more));
        }
    }

    /// The kernel took a reply, or did not.
    pub(crate) fn sent(&mut self, sent: &Sent, sources: &mut Sources, now: Mono) {
        let datagrams = sent.datagrams as u64;
        let Err(error) = &sent.result else {
            self.counts.replied += datagrams;
            self.counts.replied_bytes += sent.bytes as u64;
            return;
        };
        let class = ErrorClass::of(error);
        if class == ErrorClass::Denied {
            self.look_again(sources, now);
        }
        if class == ErrorClass::Denied && sources.is_broadcast(sent.peer.ip()) {
            return self.dropped(DropCause::UnanswerableSource, datagrams, sent.peer, None, now);
        }
        self.counts.failed += datagrams;
        if let Some(more) = self.said.speak(Kind::Send(class), datagrams, now) {
            log::warn!(
                "cannot send to {}: {}{}",
                host_port(sent.peer),
                describe(error),
                More(more)
            );
        }
    }

    /// A receive failed.
    pub(crate) fn receive_failed(&mut self, error: &std::io::Error, now: Mono) {
        if let Some(more) = self.said.speak(Kind::Receive(ErrorClass::of(error)), 1, now) {
            log::warn!("cannot receive on {}: {}{}", self.socket, describe(error), More(more));
        }
    }

    /// Reads this host's broadcast addresses again, at most once in [`LOOK_AGAIN`]: one that came
    /// up after the start is learnt from the kernel's cause to send there, one that is none any
    /// more from a datagram that would be dropped for it.
    pub(crate) fn look_again(&mut self, sources: &mut Sources, now: Mono) {
        let due = self.looked.is_none_or(|last| now.saturating_since(last) >= LOOK_AGAIN);
        if due {
            self.looked = Some(now);
            sources.set_broadcasts(broadcasts());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Access, GroupReplies, Limits, Lists, LoopGuard, Policy, Reason, SentTo};
    use crate::service::Echo;
    use proptest::prelude::*;
    use std::io;
    use std::net::SocketAddr;
    use std::sync::Arc;
    use udp_core::batch::{Meta, Received};

    const NOW: Mono = Mono::from_nanos(1_000_000_000);

    fn sent(peer: &str, datagrams: usize, result: Result<(), io::ErrorKind>) -> Sent {
        let peer: SocketAddr = peer.parse().unwrap();
        let result = result.map_err(io::Error::from);
        Sent { peer, first: 0, datagrams, bytes: 10 * datagrams, result }
    }

    #[test]
    fn each_datagram_is_booked_once() {
        let mut outcomes = Outcomes::new("127.0.0.1:7000".into());
        let mut sources = Sources::new(LoopGuard::On, []);
        let peer = "10.0.0.1:5000";
        outcomes.counts.received = 3 + 2 + 1 + 4 + 5;
        outcomes.sent(&sent(peer, 3, Ok(())), &mut sources, NOW);
        outcomes.sent(&sent(peer, 2, Err(io::ErrorKind::NetworkUnreachable)), &mut sources, NOW);
        outcomes.sent(
            &sent("255.255.255.255:5", 1, Err(io::ErrorKind::PermissionDenied)),
            &mut sources,
            NOW,
        );
        outcomes.sent(
            &sent("8.8.8.8:5", 4, Err(io::ErrorKind::PermissionDenied)),
            &mut sources,
            NOW,
        );
        outcomes.dropped(DropCause::PrefixChain, 5, peer.parse().unwrap(), None, NOW);
        assert!(outcomes.counts.balance());
        assert_eq!((outcomes.counts.replied, outcomes.counts.failed), (3, 6));
        assert_eq!(outcomes.counts.dropped_for(Reason::Source), 1);
        assert_eq!(outcomes.counts.dropped_for(Reason::Loop), 5);
    }

    /// What came: source port, whether to a group, datagrams, whether they are prefix chains, and what
    /// the kernel says to the replies.
    fn any_run() -> impl Strategy<Value = (u16, bool, usize, bool, u8)> {
        let port = prop_oneof![Just(0), Just(7), Just(7000), 1024u16..];
        (port, any::<bool>(), 1usize..20, any::<bool>(), 0u8..4)
    }

    proptest! {
        /// Whatever comes and however the sends end, every datagram is in the counts once.
        #[test]
        fn the_books_balance(
            runs in proptest::collection::vec(any_run(), 0..60), burst in 1u32..100, deny: bool,
        ) {
            let limit = format!("1/{burst}").parse().unwrap();
            let deny = if deny { vec!["10.0.0.0/9".parse().unwrap()] } else { Vec::new() };
            let mut policy = Policy {
                groups: GroupReplies::Never,
                sources: Sources::new(LoopGuard::On, [7000]),
                access: Arc::new(Access::new(&Lists { deny, ..Lists::default() })),
                limits: Limits { limiter: Limiter::new(limit).map(Arc::new), guard: LoopGuard::On },
            };
            let echo = Echo::new(b"echo ".to_vec());
            let mut outcomes = Outcomes::new("127.0.0.1:7000".into());
            let mut came = 0;
            for (port, group, datagrams, chains, outcome) in runs {
                let payload = if chains { b"echo ".repeat(16) } else { vec![0; 80] }.repeat(datagrams);
                let peer = SocketAddr::from(([10, (port % 256) as u8, 0, 1], port));
                let mut meta = Meta::new(peer, payload.len());
                meta.segment = 80;
                came += datagrams as u64;
                outcomes.counts.received += datagrams as u64;
                let sent_to = if group { SentTo::Group } else { SentTo::Us };
                if let Err(cause) = policy.admit_run(peer, sent_to) {
                    outcomes.dropped(cause, datagrams as u64, peer, None, NOW);
                    continue;
                }
                let Policy { sources, limits, .. } = &mut policy;
                let run = Received { meta: &meta, bytes: &payload };
                echo.judge(run, limits, NOW, |range, cause| match cause {
                    Some(cause) => outcomes.dropped(cause, range.len() as u64, peer, None, NOW),
                    None => {
                        let result = match outcome {
                            0 => Err(io::ErrorKind::PermissionDenied),
                            1 => Err(io::ErrorKind::WouldBlock),
                            _ => Ok(()),
                        };
                        outcomes.sent(&sent(&peer.to_string(), range.len(), result), sources, NOW);
                    }
                });
            }
            prop_assert_eq!(outcomes.counts.received, came);
            prop_assert!(outcomes.counts.balance(), "{:?}", outcomes.counts);
            prop_assert!(outcomes.counts.replied + outcomes.counts.failed <= came);
        }
    }
}
