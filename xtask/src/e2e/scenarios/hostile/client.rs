//! The client and the heartbeat under a server that means them harm: replies from elsewhere,
//! replayed, forged, cut short, as large as there can be. None of them is credited, each that reaches
//! the program is counted, and both end as they should.

use std::net::UdpSocket;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::kinds::payloads;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::measure::figure;
use crate::e2e::net::{Peer, Reply, Request};
use crate::e2e::netns::{Host, begin};
use crate::e2e::process::Finished;

scenarios!("hostile/client":
    replies_from_elsewhere,
    replayed_replies,
    every_kind_of_reply,
    a_filtered_retry_is_said,
);

/// A figure of the heartbeat's or client's line of counts, 0 where it is not there.
pub(super) fn count(finished: &Finished, word: &str) -> u64 {
    let out = finished.out();
    let line = out.lines().rev().find(|l| l.contains(" sent, ")).unwrap_or_default();
    let part = line.split(", ").find_map(|p| p.split(" (").next()?.strip_suffix(word));
    part.and_then(|n| n.trim().parse().ok()).unwrap_or_default()
}

/// The line of counts.
pub(super) fn counts(finished: &Finished) -> String {
    finished.out().lines().rev().find(|l| l.contains(" sent, ")).unwrap_or_default().to_owned()
}

/// The heartbeat's totals: every beat in exactly one class.
pub(super) fn balanced(finished: &Finished) -> Result<()> {
    let classes = ["received", "lost", "refused", "failed", "pending"];
    let sum: u64 = classes.iter().map(|c| count(finished, c)).sum();
    check::same(&format!("the classes of {:?}", counts(finished)), count(finished, "sent"), sum)
}

fn beat(context: &Context, peer: &Peer, options: &[&str]) -> Result<Finished> {
    let target = peer.address.to_string();
    let usual = [target.as_str(), "-i", "10ms", "-c", "20"];
    let timeout: &[&str] = if options.contains(&"-W") { &[] } else { &["-W", "200ms"] };
    let finished = context.beat([&usual[..], timeout, options].concat())?;
    balanced(&finished)?;
    Ok(finished)
}

/// From another port of the right address, and from the right port of another address.
fn replies_from_elsewhere(context: &Context) -> Result<()> {
    for source in ["127.0.0.1:0", "127.0.0.2"] {
        let plan = |other: UdpSocket| {
            move |request: &Request| {
                let _ = other.send_to(&request.echo().bytes, request.from);
                Vec::new()
            }
        };
        let peer = loop {
            let (sender, later) = std::sync::mpsc::channel::<UdpSocket>();
            let mut other = None;
            let peer = Peer::new(move |request| {
                let other = other.get_or_insert_with(|| later.recv().map(plan));
                other.as_mut().map_or_else(|_| Vec::new(), |plan| plan(request))
            })?;
            let source = if source.contains(':') {
                source.to_owned()
            } else {
                format!("{source}:{}", peer.address.port())
            };
            if let Ok(socket) = UdpSocket::bind(&source) {
                sender.send(socket).context("the peer is gone")?;
                break peer;
            }
        };
        for options in [&[][..], &["--number"]] {
            let finished = beat(context, &peer, options)?;
            finished.exits(1)?;
            check::same(
                &format!("credited: {}", counts(&finished)),
                0,
                count(&finished, "received"),
            )?;
            check::same("lost", 20, count(&finished, "lost"))?;
        }
        let target = peer.address.to_string();
        let finished = context.ask([target.as_str(), "-m", "who?", "-m", "you?", "-W", "300ms"])?;
        finished.exits(1)?;
        check::same(
            &format!("credited: {}", counts(&finished)),
            (0, 2),
            (count(&finished, "replied"), count(&finished, "lost")),
        )?;
    }
    Ok(())
}

/// Each reply five times, and the very first again with every other.
fn replayed_replies(context: &Context) -> Result<()> {
    let replaying = || {
        let mut first: Option<Vec<u8>> = None;
        Peer::new(move |request| {
            let echo = request.echo();
            let first = first.get_or_insert_with(|| echo.bytes.clone()).clone();
            let mut replies: Vec<Reply> = (0..5).map(|_| request.echo()).collect();
            replies.push(Reply::now(request.from, first));
            replies
        })
    };
    let peer = replaying()?;
    let finished = beat(context, &peer, &["--number", "-W", "10"])?;
    finished.exits(0)?;
    let told = counts(&finished);
    check::same(&format!("credited: {told}"), 20, count(&finished, "received"))?;
    // Those of the last beat may come after its end.
    let doubles = count(&finished, "duplicate");
    check::holds(&format!("replays are counted: {told}"), (19 * 5..=20 * 5).contains(&doubles))?;
    let peer = replaying()?;
    let target = peer.address.to_string();
    let messages: Vec<String> = (0..20).map(|n| format!("message {n}\n")).collect();
    let finished =
        context.client().args([target.as_str(), "-i", "5ms"]).stdin(messages.concat()).finish()?;
    let told = counts(&finished);
    finished.exits(0).with_context(|| told.clone())?;
    check::same(
        &format!("credited: {told}"),
        (20, 20),
        (count(&finished, "sent"), count(&finished, "replied")),
    )?;
    let unasked = count(&finished, "duplicate") + count(&finished, "unsolicited");
    check::holds(&format!("replays are counted: {told}"), (15..=20 * 5).contains(&unasked))
}

/// Every payload that the server must bear, as a reply.
fn every_kind_of_reply(context: &Context) -> Result<()> {
    let kinds: Vec<Vec<u8>> = payloads().into_iter().map(|(_, bytes)| bytes).collect();
    let total = kinds.len();
    let trickster = || {
        let kinds = kinds.clone();
        Peer::new(move |request| {
            vec![Reply::now(request.from, kinds[(request.number - 1) % kinds.len()].as_slice())]
        })
    };
    for options in [&[][..], &["--json"], &["--raw"], &["--hex"]] {
        let peer = trickster()?;
        let launch = context.client().arg(peer.address.to_string()).args(options.iter().copied());
        let finished = launch.args(["-W", "10"]).stdin("6869\n".repeat(total)).finish()?;
        finished.exits(0).with_context(|| format!("client {options:?}"))?;
        if options.is_empty() {
            check::same(
                &counts(&finished),
                (total as u64, 0),
                (count(&finished, "replied"), count(&finished, "lost")),
            )?;
        }
        if options == ["--raw"] {
            check::holds("the very bytes", finished.stdout == kinds.concat())?;
        }
    }
    let peer = trickster()?;
    let target = peer.address.to_string();
    let beats = total.to_string();
    // By content nothing is what was expected, and a beat without its reply is lost.
    for (options, code) in
        [(&[][..], 0), (&["--json"], 0), (&["--number"], 1), (&["--expect", "no"], 1)]
    {
        let timeout = if code == 0 { "10" } else { "0.5" };
        let usual = [target.as_str(), "-i", "2ms", "-c", &beats, "-W", timeout];
        let finished = context.beat([&usual[..], options].concat())?;
        finished.exits(code).with_context(|| format!("heartbeat {options:?}"))?;
        if options != ["--json"] {
            balanced(&finished)?;
        }
    }
    figure("hostile/client", &format!("{total} kinds of reply: client and heartbeat unharmed"));
    Ok(())
}

/// A packet filter lets the first request out and no other: that is said once, and the first is waited for.
fn a_filtered_retry_is_said(context: &Context) -> Result<()> {
    let host = Host::new(begin()?, "c")?;
    host.run(
        "ip link set lo up; nft add table inet t
         nft add chain inet t c '{ type filter hook output priority 0; }'
         nft add rule inet t c udp dport 123 quota over 100 bytes drop",
    )?;
    let _silent = host.bind(([127, 0, 0, 1], 123))?;
    let client = host.launch(context, &context.programs.client);
    let retrying = client.args(["ntp://127.0.0.1", "-W", "20ms", "--retries", "2"]);
    retrying.finish()?.exits(1)?.complains(
        "error: cannot send to 127.0.0.1:123: operation not permitted\n\
         hint: a packet filter of this host does not let it out\n\
         no reply from ('127.0.0.1', 123) within 140ms\n",
    )?;
    Ok(())
}
