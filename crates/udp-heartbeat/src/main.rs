//! `udp-heartbeat`: watches UDP paths and measures them.

use std::process::ExitCode;

fn main() -> ExitCode {
    udp_core::cli::main(udp_heartbeat::run)
}
