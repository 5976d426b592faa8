//! The exchange against servers of every kind, in virtual time: whatever they do, a reply is
//! credited to its own message or to none, and the books balance.

use std::time::Duration;

use proptest::prelude::*;
use udp_client::exchange::{Exchange, Settings};
use udp_client::expectation::Expectation;
use udp_client::outcome::{Due, Message, Outcome, Replies};
use udp_core::clock::Mono;
use udp_core::source_port::{Lease, PortId, Ports, Rules};

const MS: Duration = Duration::from_millis(1);

fn at(ms: u64) -> Mono {
    Mono::from_nanos(1_000_000_000 + ms * 1_000_000)
}

/// What a server does with one datagram.
#[derive(Debug, Clone)]
enum Behaviour {
    Silent,
    Refuse,
    /// One reply after so many milliseconds, and copies of it so much later each.
    Answer(u64, Vec<u64>),
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    prop_oneof![
        1 => Just(Behaviour::Silent),
        1 => Just(Behaviour::Refuse),
        6 => (0u64..300, proptest::collection::vec(0u64..90, 0..3))
            .prop_map(|(after, copies)| Behaviour::Answer(after, copies)),
    ]
}

/// What is on its way back. The message that it belongs to is known here, and to no client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flying {
    due: u64,
    port_id: PortId,
    seq: u64,
    refusal: bool,
}

proptest! {
    #[test]
    fn no_reply_is_credited_to_another_message(
        behaviours in proptest::collection::vec(behaviour(), 1..80),
        window in 1usize..9,
        retries in 0u32..3,
        timeout in 10u32..120,
        replies in prop_oneof![Just(Replies::UpTo(1)), Just(Replies::UpTo(2)), Just(Replies::Any)],
    ) {
        let rules = Rules { ports: Ports::UpTo(400), rest: 200 * MS, linger: 2000 * MS };
        let expectation = Expectation::Anything;
        let settings = Settings { timeout: MS * timeout, retries, replies, expectation, rules };
        let mut exchange = Exchange::new(settings);
        let total = behaviours.len() as u64;
        let mut flying: Vec<Flying> = Vec::new();
        let mut owners = std::collections::HashMap::new();
        let (mut next, mut credited) = (1u64, 0u64);
        let answer = |port_id: PortId, seq: u64, now: u64, flying: &mut Vec<Flying>| {
            match &behaviours[(seq - 1) as usize] {
                Behaviour::Silent => {}
                Behaviour::Refuse => {
                    flying.push(Flying { due: now + 1, port_id, seq, refusal: true });
                }
                Behaviour::Answer(after, copies) => {
                    let mut due = now + after;
                    flying.push(Flying { due, port_id, seq, refusal: false });
                    for more in copies {
                        due += more;
                        flying.push(Flying { due, port_id, seq, refusal: false });
                    }
                }
            }
        };
        for now in 0..200_000u64 {
            flying.sort();
            while flying.first().is_some_and(|it| it.due <= now) {
                let Flying { port_id, seq, refusal, .. } = flying.remove(0);
                if refusal {
                    let ended = exchange.refused(port_id, at(now)).map(|message| message.seq);
                    prop_assert!(ended.is_none_or(|ended| ended == seq));
                    continue;
                }
                // Every reply is the same, so nothing but the port tells.
                match exchange.arrival(port_id, b"ok", at(now)) {
                    Outcome::Reply { seq: to, .. } => {
                        prop_assert_eq!(to, seq);
                        credited += 1;
                    }
                    Outcome::Late { seq: to, .. } => prop_assert_eq!(to, seq),
                    Outcome::Unexpected { seq: to, .. } => {
                        prop_assert!(to.is_none_or(|to| to == seq));
                    }
                }
            }
            while let Some(due) = exchange.due(at(now)) {
                if let Due::Again { port_id, .. } = due {
                    answer(port_id, owners[&port_id], now, &mut flying);
                }
            }
            while exchange.close_due(at(now)).is_some() {}
            while next <= total && exchange.outstanding() < window {
                let port_id = match exchange.lease(next, at(now)) {
                    Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
                    Lease::Wait { .. } => break,
                };
                let payload = next.to_string().into_bytes();
                exchange.sent(port_id, Message { seq: next, payload }, at(now));
                owners.insert(port_id, next);
                answer(port_id, next, now, &mut flying);
                next += 1;
            }
            prop_assert!(exchange.outstanding() <= window);
            if next > total && exchange.outstanding() == 0 && flying.is_empty() {
                break;
            }
        }
        let tally = exchange.tally();
        prop_assert_eq!(tally.sent, total);
        prop_assert_eq!(tally.sent, tally.replied + tally.lost + tally.refused);
        prop_assert_eq!(tally.replies, credited);
        prop_assert!(tally.late <= tally.lost && tally.replied <= tally.replies);
        prop_assert_eq!(exchange.outstanding(), 0);
    }
}
