//! The command line as clap parses it. It decides only whether a value can be read; what the values
//! mean together is `config`'s part.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, Parser};
use udp_core::Endpoint;
use udp_core::cli::cidr::Block;
use udp_core::cli::{CommonArgs, Failure, HasCommon, parse, web};
use udp_core::expect::{self, Regex};
use udp_core::service::{Spec, SpecError};
use udp_core::socket::{Dscp, Ecn};

pub(crate) use crate::choices::{HistogramForm, Path, Schedule};
use crate::commands::{Command, Sort};
use crate::help::MORE;
use crate::probe::thresholds::RttLimit;
use crate::report::{self, Show};
use crate::shard::Shard;

/// The groups of the options.
const TARGETS: &str = "Targets";
const TIMING: &str = "Timing";
const PAYLOAD: &str = "Payload";
const STAMP: &str = "STAMP";
const CHECKS: &str = "Checks";
const STATE: &str = "State and alerts";
const OUTPUT: &str = "Output";
const PROMETHEUS: &str = "Prometheus";
const SOCKET: &str = "Socket";

/// Watch UDP paths: send a beat at a fixed rate and measure what comes back
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-heartbeat", version, max_term_width = 100, after_long_help = MORE)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
#[command(group = ArgGroup::new("expectation").args(["expect", "expect_hex", "expect_regex"]))]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Targets to probe [default: 127.0.0.1:7000]
    ///
    /// With --stamp the default port is 862. Or services, asked in their own language:
    /// SCHEME://HOST[:PORT][/WHAT][?KEY=VALUE&…], see --services.
    #[arg(value_name = "TARGET", value_parser = target, help_heading = TARGETS)]
    pub(crate) targets: Vec<String>,
    /// More targets, one a line: TARGET [label=value]…
    ///
    /// A # begins a comment. Or JSON as Prometheus' file_sd has it: [{"targets":[…],"labels":{…}}]. - is
    /// stdin. The file is read again on SIGHUP and when it has changed: targets that stay keep their figures,
    /// new ones start, those gone end with their summary.
    #[arg(long, value_name = "FILE", help_heading = TARGETS)]
    pub(crate) targets_file: Option<PathBuf>,
    /// Make each address of a name a target of its own, NAME:PORT@ADDRESS
    ///
    /// The set follows the name (every 30 s); while that does not resolve, nothing changes.
    #[arg(long, help_heading = TARGETS, hide_short_help = true)]
    pub(crate) every_address: bool,
    /// Take only the I-th of N equal parts of all targets, so that N processes share one file
    #[arg(long, value_name = "I/N", help_heading = TARGETS, hide_short_help = true)]
    pub(crate) shard: Option<Shard>,
    /// The service of each TARGET that names none: SCHEME:[WHAT][?KEY=VALUE&…]
    #[arg(long, value_name = "SPEC", value_parser = service, conflicts_with_all = ["payload", "payload_hex", "number", "stamp", "expectation", "size"], help_heading = TARGETS, hide_short_help = true)]
    pub(crate) service: Option<String>,
    /// List the services: port, pace, meaning of ok, keys
    #[arg(long, exclusive = true, help_heading = TARGETS)]
    pub(crate) services: bool,
    /// Time between beats [default: 1s, or the service's]
    ///
    /// A fixed schedule, counted from the start. A slot that could not be kept is skipped and counted, never
    /// made up for in a burst.
    #[arg(short, long, value_name = "DUR", value_parser = parse::positive_duration, help_heading = TIMING)]
    pub(crate) interval: Option<Duration>,
    /// Stop after N beats, each answered or its timeout passed
    #[arg(short, long, value_name = "N", value_parser = parse::count, help_heading = TIMING)]
    pub(crate) count: Option<u64>,
    /// Stop after this long
    #[arg(short = 'w', long, value_name = "DUR", value_parser = parse::positive_duration, help_heading = TIMING)]
    pub(crate) deadline: Option<Duration>,
    /// Unanswered for this long, a beat is lost
    #[arg(short = 'W', long, value_name = "DUR", default_value = "1s", value_parser = parse::positive_duration, help_heading = TIMING)]
    pub(crate) timeout: Duration,
    /// Allow an interval below 10 ms, or a service's floor, towards others than loopback
    #[arg(long, help_heading = TIMING, hide_short_help = true)]
    pub(crate) fast: bool,
    /// How beats are spaced
    #[arg(long, value_enum, value_name = "HOW", default_value = "periodic", help_heading = TIMING, hide_short_help = true)]
    pub(crate) schedule: Schedule,
    /// RNG seed for --schedule poisson, to repeat a run
    #[arg(long, value_name = "N", value_parser = parse::whole, help_heading = TIMING, hide_short_help = true)]
    pub(crate) seed: Option<u64>,
    /// Payload to send [default: heartbeat]
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "payload_hex", help_heading = PAYLOAD)]
    pub(crate) payload: Option<OsString>,
    /// Payload in hex (spaces, colons allowed); replies are shown so
    #[arg(long, value_name = "HEX", help_heading = PAYLOAD, hide_short_help = true)]
    pub(crate) payload_hex: Option<String>,
    /// Append " N" to the payload: each reply names its beat
    ///
    /// Duplicates, reordering and lateness are then exact against any echo server, with any number
    /// of beats in flight from one port. Without it a source port has one beat in flight at most.
    #[arg(long, help_heading = PAYLOAD)]
    pub(crate) number: bool,
    /// Pad each datagram to N bytes
    ///
    /// With "." for a text payload, zero bytes otherwise.
    #[arg(short, long, value_name = "N", value_parser = parse::size, help_heading = PAYLOAD, hide_short_help = true)]
    pub(crate) size: Option<usize>,
    /// Be a STAMP session-sender (RFC 8762): loss and delay by direction
    ///
    /// Against any STAMP or TWAMP-Light reflector; the default port is 862. The reflector's own time is
    /// taken out of the round trip.
    #[arg(long, conflicts_with_all = ["number", "payload", "payload_hex", "expectation"], help_heading = STAMP)]
    pub(crate) stamp: bool,
    /// Authenticate with the key in FILE (HMAC-SHA-256; trailing newline stripped)
    ///
    /// Read again on SIGHUP.
    #[arg(long, value_name = "FILE", help_heading = STAMP, hide_short_help = true)]
    pub(crate) stamp_key_file: Option<PathBuf>,
    /// Every reply must be TEXT
    ///
    /// A reply with other content is received all the same, with the verdict "unexpected"; loss and round
    /// trips do not depend on it.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = CHECKS)]
    pub(crate) expect: Option<OsString>,
    /// Every reply must be these bytes
    #[arg(long, value_name = "HEX", help_heading = CHECKS, hide_short_help = true)]
    pub(crate) expect_hex: Option<String>,
    /// Every reply must match RE (unanchored)
    #[arg(long, value_name = "RE", allow_hyphen_values = true, value_parser = expect::pattern, help_heading = CHECKS, hide_short_help = true)]
    pub(crate) expect_regex: Option<Regex>,
    /// Any authentic answer is ok, whatever --expect… says
    #[arg(long, help_heading = CHECKS, hide_short_help = true)]
    pub(crate) alive: bool,
    /// Fail (exit 1) if loss exceeds PCT percent
    #[arg(long, value_name = "PCT", value_parser = share, help_heading = CHECKS)]
    pub(crate) max_loss: Option<f64>,
    /// Fail if a round trip, or percentile, exceeds DUR
    ///
    /// Repeatable: 50ms, p99=20ms. A percentile that the sample cannot support fails, and says so: p50 takes
    /// 2 replies, p90 10, p99 100.
    #[arg(long, value_name = "[pNN=]DUR", help_heading = CHECKS)]
    pub(crate) max_rtt: Vec<RttLimit>,
    /// Fail if fewer than N replies came in time
    #[arg(long, value_name = "N", value_parser = parse::whole, help_heading = CHECKS, hide_short_help = true)]
    pub(crate) min_replies: Option<u64>,
    /// Fail if more than PCT percent of the answers were not ok [default: 0]
    #[arg(long, value_name = "PCT", value_parser = share, help_heading = CHECKS, hide_short_help = true)]
    pub(crate) max_not_ok: Option<f64>,
    /// Down after N beats in a row without an answer
    ///
    /// Degraded after as many that were not ok, at least one of them answered.
    #[arg(long, value_name = "N", default_value = "3", value_parser = parse::count, help_heading = STATE, hide_short_help = true)]
    pub(crate) down_after: u64,
    /// Up after N beats in a row that were ok
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse::count, help_heading = STATE, hide_short_help = true)]
    pub(crate) up_after: u64,
    /// Degraded while --max-loss or --max-rtt fails over the last DUR
    ///
    /// At least the last 10 beats.
    #[arg(long, value_name = "DUR", default_value = "60s", value_parser = parse::positive_duration, help_heading = STATE, hide_short_help = true)]
    pub(crate) window: Duration,
    /// Run CMD in the shell on each change of state
    ///
    /// Its facts are in the environment, see below. The first "up" runs nothing. While a command runs,
    /// only the newest change of its target waits.
    #[arg(long, value_name = "CMD", help_heading = STATE)]
    pub(crate) on_change: Option<OsString>,
    /// No line per beat: states, intervals and summary only
    #[arg(short, long, help_heading = OUTPUT)]
    pub(crate) quiet: bool,
    /// Events to show: sent,reply,lost,late,… or -sent to leave one out
    ///
    /// Of sent, reply, lost, late, duplicate, refused, error, state, interval, summary. Wins over --quiet.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true, help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) show: Option<Show>,
    /// Print the figures of each interval of DUR, a line a target
    ///
    /// What is left at the end of the run is no interval, and is in the summary alone.
    #[arg(long, value_name = "DUR", value_parser = parse::positive_duration, help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) report_every: Option<Duration>,
    /// The order of several targets in the summary; loss: the worst first
    #[arg(long, value_enum, value_name = "HOW", default_value = "given", conflicts_with = "nagios", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) sort: Sort,
    /// Print newline-delimited JSON
    ///
    /// schema/heartbeat.schema.json describes it.
    #[arg(long, help_heading = OUTPUT)]
    pub(crate) json: bool,
    /// Show all targets, or one, on the screen; ? lists keys
    ///
    /// On a terminal only, with the summary and the exit code as without it. The beats do not wait for the screen.
    #[cfg(feature = "live")]
    #[arg(long, conflicts_with_all = ["json", "nagios", "show", "report_every"], help_heading = OUTPUT)]
    pub(crate) live: bool,
    /// With --live: ASCII only [default: where the locale is not UTF-8]
    #[cfg(feature = "live")]
    #[arg(long, requires = "live", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) ascii: bool,
    /// Report as a monitoring plugin: one line, exit 0 to 3, -c 5 by default
    ///
    /// --max-… are the critical thresholds; no answer is CRITICAL, an answer that is not ok WARNING, bad
    /// usage and local failures UNKNOWN.
    #[arg(long, conflicts_with_all = ["json", "show", "report_every"], help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) nagios: bool,
    /// With --nagios: warn if loss exceeds PCT percent
    #[arg(long, value_name = "PCT", value_parser = share, requires = "nagios", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) warn_loss: Option<f64>,
    /// With --nagios: warn if a round trip, or a percentile, exceeds DUR
    #[arg(long, value_name = "[pNN=]DUR", requires = "nagios", help_heading = OUTPUT, hide_short_help = true)]
    pub(crate) warn_rtt: Vec<RttLimit>,
    /// Append a line of JSON a beat to FILE; .gz: compressed
    ///
    /// A kill loses at most the last two seconds. A file that takes no more is said once, the beats go on, and
    /// the exit code is 4. SIGHUP opens the file again.
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub(crate) record: Option<PathBuf>,
    /// Serve metrics, and the table of the targets, by HTTP at ENDPOINT
    ///
    /// /metrics in text, OpenMetrics or protobuf (native histograms), as is asked for; /targets as HTML or
    /// JSON; /-/healthy, /-/ready and /-/reload (POST). It needs a port; :9107 is every IPv4 address.
    #[arg(long, value_name = "ENDPOINT", value_parser = web::endpoint, help_heading = PROMETHEUS, hide_short_help = true)]
    pub(crate) metrics: Option<Endpoint>,
    /// Buckets of the histograms [default: classic up to 200 targets, native where asked for]
    ///
    /// Native ones are finer and one series each; they need a scraper that asks for protobuf. Where there
    /// are no classic buckets, text has the sum and the count.
    #[arg(long, value_enum, value_name = "HOW", requires = "metrics", help_heading = PROMETHEUS, hide_short_help = true)]
    pub(crate) metrics_histograms: Option<HistogramForm>,
    /// TLS, client certificates, passwords and headers of --metrics, as exporter-toolkit's FILE has them
    ///
    /// YAML; paths in it are relative to it. It and what it names are read again when they change. A file that
    /// has turned bad lets nobody in until it is good again.
    #[arg(long, value_name = "FILE", requires = "metrics", help_heading = PROMETHEUS, hide_short_help = true)]
    pub(crate) web_config: Option<PathBuf>,
    /// Serve /probe beside: the modules in FILE (YAML), asked for as blackbox_exporter is
    ///
    /// /probe?target=HOST[:PORT]&module=NAME asks once and tells by metrics what came; debug=true shows the evidence. At
    /// most 64 at a time. Read again on SIGHUP. No TARGET is needed then.
    #[arg(long, value_name = "FILE", help_heading = PROMETHEUS, hide_short_help = true)]
    pub(crate) modules: Option<PathBuf>,
    /// Where /probe may send to, repeatable [default: all but loopback and link-local]
    ///
    /// The address that is sent to decides, whatever its name. Never multicast, broadcast or 0.0.0.0/8.
    #[arg(long, value_name = "CIDR", requires = "modules", help_heading = PROMETHEUS, hide_short_help = true)]
    pub(crate) probe_allow: Vec<Block>,
    /// Local address, and port, to send from
    ///
    /// Of a name, or of :PORT, the first address of each target's family.
    #[arg(short, long, value_name = "ENDPOINT", value_parser = parse::endpoint, help_heading = SOCKET)]
    pub(crate) bind: Option<Endpoint>,
    /// Hop limit, 1 to 255
    #[arg(long, value_name = "N", value_parser = parse::ttl, help_heading = SOCKET, hide_short_help = true)]
    pub(crate) ttl: Option<u8>,
    /// Differentiated-services code point: ef, af41, cs1, le … or 0 to 63
    #[arg(long, value_name = "NAME|N", value_parser = parse::dscp, help_heading = SOCKET, hide_short_help = true)]
    pub(crate) dscp: Option<Dscp>,
    /// ECN bits: not-ect, ect0, ect1, ce, or 0 to 3
    #[arg(long, value_name = "NAME|N", help_heading = SOCKET, hide_short_help = true)]
    pub(crate) ecn: Option<Ecn>,
    /// I/O path; portable: one datagram a call, without kernel timestamps
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto", help_heading = SOCKET, hide_short_help = true)]
    pub(crate) io: Path,
    #[command(flatten, next_help_heading = SOCKET)]
    pub(crate) common: CommonArgs,
}

impl HasCommon for Args {
    const FEATURES: &'static [&'static str] = if cfg!(feature = "live") { &["live"] } else { &[] };

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn ended_by(line: &[OsString], failure: &Failure) -> Option<ExitCode> {
        let plugin = line.iter().take_while(|word| *word != "--").any(|word| word == "--nagios");
        plugin.then(|| report::unknown(failure))
    }
}

/// A target whose form is right; what its files hold is read later.
fn target(text: &str) -> Result<String, String> {
    let joined = |it: SpecError| parse::joined((it.to_string(), it.hint().map(String::from)));
    udp_core::service::target(text, &anything).map(|_| text.to_owned()).map_err(joined)
}

/// The same for a service without its host.
fn service(text: &str) -> Result<String, SpecError> {
    Spec::parse(text, &anything).map(|_| text.to_owned())
}

/// Stands for what a file holds.
#[expect(clippy::unnecessary_wraps, reason = "a reader of files may fail")]
fn anything(_file: &str) -> std::io::Result<Vec<u8>> {
    Ok(b"anything".to_vec())
}

/// A share in percent.
fn share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text);
    match parse::decimal(number) {
        Ok(share) if share <= 100.0 => Ok(share),
        _ => Err("not a number from 0 to 100".into()),
    }
}
