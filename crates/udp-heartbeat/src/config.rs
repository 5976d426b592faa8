//! What runs: the options' meaning, with every default filled in and every contradiction refused.

use std::ffi::OsStr;
use std::time::Duration;

use udp_core::batch::{Backend, MAX_V4};
use udp_core::cli::Failure;
use udp_core::cli::parse::ShownDuration;
use udp_core::endpoint::DEFAULT_PORT;
use udp_core::socket::Dscp;
use udp_core::stamp::{self, Key, KeyError, Mode};
use udp_core::text::hex;
use udp_core::{Endpoint, Family};

use crate::args::{Args, Path, Schedule};
use crate::beat::{Format, Padding};
use crate::expectation::Expectation;
use crate::schedule::Spacing;
use crate::state::Hysteresis;
use crate::verdict::Thresholds;

/// The tutorial's beat.
const PAYLOAD: &[u8] = b"heartbeat";
/// Below this interval, `--fast` has to be said.
pub(crate) const FAST: Duration = Duration::from_millis(10);

/// What runs.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) targets: Vec<Endpoint>,
    pub(crate) default_port: u16,
    pub(crate) family: Family,
    pub(crate) format: Format,
    pub(crate) expectation: Expectation,
    pub(crate) spacing: Spacing,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) count: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) fast: bool,
    pub(crate) thresholds: Thresholds,
    pub(crate) hysteresis: Hysteresis,
    /// Changes of state are of interest to a reader of text.
    pub(crate) show_state: bool,
    pub(crate) on_change: Option<std::ffi::OsString>,
    pub(crate) output: Output,
    pub(crate) local: Local,
    pub(crate) backend: Backend,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) json: bool,
    /// Nothing but the summary.
    pub(crate) quiet: bool,
    /// Payloads are shown as hex.
    pub(crate) hex: bool,
}

/// How local sockets are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    pub(crate) bind: Option<Endpoint>,
    pub(crate) ttl: Option<u8>,
    pub(crate) dscp: Option<Dscp>,
}

/// What the files named on the command line hold.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) targets: Option<Vec<u8>>,
    pub(crate) key: Option<Vec<u8>>,
}

impl Config {
    /// What `args` mean; `random` is a seed for what is not given one.
    ///
    /// # Errors
    /// Bad usage.
    pub(crate) fn new(args: Args, files: &Files, random: u64) -> Result<Config, Failure> {
        let targets = targets(&args, files)?;
        let format = format(&args, files)?;
        let hex = args.payload_hex.is_some();
        let expectation = expectation(&args)?;
        let spacing = match (args.schedule, args.seed) {
            (Schedule::Poisson, seed) => Spacing::Poisson { seed: seed.unwrap_or(random) },
            (Schedule::Periodic, None) => Spacing::Periodic,
            (Schedule::Periodic, Some(_)) => {
                return Err(Failure::usage("--seed is for --schedule poisson"));
            }
        };
        let thresholds = Thresholds {
            max_loss: args.max_loss,
            max_rtt: args.max_rtt,
            min_replies: args.min_replies,
            expectation: expectation.is_some(),
        };
        let asked = args.down_after.is_some() || args.up_after.is_some();
        Ok(Config {
            targets,
            default_port: if args.stamp { stamp::DEFAULT_PORT } else { DEFAULT_PORT },
            family: args.common.family(),
            format,
            expectation,
            spacing,
            interval: args.interval,
            timeout: args.timeout,
            count: args.count,
            deadline: args.deadline,
            fast: args.fast,
            thresholds,
            hysteresis: Hysteresis {
                down_after: args.down_after.unwrap_or(3),
                up_after: args.up_after.unwrap_or(1),
            },
            show_state: asked || args.on_change.is_some(),
            on_change: args.on_change,
            output: Output { json: args.json, quiet: args.quiet, hex },
            local: Local { bind: args.bind, ttl: args.ttl, dscp: args.dscp },
            backend: match args.io {
                Path::Auto => Backend::Auto,
                Path::Portable => Backend::Portable,
            },
        })
    }
}

/// The targets that were named, and those in the file.
fn targets(args: &Args, files: &Files) -> Result<Vec<Endpoint>, Failure> {
    let mut targets = args.targets.clone();
    if let Some(content) = &files.targets {
        let text = String::from_utf8_lossy(content);
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let target = line.parse::<Endpoint>().map_err(|error| {
                Failure::usage(format!("--targets-file, line {}: '{line}': {error}", number + 1))
            })?;
            targets.push(target);
        }
        if targets.is_empty() {
            return Err(Failure::usage("--targets-file: it names no target"));
        }
    }
    if targets.is_empty() {
        // Without a host, the loopback address of the family that was asked for.
        let port = if args.stamp { stamp::DEFAULT_PORT } else { DEFAULT_PORT };
        targets.extend(default_target(args.common.family(), port));
    }
    let family = args.common.family();
    Ok(targets.into_iter().map(|target| target.asked(family)).collect())
}

fn default_target(family: Family, port: u16) -> Option<Endpoint> {
    let host = if family == Family::V6 { "[::1]" } else { "127.0.0.1" };
    format!("{host}:{port}").parse().ok()
}

fn format(args: &Args, files: &Files) -> Result<Format, Failure> {
    if args.size.is_some_and(|size| size > MAX_V4) {
        return Err(Failure::usage(format!("--size: a datagram holds at most {MAX_V4} bytes")));
    }
    if args.stamp {
        let invalid = |error: KeyError| Failure::usage(format!("--stamp-key-file: {error}"));
        let key = files.key.as_deref().map(Key::from_file_bytes).transpose().map_err(invalid)?;
        let least = Mode::from(key.as_ref()).packet_len();
        let length = args.size.unwrap_or(least);
        if length < least {
            let text = format!("--size {length}: a STAMP packet takes {least} bytes");
            return Err(Failure::usage(text));
        }
        return Ok(Format::Stamp { key, length });
    }
    let payload = match (&args.payload, &args.payload_hex) {
        (_, Some(text)) => decode("--payload-hex <HEX>", text)?,
        (Some(text), None) => bytes(text).to_vec(),
        (None, None) => PAYLOAD.to_vec(),
    };
    let byte = if args.payload_hex.is_some() { 0 } else { b'.' };
    let padding = Padding { length: args.size.unwrap_or(0), byte };
    let format = match args.number {
        true => Format::Numbered { payload, padding },
        false => Format::Plain { payload, padding },
    };
    let length = format.length();
    match args.size {
        Some(size) if size < length => {
            Err(Failure::usage(format!("--size {size}: the payload takes {length} bytes")))
        }
        _ if length > MAX_V4 => {
            Err(Failure::usage(format!("the payload takes more than {MAX_V4} bytes")))
        }
        _ => Ok(format),
    }
}

fn expectation(args: &Args) -> Result<Expectation, Failure> {
    Ok(match (&args.expect, &args.expect_hex, &args.expect_regex) {
        (Some(text), ..) => Expectation::Exactly(bytes(text).to_vec()),
        (_, Some(text), _) => Expectation::Exactly(decode("--expect-hex <HEX>", text)?),
        (.., Some(pattern)) => Expectation::Pattern(pattern.clone()),
        (None, None, None) => Expectation::Anything,
    })
}

fn decode(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(text)
        .map_err(|error| Failure::usage(format!("invalid value '{text}' for '{option}': {error}")))
}

/// A text's bytes as they were typed.
fn bytes(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}

/// What is said at the start of a fast run towards others: how much is sent.
pub(crate) fn offered_rate(interval: Duration, targets: usize, length: usize) -> String {
    let rate = targets as f64 / interval.as_secs_f64();
    // With the headers of UDP and IPv4.
    let bits = rate * (length + 28) as f64 * 8.0;
    let (bits, unit) = match bits {
        1e9.. => (bits / 1e9, "Gbit/s"),
        1e6.. => (bits / 1e6, "Mbit/s"),
        _ => (bits / 1e3, "kbit/s"),
    };
    let interval = ShownDuration(interval);
    format!("offering {rate:.0} datagrams/s, {bits:.1} {unit} (interval {interval})")
}
