//! Timestamps and error estimates on the wire (RFC 8762 section 4.2.1).
//!
//! A timestamp is 8 bytes in one of two formats, which the Z bit of the packet's error estimate
//! tells apart: NTP's (RFC 5905 section 6: seconds since 1900 and a binary fraction) or PTP's
//! truncated one (IEEE 1588: seconds and nanoseconds). Both hold their seconds in 32 bits and
//! wrap; how each is read is said at its type.

use std::time::Duration;

use crate::clock::Wall;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Seconds from NTP's epoch, 1900-01-01, to Unix', 1970-01-01.
const NTP_TO_UNIX: u64 = 2_208_988_800;

/// An NTP timestamp: 32 bits of seconds since 1900-01-01T00:00:00Z modulo 2^32, and 32 bits of
/// binary fraction (a unit is 0.23 ns).
///
/// The seconds wrap on 2036-02-07, and the wire does not say how often they have: by the
/// convention of RFC 4330 section 3 a set top bit means the years 1968 to 2036 (era 0), a clear
/// one 2036 to 2104 (era 1). Zero means that no time is known, so the one moment that would be
/// zero, the wrap itself, is sent as the unit after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NtpTimestamp(pub u64);

impl From<Wall> for NtpTimestamp {
    /// Exact to the unit; [`NtpTimestamp::to_wall`] gives back the same nanosecond for all times
    /// before 2104-02-26.
    fn from(wall: Wall) -> Self {
        let seconds = wall.as_nanos() / NANOS_PER_SECOND + NTP_TO_UNIX;
        let fraction = ((wall.as_nanos() % NANOS_PER_SECOND) << 32) / NANOS_PER_SECOND;
        NtpTimestamp(((seconds << 32) | fraction).max(1))
    }
}

impl NtpTimestamp {
    /// The nearest nanosecond; `None` if no time is known, or if it is before 1970.
    #[must_use]
    pub fn to_wall(self) -> Option<Wall> {
        if self.0 == 0 {
            return None;
        }
        let seconds = self.0 >> 32;
        let era = if seconds >> 31 == 1 { 0 } else { 1 << 32 };
        let unix = (seconds + era).checked_sub(NTP_TO_UNIX)?;
        let nanos = ((self.0 & 0xffff_ffff) * NANOS_PER_SECOND + (1 << 31)) >> 32;
        Some(Wall::from_nanos(unix * NANOS_PER_SECOND + nanos))
    }
}

/// A PTP truncated timestamp: 32 bits of seconds since 1970-01-01 modulo 2^32, and 32 bits of
/// nanoseconds.
///
/// The seconds wrap in 2106, and are read as the years 1970 to 2106. A PTP clock usually runs on
/// TAI, which is some 37 s ahead of UTC: a difference of two stamps of one clock means something,
/// the time of day need not. All bits zero means that no time is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PtpTimestamp(pub u64);

impl From<Wall> for PtpTimestamp {
    /// Exact until 2106, but that the epoch itself is sent as the nanosecond after it.
    fn from(wall: Wall) -> Self {
        let seconds = wall.as_nanos() / NANOS_PER_SECOND;
        PtpTimestamp(((seconds << 32) | (wall.as_nanos() % NANOS_PER_SECOND)).max(1))
    }
}

impl PtpTimestamp {
    /// The moment; `None` if no time is known, or if the nanoseconds make up a second or more.
    #[must_use]
    pub fn to_wall(self) -> Option<Wall> {
        let (seconds, nanos) = (self.0 >> 32, self.0 & 0xffff_ffff);
        if self.0 == 0 || nanos >= NANOS_PER_SECOND {
            return None;
        }
        Some(Wall::from_nanos(seconds * NANOS_PER_SECOND + nanos))
    }
}

/// Which of the two formats a timestamp has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Format {
    /// [`NtpTimestamp`], which every implementation knows.
    #[default]
    Ntp,
    /// [`PtpTimestamp`].
    Ptp,
}

/// A timestamp as it stands in a packet; its [`Format`] is in the error estimate beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// `wall` in this format.
    #[must_use]
    pub fn new(wall: Wall, format: Format) -> Self {
        match format {
            Format::Ntp => NtpTimestamp::from(wall).into(),
            Format::Ptp => PtpTimestamp::from(wall).into(),
        }
    }

    /// The moment it tells; `None` if none, see [`NtpTimestamp::to_wall`] and
    /// [`PtpTimestamp::to_wall`].
    #[must_use]
    pub fn to_wall(self, format: Format) -> Option<Wall> {
        match format {
            Format::Ntp => NtpTimestamp(self.0).to_wall(),
            Format::Ptp => PtpTimestamp(self.0).to_wall(),
        }
    }

    /// Whether it holds a time.
    #[must_use]
    pub const fn is_set(self) -> bool {
        self.0 != 0
    }
}

impl From<NtpTimestamp> for Timestamp {
    fn from(time: NtpTimestamp) -> Self {
        Timestamp(time.0)
    }
}

impl From<PtpTimestamp> for Timestamp {
    fn from(time: PtpTimestamp) -> Self {
        Timestamp(time.0)
    }
}

/// What keeps the clock that a timestamp was taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClockSource {
    /// Nothing that is known: the timestamp only compares with others of the same clock.
    #[default]
    Free,
    /// An outside source keeps it on UTC.
    Utc,
}

/// How far a timestamp may be off, and what it is (RFC 4656 section 4.1.2, RFC 8186 section 2.3):
/// a bit S for a clock that an outside source keeps on UTC, a bit Z for the format, and the error
/// as an 8-bit multiplier and a 6-bit power of two, in units of 2^-32 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorEstimate(pub u16);

impl ErrorEstimate {
    const SYNCHRONIZED: u16 = 1 << 15;
    const PTP: u16 = 1 << 14;

    /// NTP format, a clock of which nothing is known. The error must not be zero on the wire; it
    /// says one second, and means nothing without S.
    pub const UNSYNCHRONIZED: Self = Self(32 << 8 | 1);

    /// An estimate for a clock that is, or is not, kept on UTC by an outside source, with an error
    /// rounded up to what can be represented (8 bits; at least 0.23 ns, at most 17,000 years).
    #[must_use]
    pub fn new(clock: ClockSource, format: Format, error: Duration) -> Self {
        let nanos = u128::from(NANOS_PER_SECOND);
        let mut units = (error.as_nanos() << 32).div_ceil(nanos).max(1);
        let mut scale = 0;
        while units > 255 && scale < 63 {
            units = units.div_ceil(2);
            scale += 1;
        }
        let multiplier = u16::try_from(units.min(255)).unwrap_or(255);
        let synchronized = match clock {
            ClockSource::Utc => Self::SYNCHRONIZED,
            ClockSource::Free => 0,
        };
        let ptp = match format {
            Format::Ntp => 0,
            Format::Ptp => Self::PTP,
        };
        Self(synchronized | ptp | scale << 8 | multiplier)
    }

    /// Whether the clock claims to be kept on UTC by an outside source.
    #[must_use]
    pub const fn is_synchronized(self) -> bool {
        self.0 & Self::SYNCHRONIZED != 0
    }

    /// The format of the timestamps that this is about.
    #[must_use]
    pub const fn format(self) -> Format {
        if self.0 & Self::PTP == 0 { Format::Ntp } else { Format::Ptp }
    }

    /// The error claimed; `None` for a multiplier of zero, which RFC 4656 makes invalid.
    #[must_use]
    pub fn error(self) -> Option<Duration> {
        let (scale, multiplier) = (self.0 >> 8 & 0x3f, u128::from(self.0 & 0xff));
        let units = multiplier << scale;
        let seconds = u64::try_from(units >> 32).ok()?;
        let nanos = ((units & 0xffff_ffff) * u128::from(NANOS_PER_SECOND)) >> 32;
        (multiplier != 0).then(|| Duration::new(seconds, u32::try_from(nanos).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = NANOS_PER_SECOND;
    /// 2036-02-07T06:28:16Z, where NTP's seconds wrap.
    const WRAP: u64 = 2_085_978_496;

    #[test]
    fn ntp_timestamps_are_read_within_their_era() {
        let table = [
            (0, 0x83aa_7e80_0000_0000),
            (1_700_000_000 * SECOND + SECOND / 2, 0xe8fe_6f80_8000_0000),
            (1_700_000_000 * SECOND + 1, 0xe8fe_6f80_0000_0004),
            (1_700_000_000 * SECOND + 999_999_999, 0xe8fe_6f80_ffff_fffb),
            (WRAP * SECOND - 1, 0xffff_ffff_ffff_fffb),
            (WRAP * SECOND, 1),
            (WRAP * SECOND + SECOND, 0x0000_0001_0000_0000),
            (4_233_462_143 * SECOND, 0x7fff_ffff_0000_0000),
        ];
        for (nanos, bits) in table {
            assert_eq!(NtpTimestamp::from(Wall::from_nanos(nanos)), NtpTimestamp(bits), "{nanos}");
            assert_eq!(NtpTimestamp(bits).to_wall(), Some(Wall::from_nanos(nanos)), "{bits:x}");
        }
        assert_eq!(NtpTimestamp(0).to_wall(), None);
        assert_eq!(NtpTimestamp(0x83aa_7e7f_ffff_ffff).to_wall(), None, "before 1970");
        let rounded_up = NtpTimestamp(0xe8fe_6f80_ffff_ffff).to_wall();
        assert_eq!(rounded_up, Some(Wall::from_nanos(1_700_000_001 * SECOND)));
        // Past what the convention covers it wraps, and is still a time.
        assert!(NtpTimestamp::from(Wall::from_nanos(u64::MAX)).to_wall().is_some());
    }

    #[test]
    fn ptp_timestamps_hold_nanoseconds() {
        let table = [
            (1_700_000_000 * SECOND + SECOND / 2, 0x6553_f100_1dcd_6500),
            (4_294_967_295 * SECOND + 999_999_999, 0xffff_ffff_3b9a_c9ff),
        ];
        for (nanos, bits) in table {
            assert_eq!(PtpTimestamp::from(Wall::from_nanos(nanos)), PtpTimestamp(bits), "{nanos}");
            assert_eq!(PtpTimestamp(bits).to_wall(), Some(Wall::from_nanos(nanos)), "{bits:x}");
        }
        assert_eq!(PtpTimestamp(0).to_wall(), None);
        assert_eq!(PtpTimestamp(SECOND).to_wall(), None, "a whole second of nanoseconds");
    }

    #[test]
    fn an_error_estimate_is_never_less_than_the_error() {
        use ClockSource::{Free, Utc};
        use Format::{Ntp, Ptp};
        let table = [
            (Free, Ntp, Duration::ZERO, 0x0001),
            (Utc, Ntp, Duration::from_nanos(1), 0x8005),
            (Free, Ptp, Duration::from_nanos(59), 0x40fe),
            (Utc, Ptp, Duration::from_nanos(60), 0xc181),
            (Free, Ntp, Duration::from_secs(1), 0x1980),
            (Free, Ntp, Duration::MAX, 0x3fff),
        ];
        for (clock, format, error, bits) in table {
            let estimate = ErrorEstimate::new(clock, format, error);
            assert_eq!(estimate, ErrorEstimate(bits), "{error:?}: {:04x}", estimate.0);
            assert_eq!(estimate.is_synchronized(), clock == Utc);
            assert_eq!(estimate.format(), format);
        }
        assert_eq!(ErrorEstimate::UNSYNCHRONIZED.error(), Some(Duration::from_secs(1)));
        assert!(!ErrorEstimate::UNSYNCHRONIZED.is_synchronized());
        assert_eq!(ErrorEstimate(0xff00).error(), None);
        assert_eq!(ErrorEstimate(0xffff).error(), Some(Duration::from_secs(255 << 31)));
    }

    proptest! {
        #[test]
        fn times_come_back_to_the_nanosecond(nanos in 1..4_233_462_144 * SECOND) {
            let wall = Wall::from_nanos(nanos);
            for format in [Format::Ntp, Format::Ptp] {
                prop_assert_eq!(Timestamp::new(wall, format).to_wall(format), Some(wall));
            }
        }

        #[test]
        fn any_bits_are_read_without_failing(bits: u64, estimate: u16) {
            let estimate = ErrorEstimate(estimate);
            let time = Timestamp(bits).to_wall(estimate.format());
            prop_assert!(time.is_none() || bits != 0);
            prop_assert_eq!(estimate.error().is_none(), estimate.0 & 0xff == 0);
        }

        #[test]
        fn errors_are_rounded_up_by_less_than_a_hundredth(nanos in 100..u64::MAX) {
            let error = Duration::from_nanos(nanos);
            let told = ErrorEstimate::new(ClockSource::Free, Format::Ntp, error).error();
            // The last nanosecond is lost where the claim itself is turned into nanoseconds.
            prop_assert!(told.is_some_and(|told| {
                told + Duration::from_nanos(1) >= error && told.as_nanos() <= error.as_nanos() * 101 / 100
            }), "{:?}", told);
        }
    }
}
