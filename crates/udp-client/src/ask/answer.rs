//! What a datagram answers: which request, with what round trip, and what is still to be sent for it.

use udp_core::clock::{self, Mono, Wall};
use udp_core::service::{Asked, Reply, Then};

use super::line::Line;
use super::words::Answered;
use super::{Asking, LEGS, Request};

impl Asking<'_> {
    /// A datagram came at `at`: whether it is the answer, which is said.
    pub(super) fn is_answered(
        &mut self,
        line: &mut Line,
        first: u64,
        (bytes, at): (&[u8], Mono),
        after_refusal: bool,
    ) -> bool {
        let Some((mut reply, wall)) = self.recognise(line, first, (bytes, at)) else {
            return false;
        };
        let Some(request) = self.requests.get_mut(place(reply.number)) else { return false };
        self.kept = reply.keep.take().unwrap_or_else(|| std::mem::take(&mut self.kept));
        // What does not leave is not answered.
        match std::mem::take(&mut reply.then) {
            Then::Wait => return false,
            Then::Follow(more) if request.legs < LEGS => {
                *request = Request { sent: clock::mono(), legs: request.legs + 1 };
                let _ = line.send(&more);
                return false;
            }
            Then::Acknowledge(more) => drop(line.send(&more)),
            Then::Follow(_) | Then::Nothing | Then::AcknowledgeRepeats(_) => {}
        }
        let rtt = at.saturating_since(request.sent);
        let slow = self.config.settings.max_rtt.is_some_and(|most| rtt > most);
        self.counts.replied = 1;
        self.counts.replies = 1;
        self.counts.rtt.record(rtt);
        let answered = Answered { reply: &reply, peer: line.peer, bytes, rtt, slow, after_refusal };
        self.counts.wrong = u64::from(self.words.reply(&answered, wall));
        true
    }

    /// What a datagram that came at `at` says to the requests from the `first` on, and its time by the
    /// clock; one that answers none of them is said and counted.
    pub(super) fn recognise(
        &mut self,
        line: &Line,
        first: u64,
        (bytes, at): (&[u8], Mono),
    ) -> Option<(Reply, Wall)> {
        let (now, wall) = (clock::mono(), clock::wall());
        let on_wall = |moment: Mono| {
            let ago = now.saturating_since(moment).as_nanos() as u64;
            Wall::from_nanos(wall.as_nanos().saturating_sub(ago))
        };
        let last = self.requests.len() as u64;
        let sent = |number| self.requests.get(place(number)).map(|it| on_wall(it.sent));
        let asked = Asked {
            last,
            nonces: &self.nonces,
            peer: line.peer,
            local: line.local,
            kept: &self.kept,
            by_port: Some(first),
            arrived: on_wall(at),
            sent: &sent,
        };
        let reply = self.service.recognise(&asked, bytes);
        // What an earlier address was asked is not this one's to answer.
        let reply = reply.filter(|reply| (first..=last).contains(&reply.number));
        if reply.is_none() {
            self.counts.unsolicited += 1;
            self.words.unsolicited(line.peer, bytes);
        }
        reply.map(|reply| (reply, on_wall(at)))
    }
}

/// Where the request of this number is.
fn place(number: u64) -> usize {
    (number as usize).wrapping_sub(1)
}
