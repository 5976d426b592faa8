//! Thresholds, and the state of a target with hysteresis and the command that is told of it.

use std::fs;

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;

scenarios!("heartbeat_verdict":
    thresholds_that_hold,
    thresholds_that_fail,
    a_percentile_without_support,
    state_changes,
    a_failing_command_is_not_fatal,
);

/// Answers four of five.
fn lossy() -> Result<Peer> {
    Peer::new(|r| if r.number % 5 == 0 { Vec::new() } else { vec![r.echo()] })
}

const TEN: [&str; 6] = ["-c", "10", "-i", "0.05", "-W", "400ms"];

fn thresholds_that_hold(context: &Context) -> Result<()> {
    for options in [
        &["--max-loss", "20"][..],
        &["--max-loss", "100"],
        &["--max-rtt", "10s"],
        &["--max-rtt", "p50=10s"],
        &["--min-replies", "8"],
        &["--max-loss", "25", "--max-rtt", "10s", "--min-replies", "1"],
    ] {
        let peer = lossy()?;
        let target = peer.address.to_string();
        context
            .heartbeat()
            .arg(target)
            .args(TEN)
            .args(options.iter().copied())
            .finish()?
            .exits(0)?;
    }
    Ok(())
}

fn thresholds_that_fail(context: &Context) -> Result<()> {
    for options in [
        ["--max-loss", "19.9"],
        ["--max-loss", "0"],
        ["--max-rtt", "1ns"],
        ["--max-rtt", "p50=1ns"],
        ["--min-replies", "9"],
    ] {
        let peer = lossy()?;
        let target = peer.address.to_string();
        let finished = context.heartbeat().arg(target).args(TEN).args(options).finish()?;
        finished.exits(1)?;
        // It says which, and leaves those that hold alone.
        for threshold in ["--max-loss", "--max-rtt", "--min-replies"] {
            check::same(
                &format!("{:?} speaks of {threshold}", finished.err()),
                threshold == options[0],
                finished.err().contains(threshold),
            )?;
        }
    }
    Ok(())
}

fn a_percentile_without_support(context: &Context) -> Result<()> {
    let peer = Peer::echo()?;
    let target = peer.address.to_string();
    let finished =
        context.beat([target.as_str(), "-c", "5", "-i", "20ms", "--max-rtt", "p99=10s"])?;
    finished.exits(1)?;
    let told = finished.out() + &finished.err();
    check::holds(&format!("{told:?} names the percentile"), told.contains("p99"))
}

/// Beats 4 to 9 are lost: down after the third of them, up after two good ones.
fn state_changes(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let notes = directory.path().join("notes");
    let peer =
        Peer::new(|r| if (4..=9).contains(&r.number) { Vec::new() } else { vec![r.echo()] })?;
    let target = peer.address.to_string();
    let command = format!(
        "echo \"$UDP_PREVIOUS $UDP_STATE $UDP_TARGET ${{UDP_SINCE:+since}} ${{UDP_DURATION:+for}} \
         ${{UDP_SENT:+sent}} ${{UDP_LOST:+lost}} ${{UDP_ADDRESS:+at}}\" >> '{}'",
        notes.display()
    );
    let options = ["-c", "20", "-i", "0.1", "-W", "200ms", "--down-after", "3", "--up-after", "2"];
    let launch = context.heartbeat().arg(target.as_str()).args(options);
    let finished = launch.args(["--on-change", command.as_str()]).finish()?;
    finished.exits(0)?;
    let told = fs::read_to_string(&notes)?;
    let expected = format!(
        "up down {target} since for sent lost at\ndown up {target} since for sent lost at\n"
    );
    check::same("what the command was told", expected, told)
}

fn a_failing_command_is_not_fatal(context: &Context) -> Result<()> {
    let peer = Peer::new(|r| if r.number < 4 { Vec::new() } else { vec![r.echo()] })?;
    let target = peer.address.to_string();
    let options = ["-c", "8", "-i", "0.1", "-W", "200ms", "--down-after", "2"];
    let launch = context.heartbeat().arg(target).args(options).args(["--on-change", "exit 7"]);
    let finished = launch.finish()?;
    finished.exits(0)?;
    check::holds(&format!("{:?} says so", finished.err()), finished.err().contains('7'))
}
