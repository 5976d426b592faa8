//! The replies' bytes and nothing else, for pipes and files. What else there is to say goes to
//! stderr: refusals, silence, wrong replies and errors always, the rest under `-v`.

use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::clock::Wall;

use super::{Demands, Event, PendingOutput, Transcript, note_failure};
use crate::stats::Counts;

/// The raw transcript.
#[derive(Debug)]
pub struct Raw {
    demands: Demands,
}

impl Raw {
    /// One that holds replies to `demands` when it says why they are wrong.
    pub fn new(demands: Demands) -> Self {
        Raw { demands }
    }
}

impl Transcript for Raw {
    fn event(&mut self, event: Event<'_>, _at: Wall, said: &mut PendingOutput) {
        note_failure(event, &self.demands, said);
        match event {
            Event::Reply { bytes, .. } => said.out.extend_from_slice(bytes),
            Event::Late { seq, peer, .. } => {
                log::info!("a late reply to message {seq} from {}", Shown(peer));
            }
            Event::Unsolicited { peer, .. } => {
                log::info!("an unsolicited datagram from {}", Shown(peer));
            }
            _ => {}
        }
    }

    fn summary(
        &mut self,
        counts: &Counts,
        _peer: SocketAddr,
        _at: Wall,
        _said: &mut PendingOutput,
    ) {
        log::info!("{counts}");
    }
}
