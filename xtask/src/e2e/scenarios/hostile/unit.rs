//! The service manager's side: the unit files' exposure as systemd itself rates it, sockets handed
//! over (sd_listen_fds(3)), and readiness said when it is there (sd_notify(3)).

use std::os::unix::net::UnixDatagram;

use anyhow::{Context as _, Result};

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::measure::{Books, figure};
use crate::e2e::net::Asker;
use crate::e2e::netns::{present, shell};
use crate::e2e::process::Launch;
use crate::e2e::runner::skip;

scenarios!("hostile/unit": exposure, a_socket_is_taken_over, readiness_is_told);

/// The most that `systemd-analyze security` may say.
const EXPOSURE: f64 = 1.5;

fn exposure(context: &Context) -> Result<()> {
    if !present("systemd-analyze") {
        return skip("systemd-analyze is missing");
    }
    let directory = context.root.join("packaging/systemd");
    let mut services = 0;
    for entry in
        std::fs::read_dir(&directory).with_context(|| format!("no {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_none_or(|e| e != "service") {
            continue;
        }
        let said = shell(&format!(
            "systemd-analyze security --offline=true --no-pager {}",
            path.display()
        ))?;
        let line = said.lines().rev().find(|l| l.contains("Overall exposure level"));
        let line = line.with_context(|| format!("no verdict in {said}"))?;
        let verdict = line.rsplit(": ").next().and_then(|v| v.split_whitespace().next());
        let level: f64 = verdict.context("no figure in the verdict")?.parse()?;
        check::holds(&format!("{}: {line}", path.display()), level <= EXPOSURE)?;
        figure(
            "hostile/unit",
            &format!("{}: exposure {level}", path.file_name().unwrap_or_default().display()),
        );
        services += 1;
    }
    check::holds("there is a service", services > 0)
}

fn a_socket_is_taken_over(context: &Context) -> Result<()> {
    for (address, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let port = Asker::on(&format!("{host}:0"))?.port()?;
        let launch = Launch::new("python3")
            .arg(context.root.join("xtask/hostile/activate.py"))
            .args([address, &port.to_string(), "udp-server.socket"])
            .arg(&context.programs.server);
        let server = crate::e2e::context::Server::start(launch)?;
        check::same("what is served", format!("{host}:{port}"), server.address().to_string())?;
        Asker::on(&format!("{host}:0"))?.expect(
            server.address(),
            b"handed over",
            b"echo handed over",
        )?;
        let books = Books::of(&server.stop()?)?;
        check::same("replied", 1, books.replied)?;
    }
    Ok(())
}

fn readiness_is_told(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path)?;
    manager.set_read_timeout(Some(PATIENCE))?;
    let launch = context.server().args(["--bind", "127.0.0.1:0", "-q"]).env("NOTIFY_SOCKET", &path);
    let server = launch.spawn()?;
    let mut buffer = [0; 512];
    let mut told = || {
        let n = manager.recv(&mut buffer).context("nothing was told")?;
        Ok::<_, anyhow::Error>(String::from_utf8_lossy(&buffer[..n]).into_owned())
    };
    check::holds("told to be ready", told()?.lines().any(|l| l == "READY=1"))?;
    server.interrupt()?.exits(0)?;
    check::holds("told to be stopping", told()?.lines().any(|l| l == "STOPPING=1"))
}
