//! The service manager's side: the unit files' exposure as systemd itself rates it, sockets handed
//! over (sd_listen_fds(3)), and readiness said when it is there (sd_notify(3)).

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::{Context, Server};
use crate::e2e::measure::{Totals, figure};
use crate::e2e::net::{Asker, Peer};
use crate::e2e::netns::{needs, shell};
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

scenarios!("hostile/unit":
    exposure,
    a_socket_is_taken_over,
    readiness_is_told,
    a_heartbeat_tells_of_itself,
    no_rights_are_needed,
);

/// The most that `systemd-analyze security` may say.
const EXPOSURE: f64 = 1.5;

fn exposure(context: &Context) -> Result<()> {
    needs(&["systemd-analyze"])?;
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
    needs(&["python3"])?;
    for (address, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")] {
        let port = Asker::on(&format!("{host}:0"))?.port()?;
        let launch = Launch::new("python3")
            .arg(context.root.join("xtask/hostile/activate.py"))
            .args([address, &port.to_string(), "udp-server.socket"])
            .arg(&context.programs.server);
        let server = Server::start(launch)?;
        check::same("what is served", format!("{host}:{port}"), server.address().to_string())?;
        Asker::on(&format!("{host}:0"))?.expect(
            server.address(),
            b"handed over",
            b"echo handed over",
        )?;
        let totals = Totals::of(&server.stop()?)?;
        check::same("replied", 1, totals.replied)?;
    }
    Ok(())
}

/// What a service manager is told, in place of one.
struct Manager {
    directory: tempfile::TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = UnixDatagram::bind(directory.path().join("notify"))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { directory, socket })
    }

    fn of(&self, launch: Launch) -> Launch {
        launch.env("NOTIFY_SOCKET", self.directory.path().join("notify"))
    }

    /// Takes what it is told until that is `line`, but for signs of life; gives the whole message.
    fn hears(&self, line: &str) -> Result<String> {
        let mut buffer = [0; 512];
        loop {
            let n = self.socket.recv(&mut buffer).with_context(|| format!("not told {line}"))?;
            let told = String::from_utf8_lossy(&buffer[..n]).into_owned();
            if told.lines().any(|l| l == line) {
                return Ok(told);
            }
            check::same("told", "WATCHDOG=1", told.trim())?;
        }
    }

    /// A reload has a time, by which it is told from one before, and an end.
    fn hears_of_a_reload(&self) -> Result<()> {
        let told = self.hears("RELOADING=1")?;
        check::holds(&told, told.lines().any(|l| l.starts_with("MONOTONIC_USEC=")))?;
        self.hears("READY=1").map(drop)
    }
}

fn readiness_is_told(context: &Context) -> Result<()> {
    let manager = Manager::new()?;
    let access = context.home.path().join("access");
    std::fs::write(&access, "deny 192.0.2.0/24\n")?;
    let launch = context.server().args(["--bind", "127.0.0.1:0", "-q", "--access-file"]);
    let server = manager.of(launch.arg(&access)).spawn()?;
    manager.hears("READY=1")?;
    server.signal(Signal::SIGHUP)?;
    manager.hears_of_a_reload()?;
    server.interrupt()?.exits(0)?;
    manager.hears("STOPPING=1").map(drop)
}

/// Its loop's signs of life, too.
fn a_heartbeat_tells_of_itself(context: &Context) -> Result<()> {
    let manager = Manager::new()?;
    let targets = context.home.path().join("watched");
    let peer = Peer::silent()?;
    std::fs::write(&targets, format!("{}\n", peer.address))?;
    let launch = context.heartbeat().args(["-q", "--targets-file"]).arg(&targets);
    let heartbeat = manager.of(launch.env("WATCHDOG_USEC", "100000")).spawn()?;
    manager.hears("READY=1")?;
    manager.hears("WATCHDOG=1")?;
    manager.hears("WATCHDOG=1")?;
    heartbeat.signal(Signal::SIGHUP)?;
    manager.hears_of_a_reload()?;
    let ended = heartbeat.interrupt()?;
    manager.hears("STOPPING=1")?;
    // No answer: 1 and 3 are what the unit names among the ends that are no failure.
    ended.exits(1).map(drop)
}

/// As the unit runs it: some user, no capability and no way to gain one, few of everything.
fn no_rights_are_needed(context: &Context) -> Result<()> {
    if !geteuid().is_root() {
        return skip("giving up rights needs root");
    }
    needs(&["setpriv", "prlimit"])?;
    // Where the other user can reach it, whatever the build directory's rights.
    let directory = tempfile::tempdir()?;
    let program = directory.path().join("udp-server");
    // By a program of its own: a child that another scenario starts meanwhile would inherit our
    // descriptor on the copy, and a file that is open for writing cannot be executed.
    let copied = Command::new("cp").arg(&context.programs.server).arg(&program).status();
    check::holds("the server is copied", copied.context("cannot copy the server")?.success())?;
    for path in [directory.path(), &program] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?;
    }
    let rights = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    let none = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"];
    let limits = ["prlimit", "--nofile=16:16", "--nproc=64:64", "--core=0:0", "--fsize=0:0"];
    let launch = Launch::new("setpriv").args(rights).args(none).args(limits).arg("--");
    let launch = launch.arg(program).args(["--bind", "127.0.0.1:0", "--workers", "2"]);
    let server = Server::start(launch.directory("/".as_ref()))?;
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.process.id()))?;
    let capabilities = status.lines().filter(|l| l.starts_with("Cap"));
    for line in capabilities {
        check::holds(line, line.trim_end().ends_with("0000000000000000"))?;
    }
    for _ in 0..100 {
        Asker::new()?.expect(server.address(), b"no rights", b"echo no rights")?;
    }
    let totals = Totals::of(&server.stop()?)?;
    check::same("replied", 100, totals.replied)
}
