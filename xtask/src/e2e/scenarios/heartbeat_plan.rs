//! The heartbeat against a peer that loses, doubles, delays and reorders by plan: the summary is
//! exact. What the peer delays it releases when a later beat has come, so no clock is involved.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Peer, Reply, Request};

scenarios!("heartbeat_plan":
    numbered_beats,
    plain_beats,
    a_late_reply_answers_no_other_beat,
    replies_of_strangers,
    replies_with_other_content,
);

/// The number that a `--number` beat carries at its end.
fn number(request: &Request) -> usize {
    let text = String::from_utf8_lossy(&request.bytes);
    text.rsplit(' ').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// Of 40 beats every fifth is lost, every tenth from the first doubled, 12 and 13 change places,
/// and the reply to 3 comes when 30 has been sent.
fn numbered_beats(context: &Context) -> Result<()> {
    let mut third = None;
    let mut twelfth = None;
    let peer = Peer::new(move |request| match number(request) {
        3 => {
            third = Some(request.echo());
            Vec::new()
        }
        12 => {
            twelfth = Some(request.echo());
            Vec::new()
        }
        13 => [Some(request.echo()), twelfth.take()].into_iter().flatten().collect(),
        n if n % 5 == 0 => {
            if n == 30 {
                third.take().into_iter().collect()
            } else {
                Vec::new()
            }
        }
        n if n % 10 == 1 => vec![request.echo(), request.echo()],
        _ => vec![request.echo()],
    })?;
    let target = peer.address.to_string();
    let finished =
        context.beat([target.as_str(), "--number", "-c", "40", "-i", "0.08", "-W", "1.2"])?;
    finished.exits(0)?;
    let out = finished.out();
    check::same(
        "the counts",
        "40 sent, 31 received, 9 lost (22.5%), 1 late, 4 duplicate, 1 reordered",
        check::beats(&out).as_str(),
    )?;
    let port = peer.address.port();
    for line in [
        format!("sendto ('127.0.0.1', {port}): heartbeat 1\n"),
        format!("recvfrom ('127.0.0.1', {port}): echo heartbeat 1  seq=1 rtt="),
        format!("no reply ('127.0.0.1', {port}): seq=40 within "),
    ] {
        check::holds(&format!("{out:?} has {line:?}"), out.contains(&line))?;
    }
    Ok(())
}

/// Without numbers the source port tells replies apart. Of 20 beats every fourth is lost and
/// every fifth is answered twice.
fn plain_beats(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| match request.number {
        n if n % 4 == 0 => Vec::new(),
        n if n % 5 == 0 => vec![request.echo(), request.echo()],
        _ => vec![request.echo()],
    })?;
    let target = peer.address.to_string();
    let finished = context.beat([target.as_str(), "-c", "20", "-i", "0.1", "-W", "500ms"])?;
    finished.exits(0)?;
    check::same(
        "the counts",
        "20 sent, 15 received, 5 lost (25.0%), 0 late, 3 duplicate, 0 reordered",
        check::beats(&finished.out()).as_str(),
    )
}

/// The reply to the first beat comes when the second has been sent, and the second gets none:
/// with two beats under way at once, the reply still is the first one's.
fn a_late_reply_answers_no_other_beat(context: &Context) -> Result<()> {
    let mut first: Option<Request> = None;
    let peer = Peer::new(move |request| match request.number {
        1 => {
            first = Some(request.clone());
            Vec::new()
        }
        4 => first.take().map(|late| late.echo()).into_iter().collect(),
        _ => Vec::new(),
    })?;
    let target = peer.address.to_string();
    let finished = context.beat([target.as_str(), "-c", "5", "-i", "0.2", "-W", "300ms"])?;
    finished.exits(1)?;
    check::same(
        "the counts",
        "5 sent, 0 received, 5 lost (100.0%), 1 late, 0 duplicate, 0 reordered",
        check::beats(&finished.out()).as_str(),
    )?;
    let sources: Vec<_> = peer.seen().iter().map(|r| r.from).collect();
    check::holds("an unanswered beat keeps its source port", sources[0] != sources[1])
}

/// The heartbeat's own beats come back from another port: nobody that was asked answered.
fn replies_of_strangers(context: &Context) -> Result<()> {
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let peer = Peer::new(move |request| {
        let _ = stranger.send_to(&request.echo().bytes, request.from);
        Vec::new()
    })?;
    let target = peer.address.to_string();
    for mode in [&[][..], &["--number"]] {
        let options = [&[target.as_str(), "-c", "3", "-i", "0.05", "-W", "300ms"], mode].concat();
        let finished = context.beat(options)?;
        finished.exits(1)?;
        check::holds(
            &format!("{:?} credits nobody", finished.out()),
            check::beats(&finished.out())
                .starts_with("3 sent, 0 received, 3 lost (100.0%), 0 late"),
        )?;
    }
    Ok(())
}

/// A reply with other content than is expected answers its beat, and the path is not to blame.
fn replies_with_other_content(context: &Context) -> Result<()> {
    let peer = Peer::new(|request| match request.number {
        2 => vec![Reply::now(request.from, "out of order")],
        3 => vec![Reply::now(request.from, "out of order"), request.echo()],
        _ => vec![request.echo()],
    })?;
    let target = peer.address.to_string();
    let options = ["-c", "4", "-i", "0.1", "-W", "500ms", "--expect", "echo heartbeat"];
    let finished = context.heartbeat().arg(target).args(options).finish()?;
    finished.exits(1)?;
    check::same(
        "the counts",
        "4 sent, 4 received, 0 lost (0.0%), 0 late, 1 duplicate, 0 reordered",
        check::beats(&finished.out()).as_str(),
    )?;
    let answers = "\nanswers: 2 ok, 2 unexpected\n";
    check::holds(&format!("{:?} has {answers:?}", finished.out()), finished.out().contains(answers))
}
