//! Recognises second replies of echo services by their content, where the source port cannot.
//!
//! In general content says nothing, and the port that a reply comes back to is what counts (see
//! [`udp_core::source_port`]). Many services echo, though: each reply ends with its request. Where that
//! has held for every reply so far, one that does not is suspicious, and if it is also, byte for
//! byte, a reply that came before, it is a copy of that one. This catches second replies that are
//! too late for ports to tell, on a single fixed port above all. It never condemns a reply of
//! new content: a service is free to answer anything.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// How many replies are remembered.
const REMEMBERED: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Relation {
    #[default]
    Unknown,
    /// Every reply so far ended with its request.
    Echoes,
    /// Some reply did not.
    None,
}

/// What was learnt from the replies credited so far.
#[derive(Debug, Default)]
pub(super) struct EchoMatch {
    relation: Relation,
    recent: VecDeque<u64>,
}

impl EchoMatch {
    /// Takes a credited reply into account.
    pub(super) fn learn(&mut self, request: &[u8], reply: &[u8]) {
        if self.relation == Relation::None {
            return;
        }
        // Everything ends with nothing, so an empty request tells nothing.
        if !request.is_empty() {
            let echoes = reply.ends_with(request);
            self.relation = if echoes { Relation::Echoes } else { Relation::None };
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(digest(reply));
    }

    /// Whether `reply`, where only `request` is outstanding, is a copy of an earlier reply.
    pub(super) fn is_copy(&self, request: &[u8], reply: &[u8]) -> bool {
        self.relation == Relation::Echoes
            && !reply.ends_with(request)
            && self.recent.contains(&digest(reply))
    }

    /// Whether `reply`, where `request` is outstanding, answers `earlier`, which stayed unanswered.
    pub(super) fn answers_earlier(&self, request: &[u8], earlier: &[u8], reply: &[u8]) -> bool {
        self.relation == Relation::Echoes
            && !earlier.is_empty()
            && reply.ends_with(earlier)
            && !reply.ends_with(request)
    }
}

/// A number that tells contents apart, chance aside (2⁻⁶⁴).
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Exchanges = &'static [(&'static str, &'static str)];

    fn after(exchanges: Exchanges) -> EchoMatch {
        let mut echo_match = EchoMatch::default();
        for (request, reply) in exchanges {
            echo_match.learn(request.as_bytes(), reply.as_bytes());
        }
        echo_match
    }

    #[test]
    fn copies_are_recognised_only_where_every_reply_echoed() {
        const ECHO: Exchanges = &[("a", "echo a"), ("b", "echo b")];
        let cases: [(Exchanges, &str, &str, bool); 8] = [
            (ECHO, "c", "echo a", true),
            (ECHO, "c", "echo b", true),
            (ECHO, "c", "echo c", false),
            (ECHO, "c", "error", false),
            (ECHO, "", "echo a", false),
            (&[], "c", "echo a", false),
            (&[("a", "ok"), ("b", "ok")], "c", "ok", false),
            (&[("a", "echo a"), ("b", "ok")], "c", "ok", false),
        ];
        for (exchanges, request, reply, copy) in cases {
            let echo_match = after(exchanges);
            assert_eq!(echo_match.is_copy(request.as_bytes(), reply.as_bytes()), copy, "{reply}");
        }
    }

    #[test]
    fn an_echo_names_the_message_that_it_answers() {
        let echo_match = after(&[("a", "echo a")]);
        assert!(echo_match.answers_earlier(b"c", b"b", b"echo b"));
        assert!(!echo_match.answers_earlier(b"c", b"b", b"echo c"));
        assert!(!echo_match.answers_earlier(b"b", b"b", b"echo b"));
        assert!(!echo_match.answers_earlier(b"c", b"", b"echo b"));
        assert!(!EchoMatch::default().answers_earlier(b"c", b"b", b"echo b"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut echo_match = EchoMatch::default();
        for number in 0..1000u32 {
            echo_match.learn(&number.to_be_bytes(), &number.to_be_bytes());
        }
        assert_eq!(echo_match.recent.len(), REMEMBERED);
        assert!(!echo_match.is_copy(b"x", &1u32.to_be_bytes()));
        assert!(echo_match.is_copy(b"x", &999u32.to_be_bytes()));
    }
}
