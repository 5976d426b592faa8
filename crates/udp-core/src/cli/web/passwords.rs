//! Basic authentication (RFC 7617) with bcrypt's hashes.
//!
//! A check takes long by design: one is made at a time, on a thread apart, and each address waits for its
//! own before it may wait for the others', so that who tries many passwords keeps nobody else out. What
//! came out is remembered, as exporter-toolkit does: a good password is checked once.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::prelude::{BASE64_STANDARD, Engine};
use hyper::header::HeaderValue;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// Passwords that are remembered, good ones and bad ones.
const REMEMBERED: usize = 100;
/// Checks that may wait, of one address and of all.
const OF_ONE: usize = 16;
const OF_ALL: usize = 64;

/// A user's password by its hash: neither is kept in clear.
type Tried = [u8; 32];

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No user with this password, or none was named.
    Wrong,
    /// Too many wait for a check.
    Busy,
}

/// What is known of passwords that were tried, and who waits for a check.
#[derive(Debug, Default)]
pub(super) struct Passwords {
    known: Mutex<Known>,
    /// Of each address that waits.
    turns: Mutex<HashMap<IpAddr, Arc<Turn<()>>>>,
    /// Held by who checks.
    check: Arc<Turn<()>>,
}

#[derive(Debug, Default)]
struct Known {
    good: HashSet<Tried>,
    /// Those that are known longest first: who tries many pushes out no good one.
    bad: VecDeque<Tried>,
}

impl Known {
    fn get(&self, tried: &Tried) -> Option<bool> {
        let bad = || self.bad.contains(tried).then_some(false);
        self.good.contains(tried).then_some(true).or_else(bad)
    }

    fn note(&mut self, tried: Tried, good: bool) {
        if good {
            if self.good.len() >= REMEMBERED {
                self.good.clear();
            }
            self.good.insert(tried);
        } else {
            self.bad.truncate(REMEMBERED - 1);
            self.bad.push_front(tried);
        }
    }
}

impl Passwords {
    /// Lets somebody in whose `Authorization` names one of `users` with the password.
    pub(super) async fn admit(
        &self,
        users: &BTreeMap<String, String>,
        authorization: Option<&HeaderValue>,
        peer: IpAddr,
    ) -> Result<(), Denied> {
        let verdict = |good: bool| if good { Ok(()) } else { Err(Denied::Wrong) };
        let Some((_, some)) = users.iter().next() else { return Ok(()) };
        let (user, password) = authorization.and_then(named).ok_or(Denied::Wrong)?;
        // Of a user who is not there another's is checked, so that time tells nobody who is there.
        let hash = users.get(&user).unwrap_or(some).clone();
        let is_user = users.contains_key(&user);
        let tried = tried(&user, &hash, &password);
        if let Some(good) = self.lock().get(&tried) {
            return verdict(good);
        }
        let turn = self.turn(peer).ok_or(Denied::Busy)?;
        let turn = turn.lock_owned().await;
        let check = Arc::clone(&self.check).lock_owned().await;
        // Somebody else may have asked the same.
        if let Some(good) = self.lock().get(&tried) {
            return verdict(good);
        }
        let matches = compute(password, hash, (turn, check)).await;
        self.lock().note(tried, matches && is_user);
        verdict(matches && is_user)
    }

    /// The place where those of one address wait; none if there are too many.
    fn turn(&self, peer: IpAddr) -> Option<Arc<Turn<()>>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        let waiting = |turn: &Arc<Turn<()>>| Arc::strong_count(turn) - 1;
        let all: usize = turns.values().map(waiting).sum();
        let turn = turns.entry(peer).or_default();
        (waiting(turn) < OF_ONE && all < OF_ALL).then(|| turn.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it is the password, on another thread. Who asked may go: the check goes on, and is one of
/// those that are waited for.
async fn compute(
    password: Vec<u8>,
    hash: String,
    held: (OwnedMutexGuard<()>, OwnedMutexGuard<()>),
) -> bool {
    let work = move || {
        let _held = held;
        // It compares in constant time.
        bcrypt::verify(password, &hash).unwrap_or(false)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(false)
}

/// The user and the password of a header.
fn named(authorization: &HeaderValue) -> Option<(String, Vec<u8>)> {
    let (scheme, coded) = authorization.to_str().ok()?.split_once(' ')?;
    let both = BASE64_STANDARD.decode(coded.trim()).ok()?;
    let colon = both.iter().position(|byte| *byte == b':')?;
    let user = String::from_utf8(both[..colon].to_vec()).ok()?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user, both[colon + 1..].to_vec()))
}

fn tried(user: &str, hash: &str, password: &[u8]) -> Tried {
    let mut digest = Sha256::new();
    for part in [user.as_bytes(), hash.as_bytes(), password] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    fn header(text: &str) -> HeaderValue {
        format!("Basic {}", BASE64_STANDARD.encode(text)).parse().unwrap()
    }

    fn users() -> BTreeMap<String, String> {
        let hash = |password| bcrypt::hash(password, 4).unwrap();
        [("a".to_owned(), hash("s:ecret")), ("b".to_owned(), hash("other"))].into()
    }

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    /// Whether it is not done when it is asked once.
    async fn waits<T>(mut work: Pin<&mut impl Future<Output = T>>) -> bool {
        poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_pending())).await
    }

    #[test]
    fn who_is_let_in() {
        let (passwords, users) = (Passwords::default(), users());
        let peer = IpAddr::from([127, 0, 0, 1]);
        let admit = |header: Option<HeaderValue>| {
            run(passwords.admit(&users, header.as_ref(), peer)).is_ok()
        };
        let word = |text: &str| Some(text.parse().unwrap());
        let cases = [
            (None, false),
            (Some(header("a:s:ecret")), true),
            (Some(header("b:other")), true),
            (Some(header("a:other")), false),
            (Some(header("c:other")), false),
            (Some(header("a:")), false),
            (Some(header("as:ecret")), false),
            (word(&header("b:other").to_str().unwrap().replace("Basic", "bAsIc")), true),
            (word("Bearer YTpzOmVjcmV0"), false),
            (word("Basic"), false),
            (word("Basic !"), false),
        ];
        // The second time from what is remembered.
        for _ in 0..2 {
            for (header, expected) in &cases {
                assert_eq!(admit(header.clone()), *expected, "{header:?}");
            }
        }
        let nobody = BTreeMap::new();
        assert!(run(passwords.admit(&nobody, None, peer)).is_ok(), "without users, everybody");
        let anew = [("a".to_owned(), bcrypt::hash("new", 4).unwrap())].into();
        let old = header("a:s:ecret");
        assert!(run(passwords.admit(&anew, Some(&old), peer)).is_err(), "the password is another");
    }

    #[test]
    fn many_wrong_ones_keep_no_good_one_out() {
        let (passwords, users) = (Passwords::default(), users());
        let good = header("a:s:ecret");
        run(async {
            // One address fills its place, and no other's.
            let held = passwords.check.clone().lock_owned().await;
            let attacker = IpAddr::from([192, 0, 2, 1]);
            let tries: Vec<_> = (0..=OF_ONE).map(|n| header(&format!("a:{n}"))).collect();
            let try_one = |n: usize| passwords.admit(&users, Some(&tries[n]), attacker);
            let mut waiting: Vec<_> = (0..OF_ONE).map(|n| Box::pin(try_one(n))).collect();
            for one in &mut waiting {
                assert!(waits(one.as_mut()).await);
            }
            assert_eq!(try_one(OF_ONE).await, Err(Denied::Busy));
            let honest = passwords.admit(&users, Some(&good), IpAddr::from([192, 0, 2, 2]));
            let mut honest = Box::pin(honest);
            assert!(waits(honest.as_mut()).await);
            drop(held);
            // Only the first of the others is before it; the rest are never asked on.
            let first = waiting.remove(0);
            assert_eq!(first.await, Err(Denied::Wrong));
            assert_eq!(honest.await, Ok(()));
            drop(waiting);
            // What is remembered of wrong ones takes no good one's place.
            for number in 0..2 * REMEMBERED {
                passwords.lock().note([number as u8; 32], false);
            }
            assert_eq!(passwords.lock().bad.len(), REMEMBERED);
            let held = passwords.check.clone().lock_owned().await;
            assert_eq!(passwords.admit(&users, Some(&good), attacker).await, Ok(()));
            drop(held);
        });
    }
}
