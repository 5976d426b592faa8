//! `udp-client`: asks UDP services by hand and by script.

use std::io::IsTerminal;
use std::process::ExitCode;

use udp_client::args::Args;
use udp_client::config::{Config, Terminals};
use udp_client::session;

fn main() -> ExitCode {
    udp_core::cli::main(|args: Args, console| {
        let terminals = Terminals {
            stdin: std::io::stdin().is_terminal(),
            stdout: std::io::stdout().is_terminal(),
            dumb: std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty()),
        };
        session::run(Config::new(args, terminals)?, console)
    })
}
