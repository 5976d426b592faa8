//! Sums a target's beats by slices of time: how many were lost, and the range of the round trips.

use udp_core::clock::Wall;

use crate::recorded::{Beat, Class, Target};

/// From the first beat to the last one of all targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Span {
    pub(crate) fn of<'a>(targets: impl Iterator<Item = &'a Target>) -> Option<Span> {
        let sent = |beat: &Beat| beat.sent.as_nanos();
        let ends = targets.flat_map(|it| &it.beats).map(sent);
        ends.fold(None, |span: Option<Span>, at| {
            let Span { from, to } = span.unwrap_or(Span { from: at, to: at });
            Some(Span { from: from.min(at), to: to.max(at) })
        })
    }

    /// Its length, which is never 0.
    pub(crate) fn length(self) -> u64 {
        (self.to - self.from).max(1)
    }

    /// Which of `count` slices this moment is in.
    pub(crate) fn slice(self, at: u64, count: usize) -> usize {
        let share = u128::from(at.saturating_sub(self.from)) * count as u128;
        let slice = share / (u128::from(self.length()) + 1);
        usize::try_from(slice).unwrap_or(usize::MAX).min(count.saturating_sub(1))
    }

    /// When the slice begins.
    pub(crate) fn start(self, slice: usize, count: usize) -> Wall {
        let past = u128::from(self.length()) * slice as u128 / count.max(1) as u128;
        Wall::from_nanos(self.from.saturating_add(u64::try_from(past).unwrap_or(u64::MAX)))
    }
}

/// A slice of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Slice {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) failed: u64,
    /// In order.
    pub(crate) rtts: Vec<u64>,
}

impl Slice {
    /// The percentile by nearest rank, if so many replies support it.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let count = self.rtts.len() as u64;
        // As many must be expected below it and above it as the median has of two.
        let needs = 100_u64.div_ceil(percent.min(100 - percent).max(1)).max(2);
        let rank = (percent * count).div_ceil(100).max(1);
        let value = self.rtts.get(usize::try_from(rank - 1).ok()?).copied();
        value.filter(|_| count >= needs)
    }

    /// The least and the greatest.
    pub(crate) fn ends(&self) -> Option<(u64, u64)> {
        self.rtts.first().copied().zip(self.rtts.last().copied())
    }

    /// Lost in percent of the settled.
    pub(crate) fn loss(&self) -> Option<f64> {
        let settled = self.rtts.len() as u64 + self.lost;
        (settled > 0).then(|| self.lost as f64 / settled as f64 * 100.0)
    }
}

/// A target's beats in `count` slices.
pub(crate) fn slices(target: &Target, span: Span, count: usize) -> Vec<Slice> {
    let mut slices = vec![Slice::default(); count];
    for beat in &target.beats {
        let Some(slice) = slices.get_mut(span.slice(beat.sent.as_nanos(), count)) else { continue };
        slice.sent += 1;
        match beat.class {
            Class::Received => slice.rtts.push(beat.rtt_ns),
            Class::Lost => slice.lost += 1,
            Class::Failed => slice.failed += 1,
            Class::Pending => {}
        }
    }
    slices.iter_mut().for_each(|slice| slice.rtts.sort_unstable());
    slices
}

/// So many slices that each has a few beats, and no more than can be seen.
pub(crate) fn fitting(target: &Target, most: usize) -> usize {
    (target.beats.len() / 8).clamp(1, most)
}

/// A row of beats that were not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) since: Wall,
    /// When the next answered beat was sent; none if there was none.
    pub(crate) until: Option<Wall>,
    pub(crate) beats: u64,
}

/// Rows of at least `least` unanswered beats.
pub(crate) fn outages(target: &Target, least: u64) -> Vec<Outage> {
    let mut outages: Vec<Outage> = Vec::new();
    let mut open: Option<(u32, Outage)> = None;
    let settled = target.beats.iter().filter(|beat| beat.class != Class::Pending);
    for beat in settled {
        let answered = beat.class == Class::Received;
        open = match open.take() {
            Some((run, mut outage)) if run == beat.run => {
                if answered {
                    outage.until = Some(beat.sent);
                    outages.push(outage);
                    None
                } else {
                    outage.beats += 1;
                    Some((run, outage))
                }
            }
            other => {
                outages.extend(other.map(|it| it.1));
                let outage = Outage { since: beat.sent, until: None, beats: 1 };
                (!answered).then_some((beat.run, outage))
            }
        };
    }
    outages.extend(open.map(|it| it.1));
    outages.retain(|it| it.beats >= least);
    outages
}
