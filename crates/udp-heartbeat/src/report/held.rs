//! Bounds the bytes of payloads that wait for the printer: large beats at a high rate would
//! otherwise fill the memory while nobody reads stdout.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes may wait.
const MOST: usize = 8 << 20;

/// How many bytes wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budget(Arc<AtomicUsize>);

/// A payload, which gives its bytes back to the budget when it was printed.
#[derive(Debug)]
pub(crate) struct Held {
    bytes: Box<[u8]>,
    budget: Budget,
}

impl Budget {
    /// A copy of `bytes`; none if too many wait already.
    pub(crate) fn hold(&self, bytes: &[u8]) -> Option<Held> {
        let waiting = self.0.fetch_add(bytes.len(), Ordering::Relaxed);
        if waiting > MOST {
            self.0.fetch_sub(bytes.len(), Ordering::Relaxed);
            return None;
        }
        Some(Held { bytes: bytes.into(), budget: self.clone() })
    }
}

impl Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
impl From<&[u8]> for Held {
    fn from(bytes: &[u8]) -> Held {
        Budget::default().hold(bytes).unwrap_or_else(|| unreachable!())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_comes_back() {
        let budget = Budget::default();
        let large = vec![0; MOST / 4];
        let mut held: Vec<Held> = (0..6).map_while(|_| budget.hold(&large)).collect();
        assert_eq!(held.len(), 5);
        assert!(budget.hold(b"x").is_none());
        held.truncate(4);
        assert_eq!(budget.hold(b"x").as_deref(), Some(&b"x"[..]));
        drop(held);
        assert_eq!(budget.0.load(Ordering::Relaxed), 0);
    }
}
