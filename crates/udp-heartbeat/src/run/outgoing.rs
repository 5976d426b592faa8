//! The sending side of the loop: what is due goes out, without ever waiting for room.
//!
//! Every beat is announced to its session before its system call. A send may fail because of an
//! earlier datagram, whose refusal it reports; then it did not go out (`udp(7)`) and is tried again.

use std::io;

use udp_core::ErrorClass;
use udp_core::clock::{self, Mono};
use udp_core::error::describe;

use super::engine::{Beat, Engine, TICK, note};
use super::ports::SENDS;
use crate::probe::event::{Event, Observer, What};
use crate::probe::schedule::Slot;
use crate::probe::targets::{Dispatch, Outgoing, Sharing};

/// Beats sent before what came is looked at again.
const TURN: usize = 256;
/// How often a beat is sent whose send fails because of an earlier one.
const TRIES: usize = 3;

impl Engine {
    /// Sends what is due.
    pub(super) fn send_due(&mut self) {
        let start = clock::mono();
        let (mut sent, mut now) = (0, start);
        while sent < TURN
            && let Some(slot) = self.timeline.take(now)
        {
            self.send_slot(slot, now);
            sent += 1;
            now = clock::mono();
        }
        self.unread += sent;
        match sent {
            0 => {}
            // More may be due: no time to wait.
            TURN => self.next_tick = start,
            _ => self.next_tick = start + TICK,
        }
        self.flush();
    }

    fn send_slot(&mut self, slot: Slot, now: Mono) {
        let target = slot.target;
        self.targets.skipped(target, slot.missed);
        self.follow_early(target, now);
        // A fixed port has to be free before it leads elsewhere.
        self.close_ports(now);
        let lag = now.saturating_since(slot.waiting_since);
        self.lag.record(lag);
        if let Some(buckets) = &mut self.lag_buckets {
            buckets.record(lag);
        }
        match self.targets.begin(target, (slot.due, now), &mut self.observers) {
            Dispatch::Send { seq, port, to, close } => {
                if let Some(close) = close {
                    self.ports.close(close);
                }
                self.send_beat(Beat { target, seq, port, to });
            }
            Dispatch::NoPort => self.say_no_port(),
            Dispatch::NoAddress | Dispatch::Ended => {}
        }
        if self.targets.target(target).left == Some(0) {
            self.timeline.end(target);
        }
    }

    fn send_beat(&mut self, beat: Beat) {
        let Beat { target, seq, port, to } = beat;
        if let Err(error) = self.ports.ensure(port, to) {
            let exhausted = error.class() == ErrorClass::Exhausted;
            let reason = error.to_string();
            let now = clock::mono();
            self.targets.unopened(target, seq, (&reason, exhausted), now, &mut self.observers);
            return;
        }
        let mut bytes = std::mem::take(&mut self.batch.bytes);
        self.encode(beat, &mut bytes);
        let together = self.targets.setup().sharing == Sharing::Shared
            && !self.targets.target(target).format.is_stamp();
        if together {
            if self.batch.port.is_some_and(|it| it != port) || self.batch.beats.len() == SENDS {
                self.flush();
            }
            if self.ports.push(port, to, &bytes) {
                self.batch.port = Some(port);
                self.batch.beats.push(beat);
                self.batch.bytes = bytes;
                return;
            }
        }
        let sent = clock::mono();
        self.targets.correct(target, seq, sent);
        let result = self.ports.send(port, to, &bytes);
        self.tell_sent(beat, &bytes, sent);
        self.batch.bytes = bytes;
        if let Err(error) = result {
            self.send_again(beat, error);
        }
    }

    /// Sends the batch. Each beat's time is that before the call: no round trip is shorter than it was
    /// on the wire, and a batch is so short that none is much longer.
    fn flush(&mut self) {
        let Some(port) = self.batch.port.take() else { return };
        let beats = std::mem::take(&mut self.batch.beats);
        let mut results = std::mem::take(&mut self.batch.results);
        results.clear();
        results.extend(beats.iter().map(|_| Ok(())));
        let start = clock::mono();
        // Told in the order of the calls, which joins what goes to one peer.
        self.ports.flush(port, |number, result| {
            if let Some(place) = results.get_mut(number) {
                *place = result;
            }
        });
        let mut bytes = std::mem::take(&mut self.batch.bytes);
        for beat in &beats {
            self.targets.correct(beat.target, beat.seq, start);
            if self.observers.wants_sent() {
                self.encode(*beat, &mut bytes);
                self.tell_sent(*beat, &bytes, start);
            }
        }
        self.batch.bytes = bytes;
        for (beat, result) in beats.iter().zip(results.drain(..)) {
            if let Err(error) = result {
                self.send_again(*beat, error);
            }
        }
        self.batch.beats = beats;
        self.batch.beats.clear();
        self.batch.results = results;
    }

    /// A send failed: if that was because of an earlier datagram, the beat is sent again.
    fn send_again(&mut self, beat: Beat, mut error: io::Error) {
        let Beat { target, seq, port, to } = beat;
        for _ in 1..TRIES {
            let (targets, observers) = (&mut self.targets, &mut self.observers);
            let take =
                |came: super::ports::Came<'_>| note(targets, observers, &came, Some((target, seq)));
            if !self.ports.earlier_errors(port, &error, take) {
                break;
            }
            let mut bytes = std::mem::take(&mut self.batch.bytes);
            self.targets.correct(target, seq, clock::mono());
            self.encode(beat, &mut bytes);
            let result = self.ports.send(port, to, &bytes);
            self.batch.bytes = bytes;
            match result {
                Ok(()) => return,
                Err(again) => error = again,
            }
        }
        let reason = describe(&error);
        self.targets.fail(target, seq, &reason, clock::mono(), &mut self.observers);
    }

    /// Writes the datagram of a beat.
    fn encode(&self, beat: Beat, out: &mut Vec<u8>) {
        let Beat { target, seq, port, to } = beat;
        let local = self.targets.wants_local(target).then(|| self.ports.local(port, to)).flatten();
        self.targets.encode(target, seq, local, out);
    }

    /// Sends what services are owed for what came from them, and goes by the pace that they ask for.
    pub(super) fn send_replies(&mut self) {
        for Outgoing { port, to, bytes, beat } in self.targets.take_outgoing() {
            if let Some(beat) = beat {
                self.targets.went_on(beat, clock::mono());
            }
            // What does not leave is not answered, and so is lost.
            let _ = self.ports.send(port, to, &bytes);
        }
        for (target, interval) in self.targets.take_paces() {
            self.timeline.set_interval(target, interval, clock::mono() + interval);
        }
    }

    fn tell_sent(&mut self, beat: Beat, bytes: &[u8], at: Mono) {
        let Beat { target, seq, to, .. } = beat;
        let what = What::Sent { seq, bytes };
        self.observers.observe(&Event { target, address: Some(to), at, what });
    }

    /// Every source port waits for a reply.
    fn say_no_port(&mut self) {
        if !std::mem::replace(&mut self.batch.said_no_port, true) {
            log::warn!(
                "a beat is skipped because every source port waits for a reply; \
                 with --number one port is enough"
            );
        }
    }
}
