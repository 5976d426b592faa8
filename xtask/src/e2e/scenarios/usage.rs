//! Bad usage ends with code 2 and one line on stderr; help and version end with 0.

use anyhow::Result;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::process::{Finished, Launch};

scenarios!("usage": help_and_version, bad_server_usage, bad_client_usage, bad_heartbeat_usage, unresolvable_names);

fn help_and_version(context: &Context) -> Result<()> {
    let built = &context.programs;
    for (name, program) in [
        ("udp-server", &built.server),
        ("udp-client", &built.client),
        ("udp-heartbeat", &built.heartbeat),
    ] {
        let help = Launch::new(program).arg("--help").finish()?;
        help.exits(0)?.complains("")?;
        check::holds("the help speaks of the options", help.out().contains("--json"))?;
        // One screen of the most used, and every option in a group.
        let short = Launch::new(program).arg("-h").finish()?;
        let lines = short.out().lines().count();
        check::holds(&format!("{name} -h: {lines} lines"), lines <= 46)?;
        let wide = short.out().lines().map(|line| line.chars().count()).max();
        check::holds(&format!("{name} -h: {wide:?} columns"), wide <= Some(80))?;
        for text in [short.out(), help.out()] {
            check::holds("no option without a group", !text.contains("\nOptions:"))?;
        }
        let first = format!("{name} <any>\n<lines>target: <any>\nfeatures: <any>\n");
        let version = Launch::new(program).arg("--version").finish()?;
        version.exits(0)?.complains("")?.prints(&first)?;
        let version = Launch::new(program).args(["-V", "-v"]).finish()?;
        version.exits(0)?.complains("")?.prints(&format!(
            "{first}kernel: linux <any>\n  recvmmsg        yes\n  sendmmsg        yes\n<lines>"
        ))?;
    }
    Ok(())
}

/// Code 2, nothing on stdout, one `error:` line and perhaps one `hint:` line on stderr.
#[track_caller]
fn refused(finished: &Finished) -> Result<()> {
    let place = check::here();
    finished.exits(2)?.prints("")?;
    let err = finished.err();
    let lines: Vec<&str> = err.lines().collect();
    let told = match lines.as_slice() {
        [error] => error.starts_with("error: "),
        [error, hint] => error.starts_with("error: ") && hint.starts_with("hint: "),
        _ => false,
    };
    check::holds(&format!("{place}: {err:?} is an error line, perhaps with a hint line"), told)
}

fn bad_server_usage(context: &Context) -> Result<()> {
    for args in [
        &["--no-such-option"][..],
        &["--bind", "127.0.0.1:99999"],
        &["--bind", "127.0.0.1:port"],
        &["--bind", "[::1"],
        &["--bind", "127.0.0.1:0", "--max-datagram", "0"],
        &["--bind", "127.0.0.1:0", "--max-datagram", "many"],
        &["--bind", "127.0.0.1:0", "--allow", "10.0.0.0/33"],
        &["--bind", "127.0.0.1:0", "--deny", "everybody"],
        &["--bind", "127.0.0.1:0", "--rate-limit", "fast"],
        &["--bind", "127.0.0.1:0", "--rate-limit", "1/0"],
        &["--bind", "127.0.0.1:0", "--workers", "0"],
        &["--bind", "127.0.0.1:0", "--count", "0"],
        &["--bind", "127.0.0.1:0", "--stamp-key-file", "x"],
        &["--bind", "127.0.0.1:0", "--raw", "--prefix", "x"],
        &["--bind", "127.0.0.1:0", "--raw", "--sink"],
        &["-4", "-6"],
        &["--bind", "::1", "-4"],
        &["unasked-for"],
        &["7000"],
    ] {
        refused(&context.server().args(args.iter().copied()).finish()?)?;
    }
    Ok(())
}

fn bad_client_usage(context: &Context) -> Result<()> {
    for args in [
        &["--no-such-option"][..],
        &["127.0.0.1:99999", "-m", "x"],
        &["127.0.0.1:0x50", "-m", "x"],
        &["", "-m", "x"],
        &["-m", "x", "-W", "soon"],
        &["-m", "x", "-W", "-1"],
        &["--hex", "-m", "6"],
        &["--hex", "-m", "zz"],
        &["--escape", "-m", "\\q"],
        &["-m", "x", "--expect-hex", "0g"],
        &["-m", "x", "--expect-regex", "("],
        &["-m", "x", "--window", "0"],
        &["-m", "x", "--replies", "some"],
        &["-m", "x", "--stdin", "words"],
        &["-m", "x", "--dscp", "nonsense"],
        &["127.0.0.1", "another", "-m", "x"],
        &["7000", "127.0.0.1", "-m", "x"],
    ] {
        refused(&context.ask(args.iter().copied())?)?;
    }
    Ok(())
}

fn bad_heartbeat_usage(context: &Context) -> Result<()> {
    for args in [
        &["--no-such-option"][..],
        &["127.0.0.1:99999"],
        &["-i", "0"],
        &["-i", "often"],
        &["-c", "-1"],
        &["-W", "later"],
        &["--max-loss", "101"],
        &["--max-loss", "-1"],
        &["--max-rtt", "p99"],
        &["--max-rtt", "p101=1s"],
        &["--payload-hex", "0"],
        &["--stamp", "--number"],
        &["--schedule", "sometimes"],
        &["--expect-regex", "["],
        &["--targets-file", "/nonexistent/targets"],
        &["path", "127.0.0.1:9"],
    ] {
        refused_or_local(&context.beat(args.iter().copied())?, args)?;
    }
    Ok(())
}

/// A file that cannot be read may be seen as bad usage or as a local failure.
#[track_caller]
fn refused_or_local(finished: &Finished, args: &[&str]) -> Result<()> {
    if args.contains(&"--targets-file") && finished.exits(4).is_ok() {
        finished.prints("")?.complains("error: <any>\n")?;
        return Ok(());
    }
    refused(finished)
}

fn unresolvable_names(context: &Context) -> Result<()> {
    let name = "no-such-host.invalid";
    refused(&context.ask([name, "-m", "x"])?)?;
    refused(&context.beat([name, "-c", "1"])?)?;
    refused(&context.server().args(["--bind", "no-such-host.invalid:0"]).finish()?)
}
