//! Which reply the client credits to which message: never a late one to the next message, never
//! one that nobody asked for; retries, windows and refusals each counted as what they are.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::{Asker, Peer, Reply, Request, closed};

scenarios!("client_matching":
    a_late_reply_answers_no_other_message,
    retries,
    retries_that_fail,
    a_window_of_eight,
    one_at_a_time_without_a_window,
    a_second_reply_is_a_duplicate,
    a_stranger_is_not_the_peer,
    refused_among_answered,
    refused_alone,
);

/// The last line that counts messages.
fn summary(output: &str) -> &str {
    output.lines().rfind(|l| l.contains(" sent, ")).unwrap_or_default()
}

/// The reply to the first message comes only once the second is there, and the second gets none.
fn a_late_reply_answers_no_other_message(context: &Context) -> Result<()> {
    let mut first: Option<Request> = None;
    let peer = Peer::new(move |request| match first.take() {
        Some(late) => vec![late.echo()],
        None => {
            first = Some(request.clone());
            Vec::new()
        }
    })?;
    let target = peer.address.to_string();
    let finished = context.ask([target.as_str(), "-W", "500ms", "-m", "one", "-m", "two"])?;
    finished.exits(1)?;
    check::same("the counts", "2 sent, 0 replied, 2 lost, 1 late", summary(&finished.out()))
}

fn retries(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| if r.number < 3 { Vec::new() } else { vec![r.echo()] })?;
    let target = peer.address.to_string();
    let finished =
        context.ask([target.as_str(), "-W", "200ms", "--retries", "3", "-m", "again"])?;
    finished.exits(0)?;
    check::same("sent until answered", vec![b"again".to_vec(); 3], peer.payloads())?;
    check::holds(
        &format!("{:?} counts one message", finished.out()),
        summary(&finished.out()).starts_with("1 sent, 1 replied, 0 lost"),
    )
}

fn retries_that_fail(context: &Context) -> Result<()> {
    let peer = Peer::silent()?;
    let target = peer.address.to_string();
    let began = crate::e2e::clock::now();
    let finished =
        context.ask([target.as_str(), "-W", "100ms", "--retries", "2", "-m", "again"])?;
    finished.exits(1)?;
    let took = crate::e2e::clock::now() - began;
    check::same("sent as often as allowed", 3, peer.seen().len())?;
    // 100 + 200 + 400 ms: each wait is twice the one before.
    check::holds(&format!("the waits double, all took {took:?}"), took.as_millis() >= 700)?;
    check::same("the counts", "1 sent, 0 replied, 1 lost", summary(&finished.out()))
}

/// Nothing is answered before eight are there, and then the last one first.
fn a_window_of_eight(context: &Context) -> Result<()> {
    let mut held: Vec<Request> = Vec::new();
    let peer = Peer::new(move |request| {
        held.push(request.clone());
        if held.len() < 8 {
            return Vec::new();
        }
        held.drain(..).rev().map(|r| r.echo()).collect()
    })?;
    let target = peer.address.to_string();
    let lines: String = (1..=32).map(|n| format!("message {n}\n")).collect();
    let client = context.client().args([&target, "--window", "8", "-W", "20"]).stdin(lines);
    let finished = client.finish()?;
    finished.exits(0)?;
    check::same("the counts", "32 sent, 32 replied, 0 lost", summary(&finished.out()))
}

fn one_at_a_time_without_a_window(context: &Context) -> Result<()> {
    // Each reply tells how many had come by then.
    let peer = Peer::new(|r| vec![Reply::now(r.from, format!("{}", r.number))])?;
    let port = peer.address.port();
    let client = context.client().args([&peer.address.to_string(), "-W", "20"]).stdin("a\nb\nc\n");
    client.finish()?.exits(0)?.prints(&format!(
        "sendto ('127.0.0.1', {port}): a\nrecvfrom ('127.0.0.1', {port}): 1\n\
         sendto ('127.0.0.1', {port}): b\nrecvfrom ('127.0.0.1', {port}): 2\n\
         sendto ('127.0.0.1', {port}): c\nrecvfrom ('127.0.0.1', {port}): 3\n\
         3 sent, 3 replied, 0 lost\nrtt <any>\n"
    ))?;
    Ok(())
}

/// Every reply comes twice: the copy is no answer to the next message.
fn a_second_reply_is_a_duplicate(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| match r.number {
        1 => vec![r.echo(), r.echo()],
        // Silence: should the copy be credited to this message, the exit code would be 0.
        _ => Vec::new(),
    })?;
    let target = peer.address.to_string();
    let finished = context.ask([target.as_str(), "-W", "400ms", "-m", "one", "-m", "two"])?;
    finished.exits(1)?;
    check::same("the counts", "2 sent, 1 replied, 1 lost, 1 duplicate", summary(&finished.out()))
}

/// A datagram from another port than the one that was asked is not its reply.
fn a_stranger_is_not_the_peer(context: &Context) -> Result<()> {
    let stranger = Asker::new()?;
    let socket = stranger.socket.try_clone()?;
    let peer = Peer::new(move |r| {
        let _ = socket.send_to(b"echo hello", r.from);
        Vec::new()
    })?;
    let target = peer.address.to_string();
    let finished = context.ask([target.as_str(), "-W", "400ms", "-m", "hello"])?;
    finished.exits(1)?;
    check::holds(
        &format!("{:?} credits nobody", finished.out()),
        summary(&finished.out()).starts_with("1 sent, 0 replied, 1 lost"),
    )
}

/// Something was answered, so a later refusal is a failure (1) and not the refusal of all (3).
fn refused_among_answered(context: &Context) -> Result<()> {
    let server = context.serve(&["-q", "--count", "1"])?;
    let target = server.address().to_string();
    let mut client = context.client().args([&target, "-W", "20"]).stdin_open().spawn()?;
    client.write(b"one\n")?;
    client.wait_for("sendto <any>: one\nrecvfrom <any>: echo one\n")?;
    server.process.finish()?.exits(0)?;
    client.write(b"two\n")?;
    client.end_input();
    let finished = client.finish()?;
    finished.exits(1)?;
    check::same("the counts", "2 sent, 1 replied, 0 lost, 1 refused", summary(&finished.out()))
}

fn refused_alone(context: &Context) -> Result<()> {
    let target = closed()?.to_string();
    let finished = context.ask([target.as_str(), "-W", "20", "-m", "one", "-m", "two"])?;
    finished.exits(3)?;
    check::same("the counts", "2 sent, 0 replied, 0 lost, 2 refused", summary(&finished.out()))?;
    check::holds(
        &format!("{:?} is told in words", finished.out()),
        (finished.out() + &finished.err()).contains("refused"),
    )
}
