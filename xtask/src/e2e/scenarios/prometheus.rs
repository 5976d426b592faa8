//! Metrics as Prometheus' own tools read them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::scenarios;
use crate::e2e::context::Context;
use crate::e2e::process::Process;
use crate::e2e::skip::skip;

scenarios!("prometheus": promtool_finds_no_fault);

/// Where the program serves, from what it says at the start.
fn address(process: &Process) -> Result<String> {
    let said = process.wait_for_stderr("metrics: http://127.0.0.1:<port>/metrics, <n> series\n")?;
    let url = said.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    Ok(url.context("no address")?.to_owned())
}

/// The metrics in text, without their head.
fn scrape(address: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no head")?;
    Ok(body.to_owned())
}

/// `promtool check metrics` on both programs, in every form of histogram.
fn promtool_finds_no_fault(context: &Context) -> Result<()> {
    if Command::new("promtool").arg("--version").output().is_err() {
        return skip("promtool is not installed (Debian's package prometheus)");
    }
    let server = context.serve(&["-q", "--metrics", "127.0.0.1:0"])?;
    let target = server.address().to_string();
    check(context, &scrape(&address(&server.process)?)?)?;
    for form in ["classic", "native", "none"] {
        let options =
            ["-q", "-i", "0.05", "--metrics", "127.0.0.1:0", "--metrics-histograms", form];
        let heartbeat = context.heartbeat().arg(&target).args(options).spawn()?;
        check(context, &scrape(&address(&heartbeat)?)?)?;
        heartbeat.interrupt()?;
    }
    Ok(())
}

fn check(context: &Context, metrics: &str) -> Result<()> {
    let promtool = context.launch(&"promtool".into()).args(["check", "metrics"]);
    let finished = promtool.stdin(metrics).finish()?;
    finished.exits(0)?;
    let said = finished.out() + &finished.err();
    ensure!(said.trim().is_empty(), "{said}\n{metrics}");
    Ok(())
}
