//! What a scrape reads never moves back, whenever it is read.

use crate::probe::meter::{Counted, Meter};
use crate::probe::targets::Targets;

/// What was read last of each target.
#[derive(Debug, Default)]
pub(super) struct Read(Vec<Option<[u64; 13]>>, u64);

impl Read {
    /// Reads every fifth time that it is called.
    pub(super) fn check(&mut self, targets: &mut Targets) {
        self.1 += 1;
        if !self.1.is_multiple_of(5) {
            return;
        }
        self.0.resize(targets.targets().len(), None);
        for (target, before) in (0..).zip(&mut self.0) {
            let meter = Meter::of(targets.target_mut(target));
            let counts = each(&meter.counts);
            let stays = targets.target(target).retired.is_none();
            if let Some(before) = before.filter(|_| stays) {
                let back = counts.iter().zip(&before).any(|(now, then)| now < then);
                assert!(!back, "{:?} after {before:?}", meter.counts);
            }
            *before = Some(counts);
            assert_eq!(meter.rtt.map(|it| it.count()), Some(meter.counts.received));
            let sum: u64 = counts[10..].iter().sum();
            assert!(sum <= meter.counts.lost, "{:?}", meter.counts);
        }
    }
}

fn each(counts: &Counted) -> [u64; 13] {
    let split = counts.split.unwrap_or_default();
    [
        counts.sent,
        counts.received,
        counts.lost,
        counts.late,
        counts.refused,
        counts.failed,
        counts.duplicates,
        counts.reordered,
        counts.unsolicited,
        counts.slots_skipped,
        split.forward,
        split.back,
        split.undetermined,
    ]
}
