//! What may be typed. Nothing here decides more than whether a value can be read at all; what the
//! values mean together is [`crate::config`]'s part.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use regex::bytes::Regex;
use udp_core::Endpoint;
use udp_core::cli::{CommonArgs, Failure, HasCommon, parse};
use udp_core::socket::Dscp;

use crate::probe::thresholds::RttLimit;
use crate::report::{self, Show};

/// Watch UDP paths: send a beat at a fixed rate and measure what comes back.
///
/// A reply is only ever credited to the beat that it answers. Every beat ends in exactly one class:
/// sent = received + lost + failed + pending.
///
/// Exit code: 0 each target answered and every threshold and expectation held, 1 not so, 2 bad
/// usage or a name that does not resolve, 3 refused and never answered, 4 a local failure. TARGET is
/// host, host:port, :port, [v6] or [v6]:port; DUR is seconds, or with ns us ms s m h.
#[allow(rustdoc::broken_intra_doc_links, reason = "[v6] is help text, and no link")]
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-heartbeat", version, max_term_width = 100)]
#[command(group = ArgGroup::new("expectation").args(["expect", "expect_hex", "expect_regex"]))]
pub struct Args {
    /// Whom to watch [default: 127.0.0.1:7000, with --stamp 127.0.0.1:862]
    #[arg(value_name = "TARGET", value_parser = parse::endpoint)]
    pub(crate) targets: Vec<Endpoint>,
    /// Time from one beat to the next, by a fixed schedule
    #[arg(short, long, value_name = "DUR", default_value = "1s", value_parser = parse::positive_duration)]
    pub(crate) interval: Duration,
    /// Stop after N beats, once each is answered or its timeout has passed
    #[arg(short, long, value_name = "N", value_parser = parse::count)]
    pub(crate) count: Option<u64>,
    /// Stop after this long
    #[arg(short = 'w', long, value_name = "DUR", value_parser = parse::positive_duration)]
    pub(crate) deadline: Option<Duration>,
    /// A beat unanswered for this long is lost
    #[arg(short = 'W', long, value_name = "DUR", default_value = "1s", value_parser = parse::positive_duration)]
    pub(crate) timeout: Duration,
    /// What is sent [default: heartbeat]
    #[arg(
        short,
        long,
        value_name = "TEXT",
        allow_hyphen_values = true,
        conflicts_with = "payload_hex"
    )]
    pub(crate) payload: Option<OsString>,
    /// What is sent, in hex; payloads are then shown so
    #[arg(long, value_name = "HEX")]
    pub(crate) payload_hex: Option<String>,
    /// Append " N" to the payload, so that each reply names its beat
    #[arg(long)]
    pub(crate) number: bool,
    /// Measure as a STAMP session-sender (RFC 8762) against a STAMP or TWAMP-Light reflector
    #[arg(long, conflicts_with_all = ["number", "payload", "payload_hex", "expectation"])]
    pub(crate) stamp: bool,
    /// Authenticated STAMP with the key in FILE (its bytes, less one line end)
    #[arg(long, value_name = "FILE", requires = "stamp")]
    pub(crate) stamp_key_file: Option<PathBuf>,
    /// Pad each datagram to N bytes
    #[arg(short, long, value_name = "N", value_parser = parse::size)]
    pub(crate) size: Option<usize>,
    /// Allow an interval below 10 ms towards an address that is not loopback
    #[arg(long)]
    pub(crate) fast: bool,
    /// How beats are spaced
    #[arg(long, value_enum, value_name = "HOW", default_value = "periodic")]
    pub(crate) schedule: Schedule,
    /// Repeats a Poisson schedule
    #[arg(long, value_name = "N", value_parser = parse::whole)]
    pub(crate) seed: Option<u64>,
    /// Every reply must be TEXT
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) expect: Option<OsString>,
    /// Every reply must be these bytes
    #[arg(long, value_name = "HEX")]
    pub(crate) expect_hex: Option<String>,
    /// Every reply must hold a match of RE
    #[arg(long, value_name = "RE", allow_hyphen_values = true, value_parser = pattern)]
    pub(crate) expect_regex: Option<Regex>,
    /// Any authentic answer is ok, whatever --expect… says
    #[arg(long)]
    pub(crate) alive: bool,
    /// At most this loss, in percent, else exit 1
    #[arg(long, value_name = "PCT", value_parser = share)]
    pub(crate) max_loss: Option<f64>,
    /// At most this round trip, for every reply or for a percentile such as p99=50ms, else exit 1
    #[arg(long, value_name = "[pNN=]DUR")]
    pub(crate) max_rtt: Vec<RttLimit>,
    /// At least so many beats answered, else exit 1
    #[arg(long, value_name = "N", value_parser = parse::whole)]
    pub(crate) min_replies: Option<u64>,
    /// At most this share of the answers not ok, in percent, else exit 1 [default: 0]
    #[arg(long, value_name = "PCT", value_parser = share)]
    pub(crate) max_not_ok: Option<f64>,
    /// Down after N unanswered beats in a row, degraded after as many that were not ok
    #[arg(long, value_name = "N", default_value = "3", value_parser = parse::count)]
    pub(crate) down_after: u64,
    /// Up after N beats in a row that were ok
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::count)]
    pub(crate) up_after: u64,
    /// Degraded while --max-loss or --max-rtt does not hold over this long (or the last 10 beats)
    #[arg(long, value_name = "DUR", default_value = "60s", value_parser = parse::positive_duration)]
    pub(crate) window: Duration,
    /// Run CMD in the shell on each change, with UDP_STATE, UDP_PREVIOUS, UDP_TARGET, UDP_ADDRESS,
    /// UDP_SINCE, UDP_DURATION, UDP_SENT, UDP_LOST, UDP_VERDICT and UDP_REASON in its environment
    #[arg(long, value_name = "CMD")]
    pub(crate) on_change: Option<OsString>,
    /// No line per beat: states, intervals and the summary only
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// Which events are shown: sent, reply, lost, late, duplicate, refused, error, state, interval,
    /// summary; -NAME leaves one out
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) show: Option<Show>,
    /// A line of figures for each target every DUR
    #[arg(long, value_name = "DUR", value_parser = parse::positive_duration)]
    pub(crate) report_every: Option<Duration>,
    /// One line as a monitoring plugin prints it, and its exit codes; 5 beats unless -c says
    #[arg(long, conflicts_with_all = ["json", "show", "report_every"])]
    pub(crate) nagios: bool,
    /// Warn above this loss, in percent
    #[arg(long, value_name = "PCT", value_parser = share, requires = "nagios")]
    pub(crate) warn_loss: Option<f64>,
    /// Warn above this round trip
    #[arg(long, value_name = "[pNN=]DUR", requires = "nagios")]
    pub(crate) warn_rtt: Vec<RttLimit>,
    /// Newline-delimited JSON instead of text: start, the events of --show,
    /// not_shown
    #[arg(long)]
    pub(crate) json: bool,
    /// More targets, one a line: TARGET [label=value]… (# begins a comment); or JSON as Prometheus'
    /// file_sd has it; - is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) targets_file: Option<PathBuf>,
    /// Local address to send from
    #[arg(long, value_name = "ENDPOINT", value_parser = parse::endpoint)]
    pub(crate) bind: Option<Endpoint>,
    /// Hop limit, 1 to 255
    #[arg(long, value_name = "N", value_parser = parse::ttl)]
    pub(crate) ttl: Option<u8>,
    /// Differentiated-services code point: ef, af41, cs1, le … or 0 to 63
    #[arg(long, value_name = "NAME|N", value_parser = parse::dscp)]
    pub(crate) dscp: Option<Dscp>,
    /// Which receive and send path to use; portable: without kernel timestamps
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub(crate) io: Path,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

impl HasCommon for Args {
    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn ended_by(line: &[OsString], failure: &Failure) -> Option<ExitCode> {
        let plugin = line.iter().take_while(|word| *word != "--").any(|word| word == "--nagios");
        plugin.then(|| report::unknown(failure))
    }
}

/// How beats are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schedule {
    /// One each interval
    Periodic,
    /// By chance, the interval on average
    Poisson,
}

/// Which way datagrams take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Path {
    /// The fastest that this system has
    Auto,
    /// The one that works everywhere
    Portable,
}

/// A share in percent.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match parse::decimal(number) {
        Ok(share) if share <= 100.0 => Ok(share),
        _ => Err("not a number from 0 to 100".into()),
    }
}

/// A pattern, or why it is none: the last line of what the regex crate says, which is its reason.
fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().last().unwrap_or_default();
        reason.strip_prefix("error: ").unwrap_or(reason).to_string()
    })
}
