//! Replies a second for each source network, in memory that does not grow.
//!
//! A source is an IPv4 address or an IPv6 /64. Each has a bucket of tokens, kept as the one moment
//! at which it would be full again (the generic cell rate algorithm, ITU-T I.371). The table is
//! one block of 65,536 buckets of 16 bytes, in sets of four that share a cache line; a new source
//! takes the bucket of its set that has been full for longest, so a million forged sources cost
//! what one costs, and the worst they bring about is a fresh bucket for somebody. Where a source
//! falls is decided by a keyed hash (SipHash) with a random key per start, so nobody can aim.
//!
//! The table is the only thing that workers share: a source that uses many ports meets many
//! workers, and its rate is one. Its cells are atomic; two workers that take the same set over in
//! the same instant may miscount a few tokens, never more. It is allocated when the first source
//! that is limited at all appears, which on loopback and private networks is never.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use udp_core::clock::Mono;

use super::scope;

/// Buckets in the table.
pub const BUCKETS: usize = 65_536;
/// Buckets in a set: four of 16 bytes fill a cache line.
const WAYS: usize = 4;

/// `RATE[/BURST]`: replies a second, and how many at once after a pause.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    per_second: f64,
    burst: u32,
}

impl Rate {
    /// What a public source may have by default.
    pub const PUBLIC: Rate = Rate { per_second: 200.0, burst: 400 };

    /// Replies a second, above 0.
    pub fn per_second(self) -> f64 {
        self.per_second
    }

    /// Replies at once, at least 1.
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// Nanoseconds between two replies.
    fn interval(self) -> u64 {
        // As a cast saturates, a rate below one in 584 years is one in 584 years.
        ((1e9 / self.per_second) as u64).max(1)
    }
}

/// How replies are limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RateLimit {
    /// Not at all.
    Off,
    /// The default: public sources at [`Rate::PUBLIC`], others not at all.
    Public,
    /// Every source.
    Every(Rate),
}

impl FromStr for RateLimit {
    type Err = String;

    /// Without a burst, it is two seconds' worth, as in the default, and at least 1.
    fn from_str(text: &str) -> Result<Self, String> {
        let (rate, burst) = match text.split_once('/') {
            Some((rate, burst)) => (rate, Some(burst)),
            None => (text, None),
        };
        let digits = rate.starts_with(|c: char| c.is_ascii_digit() || c == '.');
        let per_second: f64 = rate
            .parse()
            .ok()
            .filter(|rate: &f64| digits && rate.is_finite())
            .ok_or("expected RATE or RATE/BURST, in replies a second, such as 200/400")?;
        if per_second > 1e9 {
            return Err("the rate is above 1000000000 a second".into());
        }
        let burst = match burst {
            Some(burst) => burst
                .parse::<u32>()
                .ok()
                .filter(|burst| *burst > 0 && *burst <= 1_000_000_000)
                .ok_or("the burst is not a whole number from 1 to 1000000000")?,
            None => ((per_second * 2.0).min(1e9) as u32).max(1),
        };
        if per_second == 0.0 {
            return Ok(RateLimit::Off);
        }
        Ok(RateLimit::Every(Rate { per_second, burst }))
    }
}

/// One cache line: who is in the four buckets (0 is nobody), and when each is full again.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set {
    owner: [AtomicU64; WAYS],
    full_at: [AtomicU64; WAYS],
}

/// The buckets of all sources.
#[derive(Debug)]
pub struct Limiter {
    rate: Rate,
    bitten: AtomicBool,
    /// Nanoseconds that one reply costs.
    interval: u64,
    /// Nanoseconds that a full bucket is worth.
    depth: u64,
    everyone: bool,
    key: RandomState,
    sets: OnceLock<Box<[Set]>>,
}

impl Limiter {
    /// A limiter with every bucket full; `None` where nothing is limited.
    pub fn new(limit: RateLimit) -> Option<Self> {
        let (rate, everyone) = match limit {
            RateLimit::Off => return None,
            RateLimit::Public => (Rate::PUBLIC, false),
            RateLimit::Every(rate) => (rate, true),
        };
        let interval = rate.interval();
        Some(Limiter {
            rate,
            bitten: AtomicBool::new(false),
            interval,
            depth: interval.saturating_mul(u64::from(rate.burst)),
            everyone,
            key: RandomState::new(),
            sets: OnceLock::new(),
        })
    }

    /// What each source that is limited may have.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Whether this is the first time that anybody asks: the limit's first bite is said aloud.
    pub fn is_first_bite(&self) -> bool {
        !self.bitten.swap(true, Relaxed)
    }

    /// Whether replies to `ip` are limited at all.
    pub fn applies_to(&self, ip: IpAddr) -> bool {
        self.everyone || scope::is_public(ip)
    }

    /// Takes up to `wanted` tokens for replies to `ip` at `now`, and returns how many there were.
    pub fn take(&self, ip: IpAddr, wanted: u32, now: Mono) -> u32 {
        if wanted == 0 || !self.applies_to(ip) {
            return wanted;
        }
        let now = now.as_nanos();
        let hash = self.hash(ip);
        // Every bit of the hash tells owners apart; 0 is kept for nobody.
        let owner = hash.max(1);
        let sets = self.sets.get_or_init(|| (0..BUCKETS / WAYS).map(|_| Set::default()).collect());
        let index = hash as usize % sets.len();
        let Some(set) = sets.get(index) else { return wanted };
        self.draw(set.bucket(owner, now), wanted, now)
    }

    /// Moves the moment at which a bucket is full by what is taken, never past what its depth allows.
    fn draw(&self, full_at: &AtomicU64, wanted: u32, now: u64) -> u32 {
        let mut taken = 0;
        let update = |full_at: u64| {
            let debt = full_at.saturating_sub(now);
            let room = self.depth.saturating_sub(debt) / self.interval;
            taken = wanted.min(u32::try_from(room).unwrap_or(u32::MAX));
            let cost = self.interval.saturating_mul(u64::from(taken));
            (taken > 0).then(|| full_at.max(now).saturating_add(cost))
        };
        match full_at.fetch_update(Relaxed, Relaxed, update) {
            Ok(_) => taken,
            Err(_) => 0,
        }
    }

    fn hash(&self, ip: IpAddr) -> u64 {
        match ip {
            IpAddr::V4(ip) => self.key.hash_one((4u8, u64::from(ip.to_bits()))),
            IpAddr::V6(ip) => self.key.hash_one((6u8, (ip.to_bits() >> 64) as u64)),
        }
    }
}

impl Set {
    /// The bucket of `owner`, its own or one taken over.
    fn bucket(&self, owner: u64, now: u64) -> &AtomicU64 {
        let mut oldest = (&self.owner[0], &self.full_at[0]);
        for (cell, full_at) in self.owner.iter().zip(&self.full_at) {
            if cell.load(Relaxed) == owner {
                return full_at;
            }
            if full_at.load(Relaxed) < oldest.1.load(Relaxed) {
                oldest = (cell, full_at);
            }
        }
        let (cell, full_at) = oldest;
        cell.store(owner, Relaxed);
        full_at.store(now, Relaxed);
        full_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(text: &str) -> Limiter {
        Limiter::new(text.parse().unwrap()).unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn at_ms(ms: u64) -> Mono {
        Mono::from_nanos(5_000_000_000 + ms * 1_000_000)
    }

    #[test]
    fn what_is_typed() {
        let rate = |per_second, burst| RateLimit::Every(Rate { per_second, burst });
        for (text, expected) in [
            ("200/400", Some(rate(200.0, 400))),
            ("200", Some(rate(200.0, 400))),
            ("0.5", Some(rate(0.5, 1))),
            ("5/1", Some(rate(5.0, 1))),
            ("0", Some(RateLimit::Off)),
            ("0/10", Some(RateLimit::Off)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("inf", None),
            ("nan", None),
            ("1e300", None),
            ("10/0", None),
            ("10/", None),
            ("/10", None),
            ("10/1.5", None),
            ("10/-1", None),
            ("10/20/30", None),
            ("ten", None),
        ] {
            assert_eq!(text.parse::<RateLimit>().ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let limiter = every("10/3");
        let one = ip("8.8.8.8");
        assert_eq!(limiter.take(one, 5, at_ms(0)), 3);
        assert_eq!(limiter.take(one, 1, at_ms(50)), 0);
        assert_eq!(limiter.take(one, 5, at_ms(100)), 1);
        assert_eq!(limiter.take(one, 9, at_ms(10_000)), 3, "never more than the burst");
        assert_eq!(limiter.take(ip("8.8.4.4"), 9, at_ms(10_000)), 3, "each source has its own");
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_an_ipv6_64() {
        let limiter = every("1/1");
        let take = |text| limiter.take(ip(text), 1, at_ms(0));
        assert_eq!((take("1.2.3.4"), take("1.2.3.5"), take("1.2.3.4")), (1, 1, 0));
        assert_eq!((take("2a00::1"), take("2a00::2"), take("2a00:0:0:1::1")), (1, 0, 1));
    }

    #[test]
    fn by_default_the_public_alone_are_limited_and_the_table_waits_for_them() {
        let limiter = Limiter::new(RateLimit::Public).unwrap();
        for spared in ["127.0.0.1", "10.0.0.1", "192.0.2.1", "198.18.0.1", "fe80::1", "fd00::1"] {
            assert_eq!(limiter.take(ip(spared), 100_000, at_ms(0)), 100_000, "{spared}");
        }
        assert!(limiter.sets.get().is_none());
        assert_eq!(limiter.take(ip("8.8.8.8"), 100_000, at_ms(0)), 400);
        assert_eq!(limiter.take(ip("8.8.8.8"), 100_000, at_ms(1000)), 200);
        assert!(Limiter::new(RateLimit::Off).is_none());
    }

    #[test]
    fn the_first_bite_is_the_first_once() {
        let limiter = every("1/1");
        assert_eq!([(); 3].map(|()| limiter.is_first_bite()), [true, false, false]);
    }

    #[test]
    fn the_table_stays_as_it_is_under_a_million_sources() {
        let limiter = every("1/1");
        let (mut granted, start) = (0, at_ms(0));
        for source in 0..1_000_000u32 {
            let forged = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0100_0000 + source));
            granted += limiter.take(forged, 1, start);
        }
        assert_eq!(granted, 1_000_000, "each of them is new");
        let sets = limiter.sets.get().unwrap();
        assert_eq!(size_of_val(&**sets), 1 << 20);
    }

    proptest! {
        /// Over any pattern of asking, no more is granted than burst + rate x time.
        #[test]
        fn never_more_than_the_burst_and_the_rate_allow(
            rate in 1u32..2000, burst in 1u32..500,
            asks in proptest::collection::vec((0u64..400, 1u32..100), 1..200),
        ) {
            let limiter = every(&format!("{rate}/{burst}"));
            let (mut now, mut granted) = (0, 0u64);
            for (gap, wanted) in asks {
                now += gap;
                let taken = limiter.take(ip("8.8.8.8"), wanted, at_ms(now));
                prop_assert!(taken <= wanted);
                granted += u64::from(taken);
                let allowed = u64::from(burst) + u64::from(rate) * now / 1000 + 1;
                prop_assert!(granted <= allowed, "{granted} > {allowed} after {now} ms");
            }
        }

        /// Who asks no faster than the rate is never dropped.
        #[test]
        fn who_keeps_to_the_rate_is_always_answered(rate in 1u32..1000, asks in 1u64..300) {
            let limiter = every(&format!("{rate}/1"));
            let interval = 1_000_000_000 / u64::from(rate) + 1;
            for ask in 0..asks {
                let now = Mono::from_nanos(1_000_000_000 + ask * interval);
                prop_assert_eq!(limiter.take(ip("2a00::1"), 1, now), 1);
            }
        }
    }
}
