//! Which reply answers which message, case by case; `tests/simulation.rs` draws them at random.

use super::*;

const MS: Duration = Duration::from_millis(1);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7);

fn at(ms: u64) -> Mono {
    Mono::from_nanos(1_000_000_000) + MS * u32::try_from(ms).unwrap()
}

fn settings() -> Settings {
    Settings {
        timeout: 100 * MS,
        retries: 0,
        replies: Replies::UpTo(1),
        expectation: Expectation::Anything,
        max_rtt: None,
        rules: Rules { ports: Ports::UpTo(8), rest: 50 * MS, linger: 10_000 * MS },
    }
}

fn one_port() -> Settings {
    Settings { rules: Rules { ports: Ports::One, rest: MS, linger: 100 * MS }, ..settings() }
}

#[track_caller]
fn send(exchange: &mut Exchange, seq: u64, text: &str, ms: u64) -> PortId {
    let port_id = match exchange.lease(seq, at(ms)) {
        Lease::Open { port_id, .. } | Lease::Reuse(port_id) => port_id,
        other @ Lease::Wait { .. } => panic!("{other:?}"),
    };
    exchange.sent(port_id, Message { seq, payload: text.into(), ..Message::default() }, at(ms));
    port_id
}

/// What becomes of the message that is silent at this time: sent again, or given up.
fn silent(it: &mut Exchange, ms: u64) -> Result<Option<u32>, Option<Lost>> {
    let Some(Due::TimedOut { port_id }) = it.due(at(ms)) else { return Ok(None) };
    it.again(port_id, at(ms)).map(Some).ok_or_else(|| it.give_up(port_id, at(ms)))
}

fn lost(it: &mut Exchange, ms: u64) -> Option<Lost> {
    silent(it, ms).err().flatten()
}

fn reply(seq: u64, ms: u32) -> Outcome {
    Outcome::Reply { seq, rtt: MS * ms, wrong: false, after_refusal: false }
}

fn kind(seq: u64, kind: Unsolicited) -> Outcome {
    Outcome::Unsolicited { seq: Some(seq), kind }
}

#[test]
fn a_reply_in_time_answers_its_message() {
    let mut it = Exchange::new(settings());
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!((it.outstanding(), it.next_due()), (1, Some(at(100))));
    assert_eq!(it.arrival(port_id, PEER, b"echo a", at(7)), reply(1, 7));
    assert_eq!((it.outstanding(), it.next_due()), (0, None));
    assert_eq!(it.due(at(1000)), None);
    assert_eq!(it.counts().to_string(), "1 sent, 1 replied, 0 lost");
}

#[test]
fn a_late_reply_answers_no_other_message() {
    let mut it = Exchange::new(settings());
    let first = send(&mut it, 1, "a", 0);
    assert_eq!(it.due(at(99)), None);
    let expected = Lost { seq: 1, waited: 100 * MS, attempts: 1 };
    assert_eq!(lost(&mut it, 100), Some(expected));
    let second = send(&mut it, 2, "b", 101);
    assert_eq!(it.arrival(first, PEER, b"x", at(150)), Outcome::Late { seq: 1, after: 150 * MS });
    assert_eq!(it.arrival(first, PEER, b"x", at(151)), kind(1, Unsolicited::Extra));
    assert_eq!(it.arrival(second, PEER, b"x", at(152)), reply(2, 51));
    assert_eq!(it.counts().to_string(), "2 sent, 1 replied, 1 lost, 1 late, 1 unsolicited");
}

#[test]
fn what_comes_after_the_reply_is_unexpected() {
    let mut it = Exchange::new(settings());
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(it.arrival(port_id, PEER, b"x", at(1)), reply(1, 1));
    let next = send(&mut it, 2, "b", 2);
    assert_ne!(port_id, next, "the port of the first message rests");
    assert_eq!(it.arrival(port_id, PEER, b"x", at(3)), kind(1, Unsolicited::Duplicate));
    assert_eq!(it.arrival(port_id, PEER, b"y", at(4)), kind(1, Unsolicited::Extra));
    assert_eq!(it.arrival(next, PEER, b"x", at(5)), reply(2, 3));
    let stranger = Outcome::Unsolicited { seq: None, kind: Unsolicited::Elsewhere };
    assert_eq!(it.foreign(), stranger);
    assert_eq!(it.counts().to_string(), "2 sent, 2 replied, 0 lost, 1 duplicate, 2 unsolicited");
}

#[test]
fn each_wait_is_twice_as_long_as_the_one_before() {
    let mut it = Exchange::new(Settings { retries: 2, ..settings() });
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(silent(&mut it, 100), Ok(Some(2)));
    assert_eq!(it.due(at(100)), None);
    assert_eq!(it.message(port_id).unwrap().payload, b"a");
    assert_eq!(it.next_due(), Some(at(300)));
    assert_eq!(silent(&mut it, 300), Ok(Some(3)));
    assert_eq!(it.next_due(), Some(at(700)));
    let expected = Lost { seq: 1, waited: 700 * MS, attempts: 3 };
    assert_eq!(lost(&mut it, 700), Some(expected));
    assert_eq!(it.counts().retries, 2);
    assert_eq!(it.counts().to_string(), "1 sent, 0 replied, 1 lost");
}

#[test]
fn a_reply_after_a_retry_counts_from_the_first_sending() {
    let mut it = Exchange::new(Settings { retries: 1, ..settings() });
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(silent(&mut it, 100), Ok(Some(2)));
    assert_eq!(it.arrival(port_id, PEER, b"x", at(120)), reply(1, 120));
    assert_eq!(it.due(at(1000)), None);
}

#[test]
fn waits_that_would_overflow_saturate() {
    assert_eq!(wait(Duration::MAX, 3), Duration::MAX);
    assert_eq!(wait(MS, 40), MS * u32::MAX);
}

#[test]
fn several_replies_are_credited_until_there_are_enough() {
    let mut it = Exchange::new(Settings { replies: Replies::UpTo(2), ..settings() });
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(it.arrival(port_id, PEER, b"x", at(1)), reply(1, 1));
    assert_eq!(it.outstanding(), 1);
    assert_eq!(it.arrival(port_id, PEER, b"y", at(2)), reply(1, 2));
    assert_eq!(it.outstanding(), 0);
    assert_eq!(it.arrival(port_id, PEER, b"z", at(3)), kind(1, Unsolicited::Extra));
    assert_eq!((it.counts().replied, it.counts().replies), (1, 2));
}

#[test]
fn any_number_of_replies_is_listened_for_until_the_timeout() {
    let mut it = Exchange::new(Settings { replies: Replies::Any, ..settings() });
    let port_id = send(&mut it, 1, "a", 0);
    for ms in 1..=20 {
        assert!(matches!(it.arrival(port_id, PEER, b"x", at(ms)), Outcome::Reply { seq: 1, .. }));
    }
    assert_eq!(it.due(at(99)), None);
    assert_eq!(it.due(at(100)), Some(Due::Complete { seq: 1 }));
    let next = send(&mut it, 2, "b", 300);
    assert_ne!(next, port_id, "more may come there");
    assert_eq!(it.arrival(port_id, PEER, b"y", at(301)), kind(1, Unsolicited::Extra));
    let expected = Lost { seq: 2, waited: 100 * MS, attempts: 1 };
    assert_eq!(lost(&mut it, 400), Some(expected));
    let text = "2 sent, 1 replied, 1 lost, 1 unsolicited";
    assert_eq!((it.counts().to_string().as_str(), it.counts().replies), (text, 20));
}

#[test]
fn a_refusal_ends_its_message_and_no_other() {
    let mut it = Exchange::new(settings());
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(it.refused(port_id, at(1)), Some(1));
    assert_eq!(it.refused(port_id, at(2)), None);
    let port_id = send(&mut it, 2, "b", 3);
    assert_eq!(it.arrival(port_id, PEER, b"x", at(4)), reply(2, 1));
    assert_eq!(it.refused(port_id, at(5)), None);
    assert_eq!(it.due(at(1000)), None);
    assert_eq!(it.counts().to_string(), "2 sent, 1 replied, 0 lost, 1 refused");
}

#[test]
fn a_message_goes_to_another_address_from_a_port_of_its_own() {
    for settings in [settings(), one_port()] {
        let mut it = Exchange::new(settings);
        let first = send(&mut it, 1, "a", 0);
        let message = it.turn(first).unwrap();
        assert_eq!((message.sent_before, message.asked, it.outstanding()), (1, 1, 0));
        assert_eq!(it.turn(first), None);
        // What the first address still says is nobody's.
        let unasked = Outcome::Unsolicited { seq: None, kind: Unsolicited::Extra };
        assert_eq!(it.arrival(first, PEER, b"x", at(1)), unasked);
        let Lease::Open { port_id, .. } = it.lease(1, at(1)) else { panic!("a new port") };
        it.sent(port_id, message, at(1));
        assert_eq!(it.arrival(port_id, PEER, b"x", at(3)), reply(1, 2));
        assert_eq!(it.counts().to_string(), "1 sent, 1 replied, 0 lost, 1 unsolicited");
        assert_eq!(it.counts().retries, 1);
    }
}

#[test]
fn a_refusal_is_a_hint_and_the_right_answer_in_time_wins() {
    let after_refusal = Outcome::Reply { seq: 1, rtt: 50 * MS, wrong: false, after_refusal: true };
    let late = Outcome::Late { seq: 1, after: 150 * MS };
    for (ms, expected, text) in [
        (50, after_refusal, "1 sent, 1 replied, 0 lost"),
        (150, late, "1 sent, 0 replied, 0 lost, 1 refused, 1 late"),
    ] {
        for settings in [settings(), one_port()] {
            let mut it = Exchange::new(settings);
            let port_id = send(&mut it, 1, "a", 0);
            assert_eq!(it.refused(port_id, at(1)), Some(1));
            assert_eq!(it.refused_until(), Some(at(100)));
            assert_eq!(it.arrival(port_id, PEER, b"x", at(ms)), expected);
            assert_eq!(it.refused_until().is_some(), ms == 150);
            assert_eq!(it.counts().to_string(), text);
        }
    }
}

#[test]
fn a_single_port_is_kept_for_the_answer_of_a_refused_message() {
    let mut it = Exchange::new(one_port());
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(it.refused(port_id, at(30)), Some(1));
    assert_eq!(it.lease(2, at(31)), Lease::Wait { until: Some(at(100)) });
    assert_eq!(it.lease(2, at(100)), Lease::Reuse(port_id));
}

#[test]
fn read_late_what_came_in_time_is_in_time_and_no_more() {
    let given_up = Lost { seq: 1, waited: 100 * MS, attempts: 1 };
    for (ms, lost, expected) in [
        (100, None, reply(1, 100)),
        (101, Some(given_up), Outcome::Late { seq: 1, after: 101 * MS }),
    ] {
        let mut it = Exchange::new(settings());
        let port_id = send(&mut it, 1, "a", 0);
        assert_eq!(it.overtaken(port_id, at(ms)), lost);
        assert_eq!(it.arrival(port_id, PEER, b"x", at(ms)), expected);
        assert_eq!(it.counts().sent, it.counts().replied + it.counts().lost);
    }
}

#[test]
fn what_others_answer_is_no_duplicate() {
    let mut it = Exchange::new(settings());
    let port_id = send(&mut it, 1, "who", 0);
    assert_eq!(it.arrival(port_id, PEER, b"here", at(1)), reply(1, 1));
    let other = SocketAddr::from(([127, 0, 0, 3], 7));
    assert_eq!(it.arrival(port_id, other, b"here", at(2)), kind(1, Unsolicited::Extra));
    assert_eq!(it.arrival(port_id, PEER, b"here", at(3)), kind(1, Unsolicited::Duplicate));
}

#[test]
fn a_slow_reply_is_a_wrong_one() {
    let mut it = Exchange::new(Settings { max_rtt: Some(10 * MS), ..settings() });
    for (seq, took, wrong) in [(1, 10, false), (2, 11, true)] {
        let start = seq * 1000;
        let port_id = send(&mut it, seq, "a", start);
        let expected = Outcome::Reply { seq, rtt: MS * took, wrong, after_refusal: false };
        assert_eq!(it.arrival(port_id, PEER, b"x", at(start + u64::from(took))), expected);
    }
}

#[test]
fn a_wrong_reply_is_a_reply() {
    let expectation = Expectation::Text(b"echo a".to_vec());
    let mut it = Exchange::new(Settings { expectation, ..settings() });
    let port_id = send(&mut it, 1, "a", 0);
    let wrong = Outcome::Reply { seq: 1, rtt: MS, wrong: true, after_refusal: false };
    assert_eq!(it.arrival(port_id, PEER, b"echo b", at(1)), wrong);
    assert_eq!(it.counts().to_string(), "1 sent, 1 replied, 0 lost, 1 wrong");
}

#[test]
fn an_unsent_message_leaves_no_trace() {
    let mut it = Exchange::new(settings());
    let Lease::Open { port_id, .. } = it.lease(1, at(0)) else { panic!("no source port") };
    it.unsent(port_id, at(0));
    assert_eq!((it.outstanding(), it.counts().sent, it.due(at(1000))), (0, 0, None));
    assert_eq!(it.lease(2, at(100)), Lease::Reuse(port_id));
}

#[test]
fn stopped_what_is_in_flight_is_pending() {
    let mut it = Exchange::new(Settings { replies: Replies::Any, ..settings() });
    let answered = send(&mut it, 1, "a", 0);
    send(&mut it, 2, "b", 0);
    it.arrival(answered, PEER, b"x", at(1));
    it.stop();
    assert_eq!(it.counts().to_string(), "2 sent, 1 replied, 0 lost, 1 pending");
    assert_eq!(it.outstanding(), 0);
}

#[test]
fn with_one_port_content_tells_what_the_port_cannot() {
    let mut it = Exchange::new(one_port());
    let port_id = send(&mut it, 1, "a", 0);
    assert_eq!(it.arrival(port_id, PEER, b"echo a", at(1)), reply(1, 1));
    // A second copy of the first reply, while the second message is in flight.
    send(&mut it, 2, "b", 2);
    let copy = Outcome::Unsolicited { seq: None, kind: Unsolicited::Duplicate };
    assert_eq!(it.arrival(port_id, PEER, b"echo a", at(3)), copy);
    assert_eq!(it.arrival(port_id, PEER, b"echo b", at(4)), reply(2, 2));
    // A reply that comes after both the timeout and the wait after it.
    send(&mut it, 3, "c", 5);
    assert!(matches!(lost(&mut it, 105), Some(Lost { seq: 3, .. })));
    assert_eq!(it.lease(4, at(150)), Lease::Wait { until: Some(at(205)) });
    send(&mut it, 4, "d", 205);
    assert_eq!(
        it.arrival(port_id, PEER, b"echo c", at(210)),
        Outcome::Late { seq: 3, after: 205 * MS }
    );
    assert_eq!(it.arrival(port_id, PEER, b"echo d", at(211)), reply(4, 6));
    let text = "4 sent, 3 replied, 1 lost, 1 late, 1 duplicate";
    assert_eq!(it.counts().to_string(), text);
}

#[test]
fn a_closed_port_says_nothing_about_its_successor() {
    let mut it = Exchange::new(settings());
    let old = send(&mut it, 1, "a", 0);
    assert!(lost(&mut it, 100).is_some());
    assert_eq!(it.next_close(), Some(at(10_100)));
    assert_eq!(it.close_due(at(10_100)), Some(old));
    let new = send(&mut it, 2, "b", 10_200);
    assert_eq!(new.slot(), old.slot());
    let unasked = Outcome::Unsolicited { seq: None, kind: Unsolicited::Extra };
    assert_eq!(it.arrival(old, PEER, b"x", at(10_201)), unasked);
    assert_eq!(it.refused(old, at(10_202)), None);
    assert_eq!(it.arrival(new, PEER, b"x", at(10_203)), reply(2, 3));
}
