//! Hands events from the beats' thread to the screen's through a bounded channel. What does not fit
//! is missing in the graphs alone: the figures are the prober's own.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use udp_core::clock::Mono;

use super::history::Outcome;
use crate::probe::event::{End, Event, Observer, What};
use crate::probe::schedule::TargetId;
use crate::probe::state::Change;

/// Beats that may wait for the next frame.
const BEATS: usize = 1 << 16;
/// New targets and changes of state that may wait for a terminal that takes nothing.
const NEWS: usize = 1 << 17;

/// A beat that has ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    pub(super) target: TargetId,
    pub(super) sent: Mono,
    pub(super) outcome: Outcome,
}

/// What is seldom.
#[derive(Debug, Clone)]
pub(super) enum News {
    Begin(TargetId, Arc<str>),
    State(TargetId, Change),
}

/// The observer.
pub(crate) struct Feed {
    beats: Sender<Beat>,
    news: Sender<News>,
}

/// The other end.
pub(crate) struct Fed {
    pub(super) beats: Receiver<Beat>,
    pub(super) news: Receiver<News>,
}

/// Both ends.
pub(crate) fn feed() -> (Feed, Fed) {
    let (beats, of_beats) = bounded(BEATS);
    // Seldom much: a bounded channel would take all its memory at once.
    let (news, of_news) = unbounded();
    (Feed { beats, news }, Fed { beats: of_beats, news: of_news })
}

impl Feed {
    fn say(&self, news: News) {
        if self.news.len() < NEWS {
            let _ = self.news.send(news);
        }
    }
}

impl Observer for Feed {
    fn observe(&mut self, event: &Event<'_>) {
        let (sent, outcome) = match event.what {
            What::Ended { sent, end, .. } => match end {
                End::Received(reply) => (sent, Outcome::Received(reply.rtt)),
                End::Lost { .. } => (sent, Outcome::Lost),
                End::Failed(_) => (sent, Outcome::Failed),
                End::Pending => return,
            },
            What::State { change, .. } => {
                self.say(News::State(event.target, change));
                return;
            }
            _ => return,
        };
        let _ = self.beats.try_send(Beat { target: event.target, sent, outcome });
    }

    fn begin(&mut self, target: TargetId, label: &Arc<str>, _given: &str) {
        self.say(News::Begin(target, label.clone()));
    }

    fn wants_sent(&self) -> bool {
        false
    }
}
