//! What may be typed. Nothing here decides more than whether a value can be read at all; what the
//! values mean together is [`crate::config`]'s part.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts, in which [v6] is no link")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use udp_core::Endpoint;
use udp_core::cli::{CommonArgs, HasCommon, parse};

use crate::policy::{Block, RateLimit};

/// Answer every UDP datagram with its own bytes behind "echo ".
///
/// Without options it serves 0.0.0.0:7000 and prints a line per datagram. ENDPOINT is host, host:port,
/// :port, [v6] or [v6]:port; SIZE is bytes, or with K or M; DUR is seconds, or with ns us ms s m h.
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-server", version, max_term_width = 100)]
pub struct Args {
    /// Address to serve, repeatable; [::]:7000 serves both families [default: 0.0.0.0:7000]
    #[arg(short, long, value_name = "ENDPOINT", value_parser = parse::endpoint)]
    pub bind: Vec<Endpoint>,
    /// What stands before the echoed bytes [default: "echo "]
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["raw", "sink"])]
    pub prefix: Option<String>,
    /// Exact echo (RFC 862): no prefix
    #[arg(long, conflicts_with = "sink")]
    pub raw: bool,
    /// Receive and count, never reply (RFC 863)
    #[arg(long)]
    pub sink: bool,
    /// No line per datagram
    #[arg(short, long)]
    pub quiet: bool,
    /// Newline-delimited JSON instead of text: start, datagram, dropped, summary
    #[arg(long)]
    pub json: bool,
    /// Set SO_REUSEADDR before the bind and clear it right after; a second server is dropped either way
    #[arg(long)]
    pub reuse_address: bool,
    /// Set SO_REUSEPORT: several servers of one user share the port
    #[arg(long)]
    pub reuse_port: bool,
    /// Receive threads per address
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: u16,
    /// Socket buffer for what waits to be received [default: asks 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub recv_buffer: Option<usize>,
    /// Socket buffer for what waits to be sent [default: the system's]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub send_buffer: Option<usize>,
    /// Receive at most this much of a datagram [default: the largest there can be]
    #[arg(long, value_name = "SIZE", value_parser = parse::size)]
    pub max_datagram: Option<usize>,
    /// Answer these addresses and no others, repeatable; the most specific block wins
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<Block>,
    /// Do not answer these addresses, repeatable; the most specific block wins
    #[arg(long, value_name = "CIDR")]
    pub deny: Vec<Block>,
    /// Replies per second for each source network (IPv4 /32, IPv6 /64), 0 for no limit
    /// [default: 200/400 for public sources, none for others]
    #[arg(long, value_name = "RATE[/BURST]")]
    pub rate_limit: Option<RateLimit>,
    /// Answer privileged and own source ports, and prefix prefix chains, too
    #[arg(long)]
    pub no_loop_guard: bool,
    /// Answer datagrams sent to a broadcast or multicast address
    #[arg(long)]
    pub answer_broadcast: bool,
    /// Receive and send path: the best this kernel has, or the one that works everywhere
    #[arg(long, value_enum, value_name = "PATH", default_value_t = IoPath::Auto)]
    pub io: IoPath,
    /// Spin this long for the next datagram before sleeping: lowest latency, costs a core
    #[arg(long, value_name = "DUR", value_parser = parse::duration)]
    pub busy_poll: Option<Duration>,
    /// Also serve a STAMP session-reflector (RFC 8762), repeatable; port 862 if none is given
    #[arg(long, value_name = "ENDPOINT", value_parser = parse::endpoint)]
    pub stamp: Vec<Endpoint>,
    /// Reflect authenticated STAMP packets alone, with the key in this file
    #[arg(long, value_name = "FILE")]
    pub stamp_key_file: Option<PathBuf>,
    /// Stop after N datagrams
    #[arg(long, value_name = "N", value_parser = parse::count)]
    pub count: Option<u64>,
    #[expect(missing_docs, reason = "a doc comment would head the group in --help")]
    #[command(flatten)]
    pub common: CommonArgs,
}

impl HasCommon for Args {
    /// It serves on without its lines.
    const NEEDS_STDOUT: bool = false;

    fn hint(unknown: &str) -> Option<&'static str> {
        matches!(unknown, "--port" | "-p" | "--listen" | "-l").then_some("write --bind :7000")
    }

    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

/// Which receive and send path to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IoPath {
    /// Batched system calls and segmentation offload where the kernel has them
    Auto,
    /// One system call a datagram, on any system
    Portable,
}
