//! Least, mean, greatest and standard deviation of durations, in constant memory and exact in whole
//! nanoseconds: the figures of the last line of ping(8).

use std::fmt;
use std::time::Duration;

use super::units::Millis;

/// Sums over the durations so far; a million of them lose nothing.
///
/// ```
/// use std::time::Duration;
/// use udp_core::text::moments::Moments;
///
/// let mut rtt = Moments::default();
/// for micros in [101, 170, 131] {
///     rtt.record(Duration::from_micros(micros));
/// }
/// assert_eq!(rtt.figures().unwrap().to_string(), "0.101/0.134/0.170/0.028");
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    squares: u128,
}

/// What the sums come to. Shown as `0.101/0.134/0.170/0.028`: milliseconds, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// The least.
    pub min: Duration,
    /// The mean, rounded half up.
    pub average: Duration,
    /// The greatest.
    pub max: Duration,
    /// The standard deviation of the population: what ping calls mdev.
    pub deviation: Duration,
}

impl Moments {
    /// Takes one more value into account.
    pub fn record(&mut self, value: Duration) {
        self.record_many(value, 1);
    }

    /// Takes the same value into account `times` times.
    pub fn record_many(&mut self, value: Duration, times: u32) {
        if times == 0 {
            return;
        }
        let nanos = u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        self.min = if self.count == 0 { nanos } else { self.min.min(nanos) };
        self.max = self.max.max(nanos);
        self.count += u64::from(times);
        self.sum += u128::from(nanos) * u128::from(times);
        let squares = u128::from(nanos).pow(2).saturating_mul(u128::from(times));
        self.squares = self.squares.saturating_add(squares);
    }

    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The figures, if there is any value.
    pub fn figures(&self) -> Option<Figures> {
        let count = u128::from(self.count);
        let mean = (self.sum + count / 2).checked_div(count)?;
        // count * squares - sum² is never negative (Cauchy-Schwarz) and exact in integers.
        let exact = count.checked_mul(self.squares).zip(self.sum.checked_mul(self.sum));
        let variance = match exact {
            Some((all, square)) => all.saturating_sub(square) as f64 / (count as f64).powi(2),
            None => {
                let mean = self.sum as f64 / count as f64;
                (self.squares as f64 / count as f64 - mean * mean).max(0.0)
            }
        };
        Some(Figures {
            min: Duration::from_nanos(self.min),
            average: Duration::from_nanos(u64::try_from(mean).unwrap_or(u64::MAX)),
            max: Duration::from_nanos(self.max),
            deviation: Duration::from_nanos(variance.sqrt().round() as u64),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, average, max, deviation] =
            [self.min, self.average, self.max, self.deviation].map(Millis);
        write!(f, "{min}/{average}/{max}/{deviation}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_ping() {
        let mut moments = Moments::default();
        assert_eq!(moments.figures(), None);
        for micros in [101u64, 170, 131] {
            moments.record(Duration::from_micros(micros));
        }
        let figures = moments.figures().unwrap();
        assert_eq!(figures.average, Duration::from_micros(134));
        // The root of (33² + 36² + 3²) / 3.
        assert_eq!(figures.deviation, Duration::from_nanos(28_249));
        let mut one = Moments::default();
        one.record(Duration::from_nanos(12_345_678_901));
        let text = "12345.679/12345.679/12345.679/0.000";
        assert_eq!(one.figures().unwrap().to_string(), text);
        let mut twice = Moments::default();
        twice.record_many(Duration::from_nanos(12_345_678_901), 2);
        assert_eq!((twice.count(), twice.figures()), (2, one.figures()));
    }

    #[test]
    fn enormous_times_do_not_overflow() {
        let mut moments = Moments::default();
        for _ in 0..10 {
            moments.record_many(Duration::MAX, u32::MAX);
        }
        assert_eq!(moments.figures().unwrap().average, Duration::from_nanos(u64::MAX));
    }
}
