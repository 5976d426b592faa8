//! A UDP echo server and STAMP reflector: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    udp_core::cli::main(udp_server::run)
}
