//! Our session-sender, their session-reflector.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::suite::{Reflector, theirs};
use super::{FAMILIES, Keys, Losses, beat, counts, lossy, ours, relay, scenarios};
use crate::e2e::context::Context;
use crate::e2e::{check, json};

scenarios!("interop/heartbeat":
    every_beat_is_answered,
    a_padded_beat_is_answered,
    loss_by_direction,
    a_reflector_without_state,
    other_keys_are_not_answered,
    an_answer_with_another_hmac_is_wrong,
);

/// Beats of a run that loses none.
const COUNT: u64 = 5;
/// The hops that our beats are sent with.
const TTL: u8 = 77;

/// Offsets in an answer (RFC 8762 figures 5 and 6).
struct Layout {
    timestamp: usize,
    error: usize,
    received: usize,
    sequence: usize,
    sender_timestamp: usize,
    sender_error: usize,
    ttl: usize,
}

const PLAIN: Layout = Layout {
    timestamp: 4,
    error: 12,
    received: 16,
    sequence: 24,
    sender_timestamp: 28,
    sender_error: 36,
    ttl: 40,
};

const AUTHENTICATED: Layout = Layout {
    timestamp: 16,
    error: 24,
    received: 32,
    sequence: 48,
    sender_timestamp: 64,
    sender_error: 72,
    ttl: 80,
};

fn every_beat_is_answered(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        for key in keys.forms() {
            // Copied numbers or counted ones, and either form of a clock, are theirs to choose.
            for theirs_alone in [&["--stateful-reflector"][..], &["--clock-source", "PTP"]] {
                let options = [&theirs(key)[..], theirs_alone].concat();
                let reflector = Reflector::start(context, ip, &options)?;
                let ttl = TTL.to_string();
                let run = ["-c", "5", "-i", "0.02", "-W", "5", "--ttl", &ttl];
                let options = [&ours(key)[..], &run].concat();
                let events = beat(context, reflector.address, &options, 0)?;
                all_answered(&events, key.map_or(&PLAIN, |_| &AUTHENTICATED))
                    .with_context(|| format!("{} {theirs_alone:?}", reflector.address))?;
                counts(
                    &reflector.totals()?,
                    &[
                        ("total_packets_received", COUNT),
                        ("total_packets_reflected", COUNT),
                        ("total_packets_dropped", 0),
                    ],
                )?;
            }
        }
    }
    Ok(())
}

fn all_answered(events: &[Value], at: &Layout) -> Result<()> {
    let summary = json::first(events, "summary")?;
    counts(
        summary,
        &[
            ("sent", COUNT),
            ("received", COUNT),
            ("lost", 0),
            ("unsolicited", 0),
            ("duplicate", 0),
            ("reordered", 0),
        ],
    )?;
    check::same("the verdict", Some("up"), summary["state"].as_str())?;
    for way in ["delay_variation_forward_p50_ns", "delay_variation_return_p50_ns"] {
        check::holds(&format!("{way} is known"), summary[way].is_u64())?;
    }
    for seq in 1..=COUNT {
        let [sent, reply] = ["sent", "reply"].map(|kind| {
            let of = |e: &&Value| e["type"] == kind && e["seq"] == seq;
            events.iter().find(of).with_context(|| format!("no {kind} of beat {seq}"))
        });
        one_answer(sent?, reply?, at).with_context(|| format!("beat {seq}"))?;
    }
    Ok(())
}

/// Their answer is to our beat, and what we say of it is what stands in it.
fn one_answer(sent: &Value, reply: &Value, at: &Layout) -> Result<()> {
    let (ours, theirs) = (payload(sent)?, payload(reply)?);
    let seq = reply["seq"].as_u64().context("no seq")?;
    let number = u32::try_from(seq - 1)?.to_be_bytes();
    // Nothing was lost, so that a count and a copy are the same.
    check::same("our number", number.as_slice(), &ours[..4])?;
    check::same("its number", number.as_slice(), &theirs[..4])?;
    check::same("our number in the answer", number.as_slice(), &theirs[at.sequence..][..4])?;
    check::same("our time", &ours[at.timestamp..][..8], &theirs[at.sender_timestamp..][..8])?;
    check::same("our error estimate", &ours[at.error..][..2], &theirs[at.sender_error..][..2])?;
    check::same("our hops", TTL, theirs[at.ttl])?;
    // One machine, one clock: in this order, and not long after.
    let left = nanos(&ours, at.timestamp, at.error);
    let came = nanos(&theirs, at.received, at.error);
    let back = nanos(&theirs, at.timestamp, at.error);
    check::holds(
        &format!("sent {left}, received {came} and answered {back} in that order"),
        left <= came && came <= back && back - left < 20_000_000_000,
    )?;
    let figure = |name: &str| reply[name].as_i64().with_context(|| format!("no {name}"));
    let (net, whole) = (figure("rtt_ns")?, figure("rtt_with_reflector_ns")?);
    check::holds(&format!("a round trip of {net} of {whole} ns"), 0 < net && net <= whole)?;
    // Their time is what lies between, to the nanosecond that rounding may cost at either end.
    let theirs = back - came;
    check::holds(
        &format!("their {theirs} ns are what {net} and {whole} ns differ by"),
        (whole - net - theirs).abs() <= 2,
    )
}

fn payload(event: &Value) -> Result<Vec<u8>> {
    let hex = event["data_hex"].as_str().context("no payload in hex")?;
    let pairs = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        u8::from_str_radix(pair, 16).context("no hex")
    });
    pairs.collect()
}

/// A time stamp in nanoseconds since 1970, in the form that the Z bit of the error estimate says:
/// seconds since 1900 and a binary fraction, or since 1970 and nanoseconds (RFC 8186).
fn nanos(packet: &[u8], at: usize, error: usize) -> i64 {
    let word = |at: usize| packet[at..at + 4].iter().fold(0_i64, |n, b| n << 8 | i64::from(*b));
    if packet[error] & 0x40 == 0 {
        (word(at) - 2_208_988_800) * 1_000_000_000 + ((word(at + 4) * 1_000_000_000) >> 32)
    } else {
        word(at) * 1_000_000_000 + word(at + 4)
    }
}

/// With a key they put an HMAC TLV behind our padding, so that their answer is 20 bytes longer than
/// what it answers. By RFC 8972 section 4.8 it must not be there where padding is the only TLV, and
/// by RFC 8762 section 4.3 the two are of one size; we take it all the same.
fn a_padded_beat_is_answered(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for (key, size) in [(None, 150), (Some(keys.right.as_str()), 170)] {
        let reflector = Reflector::start(context, FAMILIES[0], &theirs(key))?;
        let run = ["-c", "5", "-i", "0.02", "-W", "5", "-s", "150"];
        let events = beat(context, reflector.address, &[&ours(key)[..], &run].concat(), 0)?;
        let summary = json::first(&events, "summary")?;
        counts(summary, &[("sent", COUNT), ("received", COUNT), ("unsolicited", 0)])?;
        counts(json::first(&events, "sent")?, &[("bytes", 150)])?;
        counts(json::first(&events, "reply")?, &[("bytes", size)])?;
    }
    Ok(())
}

const LOSSES: Losses = Losses { up: &[4, 5], down: &[8, 9, 10] };
const LOSSY_RUN: [&str; 6] = ["-c", "20", "-i", "0.02", "-W", "2"];

/// What their network did to a run of 20, as `found` and by the kind of reflector.
fn lost(summary: &Value, kind: &str, found: [u64; 3]) -> Result<()> {
    let [up, down, unknown] = found;
    counts(
        summary,
        &[
            ("sent", 20),
            ("received", 15),
            ("lost", 5),
            ("lost_forward", up),
            ("lost_return", down),
            ("lost_undetermined", unknown),
        ],
    )?;
    check::same("the reflector", Some(kind), summary["reflector"].as_str())
}

fn loss_by_direction(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for key in keys.forms() {
        let options = [&theirs(key)[..], &["--stateful-reflector"]].concat();
        let reflector = Reflector::start(context, FAMILIES[1], &options)?;
        let network = lossy(reflector.address, LOSSES)?;
        let options = [&ours(key)[..], &LOSSY_RUN].concat();
        let events = beat(context, network.address, &options, 0)?;
        lost(json::first(&events, "summary")?, "stateful", [2, 3, 0])?;
    }
    Ok(())
}

/// By default theirs copies our numbers; no direction can be told, and none is.
fn a_reflector_without_state(context: &Context) -> Result<()> {
    let reflector = Reflector::start(context, FAMILIES[0], &[])?;
    let network = lossy(reflector.address, LOSSES)?;
    let events = beat(context, network.address, &LOSSY_RUN, 0)?;
    lost(json::first(&events, "summary")?, "stateless", [0, 0, 5])?;

    let network = lossy(reflector.address, LOSSES)?;
    let target = network.address.to_string();
    let finished = context.beat([&["--stamp", target.as_str(), "-q"], &LOSSY_RUN[..]].concat())?;
    let said = "\nloss: forward 0, return 0, undetermined 5\n";
    check::has(&finished.out(), said)
}

fn other_keys_are_not_answered(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    for ip in FAMILIES {
        let reflector = Reflector::start(context, ip, &theirs(Some(&keys.right)))?;
        for key in [Some(keys.wrong.as_str()), None] {
            let run = ["-c", "5", "-i", "0.02", "-W", "300ms"];
            let options = [&ours(key)[..], &run].concat();
            let events = beat(context, reflector.address, &options, 1)?;
            let summary = json::first(&events, "summary")?;
            counts(
                summary,
                &[("sent", COUNT), ("received", 0), ("lost", COUNT), ("unsolicited", 0)],
            )?;
        }
        counts(
            &reflector.totals()?,
            &[("total_packets_dropped", 2 * COUNT), ("total_packets_reflected", 0)],
        )?;
    }
    Ok(())
}

/// Theirs and all right, but for one bit of the HMAC.
fn an_answer_with_another_hmac_is_wrong(context: &Context) -> Result<()> {
    let keys = Keys::new()?;
    let key = Some(keys.right.as_str());
    let reflector = Reflector::start(context, FAMILIES[0], &theirs(key))?;
    let forged = |_, answer: &[u8]| {
        let mut answer = answer.to_vec();
        *answer.last_mut()? ^= 1;
        Some(answer)
    };
    let network = relay(reflector.address, &[], forged)?;
    let run = ["-c", "5", "-i", "0.02", "-W", "1"];
    let events = beat(context, network.address, &[&ours(key)[..], &run].concat(), 1)?;
    let summary = json::first(&events, "summary")?;
    counts(summary, &[("sent", COUNT), ("received", 0), ("lost", COUNT), ("unsolicited", COUNT)])?;
    counts(&reflector.totals()?, &[("total_packets_reflected", COUNT)])
}
