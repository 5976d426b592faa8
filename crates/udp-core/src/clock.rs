//! Time: the one place that reads a clock or sleeps.
//!
//! Two clocks that must never be mixed up are two types. [`Mono`] counts from some moment in the
//! past, never steps, and is what differences are taken of; [`Wall`] is the time of day, may step,
//! and is for display and for stamps on the wire. Everything that decides takes its times as
//! arguments. Sources: `clock_gettime(2)`, RFC 3339.

use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of the monotonic clock, in nanoseconds since an arbitrary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(u64);

impl Mono {
    /// The moment `nanos` nanoseconds after the clock's start.
    pub const fn from_nanos(nanos: u64) -> Self {
        Mono(nanos)
    }

    /// Nanoseconds since the clock's start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    pub const fn saturating_since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` earlier, not before the clock's start.
    pub fn saturating_sub(self, span: Duration) -> Mono {
        Mono(self.0.saturating_sub(nanos(span)))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;

    /// The moment `span` later, or the last one that can be represented.
    fn add(self, span: Duration) -> Mono {
        Mono(self.0.saturating_add(nanos(span)))
    }
}

impl Sub for Mono {
    type Output = Duration;

    /// As [`saturating_since`](Mono::saturating_since).
    fn sub(self, earlier: Mono) -> Duration {
        self.saturating_since(earlier)
    }
}

/// A time of day, in nanoseconds since 1970-01-01T00:00:00Z (good until the year 2554).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(u64);

impl Wall {
    /// The time `nanos` nanoseconds after the Unix epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Wall(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// As RFC 3339 has it, in UTC with microseconds: `2026-05-04T12:00:00.000000Z`.
    pub fn rfc3339(self) -> String {
        humantime::format_rfc3339_micros(UNIX_EPOCH + Duration::from_nanos(self.0)).to_string()
    }

    /// Reads what [`rfc3339`](Wall::rfc3339) writes.
    pub fn from_rfc3339(text: &str) -> Option<Wall> {
        humantime::parse_rfc3339(text).ok().map(Wall::from)
    }
}

impl From<SystemTime> for Wall {
    /// A time before the epoch becomes the epoch.
    fn from(time: SystemTime) -> Wall {
        Wall(time.duration_since(UNIX_EPOCH).map_or(0, nanos))
    }
}

/// The monotonic time now: `CLOCK_MONOTONIC` where there is one, else since this process's first call.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
pub fn mono() -> Mono {
    // Read directly: `Instant` has no number, and its differences cost a beat a tenth of its work.
    #[cfg(unix)]
    if let Ok(time) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC) {
        return Mono(nanos(time.into()));
    }
    static START: OnceLock<Instant> = OnceLock::new();
    Mono(nanos(START.get_or_init(Instant::now).elapsed()))
}

/// The time of day now.
#[expect(clippy::disallowed_methods, reason = "this is the one reader of time")]
pub fn wall() -> Wall {
    Wall::from(SystemTime::now())
}

/// Waits for `span`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that sleeps")]
pub fn sleep(span: Duration) {
    std::thread::sleep(span);
}

/// Puts times of day that the kernel stamped onto the monotonic clock.
///
/// How old a stamp may be does not matter, as a process may have been stopped meanwhile, but the time
/// of day must not have been stepped since (`clock_settime(2)`, a suspended machine): what a stamp is
/// worth that lies in the future, or before a step, nobody can say. What it stamps came now, then.
#[derive(Debug, Clone)]
pub struct Stamps {
    /// Both clocks when they were last read.
    last: (Wall, Mono),
    /// Since when they have run alongside.
    since: Mono,
}

impl Default for Stamps {
    fn default() -> Self {
        Stamps::from(wall(), mono())
    }
}

impl Stamps {
    /// So much may two readings differ by being slewed (`adjtimex(2)`, 500 ppm) or read apart.
    const STEP: u64 = 1_000_000_000;
    /// What came so shortly before the clocks were first read may be asked for.
    const BEFORE: u64 = 10_000_000_000;

    fn from(wall: Wall, mono: Mono) -> Self {
        Stamps { last: (wall, mono), since: Mono(mono.0.saturating_sub(Self::BEFORE)) }
    }

    /// The moment of `stamp`, given both clocks read together just after it.
    pub fn to_mono(&mut self, stamp: Wall, now_wall: Wall, now_mono: Mono) -> Mono {
        let (wall, mono) = std::mem::replace(&mut self.last, (now_wall, now_mono));
        let ran = (now_wall.0.wrapping_sub(wall.0)).wrapping_sub(now_mono.0.wrapping_sub(mono.0));
        if ran.cast_signed().unsigned_abs() > Self::STEP + now_mono.0.wrapping_sub(mono.0) / 1000 {
            self.since = now_mono;
        }
        match now_wall.0.checked_sub(stamp.0) {
            Some(ago) if ago <= now_mono.0.saturating_sub(self.since.0) => Mono(now_mono.0 - ago),
            _ => now_mono,
        }
    }
}

/// Whole nanoseconds, at most what 64 bits hold (584 years).
fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let mut last = mono();
        for _ in 0..1000 {
            let now = mono();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        let early = Mono::from_nanos(5);
        let late = Mono::from_nanos(u64::MAX - 5);
        assert_eq!(early - late, Duration::ZERO);
        assert_eq!(late - early, Duration::from_nanos(u64::MAX - 10));
        assert_eq!(late + Duration::from_secs(1), Mono::from_nanos(u64::MAX));
        assert_eq!(early + Duration::MAX, Mono::from_nanos(u64::MAX));
        assert_eq!(early.saturating_sub(Duration::from_secs(1)), Mono::from_nanos(0));
    }

    #[test]
    fn the_time_of_day_is_shown_in_utc_with_microseconds() {
        let cases = [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_700_000_000_123_456_789, "2023-11-14T22:13:20.123456Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551Z"),
        ];
        for (nanos, text) in cases {
            assert_eq!(Wall::from_nanos(nanos).rfc3339(), text);
        }
    }

    #[test]
    fn a_kernel_stamp_lands_on_the_monotonic_clock_however_old_it_is() {
        const S: u64 = 1_000_000_000;
        // Both clocks, in seconds, the stamp, and where it lands.
        let cases = [
            ((150, 50), 150 * S, 50 * S),
            ((150, 50), 150 * S - 1000, 50 * S - 1000),
            ((150, 50), 130 * S, 30 * S), // the process was stopped for long
            ((150, 50), 129 * S, 50 * S), // before the clocks were first read
            ((150, 50), 150 * S + 1, 50 * S), // in the future
            ((4000, 60), 151 * S, 60 * S), // before a step
            ((4001, 61), 4000 * S + 5, 60 * S + 5),
            ((101, 62), 4001 * S, 62 * S), // stepped back
            ((111, 72), 105 * S, 66 * S),
        ];
        let at = |(wall, mono): (u64, u64)| (Wall(wall * S), Mono(mono * S));
        let (wall, mono) = at((140, 40));
        let mut stamps = Stamps::from(wall, mono);
        for (now, stamp, expected) in cases {
            let (wall, mono) = at(now);
            assert_eq!(
                stamps.to_mono(Wall(stamp), wall, mono),
                Mono(expected),
                "{stamp} at {now:?}"
            );
        }
    }
}
