//! The command line as clap parses it. It decides only whether a value can be read; what the values
//! mean together is [`crate::config`]'s part.

use std::ffi::OsString;
use std::time::Duration;

use clap::{ArgGroup, Parser, ValueEnum};
use udp_core::Endpoint;
use udp_core::cli::{CommonArgs, HasCommon, parse};
use udp_core::expect::{self, Regex};
use udp_core::socket::Dscp;

use crate::exchange::Replies;

/// The groups of the options.
const MESSAGES: &str = "Messages";
const WAITING: &str = "Waiting";
const CHECKS: &str = "Checks";
const OUTPUT: &str = "Output";
const SOCKET: &str = "Socket";

/// What `--help` ends with.
const MORE: &str = "\
Values:
  TARGET  host, host:port, [v6]:port, :port; a port is a number or a service's name; or a service,
          asked once in its own language: dns://host/name?type=AAAA (udp-heartbeat --services)
  DUR     a number with ns us ms s m min h d; a bare number is seconds

On a terminal it asks for messages; otherwise each line of stdin is one message, and no reply,
refusals and wrong replies are on stderr. A name stands for all its addresses: where one refuses,
is unreachable or silent for a timeout, and none has ever answered, the next is asked.

A reply is only ever credited to the message that it answers: messages leave from one port as long
as each is answered, after an unanswered one from a new port, and with --window from so many. A late
reply, a second one (duplicate) and what others send (unsolicited) answer nothing. With --bind
HOST:PORT there is one port: after an unanswered message it rests for a timeout, and a reply that
ends with its message tells late copies apart.

Signals:
  INT, TERM  stop, print the summary, exit by its verdict; a later INT ends at once
  USR1       print the counts so far on stderr (QUIT, from a terminal, too)
  HUP        as TERM

Environment: RUST_LOG (wins over -v), NO_COLOR, TERM (dumb: no line editing), XDG_STATE_HOME

Files: $XDG_STATE_HOME/udp-client/history (~/.local/state) keeps the last 1000 lines typed;
schema/client.schema.json describes --json

Exit codes:
  0  every message was answered as expected
  1  one was not, or nothing was sent
  2  bad usage, or a name that does not resolve
  3  refused: nothing listens there, and nothing was ever answered
  4  a local failure: cannot bind, nothing could be sent, stdout cannot be written

Examples:
  udp-client 192.0.2.7 7000
  udp-client 192.0.2.7:7000 -m hello --expect 'echo hello' --max-rtt 20ms -q
  udp-client '[2001:db8::7]:53' --hexdump --hex -m '1234 0100 0001 0000 0000 0000 00 0001 0001'
  udp-client dns://192.0.2.53/example.org?expect=192.0.2.7
  udp-client 255.255.255.255:7000 --broadcast --replies any -W 500ms -m 'who is there'
  seq 1000 | udp-client 192.0.2.7 --window 64 --retries 2 --json";

/// Send UDP messages and show what comes back
#[derive(Parser, Debug, Clone)]
#[command(name = "udp-client", version, max_term_width = 100, after_long_help = MORE)]
#[command(group = ArgGroup::new("expectation").args(["expect", "expect_hex", "expect_regex"]))]
pub struct Args {
    /// Server to query [default: 127.0.0.1:7000]
    #[arg(value_name = "TARGET")]
    pub target: Option<String>,
    /// Its port, where TARGET has none
    #[arg(value_name = "PORT", requires = "target")]
    pub port: Option<String>,
    /// Send this and stop, repeatable (stdin is not read)
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, help_heading = MESSAGES)]
    pub message: Vec<OsString>,
    /// What is a datagram: each line, or stdin as a whole [default: lines]
    #[arg(long, value_enum, value_name = "HOW", conflicts_with = "message", help_heading = MESSAGES, hide_short_help = true)]
    pub stdin: Option<Stdin>,
    /// Messages are hex, and replies are printed in hex
    ///
    /// Spaces and colons are allowed.
    #[arg(long, conflicts_with = "escape", help_heading = MESSAGES)]
    pub hex: bool,
    /// Messages and --expect with \n \r \t \0 \\ \xNN \u{…}
    #[arg(long, help_heading = MESSAGES)]
    pub escape: bool,
    /// Pause between scripted messages
    #[arg(short, long, value_name = "DUR", default_value = "0", hide_default_value = true, value_parser = parse::duration, help_heading = MESSAGES)]
    pub interval: Duration,
    /// Messages in flight at once when scripted
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024), help_heading = MESSAGES)]
    pub window: u16,
    /// Do not keep what is typed at the prompt
    #[arg(long, help_heading = MESSAGES, hide_short_help = true)]
    pub no_history: bool,
    /// How long to wait for each reply
    #[arg(short = 'W', long, value_name = "DUR", default_value = "1s", value_parser = parse::positive_duration, help_heading = WAITING)]
    pub timeout: Duration,
    /// Send again when silent, doubling the wait
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = WAITING)]
    pub retries: u32,
    /// Replies to each message; any: all in time [default: 1]
    ///
    /// any listens until the timeout.
    #[arg(long, value_name = "N|any", value_parser = replies, help_heading = WAITING)]
    pub replies: Option<Replies>,
    /// Do not wait for replies
    #[arg(long, conflicts_with_all = ["retries", "replies", "expectation", "max_rtt"], help_heading = WAITING)]
    pub no_reply: bool,
    /// Fail (exit 1) if a reply is not TEXT
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, help_heading = CHECKS)]
    pub expect: Option<OsString>,
    /// Fail if a reply is not these bytes
    #[arg(long, value_name = "HEX", help_heading = CHECKS, hide_short_help = true)]
    pub expect_hex: Option<String>,
    /// Fail if a reply does not match RE (unanchored)
    #[arg(long, value_name = "RE", allow_hyphen_values = true, value_parser = expect::pattern, help_heading = CHECKS)]
    pub expect_regex: Option<Regex>,
    /// Fail if a reply is slower
    #[arg(long, value_name = "DUR", value_parser = parse::positive_duration, help_heading = CHECKS)]
    pub max_rtt: Option<Duration>,
    /// Print the summary only; what failed is still on stderr
    #[arg(short, long, conflicts_with = "raw", help_heading = OUTPUT)]
    pub quiet: bool,
    /// Dump replies as offset, hex and ASCII below their line
    #[arg(long, conflicts_with_all = ["raw", "json"], help_heading = OUTPUT)]
    pub hexdump: bool,
    /// Write only raw reply payloads to stdout
    #[arg(long, conflicts_with = "json", help_heading = OUTPUT)]
    pub raw: bool,
    /// Print newline-delimited JSON
    ///
    /// Events: sent, reply, late, duplicate, unsolicited, timeout, refused, error, summary.
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
    /// Local address; with a port, all messages leave from it
    ///
    /// Of a name, or of :PORT, the first address of the target's family.
    #[arg(short, long, value_name = "ENDPOINT", value_parser = parse::endpoint, help_heading = SOCKET)]
    pub bind: Option<Endpoint>,
    /// Hop limit, 1 to 255
    #[arg(long, value_name = "N", value_parser = parse::ttl, help_heading = SOCKET, hide_short_help = true)]
    pub ttl: Option<u8>,
    /// Differentiated-services code point: ef, af41, cs1, le … or 0 to 63
    #[arg(long, value_name = "NAME|N", value_parser = parse::dscp, help_heading = SOCKET, hide_short_help = true)]
    pub dscp: Option<Dscp>,
    /// Allow a broadcast TARGET, and replies from any address
    #[arg(long, help_heading = SOCKET)]
    pub broadcast: bool,
    #[expect(missing_docs, reason = "a doc comment would head the group in --help")]
    #[command(flatten, next_help_heading = SOCKET)]
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
    /// One datagram per line, line end stripped
    Lines,
    /// Until the end of file
    Whole,
}

fn replies(text: &str) -> Result<Replies, String> {
    match text {
        "any" => Ok(Replies::Any),
        _ => parse::count(text).map(Replies::UpTo).map_err(|error| format!("{error}, or any")),
    }
}
