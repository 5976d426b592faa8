//! What a STAMP reflector's answers tell beyond the round trip: its own time, the direction of
//! loss, and the delay variation of each direction (RFC 8762, RFC 5481). A time that cannot be read
//! is in no figure and is counted.

use std::time::Duration;

use udp_core::clock::Mono;

use super::Session;
use super::reply::{Reflected, Reply};
use crate::probe::stats::direction::{Counted, Direction};
use crate::probe::stats::distribution::{Distribution, Precision};
use crate::probe::stats::variation::Variation;
use crate::probe::window::{Beat, Seq};

/// What the answers to one target's beats reported.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// Round trips with the reflector's own time.
    pub(crate) rtt_total: Distribution,
    pub(crate) direction: Direction,
    /// The variation of each direction.
    pub(crate) forward: Variation,
    pub(crate) back: Variation,
    /// Answers in which a time of the reflector could not be read.
    pub(crate) unreadable_times: u64,
}

impl Stamp {
    pub(super) fn new(timeout: Duration, precision: Precision) -> Self {
        Stamp {
            rtt_total: Distribution::new(precision),
            direction: Direction::new(timeout),
            forward: Variation::new(),
            back: Variation::new(),
            unreadable_times: 0,
        }
    }

    /// What a reply to the beat, received at `at`, tells about each direction.
    pub(super) fn reflect(
        &mut self,
        reply: &Reply,
        (seq, beat): (Seq, &Beat),
        reflected: &Reflected,
        at: Mono,
    ) {
        let answer = Counted { numbers: reflected.numbers, sent: beat.sent, at };
        match reply {
            Reply::Unsolicited => {}
            Reply::Duplicate { .. } => self.direction.answered_again(seq.0, answer),
            Reply::Late { .. } => self.direction.answered(seq.0, answer),
            Reply::Received(received) => {
                self.direction.answered(seq.0, answer);
                self.rtt_total.record(received.rtt_total);
                if let Some(came) = reflected.received {
                    self.forward.record(came - i128::from(beat.sent.as_nanos()));
                }
                if let Some(left) = reflected.sent {
                    self.back.record(i128::from(at.as_nanos()) - left);
                }
                let readable = reflected.received.is_some() && reflected.sent.is_some();
                self.unreadable_times += u64::from(!readable);
            }
        }
    }
}

impl Session {
    /// A closing request is sent after the last beat.
    pub(crate) fn counter_probe_sent(&mut self, sent: Mono) {
        if let Some(stamp) = &mut self.stamp {
            stamp.direction.closing_sent(sent);
        }
    }

    /// A closing request was answered.
    pub(crate) fn reply_to_counter_probe(&mut self, answer: Counted) {
        if let Some(stamp) = &mut self.stamp {
            stamp.direction.closing_answered(answer);
        }
    }
}
