//! Bad usage ends with code 2 and one line on stderr; help and version end with 0.

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;

use super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::netns::needs;
use crate::e2e::process::{Finished, Launch};
use crate::e2e::skip::skip;

scenarios!("usage": help_and_version, bad_usage, the_default_port_may_be_taken);

fn help_and_version(context: &Context) -> Result<()> {
    let built = &context.programs;
    for (name, program) in [
        ("udp-server", &built.server),
        ("udp-client", &built.client),
        ("udp-heartbeat", &built.heartbeat),
    ] {
        let help = Launch::new(program).arg("--help").finish()?;
        help.exits(0)?.complains("")?;
        check::has(&help.out(), "--json")?;
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

/// What each program refuses is tested with its configuration; here, how that is said.
fn bad_usage(context: &Context) -> Result<()> {
    type Program = fn(&Context) -> Launch;
    let [server, client, heartbeat]: [Program; 3] =
        [Context::server, Context::client, Context::heartbeat];
    let cases: [(Program, &[&str]); 16] = [
        (server, &["--no-such-option"]),
        (server, &["--bind", "127.0.0.1:99999"]),
        (server, &["--bind", "no-such-host.invalid:0"]),
        (server, &["--bind", "127.0.0.1:0", "--raw", "--sink"]),
        (server, &["unasked-for"]),
        (client, &["--no-such-option"]),
        (client, &["127.0.0.1:0x50", "-m", "x"]),
        (client, &["no-such-host.invalid", "-m", "x"]),
        (client, &["-m", "x", "--expect-regex", "("]),
        (client, &["7000", "127.0.0.1", "-m", "x"]),
        (heartbeat, &["--no-such-option"]),
        (heartbeat, &["127.0.0.1:99999"]),
        (heartbeat, &["no-such-host.invalid", "-c", "1"]),
        (heartbeat, &["--stamp", "--number"]),
        (heartbeat, &["--max-rtt", "p101=1s"]),
        (heartbeat, &["path", "127.0.0.1:9"]),
    ];
    for (program, args) in cases {
        refused(&program(context).args(args.iter().copied()).finish()?)?;
    }
    Ok(())
}

/// Who leaves a server running on the programs' own port can run this command all the same.
fn the_default_port_may_be_taken(context: &Context) -> Result<()> {
    if !geteuid().is_root() {
        return skip("a network namespace needs root");
    }
    needs(&["ip", "unshare"])?;
    let run = "ip link set lo up; \"$0\" >\"$2\" & until grep -q wait \"$2\"; do sleep 0.02; done; \
               env -u UDP_E2E_ALONE \"$1\" e2e tutorial/heartbeat; code=$?; kill $!; exit $code";
    let server = &context.programs.server;
    let programs = server.parent().context("a program without a directory")?;
    let launch = Launch::new("unshare").args(["--net", "sh", "-c", run]).arg(server);
    let launch = launch.arg(std::env::current_exe()?).arg(context.home.path().join("taken"));
    let finished = launch.env("UDP_PROGRAMS", programs).finish()?;
    let ran =
        "# port 7000 is taken: running in a network namespace\nok tutorial/heartbeat\n<lines>";
    finished.exits(0)?.prints(ran)?;
    Ok(())
}
