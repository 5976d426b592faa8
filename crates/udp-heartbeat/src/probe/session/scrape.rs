//! The values of a session that only a scrape reads.

use std::time::Duration;

use udp_core::clock::Mono;

use super::Session;
use crate::probe::stats::buckets::Buckets;
use crate::probe::stats::direction::Split;

impl Session {
    /// The first reply to a beat came at `at`; with its round trip, if it came in time.
    pub(super) fn note_reply(&mut self, at: Mono, rtt: Option<Duration>) {
        self.last_reply = self.last_reply.max(Some(at));
        if let (Some(buckets), Some(rtt)) = (&mut self.buckets, rtt) {
            buckets.record(rtt);
        }
    }

    /// The round trips by buckets, if they are counted so.
    pub(crate) fn buckets(&self) -> Option<&Buckets> {
        self.buckets.as_deref()
    }

    /// When the newest reply to a beat came, in time or late.
    pub(crate) fn last_reply(&self) -> Option<Mono> {
        self.last_reply
    }

    /// With STAMP: where `lost` beats were lost, as a counter has it.
    pub(crate) fn grow_split(&mut self, lost: u64, excluded: u64) -> Option<Split> {
        Some(self.stamp.as_mut()?.direction.grow(lost, excluded))
    }
}
