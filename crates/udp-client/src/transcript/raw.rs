//! The replies' bytes and nothing else, for pipes and files. What else there is to say goes to
//! stderr: refusals, silence, wrong replies and errors always, the rest under `-v`.

use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;

use super::{Event, Said, Transcript};
use crate::expectation::Expectation;
use crate::tally::Tally;

/// The raw transcript.
#[derive(Debug)]
pub struct Raw {
    expectation: Expectation,
}

impl Raw {
    /// One that holds replies to `expectation` when it says why they are wrong.
    pub fn new(expectation: Expectation) -> Self {
        Raw { expectation }
    }
}

impl Transcript for Raw {
    fn event(&mut self, event: Event<'_>, _at: Wall, said: &mut Said) {
        match event {
            Event::Reply { seq, bytes, wrong, .. } => {
                said.out.extend_from_slice(bytes);
                if wrong {
                    let complaint = self.expectation.complaint(bytes);
                    said.notes.push(format!("wrong reply to message {seq}: {complaint}"));
                }
            }
            Event::Timeout { peer, waited, .. } => {
                let waited = ShownDuration(waited);
                said.notes.push(format!("no reply from {} within {waited}", Shown(peer)));
            }
            Event::Refused { peer, .. } => {
                said.notes.push(format!("refused by {}: nothing listens there", Shown(peer)));
            }
            Event::Error { text, hint, .. } => {
                said.notes.push(format!("error: {text}"));
                said.notes.extend(hint.map(|hint| format!("hint: {hint}")));
            }
            Event::Late { seq, peer, .. } => {
                log::info!("a late reply to message {seq} from {}", Shown(peer));
            }
            Event::Unexpected { peer, .. } => {
                log::info!("an unexpected datagram from {}", Shown(peer));
            }
            Event::Sent { .. } => {}
        }
    }

    fn summary(&mut self, tally: &Tally, _peer: SocketAddr, _at: Wall, _said: &mut Said) {
        log::info!("{tally}");
    }
}
