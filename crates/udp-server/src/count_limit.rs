//! `--count`: stops after so many datagrams, over all workers together.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crossbeam_channel::Sender;

/// How many datagrams are still to be served.
#[derive(Debug)]
pub(crate) struct CountLimit {
    left: AtomicU64,
    spent: Sender<()>,
}

impl CountLimit {
    /// Serves `count`, and then says so on `spent`.
    pub(crate) fn new(count: u64, spent: Sender<()>) -> Self {
        CountLimit { left: AtomicU64::new(count), spent }
    }

    /// How many of `wanted` may be served: no two workers are given the same ones.
    pub(crate) fn claim(&self, wanted: usize) -> usize {
        let wanted_of = |left: u64| wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        let claim = |left: u64| Some(left - wanted_of(left) as u64);
        let left = self.left.fetch_update(Relaxed, Relaxed, claim).unwrap_or(0);
        if left <= wanted as u64 {
            // One message is enough; the channel may hold it already, or be gone.
            let _ = self.spent.try_send(());
        }
        wanted_of(left)
    }

    /// Whether there is nothing left to serve.
    pub(crate) fn is_spent(&self) -> bool {
        self.left.load(Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;
    use std::sync::Arc;

    #[test]
    fn exactly_so_many_are_given_away() {
        let (sender, spent) = bounded(1);
        let count_limit = CountLimit::new(10, sender);
        let claims = [4, 4, 4, 4].map(|wanted| count_limit.claim(wanted));
        assert_eq!(claims, [4, 4, 2, 0]);
        assert!(count_limit.is_spent());
        assert_eq!(spent.try_recv(), Ok(()));
    }

    #[test]
    fn it_says_so_at_the_last_one_and_not_before() {
        let (sender, spent) = bounded(1);
        let count_limit = CountLimit::new(2, sender);
        assert_eq!(count_limit.claim(1), 1);
        assert!(!count_limit.is_spent() && spent.is_empty());
        assert_eq!(count_limit.claim(1), 1);
        assert!(count_limit.is_spent() && !spent.is_empty());
    }

    #[test]
    fn workers_together_serve_no_more() {
        let (sender, _spent) = bounded(1);
        let count_limit = Arc::new(CountLimit::new(10_001, sender));
        let claim_all = |count_limit: Arc<CountLimit>| {
            std::thread::spawn(move || (0..5000).map(|_| count_limit.claim(3)).sum::<usize>())
        };
        let threads: Vec<_> = (0..4).map(|_| claim_all(Arc::clone(&count_limit))).collect();
        let claimed: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(claimed, 10_001);
    }
}
