//! What may be typed. Nothing here decides more than whether a value can be read at all; what the
//! values mean together is [`crate::config`]'s part.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use udp_core::Endpoint;
use udp_core::cli::{CommonArgs, HasCommon, parse};
use udp_core::expect::{self, Regex};
use udp_core::socket::Dscp;

use crate::exchange::Replies;

/// Send UDP messages and show what comes back.
///
/// On a terminal it asks for messages; otherwise each line of stdin is one message. A reply is
/// only ever credited to the message that it answers: messages leave from one port as long as each
/// is answered, and after an unanswered one from a new port (unless --bind names one).
///
/// Exit code: 0 every message was answered as expected, 1 one was not, 2 bad usage, 3 refused and
/// never answered, 4 a local failure. TARGET is host, host:port, :port, [v6] or [v6]:port; DUR is
/// seconds, or with ns us ms s m min h d.
#[allow(rustdoc::broken_intra_doc_links, reason = "[v6] is help text, and no link")]
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-client", version, max_term_width = 100)]
#[command(group = ArgGroup::new("expectation").args(["expect", "expect_hex", "expect_regex"]))]
pub struct Args {
    /// Whom to ask [default: 127.0.0.1:7000]
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// The port, where TARGET has none
    #[arg(value_name = "PORT", requires = "target")]
    pub port: Option<String>,
    /// Send this and stop, repeatable (stdin is then not read)
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    pub message: Vec<OsString>,
    /// One datagram a line, or all of stdin as one [default: lines]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "message")]
    pub stdin: Option<Stdin>,
    /// Messages are hex (blanks and colons allowed); replies are shown so
    #[arg(long, conflicts_with = "escape")]
    pub hex: bool,
    /// Messages and --expect use escapes: \n \r \t \0 \\ \xNN \u{…}
    #[arg(long)]
    pub escape: bool,
    /// How long to wait for each reply
    #[arg(short = 'W', long, value_name = "DUR", default_value = "1s", value_parser = parse::positive_duration)]
    pub timeout: Duration,
    /// Send again when no reply came, doubling the wait
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub retries: u32,
    /// Do not wait for replies
    #[arg(long, conflicts_with_all = ["retries", "replies", "expectation", "max_rtt"])]
    pub no_reply: bool,
    /// How many replies each message may bring; any: listen until the timeout [default: 1]
    #[arg(long, value_name = "N|any", value_parser = replies)]
    pub replies: Option<Replies>,
    /// Messages in flight at once when scripted
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub window: u16,
    /// Pause between scripted messages
    #[arg(short, long, value_name = "DUR", default_value = "0", hide_default_value = true, value_parser = parse::duration)]
    pub interval: Duration,
    /// Every reply must be TEXT, else exit 1
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub expect: Option<OsString>,
    /// Every reply must be these bytes, else exit 1
    #[arg(long, value_name = "HEX")]
    pub expect_hex: Option<String>,
    /// Every reply must hold a match of RE, else exit 1
    #[arg(long, value_name = "RE", allow_hyphen_values = true, value_parser = expect::pattern)]
    pub expect_regex: Option<Regex>,
    /// A slower reply is exit 1 too
    #[arg(long, value_name = "DUR", value_parser = parse::positive_duration)]
    pub max_rtt: Option<Duration>,
    /// Print the summary only; what failed is still on stderr
    #[arg(short, long, conflicts_with = "raw")]
    pub quiet: bool,
    /// Show replies as offset, hex and ASCII too, below their line
    #[arg(long, conflicts_with_all = ["raw", "json"])]
    pub hexdump: bool,
    /// Write only the replies' bytes to stdout
    #[arg(long, conflicts_with = "json")]
    pub raw: bool,
    /// Newline-delimited JSON instead of text: sent, reply, timeout, refused, error, summary
    #[arg(long)]
    pub json: bool,
    /// Local address to send from; with a port, all messages leave from that port
    #[arg(short, long, value_name = "ENDPOINT", value_parser = parse::endpoint)]
    pub bind: Option<Endpoint>,
    /// Hop limit, 1 to 255
    #[arg(long, value_name = "N", value_parser = parse::ttl)]
    pub ttl: Option<u8>,
    /// Differentiated-services code point: ef, af41, cs1, le … or 0 to 63
    #[arg(long, value_name = "NAME|N", value_parser = parse::dscp)]
    pub dscp: Option<Dscp>,
    /// Allow a broadcast address as TARGET; replies from any address are then replies
    #[arg(long)]
    pub broadcast: bool,
    /// Do not keep what is typed at the prompt
    #[arg(long)]
    pub no_history: bool,
    #[expect(missing_docs, reason = "a doc comment would head the group in --help")]
    #[command(flatten)]
    pub common: CommonArgs,
}

impl HasCommon for Args {
    fn common(&self) -> &CommonArgs {
        &self.common
    }
}

/// What a datagram is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Stdin {
    /// One line, without its end
    Lines,
    /// All there is
    Whole,
}

fn replies(text: &str) -> Result<Replies, String> {
    match text {
        "any" => Ok(Replies::Any),
        _ => parse::count(text).map(Replies::UpTo).map_err(|error| format!("{error}, or any")),
    }
}
