//! Counts of answers by verdict. The figures of the path never depend on them.

pub use udp_core::service::Verdict;

/// How many answers had which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Verdicts([u64; Verdict::ALL.len()]);

impl Verdicts {
    pub(crate) fn count(&mut self, verdict: Verdict) {
        self.0[verdict as usize] += 1;
    }

    /// How many had this one.
    pub fn of(&self, verdict: Verdict) -> u64 {
        self.0[verdict as usize]
    }

    /// Answers that were not ok.
    pub fn not_ok(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.of(Verdict::Ok)
    }

    /// `ok`, and the others that there were.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let shown = |verdict: &Verdict| *verdict == Verdict::Ok || self.of(*verdict) > 0;
        let verdicts = Verdict::ALL.into_iter().filter(shown);
        verdicts.map(|verdict| (verdict.name(), self.of(verdict)))
    }

    /// Each verdict there is.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Verdict::ALL.into_iter().map(|verdict| (verdict.name(), self.of(verdict)))
    }

    pub(crate) fn add(&mut self, other: &Verdicts) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }
}
