//! The command line as clap parses it. It decides only whether a value can be read; what the values
//! mean together is `config`'s part.
#![allow(rustdoc::broken_intra_doc_links, reason = "help texts, in which [v6] is no link")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use udp_core::Endpoint;
use udp_core::cli::{CommonArgs, HasCommon, parse, web};

use crate::policy::{Block, RateLimit};

/// What `--help` says after the options.
const MORE: &str = "\
Values: ENDPOINT is host, host:port, :port, v6, [v6]:port or [v6%zone]:port, with a number or a
service's name as port; DUR is a number with ns us ms s min h d, or seconds; SIZE is bytes, or with
K or M (x1024); CIDR is an address or ADDRESS/BITS.

Never answered unless asked to: what was sent to a broadcast or multicast address; source ports 0,
below 1024 and this server's own; broadcast sources; 16 prefixes in a row; a source over its rate;
what would exceed the largest datagram. Each is counted by reason in the summary.

Files: --access-file has `allow CIDR` or `deny CIDR` a line, # begins a comment. It and
--stamp-key-file are read again on SIGHUP; a bad file changes nothing and is reported. --web-config
and what it names are read whenever somebody asks.

Environment: RUST_LOG (overrides -v), NO_COLOR; LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET (systemd:
a socket named `stamp` is the reflector's).

Signals: SIGINT, SIGTERM stop it, with the summary; SIGUSR1 (and Ctrl-\\) report the counts on
stderr; SIGHUP reads files again, or stops it where there are none.

Exit codes: 0 it worked; 2 bad usage, or a name that does not resolve; 4 a local failure, such as
an address in use.

Examples:
  udp-server                                   the tutorial's server, on 0.0.0.0:7000
  udp-server -b '[::]:7000' -q                 both families, no line per datagram
  udp-server --raw --allow 192.0.2.0/24        exact echo for one network alone
  udp-server -b 239.1.2.3 --answer-broadcast   a member of a multicast group
  udp-server -q --stamp 0.0.0.0                with a STAMP reflector on port 862
  udp-server --json | jq .address              one JSON object an event";

/// Answer every UDP datagram with its own bytes behind "echo ".
///
/// Without options it serves 0.0.0.0:7000 and prints a line per datagram.
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-server", version, max_term_width = 100, after_long_help = MORE)]
#[command(after_help = "All options, files, signals and examples: --help")]
pub struct Args {
    /// Address to serve, repeatable [default: 0.0.0.0:7000]
    ///
    /// [::]:7000 serves both families. A name is served at each of its addresses. A multicast group
    /// is joined, on the interface of its zone or of --interface, else where the routes lead.
    #[arg(short, long, value_name = "ENDPOINT", value_parser = parse::endpoint, help_heading = "Addresses")]
    pub bind: Vec<Endpoint>,
    /// Set SO_REUSEADDR for the bind alone, as the tutorial does
    ///
    /// It is cleared right after the bind, so that nobody can take the port over. A second server
    /// on the port is refused with or without it.
    #[arg(long, help_heading = "Addresses", hide_short_help = true)]
    pub reuse_address: bool,
    /// Set SO_REUSEPORT: several servers of one user share the port
    #[arg(long, help_heading = "Addresses", hide_short_help = true)]
    pub reuse_port: bool,

    /// Text to prepend to each reply [default: "echo "]
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["raw", "sink"], help_heading = "Reply")]
    pub prefix: Option<String>,
    /// Exact echo (RFC 862): no prefix
    #[arg(long, conflicts_with = "sink", help_heading = "Reply")]
    pub raw: bool,
    /// Receive and count, never reply (RFC 863)
    #[arg(long, help_heading = "Reply")]
    pub sink: bool,
    /// Answer datagrams sent to a broadcast or multicast address
    #[arg(long, help_heading = "Reply", hide_short_help = true)]
    pub answer_broadcast: bool,
    /// Truncate received datagrams to SIZE [default: the largest, 65535]
    ///
    /// A datagram that was cut is marked as truncated; the tutorial's size is 1024.
    #[arg(long, value_name = "SIZE", value_parser = parse::size, help_heading = "Reply", hide_short_help = true)]
    pub max_datagram: Option<usize>,
    /// Stop after N datagrams
    #[arg(short, long, value_name = "N", value_parser = parse::count, help_heading = "Reply")]
    pub count: Option<u64>,

    /// Answer this network and no others, repeatable
    ///
    /// The most specific block decides, whichever option named it.
    #[arg(long, value_name = "CIDR", help_heading = "Access and limits")]
    pub allow: Vec<Block>,
    /// Do not answer this network, repeatable
    #[arg(long, value_name = "CIDR", help_heading = "Access and limits")]
    pub deny: Vec<Block>,
    /// More of these: `allow CIDR` or `deny CIDR` a line
    ///
    /// Read again on SIGHUP.
    #[arg(long, value_name = "FILE", help_heading = "Access and limits", hide_short_help = true)]
    pub access_file: Option<PathBuf>,
    /// Replies a second for each source; 0: no limit
    ///
    /// A source is an IPv4 address or an IPv6 /64. Default: 200/400 for public sources, none for
    /// loopback, private, link-local, unique-local, CGNAT, documentation and benchmark addresses.
    /// A figure given holds for every source.
    #[arg(long, value_name = "RATE[/BURST]", help_heading = "Access and limits")]
    pub rate_limit: Option<RateLimit>,
    /// Disable loop protection (ports below 1024, own ports, prefix chains)
    #[arg(long, help_heading = "Access and limits", hide_short_help = true)]
    pub no_loop_guard: bool,

    /// Also serve a STAMP reflector, repeatable [port: 862]
    ///
    /// RFC 8762, with TLVs of RFC 8972.
    #[arg(long, value_name = "ENDPOINT", value_parser = parse::endpoint, help_heading = "STAMP")]
    pub stamp: Vec<Endpoint>,
    /// Authenticated packets only, with the key in FILE (trailing newline stripped)
    ///
    /// Read again on SIGHUP.
    #[arg(long, value_name = "FILE", help_heading = "STAMP", hide_short_help = true)]
    pub stamp_key_file: Option<PathBuf>,

    /// Receive threads per address
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    #[arg(help_heading = "Performance")]
    pub workers: u16,
    /// Receive buffer size (SO_RCVBUF) [default: request 1M]
    #[arg(long, value_name = "SIZE", value_parser = parse::size, help_heading = "Performance", hide_short_help = true)]
    pub recv_buffer: Option<usize>,
    /// Send buffer size (SO_SNDBUF) [default: the system's]
    #[arg(long, value_name = "SIZE", value_parser = parse::size, help_heading = "Performance", hide_short_help = true)]
    pub send_buffer: Option<usize>,
    /// Receive and send path: the best of this kernel, or the one that works everywhere
    #[arg(long, value_enum, value_name = "PATH", default_value_t = IoPath::Auto)]
    #[arg(help_heading = "Performance", hide_short_help = true)]
    pub io: IoPath,
    /// Spin this long for the next datagram before sleeping (lowest latency, costs a core)
    #[arg(long, value_name = "DUR", value_parser = parse::duration, help_heading = "Performance", hide_short_help = true)]
    pub busy_poll: Option<Duration>,

    /// Serve metrics by HTTP at ENDPOINT, for Prometheus
    ///
    /// /metrics in text, OpenMetrics or protobuf, as is asked for; /-/healthy, /-/ready and /-/reload (POST).
    /// It needs a port; :9107 is every IPv4 address.
    #[arg(long, value_name = "ENDPOINT", value_parser = web::endpoint, help_heading = "Prometheus", hide_short_help = true)]
    pub metrics: Option<Endpoint>,
    /// TLS, client certificates, passwords and headers of --metrics, as exporter-toolkit's FILE has them
    ///
    /// YAML; paths in it are relative to it. It and what it names are read again when they change. A file that
    /// has turned bad lets nobody in until it is good again.
    #[arg(
        long,
        value_name = "FILE",
        requires = "metrics",
        help_heading = "Prometheus",
        hide_short_help = true
    )]
    pub web_config: Option<PathBuf>,

    /// No line per datagram
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Print newline-delimited JSON
    ///
    /// Events: start, datagram, dropped, not_shown, summary.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    #[expect(missing_docs, reason = "a doc comment would head the group in --help")]
    #[command(flatten, next_help_heading = "Addresses")]
    pub common: CommonArgs,
}

impl HasCommon for Args {
    /// It serves on without its lines.
    const NEEDS_STDOUT: bool = false;

    fn hint(unknown: &str) -> Option<&'static str> {
        let address = !unknown.starts_with('-');
        let asked = address || matches!(unknown, "--port" | "-p" | "--listen" | "-l");
        asked.then_some("write --bind :7000")
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
