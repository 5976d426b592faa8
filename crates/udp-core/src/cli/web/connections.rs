//! The table of open HTTP connections, bounded: which one is closed to make room for a new one.
//!
//! For one more than [`MOST`] the one goes that has let us wait longest, by not asking or by not taking
//! its answer. One that waits for us stays; where all do, there is no room.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use tokio::task::AbortHandle;

/// Connections at a time.
const MOST: usize = 256;
/// Answers at a time that are held for those who have not taken them.
const HELD: usize = 16;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: Mutex<HashMap<u64, Open>>,
    /// Grows with everything that happens, so that what was longest ago is the least.
    clock: AtomicU64,
    /// Answers that are held.
    held: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Open {
    connection: Arc<Connection>,
    task: AbortHandle,
}

/// One of them.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// Requests that are being answered.
    at_work: AtomicUsize,
    /// Answers that have not been taken yet.
    to_take: AtomicUsize,
    /// When it last did something.
    last: AtomicU64,
    /// It is over once its client is gone, whatever is being answered.
    impatient: AtomicBool,
    /// Who waits for that none is being answered.
    reader: Mutex<Option<Waker>>,
}

impl Connection {
    /// What is answered from now on takes so long that its client may be gone by then, or not.
    pub(super) fn set_impatient(&self, impatient: bool) {
        self.impatient.store(impatient, Ordering::Relaxed);
        self.wake();
    }

    /// Whether an answer is made or taken; who asks is woken when that may have changed.
    pub(super) fn has_an_answer_coming(&self, context: &Context<'_>) -> bool {
        let some = |count: &AtomicUsize| count.load(Ordering::Relaxed) > 0;
        let coming = some(&self.at_work) || some(&self.to_take);
        let waits = coming && !self.impatient.load(Ordering::Relaxed);
        if waits {
            *self.reader.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(context.waker().clone());
        }
        waits
    }

    fn wake(&self) {
        let reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner).take();
        reader.iter().for_each(Waker::wake_by_ref);
    }
}

/// What a connection is waited for, to choose among.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slow {
    /// Any that lets us wait.
    Any,
    /// One that does not take its answer.
    Taker,
}

impl Connections {
    /// Before one more is taken in: ends one if there are too many. Whether there is room.
    pub(super) fn make_room(&self) -> bool {
        self.lock().len() < MOST || self.end_one(Slow::Any)
    }

    /// Takes one in.
    pub(super) fn add(&self, id: u64, connection: Arc<Connection>, task: AbortHandle) {
        self.touch(&connection);
        self.lock().insert(id, Open { connection, task });
    }

    /// One has ended.
    pub(super) fn remove(&self, id: u64) {
        self.lock().remove(&id);
    }

    /// Holds an answer until it is taken: one for which there is no room takes the place of another.
    pub(super) fn hold(&self, body: Vec<u8>, connection: &Arc<Connection>) -> ToTake {
        if self.held.load(Ordering::Relaxed) >= HELD {
            self.end_one(Slow::Taker);
        }
        self.held.fetch_add(1, Ordering::Relaxed);
        connection.to_take.fetch_add(1, Ordering::Relaxed);
        ToTake { body, connection: Arc::clone(connection), held: Arc::clone(&self.held) }
    }

    /// Something happened on this one.
    pub(super) fn touch(&self, connection: &Connection) {
        connection.last.store(self.clock.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Ends the one that has let us wait longest. Whether there was one.
    pub(super) fn end_one(&self, slow: Slow) -> bool {
        let mut open = self.lock();
        let waited_for = |it: &Connection| {
            it.at_work.load(Ordering::Relaxed) == 0
                && (slow == Slow::Any || it.to_take.load(Ordering::Relaxed) > 0)
        };
        let candidates = open.iter().filter(|(_, open)| waited_for(&open.connection));
        let last = |open: &Open| open.connection.last.load(Ordering::Relaxed);
        let Some(id) = candidates.min_by_key(|(_, open)| last(open)).map(|(id, _)| *id) else {
            return false;
        };
        if let Some(open) = open.remove(&id) {
            open.task.abort();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being answered, as long as this lives.
#[derive(Debug)]
pub(super) struct AtWork(Arc<Connection>);

impl AtWork {
    pub(super) fn new(connection: &Arc<Connection>) -> AtWork {
        connection.at_work.fetch_add(1, Ordering::Relaxed);
        AtWork(Arc::clone(connection))
    }

    /// On which it came.
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.0
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::Relaxed);
        self.0.wake();
    }
}

/// A body that has not been taken yet, as long as this lives.
#[derive(Debug)]
pub(super) struct ToTake {
    body: Vec<u8>,
    connection: Arc<Connection>,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for ToTake {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for ToTake {
    fn drop(&mut self) {
        self.connection.to_take.fetch_sub(1, Ordering::Relaxed);
        self.connection.wake();
        self.held.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(runtime: &tokio::runtime::Runtime) -> tokio::task::JoinHandle<()> {
        runtime.spawn(std::future::pending())
    }

    #[test]
    fn who_let_us_wait_longest_has_to_go() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let connections = Connections::default();
        let tasks: Vec<_> = (0..5).map(|_| task(&runtime)).collect();
        let each: Vec<_> = (0..5).map(|_| Arc::new(Connection::default())).collect();
        for ((id, task), connection) in (0..).zip(&tasks).zip(&each) {
            connections.add(id, connection.clone(), task.abort_handle());
        }
        let work = AtWork::new(&each[0]);
        let answer = connections.hold(b"x".to_vec(), &each[3]);
        connections.touch(&each[1]);
        let gone = || {
            let open = connections.lock();
            (0..5).filter(|id| !open.contains_key(id)).collect::<Vec<u64>>()
        };
        assert!(connections.end_one(Slow::Taker));
        assert_eq!(gone(), [3]);
        drop(answer);
        assert!(!connections.end_one(Slow::Taker), "nobody else has an answer to take");
        for expected in [vec![2, 3], vec![2, 3, 4], vec![1, 2, 3, 4]] {
            assert!(connections.end_one(Slow::Any));
            assert_eq!(gone(), expected);
        }
        assert!(!connections.end_one(Slow::Any), "who waits for us stays");
        drop(work);
        assert!(connections.end_one(Slow::Any));
    }
}
