//! The echo service: the bytes that came, behind a prefix or as they are (RFC 862).
//!
//! One datagram brings at most one reply, at most one prefix longer, and never one that is cut
//! short. The bytes themselves are not touched here: the verdict says which datagrams of a run go
//! back, and the batch layer sends them from where they were received.

use std::ops::Range;

use udp_core::batch::Received;
use udp_core::clock::Mono;

use crate::policy::{DropCause, Limits, fits, loops};

/// The service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    prefix: Vec<u8>,
}

impl Echo {
    /// Echoes behind `prefix`, which may be empty.
    pub fn new(prefix: Vec<u8>) -> Self {
        Echo { prefix }
    }

    /// What stands before the echoed bytes.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Judges the datagrams of one admitted run, whose addresses
    /// [`Policy::admit_run`](crate::policy::Policy::admit_run) found to be
    /// in order: every datagram is in exactly one of the ranges, in order. `None` is answered.
    pub fn judge(
        &self,
        run: Received<'_>,
        limits: &Limits,
        now: Mono,
        mut verdict: impl FnMut(Range<usize>, Option<DropCause>),
    ) {
        let datagrams = run.meta.datagrams();
        let ip = run.meta.peer.ip();
        let chains = self.chains(run, limits);
        let wanted = u32::try_from(datagrams - chains).unwrap_or(u32::MAX);
        let mut tokens = limits.take(ip, wanted, now);
        // All but the last of a run have the first one's length, and the last is not longer.
        let too_long = !fits(ip, self.prefix.len() + run.meta.segment);
        if chains == 0 && tokens == wanted {
            return verdict(0..datagrams, too_long.then_some(DropCause::TooLong));
        }
        let one_by_one = run.segments().map(|payload| {
            if chains > 0 && limits.is_prefix_chain(payload, &self.prefix) {
                return Some(DropCause::PrefixChain);
            }
            if tokens == 0 {
                return Some(DropCause::OverRate);
            }
            tokens -= 1;
            too_long.then_some(DropCause::TooLong)
        });
        in_ranges(one_by_one, verdict);
    }

    /// How many of the run's datagrams are prefix chains; most lengths rule it out for all of them.
    fn chains(&self, run: Received<'_>, limits: &Limits) -> usize {
        if self.prefix.is_empty() || run.meta.segment < loops::CHAIN * self.prefix.len() {
            return 0;
        }
        run.segments().filter(|payload| limits.is_prefix_chain(payload, &self.prefix)).count()
    }
}

/// Joins neighbours with the same verdict.
fn in_ranges(
    verdicts: impl Iterator<Item = Option<DropCause>>,
    mut verdict_of: impl FnMut(Range<usize>, Option<DropCause>),
) {
    let mut open: Option<(Range<usize>, Option<DropCause>)> = None;
    for (index, verdict) in verdicts.enumerate() {
        match &mut open {
            Some((range, same)) if *same == verdict => range.end = index + 1,
            _ => {
                if let Some((range, other)) = open.replace((index..index + 1, verdict)) {
                    verdict_of(range, other);
                }
            }
        }
    }
    if let Some((range, verdict)) = open {
        verdict_of(range, verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Limiter, LoopGuard, RateLimit};
    use proptest::prelude::*;
    use std::sync::Arc;
    use udp_core::batch::Meta;

    fn limits(rate: &str) -> Limits {
        let limit: RateLimit = rate.parse().unwrap();
        Limits { limiter: Limiter::new(limit).map(Arc::new), guard: LoopGuard::On }
    }

    fn meta(peer: &str, len: usize, segment: usize) -> Meta {
        let mut meta = Meta::new(peer.parse().unwrap(), len);
        meta.segment = segment;
        meta
    }

    fn judged(
        prefix: &[u8],
        peer: &str,
        payload: &[u8],
        segment: usize,
        limits: &Limits,
    ) -> Vec<(Range<usize>, Option<DropCause>)> {
        let meta = meta(peer, payload.len(), segment);
        let run = Received { meta: &meta, bytes: payload };
        let mut told = Vec::new();
        Echo::new(prefix.to_vec()).judge(
            run,
            limits,
            Mono::from_nanos(1_000_000_000),
            |range, why| {
                told.push((range, why));
            },
        );
        told
    }

    const V4: &str = "127.0.0.1:5000";
    const V6: &str = "[::1]:5000";

    #[test]
    fn lone_datagrams() {
        let long = |n| vec![b'x'; n];
        let chain = b"echo ".repeat(16);
        for (prefix, peer, payload, expected) in [
            (&b"echo "[..], V4, b"hello".to_vec(), None),
            (b"echo ", V4, Vec::new(), None),
            (b"", V4, Vec::new(), None),
            (b"echo ", V4, chain.clone(), Some(DropCause::PrefixChain)),
            (b"", V4, chain, None),
            (b"echo ", V4, long(65_502), None),
            (b"echo ", V4, long(65_503), Some(DropCause::TooLong)),
            (b"", V4, long(65_507), None),
            (b"echo ", V6, long(65_522), None),
            (b"echo ", V6, long(65_523), Some(DropCause::TooLong)),
            (b"", V6, long(65_527), None),
        ] {
            let told = judged(prefix, peer, &payload, payload.len(), &limits("0"));
            assert_eq!(told, [(0..1, expected)], "{} bytes from {peer}", payload.len());
        }
    }

    #[test]
    fn a_run_is_judged_at_once_unless_its_datagrams_differ() {
        let plain = vec![b'x'; 80 * 3 + 10];
        assert_eq!(judged(b"echo ", V4, &plain, 80, &limits("0")), [(0..4, None)]);
        let mut mixed = plain;
        mixed[80..160].copy_from_slice(&b"echo ".repeat(16));
        assert_eq!(
            judged(b"echo ", V4, &mixed, 80, &limits("0")),
            [(0..1, None), (1..2, Some(DropCause::PrefixChain)), (2..4, None)]
        );
        assert_eq!(
            judged(b"echo ", V4, &mixed, 80, &limits("1/2")),
            [
                (0..1, None),
                (1..2, Some(DropCause::PrefixChain)),
                (2..3, None),
                (3..4, Some(DropCause::OverRate))
            ],
            "a chain costs no token"
        );
        assert_eq!(
            judged(b"", V4, &mixed, 80, &limits("1/1")),
            [(0..1, None), (1..4, Some(DropCause::OverRate))]
        );
    }

    proptest! {
        /// Whatever a run is made of, each datagram gets one verdict, and the answered ones are at
        /// most as many as there are tokens.
        #[test]
        fn every_datagram_gets_one_verdict(
            kinds in proptest::collection::vec(any::<bool>(), 1..40), burst in 1u32..50, last in 1usize..80,
        ) {
            let mut payload: Vec<u8> =
                kinds.iter().flat_map(|chain| if *chain { b"echo ".repeat(16) } else { vec![0; 80] }).collect();
            payload.truncate((kinds.len() - 1) * 80 + last);
            let told = judged(b"echo ", "8.8.8.8:5000", &payload, 80, &limits(&format!("1/{burst}")));
            let mut next = 0;
            for (range, _) in &told {
                prop_assert_eq!(range.start, next);
                prop_assert!(range.end > range.start);
                next = range.end;
            }
            prop_assert_eq!(next, kinds.len());
            let answered: usize =
                told.iter().filter(|(_, why)| why.is_none()).map(|(range, _)| range.len()).sum();
            prop_assert!(answered <= burst as usize);
        }
    }
}
