//! Counts what became of the messages of a conversation, and derives the exit code from the counts.
//!
//! Every message that went out ends in one class: `sent = replied + lost + refused + pending`.
//! `failed` messages never left this host and `unusable` lines never became messages; neither is
//! in `sent`. `late` is a part of `lost`, `wrong` one of `replied`; `unexpected` counts datagrams
//! that answer nothing.

use std::fmt;

use udp_core::cli::Exit;
use udp_core::text::moments::Moments;
use udp_core::text::units::MoreCounts;

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
    pub rtt: Moments,
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
}
