//! The queue of lines from the prober's thread to the writer's: in order, and no more than
//! [`LINES`].
//!
//! The writer holds the lock for as long as it takes to swap two vectors. The prober's thread never waits for
//! it: what comes in that moment is kept aside and goes along with the next.

use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use super::line::Line;

/// Lines that may wait for the writer, which looks every [`super::writer::TICK`].
pub(super) const LINES: usize = 1 << 15;

#[derive(Debug)]
pub(super) struct Waiting(Mutex<Lines>);

/// Both sides' vectors have their full capacity from the start: nothing is allocated for a line.
#[derive(Debug)]
struct Lines {
    all: Vec<Line>,
    /// Those that found no room.
    dropped: u64,
}

impl Default for Waiting {
    fn default() -> Self {
        Waiting(Mutex::new(Lines { all: Vec::with_capacity(LINES), dropped: 0 }))
    }
}

impl Lines {
    fn push(&mut self, line: Line) -> bool {
        let fits = self.all.len() < LINES;
        if fits {
            self.all.push(line);
        }
        self.dropped += u64::from(!fits);
        fits
    }
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands over a line that is as good as any other; false if there was no room for it.
    pub(super) fn offer(&self, line: Line, aside: &mut Vec<Line>) -> bool {
        let mut lines = match self.0.try_lock() {
            Ok(lines) => lines,
            Err(TryLockError::Poisoned(lines)) => lines.into_inner(),
            Err(TryLockError::WouldBlock) => {
                let fits = aside.len() < LINES;
                if fits {
                    aside.push(line);
                }
                return fits;
            }
        };
        for line in aside.drain(..) {
            lines.push(line);
        }
        lines.push(line)
    }

    /// The same for what is seldom and must not be left out.
    pub(super) fn add(&self, line: Line) {
        self.lock().all.push(line);
    }

    /// Takes all in exchange for an empty vector; and how many found no room.
    pub(super) fn take(&self, empty: &mut Vec<Line>) -> u64 {
        let mut lines = self.lock();
        mem::swap(&mut lines.all, empty);
        mem::take(&mut lines.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Language;

    fn line(number: u32) -> Line {
        Line::Target(number, "".into(), Language::Own)
    }

    fn numbers(lines: &[Line]) -> Vec<u32> {
        let number = |it: &Line| match it {
            Line::Target(number, ..) => *number,
            _ => u32::MAX,
        };
        lines.iter().map(number).collect()
    }

    #[test]
    fn what_comes_while_the_writer_takes_goes_along_with_the_next() {
        let (waiting, mut aside, mut taken) = (Waiting::default(), Vec::new(), Vec::new());
        assert!(waiting.offer(line(1), &mut aside));
        let held = waiting.lock();
        assert!(waiting.offer(line(2), &mut aside));
        drop(held);
        assert_eq!((numbers(&aside), waiting.take(&mut taken)), (vec![2], 0));
        assert_eq!(numbers(&taken), [1]);
        taken.clear();
        waiting.offer(line(3), &mut aside);
        waiting.take(&mut taken);
        assert_eq!((numbers(&taken), aside.len()), (vec![2, 3], 0));
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (waiting, mut aside, mut taken) = (Waiting::default(), Vec::new(), Vec::new());
        let fitted = (0..LINES as u32 + 3).filter(|n| waiting.offer(line(*n), &mut aside)).count();
        waiting.add(line(7));
        assert_eq!((fitted, waiting.take(&mut taken)), (LINES, 3));
        assert_eq!((taken.len(), waiting.take(&mut Vec::new())), (LINES + 1, 0));
    }
}
