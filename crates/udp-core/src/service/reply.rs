//! The decoded reply of a service: verdict, reason, facts, and what is to be sent next.

use std::borrow::Cow;

use super::{Fact, Facts, Verdict};

/// A reply to one beat.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The beat's number.
    pub number: u64,
    /// What it says.
    pub verdict: Verdict,
    /// Why, in the protocol's own word; an ok mostly has none.
    pub reason: Option<Cow<'static, str>>,
    /// What else it says.
    pub facts: Facts,
    /// What it asks us to do.
    pub then: Then,
    /// What to remember for the next request from the same port.
    pub keep: Option<Vec<u8>>,
    /// Whether it told us to stop asking: the interval becomes the longest at once.
    pub stop: bool,
}

/// What a reply asks us to do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Then {
    /// Nothing: the beat is answered.
    #[default]
    Nothing,
    /// The beat is answered; send this, so that the service does not repeat its reply. What it
    /// repeats all the same is acknowledged again, and is no duplicate.
    Acknowledge(Vec<u8>),
    /// The beat is answered, and nothing is sent. If the reply comes once more, send this: a service that
    /// keeps state repeats it until it is acknowledged, which is no duplicate; one that keeps none
    /// must not be made to.
    AcknowledgeRepeats(Vec<u8>),
    /// Send this, and the answer to it is the beat's, with a round trip of its own: a challenge. Past
    /// a few such legs the reply stands as it is.
    Follow(Vec<u8>),
    /// The service is still at work: the answer is yet to come.
    Wait,
}

impl Reply {
    /// A reply to beat `number`, with a verdict and no more.
    pub fn new(number: u64, verdict: Verdict) -> Self {
        let (then, facts) = (Then::Nothing, Facts::default());
        Reply { number, verdict, reason: None, facts, then, keep: None, stop: false }
    }

    /// An `ok`.
    pub fn ok(number: u64) -> Self {
        Reply::new(number, Verdict::Ok)
    }

    /// Our identity, and broken or unauthentic bytes.
    pub fn invalid(number: u64, reason: &'static str) -> Self {
        Reply::new(number, Verdict::Invalid).because(reason)
    }

    /// The reason. What a stranger wrote is made one by [`Fact::text`]'s rules.
    #[must_use]
    pub fn because(mut self, reason: impl Into<Cow<'static, str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// One more fact.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<Fact>) -> Self {
        self.facts.push(name, fact);
        self
    }

    /// What it asks us to do.
    #[must_use]
    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    /// What to remember for the next request from the same port, in place of what was.
    #[must_use]
    pub fn keeping(mut self, keep: Vec<u8>) -> Self {
        self.keep = Some(keep);
        self
    }

    /// It told us to stop asking.
    #[must_use]
    pub fn stop(mut self) -> Self {
        self.stop = true;
        self
    }
}
