//! The classes of a reply, and the fields that a STAMP reflector wrote into it.

use std::time::Duration;

use crate::probe::stats::direction::Numbers;
use crate::probe::verdict::Verdict;

/// What a reflector wrote into a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reflected {
    /// The sequence numbers, ours and its own.
    pub(crate) numbers: Numbers,
    /// How long the reflector had it.
    pub(crate) residence: Duration,
    /// Its clock at the arrival and at the departure, in nanoseconds, from whatever start; none
    /// where it wrote no time.
    pub(crate) received: Option<i128>,
    pub(crate) sent: Option<i128>,
}

/// The first reply to a beat, in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// With STAMP, without the reflector's own time.
    pub rtt: Duration,
    /// With the reflector's own time.
    pub rtt_total: Duration,
    /// From when the beat was due: what an application on this schedule waits for the answer.
    pub rtt_from_due: Duration,
    /// It came after the reply to a later beat (RFC 4737).
    pub reordered: bool,
    /// The beat had been refused, and was counted as lost until now.
    pub after_refusal: bool,
    /// What the answer said.
    pub verdict: Verdict,
}

/// What a reply is, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The first to its beat, in time.
    Received(Received),
    /// The first to its beat, too late; `expired` if the beat is hereby lost.
    Late { rtt: Duration, expired: bool },
    /// One more to a beat that has had one.
    Duplicate { rtt: Duration },
    /// To no beat that is known.
    Unsolicited,
}
