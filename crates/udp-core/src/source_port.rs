//! Which reply answers which request, when replies carry no identity: by source port.
//!
//! An echo server, a DNS server asked in hex, a game server: in general nothing in a reply names
//! the request that it answers. What does identify it is the port that it comes back to. A *port*
//! is one local port (one socket), and [`PortPool`] decides from which source port each request leaves and
//! what an arrival on a source port is. Its rules:
//!
//! 1. A source port has at most one request outstanding. So a request with an earlier one unanswered
//!    leaves from another source port, and a reply that comes after the time-out arrives on a source port where
//!    it can only be late.
//! 2. A source port whose request stayed unanswered is never used again. It is kept open for
//!    [`Rules::linger`], so that what comes late is called late, and is then closed.
//! 3. A source port that was answered rests before it is used again, so that a second copy of the reply
//!    finds no other request there. It rests for [`Rules::rest`] while there are source ports to spare,
//!    and otherwise for as long as the others last.
//! 4. A second datagram after the answer retires its source port too, as a third may follow. How long it
//!    took is remembered, and from then on no source port is used again within twice that time.
//!
//! What this can tell, with any server: a late reply from all others, always; a second reply from
//! all others, if it comes while its source port rests. What it cannot: a second reply so late that its
//! source port has been used again, the first time that such a one comes. And with one fixed port
//! ([`Ports::One`]) a request after an unanswered one has to wait for [`Rules::linger`] instead of
//! leaving from elsewhere, and a reply that is later than even that cannot be told.
//!
//! There is no socket and no clock in here: times are arguments, sockets are the caller's.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;

mod terms;

pub use terms::{Arrival, Lease, PortId, Ports, Rules};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    Outstanding,
    Resting,
    /// Never to be used again; `heard` once everything that may be called late has come.
    Lingering {
        heard: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Port<T> {
    generation: u32,
    state: State,
    owner: Option<T>,
    /// When the source port came into its state.
    since: Mono,
}

/// The source ports towards one target. `T` names a request: a sequence number.
#[derive(Debug)]
pub struct PortPool<T> {
    rules: Rules,
    most: usize,
    /// The least time between an answer and the source port's next use, learnt from second replies.
    guard: Duration,
    pool: Vec<Port<T>>,
    vacant: Vec<u32>,
    /// Longest at rest first.
    resting: VecDeque<u32>,
    /// Longest unanswered first.
    lingering: VecDeque<u32>,
}

impl<T: Copy> PortPool<T> {
    /// No source port is open yet.
    pub fn new(rules: Rules) -> Self {
        let most = match rules.ports {
            Ports::One => 1,
            Ports::UpTo(most) => most.clamp(1, u32::MAX as usize),
        };
        PortPool {
            rules,
            most,
            guard: Duration::ZERO,
            pool: Vec::new(),
            vacant: Vec::new(),
            resting: VecDeque::new(),
            lingering: VecDeque::new(),
        }
    }

    /// How many source ports may be open at once: a bound for [`PortId::slot`].
    pub fn capacity(&self) -> usize {
        self.most
    }

    /// How many source ports are open.
    pub fn open(&self) -> usize {
        self.pool.len() - self.vacant.len()
    }

    /// Picks the source port for a request, which is from then on outstanding there.
    pub fn lease(&mut self, owner: T, now: Mono) -> Lease {
        if self.rules.ports == Ports::One {
            self.end_quarantine(now);
        }
        let rested = self.resting.front().map(|&slot| self.pool[slot as usize].since);
        if rested.is_some_and(|since| now >= since + self.rules.rest.max(self.guard)) {
            return self.reuse(owner, now);
        }
        if self.open() < self.most {
            return Lease::Open { port_id: self.add(owner, now), close: None };
        }
        if rested.is_some_and(|since| now >= since + self.guard) {
            return self.reuse(owner, now);
        }
        if self.rules.ports != Ports::One
            && let Some(slot) = self.lingering.pop_front()
        {
            let close = self.vacate(slot);
            return Lease::Open { port_id: self.add(owner, now), close: Some(close) };
        }
        let until = match self.lingering.front() {
            Some(&slot) => Some(self.pool[slot as usize].since + self.rules.linger),
            None => rested.map(|since| since + self.guard),
        };
        Lease::Wait { until }
    }

    /// The request outstanding on the source port has all the replies that it may have (or was refused,
    /// or never left because the send failed): the source port rests.
    pub fn settle(&mut self, port_id: PortId, now: Mono) {
        if self.is(port_id, State::Outstanding) {
            self.enter(port_id.slot, State::Resting, now);
            self.resting.push_back(port_id.slot);
        }
    }

    /// The request outstanding on the source port was not answered in time, or may have more replies
    /// than came: the source port is not used again.
    pub fn expire(&mut self, port_id: PortId, now: Mono) {
        if self.is(port_id, State::Outstanding) {
            self.enter(port_id.slot, State::Lingering { heard: false }, now);
            self.lingering.push_back(port_id.slot);
        }
    }

    /// The request outstanding on the source port is to go to another peer: the port, whose socket
    /// is connected to this one, is free at once. False if nothing is outstanding there.
    pub fn abandon(&mut self, port_id: PortId) -> bool {
        let outstanding = self.is(port_id, State::Outstanding);
        if outstanding {
            self.vacate(port_id.slot);
        }
        outstanding
    }

    /// Closes every source port: what still arrives on one answers nothing.
    pub fn clear(&mut self) {
        for slot in 0..self.pool.len() {
            if self.pool[slot].state != State::Closed {
                self.vacate(slot as u32);
            }
        }
        self.resting.clear();
        self.lingering.clear();
    }

    /// No socket could be opened for the source port: it is as if it had never been asked for. If that
    /// is for want of file descriptors, no more than are open now will be asked for again.
    pub fn unopened(&mut self, port_id: PortId, exhausted: bool) {
        if self.is(port_id, State::Outstanding) {
            self.vacate(port_id.slot);
            if exhausted {
                self.most = self.open().max(1);
            }
        }
    }

    /// The request outstanding on the source port: the one that an error on its socket is about.
    pub fn outstanding(&self, port_id: PortId) -> Option<T> {
        if self.is(port_id, State::Outstanding) { self.pool[port_id.slot()].owner } else { None }
    }

    /// What a datagram that arrived on the source port is.
    pub fn arrival(&mut self, port_id: PortId, now: Mono) -> Arrival<T> {
        let Some(&Port { generation, state, owner, since }) = self.pool.get(port_id.slot()) else {
            return Arrival::Extra(None);
        };
        if generation != port_id.generation {
            return Arrival::Extra(None);
        }
        match (state, owner) {
            (State::Outstanding, Some(owner)) => Arrival::Answers(owner),
            (State::Lingering { heard: false }, Some(owner)) => {
                self.pool[port_id.slot()].state = State::Lingering { heard: true };
                Arrival::Late(owner)
            }
            (State::Resting, owner) => {
                let took = now.saturating_since(since);
                self.guard = self.guard.max(took.saturating_mul(2)).min(self.rules.linger);
                self.resting.retain(|&slot| slot != port_id.slot);
                if self.rules.ports == Ports::One {
                    self.enter(port_id.slot, State::Resting, now);
                    self.resting.push_back(port_id.slot);
                } else {
                    self.enter(port_id.slot, State::Lingering { heard: true }, now);
                    self.lingering.push_back(port_id.slot);
                }
                Arrival::Extra(owner)
            }
            (_, owner) => Arrival::Extra(owner),
        }
    }

    /// A source port that has lingered long enough, if there is one: its socket is to be closed. Ask
    /// until there is none.
    pub fn close_due(&mut self, now: Mono) -> Option<PortId> {
        if self.next_close().is_none_or(|due| now < due) {
            return None;
        }
        let slot = self.lingering.pop_front()?;
        Some(self.vacate(slot))
    }

    /// When the next source port will have lingered long enough.
    pub fn next_close(&self) -> Option<Mono> {
        if self.rules.ports == Ports::One {
            return None;
        }
        self.lingering.front().map(|&slot| self.pool[slot as usize].since + self.rules.linger)
    }

    fn is(&self, port_id: PortId, state: State) -> bool {
        self.pool
            .get(port_id.slot())
            .is_some_and(|it| it.generation == port_id.generation && it.state == state)
    }

    fn enter(&mut self, slot: u32, state: State, now: Mono) {
        let port_id = &mut self.pool[slot as usize];
        port_id.state = state;
        port_id.since = now;
    }

    fn reuse(&mut self, owner: T, now: Mono) -> Lease {
        let Some(slot) = self.resting.pop_front() else {
            return Lease::Wait { until: None };
        };
        Lease::Reuse(self.occupy(slot, owner, now))
    }

    fn add(&mut self, owner: T, now: Mono) -> PortId {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            let fresh = Port { generation: 0, state: State::Closed, owner: None, since: now };
            self.pool.push(fresh);
            u32::try_from(self.pool.len() - 1).unwrap_or(u32::MAX)
        });
        self.occupy(slot, owner, now)
    }

    fn occupy(&mut self, slot: u32, owner: T, now: Mono) -> PortId {
        self.enter(slot, State::Outstanding, now);
        let port_id = &mut self.pool[slot as usize];
        port_id.owner = Some(owner);
        PortId { slot, generation: port_id.generation }
    }

    /// Closes a source port; the id returned is the one that it had.
    fn vacate(&mut self, slot: u32) -> PortId {
        let port_id = &mut self.pool[slot as usize];
        let closed = PortId { slot, generation: port_id.generation };
        port_id.generation = port_id.generation.wrapping_add(1);
        port_id.state = State::Closed;
        port_id.owner = None;
        self.vacant.push(slot);
        closed
    }

    /// With one port there is no other source port to turn to: it is used again once its late reply came,
    /// or has had the time to come.
    fn end_quarantine(&mut self, now: Mono) {
        let Some(&slot) = self.lingering.front() else { return };
        let port_id = &self.pool[slot as usize];
        let heard = port_id.state == State::Lingering { heard: true };
        if heard || now >= port_id.since + self.rules.linger {
            self.lingering.pop_front();
            self.enter(slot, State::Resting, now.saturating_sub(self.guard.max(self.rules.rest)));
            self.resting.push_back(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    fn at(ms: u64) -> Mono {
        Mono::from_nanos(1_000_000 * MS + ms * MS)
    }

    fn rules(ports: Ports) -> Rules {
        Rules { ports, rest: Duration::from_millis(100), linger: Duration::from_millis(1000) }
    }

    fn pool(ports: Ports) -> PortPool<u64> {
        PortPool::new(rules(ports))
    }

    #[track_caller]
    fn opened(lease: Lease) -> PortId {
        match lease {
            Lease::Open { port_id, .. } => port_id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_slow_conversation_stays_on_one_port() {
        let mut pool = pool(Ports::UpTo(8));
        let first = opened(pool.lease(1, at(0)));
        assert_eq!(pool.arrival(first, at(1)), Arrival::Answers(1));
        pool.settle(first, at(1));
        for seq in 2..10 {
            assert_eq!(pool.lease(seq, at(seq * 200)), Lease::Reuse(first));
            assert_eq!(pool.arrival(first, at(seq * 200 + 1)), Arrival::Answers(seq));
            pool.settle(first, at(seq * 200 + 1));
        }
        assert_eq!(pool.open(), 1);
    }

    #[test]
    fn an_abandoned_port_is_free_for_another_peer_at_once() {
        for ports in [Ports::One, Ports::UpTo(2)] {
            let mut pool = pool(ports);
            let first = opened(pool.lease(1, at(0)));
            assert!(pool.abandon(first));
            assert!(!pool.abandon(first));
            assert_eq!(pool.open(), 0);
            let second = opened(pool.lease(1, at(0)));
            assert_ne!(first, second);
            assert_eq!(pool.arrival(first, at(1)), Arrival::Extra(None));
            assert_eq!(pool.arrival(second, at(1)), Arrival::Answers(1));
            pool.settle(second, at(1));
            pool.clear();
            assert_eq!((pool.open(), pool.next_close()), (0, None));
            assert_eq!(pool.arrival(second, at(2)), Arrival::Extra(None));
            let third = opened(pool.lease(2, at(2)));
            pool.settle(second, at(3));
            assert_eq!(pool.outstanding(third), Some(2), "another generation");
        }
    }

    #[test]
    fn only_an_outstanding_request_is_what_an_error_is_about() {
        let mut pool = pool(Ports::UpTo(8));
        let port_id = opened(pool.lease(1, at(0)));
        assert_eq!(pool.outstanding(port_id), Some(1));
        pool.settle(port_id, at(1));
        assert_eq!(pool.outstanding(port_id), None);
        assert_eq!(pool.lease(2, at(300)), Lease::Reuse(port_id));
        pool.expire(port_id, at(400));
        assert_eq!(pool.outstanding(port_id), None);
    }

    #[test]
    fn a_late_reply_answers_nothing_else() {
        let mut pool = pool(Ports::UpTo(8));
        let first = opened(pool.lease(1, at(0)));
        pool.expire(first, at(100));
        let second = opened(pool.lease(2, at(100)));
        assert_ne!(first, second);
        assert_eq!(pool.arrival(first, at(150)), Arrival::Late(1));
        assert_eq!(pool.arrival(first, at(151)), Arrival::Extra(Some(1)));
        assert_eq!(pool.arrival(second, at(152)), Arrival::Answers(2));
    }

    #[test]
    fn an_unanswered_port_is_closed_after_its_time_and_its_slot_gets_a_new_name() {
        let mut pool = pool(Ports::UpTo(8));
        let first = opened(pool.lease(1, at(0)));
        pool.expire(first, at(100));
        assert_eq!(pool.next_close(), Some(at(1100)));
        assert_eq!(pool.close_due(at(1099)), None);
        assert_eq!(pool.close_due(at(1100)), Some(first));
        assert_eq!(pool.close_due(at(1100)), None);
        let again = opened(pool.lease(2, at(1200)));
        assert_eq!(again.slot(), first.slot());
        assert_ne!(again, first);
        assert_eq!(pool.arrival(first, at(1201)), Arrival::Extra(None));
        assert_eq!(pool.arrival(again, at(1202)), Arrival::Answers(2));
    }

    #[test]
    fn full_of_unanswered_ports_the_oldest_makes_room() {
        let mut pool = pool(Ports::UpTo(2));
        let first = opened(pool.lease(1, at(0)));
        let second = opened(pool.lease(2, at(1)));
        assert_eq!(pool.lease(3, at(2)), Lease::Wait { until: None });
        pool.expire(first, at(10));
        pool.expire(second, at(11));
        match pool.lease(3, at(12)) {
            Lease::Open { port_id, close } => {
                assert_eq!(close, Some(first));
                assert_eq!(port_id.slot(), first.slot());
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.open(), 2);
    }

    #[test]
    fn in_haste_ports_take_turns_and_the_longest_rested_goes_first() {
        let mut pool = pool(Ports::UpTo(3));
        let mut order = Vec::new();
        for seq in 0..9 {
            let port_id = match pool.lease(seq, at(seq)) {
                Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
                other @ Lease::Wait { .. } => panic!("{other:?}"),
            };
            order.push(port_id.slot());
            pool.settle(port_id, at(seq));
        }
        assert_eq!(order, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn a_second_reply_retires_its_port_and_lengthens_every_rest() {
        let mut pool = pool(Ports::UpTo(2));
        let first = opened(pool.lease(1, at(0)));
        pool.settle(first, at(1));
        let second = opened(pool.lease(2, at(2)));
        pool.settle(second, at(3));
        assert_eq!(pool.arrival(first, at(21)), Arrival::Extra(Some(1)));
        // It took 20 ms: within 40 ms of its answer no source port is used, so the retired one goes.
        match pool.lease(3, at(22)) {
            Lease::Open { close, .. } => assert_eq!(close, Some(first)),
            other => panic!("{other:?}"),
        }
        assert_eq!(pool.lease(4, at(42)), Lease::Wait { until: Some(at(43)) });
        assert_eq!(pool.lease(4, at(43)), Lease::Reuse(second));
    }

    #[test]
    fn one_port_waits_out_what_is_unanswered() {
        let mut pool = pool(Ports::One);
        let port_id = opened(pool.lease(1, at(0)));
        pool.expire(port_id, at(100));
        assert_eq!(pool.next_close(), None);
        assert_eq!(pool.lease(2, at(101)), Lease::Wait { until: Some(at(1100)) });
        // Its late reply came: nothing else can be confused with it any more.
        assert_eq!(pool.arrival(port_id, at(300)), Arrival::Late(1));
        assert_eq!(pool.lease(2, at(301)), Lease::Reuse(port_id));
        pool.expire(port_id, at(401));
        assert_eq!(pool.lease(3, at(1400)), Lease::Wait { until: Some(at(1401)) });
        assert_eq!(pool.lease(3, at(1401)), Lease::Reuse(port_id));
    }

    #[test]
    fn one_port_that_is_answered_is_used_at_once() {
        let mut pool = pool(Ports::One);
        let port_id = opened(pool.lease(1, at(0)));
        pool.settle(port_id, at(1));
        assert_eq!(pool.lease(2, at(1)), Lease::Reuse(port_id));
        assert_eq!(pool.lease(3, at(2)), Lease::Wait { until: None });
    }

    #[test]
    fn without_descriptors_what_is_open_has_to_do() {
        let mut pool = pool(Ports::UpTo(100));
        let first = opened(pool.lease(1, at(0)));
        let second = opened(pool.lease(2, at(0)));
        pool.unopened(second, true);
        assert_eq!(pool.capacity(), 1);
        assert_eq!(pool.lease(2, at(1)), Lease::Wait { until: None });
        pool.settle(first, at(2));
        assert_eq!(pool.lease(2, at(2)), Lease::Reuse(first));
    }

    /// A server that answers after any time, several times or never. Each datagram on its way
    /// back knows its request, as no real one does: so a wrong credit shows.
    #[derive(Debug, Clone)]
    struct Answer {
        after_ms: u64,
        again_after_ms: Option<u64>,
    }

    fn answer() -> impl Strategy<Value = Option<Answer>> {
        let second = proptest::option::weighted(0.2, 0u64..100);
        proptest::option::weighted(
            0.8,
            (0u64..400, second)
                .prop_map(|(after_ms, again_after_ms)| Answer { after_ms, again_after_ms }),
        )
    }

    proptest! {
        #[test]
        fn no_reply_is_credited_to_another_request(
            answers in proptest::collection::vec(answer(), 1..60),
            gaps in proptest::collection::vec(0u64..50, 60),
            timeout in 20u64..200,
        ) {
            // Enough source ports that each may rest its 100 ms: no second reply takes longer.
            let mut pool = pool(Ports::UpTo(200));
            let mut outstanding: Vec<(u64, PortId, u64)> = Vec::new();
            let mut flying: Vec<(u64, PortId, u64)> = Vec::new();
            let (mut now, mut next, mut due) = (0, 0usize, 0);
            let mut credited = vec![0u32; answers.len()];
            while next < answers.len() || !outstanding.is_empty() || !flying.is_empty() {
                flying.sort();
                while let Some(&(when, port_id, seq)) = flying.first() && when <= now {
                    flying.remove(0);
                    match pool.arrival(port_id, at(now)) {
                        Arrival::Answers(owner) => {
                            prop_assert_eq!(owner, seq);
                            credited[seq as usize] += 1;
                            outstanding.retain(|it| it.2 != seq);
                            pool.settle(port_id, at(now));
                        }
                        Arrival::Late(owner) => prop_assert_eq!(owner, seq),
                        Arrival::Extra(owner) => prop_assert!(owner.is_none_or(|it| it == seq)),
                    }
                }
                for (when, port_id, _) in outstanding.extract_if(.., |it| it.0 <= now) {
                    prop_assert!(when <= now);
                    pool.expire(port_id, at(now));
                }
                while pool.close_due(at(now)).is_some() {}
                if next < answers.len() && now >= due {
                    let seq = next as u64;
                    let port_id = match pool.lease(seq, at(now)) {
                        Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
                        Lease::Wait { .. } => { now += 1; continue }
                    };
                    outstanding.push((now + timeout, port_id, seq));
                    if let Some(answer) = &answers[next] {
                        flying.push((now + answer.after_ms, port_id, seq));
                        if let Some(again) = answer.again_after_ms {
                            flying.push((now + answer.after_ms + again, port_id, seq));
                        }
                    }
                    due = now + gaps[next];
                    next += 1;
                }
                prop_assert!(pool.open() <= pool.capacity());
                now += 1;
            }
            prop_assert!(credited.iter().all(|&n| n <= 1));
        }
    }
}
