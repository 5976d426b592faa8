//! Faults of the input: one that is non-blocking (`fcntl(2)`, O_NONBLOCK), because another program that
//! shares it has set it so, is waited for.

use anyhow::Result;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::net::Peer;
use crate::e2e::netns::needs;
use crate::e2e::process::Launch;

scenarios!("faults/input": a_non_blocking_input_is_waited_for);

/// Starts a program whose stdin is non-blocking.
const NON_BLOCKING: &str = "
import fcntl, os, sys
fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_NONBLOCK)
os.execv(sys.argv[1], sys.argv[1:])
";

fn a_non_blocking_input_is_waited_for(context: &Context) -> Result<()> {
    needs(&["python3"])?;
    let peer = Peer::echo()?;
    let launch = Launch::new("python3").args(["-c", NON_BLOCKING]).arg(&context.programs.client);
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
