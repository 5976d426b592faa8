//! Counts what became of the messages of a conversation, and derives the exit code from the counts.
//!
//! Every message that went out ends in one class: `sent = replied + lost + refused + pending`.
//! `failed` messages never left this host and `unusable` lines never became messages; neither is
//! in `sent`. `late` is a part of `lost`, `wrong` one of `replied`; `unexpected` counts datagrams
//! that answer nothing.

use std::fmt;
use std::time::Duration;

use udp_core::cli::Exit;
use udp_core::text::units::{Millis, MoreCounts};

/// What became of the messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that went out, each once however often it was sent again.
    pub sent: u64,
    /// Messages that were answered.
    pub replied: u64,
    /// Replies that were credited: more than `replied` where a message may bring several.
    pub replies: u64,
    /// Messages that stayed unanswered until their time was over.
    pub lost: u64,
    /// Messages that the peer's host refused (ICMP port unreachable).
    pub refused: u64,
    /// Lost messages whose reply came after all.
    pub late: u64,
    /// Replies that came once more.
    pub duplicate: u64,
    /// Datagrams that answered nothing: further replies, and what others sent.
    pub unsolicited: u64,
    /// Replies other than expected, or slower than allowed.
    pub wrong: u64,
    /// Messages that could not be sent.
    pub failed: u64,
    /// Input that is not in the form that was asked for.
    pub unusable: u64,
    /// Messages still unanswered when the program was stopped.
    pub pending: u64,
    /// Times that a message was sent again.
    pub retries: u64,
    /// Round-trip times of the credited replies.
    pub rtt: Rtt,
}

/// Whether replies are awaited at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Every message is to be answered.
    Request,
    /// Messages are sent and that is all.
    OneWay,
}

impl Counts {
    /// How the program ends.
    ///
    /// In [`Mode::OneWay`] refusals do not count: whether one is heard at all is luck.
    pub fn exit(&self, mode: Mode) -> Exit {
        if self.unusable > 0 {
            Exit::Usage
        } else if self.sent == 0 && self.failed > 0 {
            Exit::Local
        } else if self.failed > 0 {
            Exit::Failed
        } else if mode == Mode::OneWay {
            Exit::Worked
        } else if self.replied == 0 && self.refused > 0 {
            Exit::Refused
        } else if self.lost + self.refused + self.pending + self.wrong > 0 {
            Exit::Failed
        } else {
            Exit::Worked
        }
    }
}

impl fmt::Display for Counts {
    /// `2 sent, 2 replied, 0 lost`, and the other counts that are not 0.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} replied, {} lost", self.sent, self.replied, self.lost)?;
        let others = [
            (self.refused, "refused"),
            (self.late, "late"),
            (self.duplicate, "duplicate"),
            (self.unsolicited, "unsolicited"),
            (self.wrong, "wrong"),
            (self.failed, "failed"),
            (self.unusable, "unusable"),
            (self.pending, "pending"),
        ];
        MoreCounts(&others).fmt(f)
    }
}

/// Round-trip times in constant memory: exact sums, so that a million of them lose nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rtt {
    count: u64,
    least: u64,
    most: u64,
    sum: u128,
    squares: u128,
}

/// The figures of `ping`'s last line, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RttFigures {
    /// The least.
    pub min: u64,
    /// The mean, rounded.
    pub avg: u64,
    /// The largest.
    pub max: u64,
    /// The standard deviation (of the population, as ping has it), rounded.
    pub mdev: u64,
}

impl Rtt {
    /// Takes one more into account.
    pub fn record(&mut self, rtt: Duration) {
        let nanos = u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX);
        self.least = if self.count == 0 { nanos } else { self.least.min(nanos) };
        self.most = self.most.max(nanos);
        self.count += 1;
        self.sum += u128::from(nanos);
        self.squares = self.squares.saturating_add(u128::from(nanos) * u128::from(nanos));
    }

    /// The figures, if there was any round trip.
    pub fn figures(&self) -> Option<RttFigures> {
        let count = u128::from(self.count);
        let mean = (self.sum + count / 2).checked_div(count)?;
        // count * squares - sum² is never negative (Cauchy-Schwarz) and exact in integers.
        let spread = count
            .checked_mul(self.squares)
            .and_then(|all| Some(all.saturating_sub(self.sum.checked_mul(self.sum)?)));
        let deviation = spread.map_or(0.0, |spread| (spread as f64).sqrt() / count as f64);
        let avg = u64::try_from(mean).unwrap_or(u64::MAX);
        Some(RttFigures { min: self.least, avg, max: self.most, mdev: deviation.round() as u64 })
    }
}

impl fmt::Display for RttFigures {
    /// `rtt min/avg/max/mdev = 0.101/0.134/0.170/0.022 ms`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, avg, max, mdev] =
            [self.min, self.avg, self.max, self.mdev].map(|it| Millis(Duration::from_nanos(it)));
        write!(f, "rtt min/avg/max/mdev = {min}/{avg}/{max}/{mdev} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_follows_from_the_counts() {
        let fresh = Counts::default;
        let cases = [
            (fresh(), Exit::Worked),
            (Counts { sent: 2, replied: 2, ..fresh() }, Exit::Worked),
            (Counts { sent: 2, replied: 2, unsolicited: 3, late: 1, ..fresh() }, Exit::Worked),
            (Counts { sent: 2, replied: 1, lost: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, lost: 1, late: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, refused: 1, ..fresh() }, Exit::Refused),
            (Counts { sent: 2, refused: 1, lost: 1, ..fresh() }, Exit::Refused),
            (Counts { sent: 2, replied: 1, refused: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, replied: 1, wrong: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, pending: 1, ..fresh() }, Exit::Failed),
            (Counts { failed: 1, ..fresh() }, Exit::Local),
            (Counts { sent: 1, replied: 1, failed: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, replied: 1, unusable: 1, ..fresh() }, Exit::Usage),
        ];
        for (counts, exit) in cases {
            assert_eq!(counts.exit(Mode::Request), exit, "{counts:?}");
        }
    }

    #[test]
    fn one_way_only_what_could_not_be_sent_counts() {
        let fresh = Counts::default;
        let cases = [
            (Counts { sent: 2, ..fresh() }, Exit::Worked),
            (Counts { sent: 2, refused: 1, ..fresh() }, Exit::Worked),
            (Counts { failed: 1, ..fresh() }, Exit::Local),
            (Counts { sent: 1, failed: 1, ..fresh() }, Exit::Failed),
            (Counts { sent: 1, unusable: 1, ..fresh() }, Exit::Usage),
        ];
        for (counts, exit) in cases {
            assert_eq!(counts.exit(Mode::OneWay), exit, "{counts:?}");
        }
    }

    #[test]
    fn counts_that_are_not_0_follow() {
        let fresh = Counts::default;
        let cases = [
            (Counts { sent: 2, replied: 2, ..fresh() }, "2 sent, 2 replied, 0 lost"),
            (
                Counts { sent: 4, replied: 2, refused: 1, lost: 1, late: 1, ..fresh() },
                "4 sent, 2 replied, 1 lost, 1 refused, 1 late",
            ),
            (
                Counts { sent: 1, replied: 1, duplicate: 1, unsolicited: 2, wrong: 1, ..fresh() },
                "1 sent, 1 replied, 0 lost, 1 duplicate, 2 unsolicited, 1 wrong",
            ),
            (
                Counts { sent: 1, failed: 3, unusable: 2, pending: 1, ..fresh() },
                "1 sent, 0 replied, 0 lost, 3 failed, 2 unusable, 1 pending",
            ),
        ];
        for (counts, text) in cases {
            assert_eq!(counts.to_string(), text);
        }
    }

    #[test]
    fn round_trip_figures_are_those_of_ping() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.figures(), None);
        for micros in [101u64, 170, 131] {
            rtt.record(Duration::from_micros(micros));
        }
        let figures = rtt.figures().unwrap();
        assert_eq!((figures.min, figures.avg, figures.max), (101_000, 134_000, 170_000));
        // The root of (33² + 36² + 3²) / 3.
        assert_eq!(figures.mdev, 28_249);
        assert_eq!(figures.to_string(), "rtt min/avg/max/mdev = 0.101/0.134/0.170/0.028 ms");
        let mut one = Rtt::default();
        one.record(Duration::from_nanos(12_345_678_901));
        let text = "rtt min/avg/max/mdev = 12345.679/12345.679/12345.679/0.000 ms";
        assert_eq!(one.figures().unwrap().to_string(), text);
    }

    #[test]
    fn enormous_times_do_not_overflow() {
        let mut rtt = Rtt::default();
        for _ in 0..10 {
            rtt.record(Duration::MAX);
        }
        assert_eq!(rtt.figures().unwrap().avg, u64::MAX);
    }
}
