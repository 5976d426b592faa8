//! A network of its own for the whole run, where somebody else holds the programs' default port:
//! who leaves the README's server running must not see the README's test command fail.

use std::net::UdpSocket;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::context::DEFAULT_PORT;
use crate::say;

/// Set in the second run, so that there is no third.
const MARK: &str = "UDP_E2E_ALONE";

/// Runs this command again in a network namespace (`unshare(1)`), if the port is taken and that is
/// possible. Whether it passed; none if this run is the one that counts.
pub(super) fn again() -> Result<Option<bool>> {
    let free = UdpSocket::bind(("0.0.0.0", DEFAULT_PORT)).is_ok();
    if free || std::env::var_os(MARK).is_some() || !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    let unshare = |command: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "sh", "-c", &format!("ip link set lo up && {command}")]);
        unshare
    };
    if !unshare("true").status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    say::line(&format!("# port {DEFAULT_PORT} is taken: running in a network namespace"));
    let mut command = unshare("exec \"$0\" \"$@\"");
    command.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(MARK, "1");
    let status = command.status().context("unshare")?;
    Ok(Some(status.success()))
}
