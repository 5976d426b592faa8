//! The checked configuration: the options with every default filled in and every contradiction
//! refused.

use std::ffi::OsStr;
use std::net::Ipv6Addr;
use std::time::Duration;

use udp_core::cli::parse;
use udp_core::cli::{Failure, Style};
use udp_core::endpoint::DEFAULT_PORT;
use udp_core::service::Spec;
use udp_core::socket::Dscp;
use udp_core::source_port::{Ports, Rules};
use udp_core::text::{escape::unescape, hex};
use udp_core::{Endpoint, Family};

use crate::args::{Args, Stdin};
use crate::ask::usage;
use crate::exchange::Replies;
use crate::exchange::Settings;
use crate::stats::Mode;
use crate::transcript::Look;
use udp_core::expect::Expectation;

/// How long an unanswered port is kept open to recognise a late reply.
const LINGER: Duration = Duration::from_secs(60);
/// Ports beyond the window, for those that are kept open to recognise late replies: at least so
/// many, at most so many, and three times the window between.
const SPARE_PORTS: (usize, usize) = (64, 512);

/// Which streams are terminals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminals {
    /// Whether a person types.
    pub stdin: bool,
    /// Whether a person reads.
    pub stdout: bool,
    /// Whether the terminal understands no escape sequences.
    pub dumb: bool,
}

/// Where messages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Given(Vec<Vec<u8>>),
    /// The lines of stdin.
    Lines,
    /// Stdin as a whole.
    Whole,
    /// A person, with a line editor.
    Editor,
    /// A person, at a terminal without escape sequences.
    PlainPrompt,
    /// A person at a terminal, whose stdout goes elsewhere.
    ApartPrompt,
}

impl Source {
    /// Whether a person is asked for each message.
    pub fn is_prompt(&self) -> bool {
        matches!(self, Source::Editor | Source::PlainPrompt | Source::ApartPrompt)
    }
}

/// How messages are written down, and replies shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As they are.
    Text,
    /// As hex.
    Hex,
    /// In the escape form.
    Escape,
}

impl Coding {
    /// The bytes that `written` stands for.
    ///
    /// # Errors
    /// Why it stands for none, in words for a user.
    pub fn decode(self, written: Vec<u8>) -> Result<Vec<u8>, String> {
        let text = |form| {
            str::from_utf8(&written).map_err(|_| format!("not {form}, which is always UTF-8"))
        };
        match self {
            Coding::Text => Ok(written),
            Coding::Hex => hex::decode(text("hex")?.trim_ascii()).map_err(|e| e.to_string()),
            Coding::Escape => {
                unescape(text("in the escape form")?).map_err(|error| error.to_string())
            }
        }
    }
}

/// The form of what is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines for people.
    Text,
    /// The replies' bytes alone.
    Raw,
    /// Newline-delimited JSON.
    Json,
}

/// What runs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whom to ask.
    pub target: Endpoint,
    /// The service that it is, asked once in its own language instead of messages.
    pub service: Option<Spec>,
    /// The port, where the target names none.
    pub default_port: u16,
    /// Which addresses of it may be used.
    pub family: Family,
    /// Where to send from.
    pub bind: Option<Endpoint>,
    /// Hop limit.
    pub ttl: Option<u8>,
    /// The one interface to use, if not any.
    pub interface: Option<String>,
    /// Code point.
    pub dscp: Option<Dscp>,
    /// Whether broadcast addresses may be asked.
    pub broadcast: bool,
    /// Where messages come from.
    pub source: Source,
    /// How they are written.
    pub coding: Coding,
    /// The form of what is written to stdout.
    pub format: Format,
    /// Whether replies are awaited.
    pub mode: Mode,
    /// How messages are treated.
    pub settings: Settings,
    /// Messages in flight at once.
    pub window: usize,
    /// Pause between messages.
    pub interval: Duration,
    /// Whether what is typed is kept for the next time.
    pub history: bool,
    /// How lines of text are shown.
    pub look: Look,
}

impl Config {
    /// The meaning of `args` where the streams are `terminals`.
    ///
    /// # Errors
    /// Bad usage.
    pub fn new(args: Args, terminals: Terminals) -> Result<Config, Failure> {
        let coding = match (args.hex, args.escape) {
            (true, _) => Coding::Hex,
            (_, true) => Coding::Escape,
            _ => Coding::Text,
        };
        let format = match (args.raw, args.json) {
            (true, _) => Format::Raw,
            (_, true) => Format::Json,
            _ => Format::Text,
        };
        let mode = if args.no_reply { Mode::OneWay } else { Mode::Request };
        let fixed = args.bind.as_ref().and_then(Endpoint::port).is_some_and(|port| port != 0);
        let window = usize::from(args.window);
        if fixed && window > 1 && mode == Mode::Request {
            return Err(Failure::usage("--window needs a port for each message in flight")
                .with_hint("give --bind without a port"));
        }
        let (target, service) = target(args.target.as_deref(), args.port.as_deref())?;
        if let Some(spec) = &service {
            usage::refuse_messages(&args, spec)?;
        }
        let source = match service {
            Some(_) => Source::Given(Vec::new()),
            None => source(&args, coding, format, terminals)?,
        };
        let settings = Settings {
            timeout: args.timeout,
            retries: args.retries,
            replies: args.replies.unwrap_or(Replies::UpTo(1)),
            expectation: expectation(&args, coding)?,
            max_rtt: args.max_rtt,
            rules: rules(fixed || mode == Mode::OneWay, window, args.timeout),
        };
        Ok(Config {
            target,
            default_port: service.as_ref().map_or(DEFAULT_PORT, Spec::port),
            service,
            family: args.common.family(),
            bind: args.bind,
            ttl: args.ttl,
            interface: args.common.interface.clone(),
            dscp: args.dscp,
            broadcast: args.broadcast,
            source,
            coding,
            format,
            mode,
            settings,
            window,
            interval: args.interval,
            history: !args.no_history,
            look: Look {
                quiet: args.quiet,
                hexdump: args.hexdump,
                style: Style::of_stdout(&args.common),
            },
        })
    }
}

/// `HOST`, `HOST:PORT`, or `HOST PORT` as nc has it.
fn target(host: Option<&str>, port: Option<&str>) -> Result<(Endpoint, Option<Spec>), Failure> {
    if let (Some(text), None) = (host, port)
        && text.contains("://")
    {
        return usage::target(text);
    }
    bare_target(host, port).map(|endpoint| (endpoint, None))
}

fn bare_target(host: Option<&str>, port: Option<&str>) -> Result<Endpoint, Failure> {
    let endpoint = |text: &str, option| {
        parse::endpoint(text).map_err(|error| {
            let (message, hint) = parse::split_hint(&error);
            let failure =
                Failure::usage(format!("invalid value '{text}' for '{option}': {message}"));
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure.with_hint("try --help"),
            }
        })
    };
    match (host.unwrap_or(":7000"), port) {
        (host, None) => endpoint(host, "[TARGET]"),
        (host, Some(port)) => {
            if host.bytes().all(|byte| byte.is_ascii_digit()) {
                let reason =
                    format!("invalid value '{host}' for '[TARGET]': a number alone is no host");
                return Err(Failure::usage(reason).with_hint(format!("write {port}:{host}")));
            }
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let bare = bare.unwrap_or(host);
            let is_v6 = bare.split('%').next().is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok());
            if host.contains(':') && !is_v6 {
                return Err(Failure::usage(format!(
                    "unexpected argument '{port}': {host} has a port or is no host"
                )));
            }
            let host = if is_v6 { format!("[{bare}]") } else { host.to_string() };
            endpoint(&format!("{host}:{port}"), "[TARGET] [PORT]")
        }
    }
}

fn source(
    args: &Args,
    coding: Coding,
    format: Format,
    terminals: Terminals,
) -> Result<Source, Failure> {
    if !args.message.is_empty() {
        let messages = args.message.iter().map(|text| {
            coding.decode(bytes(text)).map_err(|error| invalid(text, "--message <TEXT>", &error))
        });
        return messages.collect::<Result<_, _>>().map(Source::Given);
    }
    Ok(match args.stdin {
        Some(Stdin::Whole) => Source::Whole,
        Some(Stdin::Lines) => Source::Lines,
        // A prompt is neither a reply's bytes nor JSON.
        None if !terminals.stdin || format != Format::Text => Source::Lines,
        None if !terminals.stdout => Source::ApartPrompt,
        None if terminals.dumb => Source::PlainPrompt,
        None => Source::Editor,
    })
}

fn expectation(args: &Args, coding: Coding) -> Result<Expectation, Failure> {
    if let Some(text) = &args.expect {
        // Hex has an option of its own.
        let coding = if coding == Coding::Hex { Coding::Text } else { coding };
        let expected = coding.decode(bytes(text));
        let expected = expected.map_err(|error| invalid(text, "--expect <TEXT>", &error))?;
        return Ok(Expectation::Text(expected));
    }
    if let Some(text) = &args.expect_hex {
        let expected = hex::decode(text);
        let expected = expected
            .map_err(|error| invalid(text.as_ref(), "--expect-hex <HEX>", &error.to_string()))?;
        return Ok(Expectation::Hex(expected));
    }
    Ok(args.expect_regex.clone().map_or(Expectation::Anything, Expectation::Pattern))
}

/// How ports are used. One-way messages need one, and so does a user who named it.
fn rules(one: bool, window: usize, timeout: Duration) -> Rules {
    if one {
        return Rules { ports: Ports::One, rest: Duration::ZERO, linger: timeout };
    }
    let spare = (3 * window).clamp(SPARE_PORTS.0, SPARE_PORTS.1);
    let ports = Ports::UpTo(window + spare);
    // As long as each message is answered, they leave from one port, as the tutorial's do.
    Rules { ports, rest: Duration::ZERO, linger: LINGER.max(timeout) }
}

/// What was typed, byte for byte where the system has arguments of bytes.
fn bytes(text: &OsStr) -> Vec<u8> {
    text.as_encoded_bytes().to_vec()
}

/// As clap says it of the values that it parses.
fn invalid(text: &OsStr, option: &str, reason: &str) -> Failure {
    let text = text.to_string_lossy();
    Failure::usage(format!("invalid value '{text}' for '{option}': {reason}"))
        .with_hint("try --help")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use udp_core::cli::Exit;

    const SCRIPT: Terminals = Terminals { stdin: false, stdout: false, dumb: false };
    const PERSON: Terminals = Terminals { stdin: true, stdout: true, dumb: false };

    fn config(line: &str, terminals: Terminals) -> Result<Config, Failure> {
        let words = std::iter::once("udp-client").chain(line.split_whitespace());
        let args = Args::try_parse_from(words).map_err(Failure::usage)?;
        Config::new(args, terminals)
    }

    #[track_caller]
    fn works(line: &str) -> Config {
        config(line, SCRIPT).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn without_options_it_is_the_tutorial() {
        let it = config("", PERSON).unwrap();
        assert_eq!(it.target.label(1), ":7000");
        assert_eq!((it.source, it.coding, it.format), (Source::Editor, Coding::Text, Format::Text));
        assert_eq!((it.window, it.interval, it.mode), (1, Duration::ZERO, Mode::Request));
        assert_eq!((it.settings.timeout, it.settings.retries), (Duration::from_secs(1), 0));
        assert_eq!(it.settings.replies, Replies::UpTo(1));
        assert!(it.history && !it.settings.expectation.is_some());
        assert_eq!(it.settings.rules.ports, Ports::UpTo(65));
    }

    #[test]
    fn where_messages_come_from() {
        let dumb = Terminals { dumb: true, ..PERSON };
        let into_pipe = Terminals { stdout: false, ..PERSON };
        let given = |texts: &[&str]| {
            Source::Given(texts.iter().map(|text| text.as_bytes().to_vec()).collect())
        };
        let cases = [
            ("", PERSON, Source::Editor),
            ("", dumb, Source::PlainPrompt),
            ("", into_pipe, Source::ApartPrompt),
            ("", SCRIPT, Source::Lines),
            ("--json", PERSON, Source::Lines),
            ("--raw", PERSON, Source::Lines),
            ("--stdin lines", PERSON, Source::Lines),
            ("--stdin whole", SCRIPT, Source::Whole),
            ("--stdin whole", PERSON, Source::Whole),
            ("-m a -m b", PERSON, given(&["a", "b"])),
            ("-m -x --message=-y", SCRIPT, given(&["-x", "-y"])),
            (r"--escape -m a\tb\x00", SCRIPT, given(&["a\tb\0"])),
            ("--hex -m 0x6a:6B", SCRIPT, given(&["jk"])),
            ("-m -6", SCRIPT, given(&["-6"])),
        ];
        for (line, terminals, source) in cases {
            assert_eq!(config(line, terminals).unwrap().source, source, "{line}");
        }
    }

    #[test]
    fn every_option_arrives() {
        let it = works(
            "[::1]:9 -W 200ms --retries 3 --replies any --window 8 -i 0.5 --raw --bind 127.0.0.1 \
             --ttl 3 --dscp ef --broadcast --no-history -6",
        );
        assert_eq!((it.target.port(), it.family), (Some(9), Family::V6));
        assert_eq!(it.settings.timeout, Duration::from_millis(200));
        assert_eq!((it.settings.retries, it.settings.replies), (3, Replies::Any));
        assert_eq!((it.window, it.interval), (8, Duration::from_millis(500)));
        assert_eq!(it.format, Format::Raw);
        assert_eq!(it.bind.and_then(|bind| bind.port()), None);
        assert_eq!((it.ttl, it.dscp.map(Dscp::get)), (Some(3), Some(46)));
        assert!(it.broadcast && !it.history);
        assert_eq!(works("--replies 3").settings.replies, Replies::UpTo(3));
        assert_eq!(works("--json").format, Format::Json);
        assert_eq!(works("--no-reply").mode, Mode::OneWay);
    }

    #[test]
    fn what_is_expected() {
        let cases = [
            ("--expect echo", "Text([101, 99, 104, 111])"),
            (r"--expect a\n", "Text([97, 92, 110])"),
            (r"--escape --expect a\n", "Text([97, 10])"),
            ("--hex --expect 00", "Text([48, 48])"),
            ("--expect-hex 00ff", "Hex([0, 255])"),
            ("--expect-regex ^echo", "Pattern(Regex(\"^echo\"))"),
            ("--expect=-x", "Text([45, 120])"),
        ];
        for (line, expected) in cases {
            assert_eq!(format!("{:?}", works(line).settings.expectation), expected, "{line}");
        }
    }

    #[test]
    fn source_ports() {
        let cases = [
            ("--window 64", Ports::UpTo(256)),
            ("--window 1024", Ports::UpTo(1536)),
            ("--bind 127.0.0.1", Ports::UpTo(65)),
            ("--bind 127.0.0.1:0", Ports::UpTo(65)),
            ("--bind 127.0.0.1:5000", Ports::One),
            ("--no-reply", Ports::One),
            ("--no-reply --window 4 --bind :5000", Ports::One),
        ];
        for (line, ports) in cases {
            assert_eq!(works(line).settings.rules.ports, ports, "{line}");
        }
    }

    #[test]
    fn bad_usage_is_refused() {
        let lines = [
            "host:70000",
            "host:",
            "a b",
            "--hex -m abc",
            "--hex -m zz",
            r"--escape -m \q",
            "--hex --escape",
            "-m a --stdin lines",
            "--raw --json",
            "--expect-hex 0",
            "--expect-regex (",
            "--expect a --expect-hex 61",
            "--expect a --expect-regex a",
            "--no-reply --retries 1",
            "--no-reply --replies 2",
            "--no-reply --expect a",
            "--no-reply --max-rtt 1",
            "-q --raw",
            "--replies 0",
            "--replies some",
            "--window 0",
            "--window 1025",
            "--window 2 --bind 127.0.0.1:5000",
            "-W 0",
            "-W soon",
            "-i -1",
            "--retries -1",
            "--ttl 0",
            "--dscp 64",
            "-4 -6",
            "--stdin words",
            "--nonsense",
        ];
        for line in lines {
            let failure = config(line, SCRIPT).err().unwrap_or_else(|| panic!("{line} works"));
            assert_eq!(failure.exit, Exit::Usage, "{line}");
        }
    }

    #[test]
    fn refusals_name_the_option_and_the_reason() {
        let cases = [
            (
                "--hex -m abc",
                "error: invalid value 'abc' for '--message <TEXT>': the hex digit at byte 2 has no \
                 second digit\nhint: try --help",
            ),
            (
                "--expect-hex 0g",
                "error: invalid value '0g' for '--expect-hex <HEX>': 'g' at byte 1 is not a hex digit\
                 \nhint: try --help",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(config(line, SCRIPT).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_host_and_its_port_may_be_two_words() {
        for (host, port, expected) in [
            (None, None, Ok(":7000")),
            (Some("host"), Some("5"), Ok("host:5")),
            (Some("::1"), Some("5"), Ok("[::1]:5")),
            (Some("[::1]"), Some("5"), Ok("[::1]:5")),
            (Some("fe80::1%lo"), Some("5"), Ok("[fe80::1%lo]:5")),
            (Some("host:4"), Some("5"), Err("unexpected argument '5'")),
            (Some("[::1]:4"), Some("5"), Err("unexpected argument '5'")),
            (Some("host"), Some("70000"), Err("invalid value 'host:70000'")),
        ] {
            match (target(host, port), expected) {
                (Ok((target, _)), Ok(expected)) => assert_eq!(target.to_string(), expected),
                (Err(failure), Err(expected)) => {
                    assert!(failure.message.starts_with(expected), "{failure}");
                }
                (outcome, _) => panic!("{host:?} {port:?}: {outcome:?}"),
            }
        }
    }
}
