//! Port theft: on Linux SO_REUSEADDR gives a UDP port away to any user who sets it too. No other
//! user may take one datagram, whatever options either side uses and whoever comes first.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail};

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::figure;
use crate::e2e::netns::{Net, PORT, needs};
use crate::e2e::process::Process;

scenarios!("hostile/theft": a_later_thief_takes_nothing, an_earlier_thief_keeps_nothing_we_say_is_ours);

/// nobody, on every Linux there is.
const OTHER_USER: &str = "65534";
const OPTIONS: [&[&str]; 4] = [&[], &["--reuse-address"], &["--reuse-port"], &["--workers", "2"]];
const THEIRS: [&str; 3] = ["A", "P", "AP"];
/// What we serve, what a thief tries for, and whom the victim asks.
const PLACES: [(&str, &str, &str); 6] = [
    ("0.0.0.0", "0.0.0.0", "127.0.0.1"),
    ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
    ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
    ("[::]", "::", "::1"),
    ("[::]", "::1", "::1"),
    ("[::]", "127.0.0.1", "127.0.0.1"),
];
const ASKED: usize = 20;

/// A thief on `address`, or `None` where it is refused.
fn thief(context: &Context, net: &Net, address: &str, options: &str) -> Result<Option<Process>> {
    needs(&["python3"])?;
    // Given as text: the other user need not be able to read the workspace.
    let script = std::fs::read_to_string(context.root.join("xtask/hostile/thief.py"))?;
    let user = [format!("--reuid={OTHER_USER}"), format!("--regid={OTHER_USER}")];
    let launch = net.server.launch(context, "setpriv").args(user);
    let launch = launch.args(["--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]);
    let port = PORT.to_string();
    let launch = launch.args(["--", "python3", "-c", &script, address, &port, options]);
    // A Python that is in root's own directory is none of theirs.
    let launch = launch.env("PATH", "/usr/bin:/bin:/usr/local/bin");
    let thief = launch.directory("/".as_ref()).stdin_open().spawn()?;
    let said = thief.out.wait_until(|out| out.ends_with(b"\n").then(|| out.to_vec()));
    let said = said.with_context(|| format!("the thief said {:?}", thief.err.text()))?;
    Ok(said.starts_with(b"bound").then_some(thief))
}

fn stolen(thief: &mut Process) -> Result<String> {
    thief.write(b"\n")?;
    thief.out.wait_until(|out| {
        let text = std::str::from_utf8(out).ok()?;
        Some(text.strip_prefix("bound\n")?.strip_suffix('\n')?.to_owned())
    })
}

/// From as many ports, since a shared port goes by ports: all of them answered by the server.
fn all_answered(net: &Net, victim: &str) -> Result<()> {
    let victim: IpAddr = victim.parse()?;
    for n in 0..ASKED {
        let socket = net.server.bind(SocketAddr::new(victim, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(b"mine?", SocketAddr::new(victim, PORT))?;
        let mut buffer = [0; 64];
        let (n, from) =
            socket.recv_from(&mut buffer).with_context(|| format!("ask {n} of {victim}"))?;
        check::same("the reply", &b"echo mine?"[..], &buffer[..n])?;
        check::same("comes from", SocketAddr::new(victim, PORT), from)?;
    }
    Ok(())
}

fn a_later_thief_takes_nothing(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let mut tried = 0;
    for options in OPTIONS {
        for (bind, theirs, victim) in PLACES {
            let server =
                net.serve_on(context, &format!("{bind}:{PORT}"), &[&["-q"], options].concat())?;
            for set in THEIRS {
                let story =
                    format!("server on {bind} with {options:?}, thief on {theirs} with {set}");
                let mut thief = thief(context, &net, theirs, set)?;
                all_answered(&net, victim).with_context(|| story.clone())?;
                if let Some(thief) = &mut thief {
                    check::same(&story, "stolen 0", &stolen(thief)?)?;
                }
                tried += 1;
            }
            server.stop()?.exits(0)?;
        }
    }
    figure("hostile/theft", &format!("{tried} later thieves took 0 datagrams"));
    Ok(())
}

/// Whoever was there before us may keep the port: then we must say so and not serve. What must
/// not be is a server that says it serves while another user has the datagrams.
fn an_earlier_thief_keeps_nothing_we_say_is_ours(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let mut tried = 0;
    for options in OPTIONS {
        for (bind, theirs, victim) in PLACES {
            for set in ["A", "AP"] {
                let story =
                    format!("thief on {theirs} with {set}, then server on {bind} with {options:?}");
                let Some(mut thief) = thief(context, &net, theirs, set)? else {
                    bail!("{story}: the port was not free");
                };
                let bind = format!("{bind}:{PORT}");
                let launch = net
                    .server
                    .server(context)
                    .args(["-q", "--bind", &bind])
                    .args(options.iter().copied());
                match Server::start(launch) {
                    // It did not start; that it says why is another scenario's part.
                    Err(_) => {}
                    Ok(server) => {
                        all_answered(&net, victim).with_context(|| story.clone())?;
                        check::same(&story, "stolen 0", &stolen(&mut thief)?)?;
                        server.stop()?.exits(0)?;
                    }
                }
                tried += 1;
            }
        }
    }
    figure("hostile/theft", &format!("{tried} earlier thieves took 0 datagrams"));
    Ok(())
}
