//! The exchange against servers of every kind, in virtual time: whatever they do, a reply is
//! credited to its own message or to none, and the counts add up.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use proptest::prelude::*;
use udp_client::exchange::{Due, Message, Outcome, Replies};
use udp_client::exchange::{Exchange, Settings};
use udp_client::session::addresses::Addresses;
use udp_core::clock::Mono;
use udp_core::expect::Expectation;
use udp_core::source_port::{Lease, PortId, Ports, Rules};

const MS: Duration = Duration::from_millis(1);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7);

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
        addresses in 1u8..4,
        fixed: bool,
        retries in 0u32..3,
        timeout in 10u32..120,
        replies in prop_oneof![Just(Replies::UpTo(1)), Just(Replies::UpTo(2)), Just(Replies::Any)],
    ) {
        // A fixed port carries one message at a time, and its content is what tells late replies.
        let window = if fixed { 1 } else { window };
        let rules = match fixed {
            true => Rules { ports: Ports::One, rest: 200 * MS, linger: MS * timeout.max(400) },
            false => Rules { ports: Ports::UpTo(400), rest: 200 * MS, linger: 2000 * MS },
        };
        let hosts = (1..=addresses).map(|last| SocketAddr::from(([192, 0, 2, last], 7)));
        let mut addresses = Addresses::new(hosts.collect());
        let expectation = Expectation::Anything;
        let settings = Settings { timeout: MS * timeout, retries, replies, expectation, max_rtt: None, rules };
        let mut exchange = Exchange::new(settings);
        let total = behaviours.len() as u64;
        let mut flying: Vec<Flying> = Vec::new();
        let (mut owners, mut peers) = (HashMap::new(), HashMap::new());
        let (mut next, mut credited, mut sendings) = (1u64, 0u64, 0u64);
        let mut back = VecDeque::new();
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
                    // A refusal says who was asked; what comes to a port that was closed is nobody's.
                    let Some(message) = exchange.message(port_id) else { continue };
                    if addresses.turn_from(peers[&port_id], message.asked) {
                        let Some(message) = exchange.turn(port_id) else { continue };
                        prop_assert_eq!(message.seq, seq);
                        back.push_back(message);
                    } else {
                        prop_assert!(exchange.refused(port_id, at(now)).is_none_or(|it| it == seq));
                    }
                    continue;
                }
                // From many ports every reply is the same, so nothing but the port tells.
                let bytes = if fixed { format!("echo {seq:04}") } else { "ok".into() };
                match exchange.arrival(port_id, PEER, bytes.as_bytes(), at(now)) {
                    Outcome::Reply { seq: to, .. } => {
                        prop_assert_eq!(to, seq);
                        addresses.answered();
                        credited += 1;
                    }
                    Outcome::Late { seq: to, .. } => {
                        prop_assert_eq!(to, seq);
                        addresses.answered();
                    }
                    Outcome::Unsolicited { seq: to, .. } => {
                        prop_assert!(fixed || to.is_none_or(|to| to == seq));
                    }
                }
            }
            while let Some(due) = exchange.due(at(now)) {
                let Due::TimedOut { port_id } = due else { continue };
                let asked = exchange.message(port_id).map_or(0, |message| message.asked);
                if addresses.turn_from(peers[&port_id], asked) {
                    back.extend(exchange.turn(port_id));
                } else if exchange.again(port_id, at(now)).is_some() {
                    sendings += 1;
                    answer(port_id, owners[&port_id], now, &mut flying);
                } else {
                    prop_assert!(exchange.give_up(port_id, at(now)).is_some());
                }
            }
            while exchange.close_due(at(now)).is_some() {}
            while (next <= total || !back.is_empty()) && exchange.outstanding() < window {
                let seq = back.front().map_or(next, |message| message.seq);
                let port_id = match exchange.lease(seq, at(now)) {
                    Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
                    Lease::Wait { .. } => break,
                };
                let message = back.pop_front().unwrap_or_else(|| {
                    let payload = format!("{next:04}").into_bytes();
                    next += 1;
                    Message { seq, payload, ..Message::default() }
                });
                prop_assert!(message.asked < addresses.count(), "each address is asked once");
                peers.insert(port_id, addresses.peer());
                sendings += 1;
                exchange.sent(port_id, message, at(now));
                owners.insert(port_id, seq);
                answer(port_id, seq, now, &mut flying);
            }
            prop_assert!(exchange.outstanding() <= window);
            if next > total && back.is_empty() && exchange.outstanding() == 0 && flying.is_empty() {
                break;
            }
        }
        let counts = exchange.counts();
        prop_assert_eq!(counts.sent, total);
        prop_assert_eq!(sendings, counts.sent + counts.retries);
        prop_assert_eq!(counts.sent, counts.replied + counts.lost + counts.refused);
        prop_assert_eq!(counts.replies, credited);
        prop_assert!(counts.late <= counts.lost + counts.refused && counts.replied <= counts.replies);
        prop_assert_eq!(exchange.outstanding(), 0);
    }
}
