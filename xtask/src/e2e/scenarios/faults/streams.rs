//! Streams that are non-blocking (`fcntl(2)`, O_NONBLOCK), because another program that shares them has
//! set them so, are waited for.

use std::path::Path;

use anyhow::Result;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;
use crate::e2e::netns::needs;
use crate::e2e::process::Launch;

scenarios!("faults/streams":
    a_non_blocking_input_is_waited_for,
    a_non_blocking_output_is_waited_for,
);

/// Starts a program of which this stream, a pipe of one page, is non-blocking.
const NON_BLOCKING: &str = "
import fcntl, os, sys
stream = int(sys.argv[1])
fcntl.fcntl(stream, fcntl.F_SETPIPE_SZ, 4096)
fcntl.fcntl(stream, fcntl.F_SETFL, fcntl.fcntl(stream, fcntl.F_GETFL) | os.O_NONBLOCK)
os.execv(sys.argv[2], sys.argv[2:])
";

fn non_blocking(stream: u8, program: &Path) -> Launch {
    Launch::new("python3").args(["-c", NON_BLOCKING, &stream.to_string()]).arg(program)
}

fn a_non_blocking_input_is_waited_for(context: &Context) -> Result<()> {
    needs(&["python3"])?;
    let peer = Peer::echo()?;
    let launch = non_blocking(0, &context.programs.client);
    let mut client = launch.arg(peer.address.to_string()).stdin_open().spawn()?;
    for count in 1..=3 {
        // Read before the next is there.
        client.write(b"hello\n")?;
        peer.wait_until(|seen| seen.len() == count)?;
    }
    client.end_input();
    let finished = client.finish()?;
    finished.exits(0)?.complains("")?;
    let out = finished.out();
    check::holds(&out, out.contains("3 sent, 3 replied, 0 lost"))
}

/// More than the pipe holds at once.
fn a_non_blocking_output_is_waited_for(context: &Context) -> Result<()> {
    needs(&["python3"])?;
    let programs = &context.programs;
    for (program, option) in [
        (&programs.server, "--help"),
        (&programs.client, "--help"),
        (&programs.heartbeat, "--services"),
    ] {
        let finished = non_blocking(1, program).arg(option).finish()?;
        finished.exits(0)?.complains("")?;
        let out = finished.out();
        check::holds(&format!("{option}: {} bytes", out.len()), out.len() > 4096)?;
    }
    Ok(())
}
