//! The checked configuration: the options with every default filled in and every contradiction
//! refused.

use std::path::PathBuf;
use std::time::Duration;

use udp_core::cli::{Failure, Style};
use udp_core::endpoint::DEFAULT_PORT;
use udp_core::{Endpoint, Family};

use crate::args::{Args, IoPath};
use crate::policy::{GroupReplies, Lists, LoopGuard, RateLimit};
use crate::reload::Sources;

/// The receive buffer that is asked for by default: some 2,500 small datagrams, which is about 8 ms
/// at the rate one core serves. More would not raise that rate, but add to the delay under overload.
pub(crate) const RECV_BUFFER: usize = 1024 * 1024;
/// The largest receive size that makes sense: no UDP payload is longer.
pub(crate) const LARGEST_DATAGRAM: usize = udp_core::batch::SLOT;
/// The longest prefix.
pub(crate) const LONGEST_PREFIX: usize = 1024;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The bytes that came, behind these (which may be none).
    Echo(Vec<u8>),
    /// Nothing (RFC 863).
    Nothing,
}

/// The form of what is written to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// Newline-delimited JSON.
    Json,
}

/// Whether each datagram is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A line for each.
    Datagrams,
    /// Start and summary alone.
    Quiet,
}

/// A buffer size: what is asked of the kernel, and whether the user chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BufferSize {
    /// Our own choice.
    Default(usize),
    /// The user's.
    Asked(usize),
}

impl BufferSize {
    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            BufferSize::Default(bytes) | BufferSize::Asked(bytes) => bytes,
        }
    }
}

/// Everything the server needs to know.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    /// Which family names resolve to, and whether `[::]` leaves IPv4 alone.
    pub(crate) family: Family,
    /// The echo service's addresses; empty where the user named none.
    pub(crate) binds: Vec<Endpoint>,
    /// The reflector's addresses.
    pub(crate) stamps: Vec<Endpoint>,
    /// What the echo service answers.
    pub(crate) reply: Reply,
    /// The form of what is written to stdout.
    pub(crate) format: Format,
    /// Whether each datagram is shown.
    pub(crate) detail: Detail,
    /// What lines of text look like.
    pub(crate) style: Style,
    /// The one interface to use, if not any.
    pub(crate) interface: Option<String>,
    /// SO_REUSEADDR during the bind.
    pub(crate) reuse_address: bool,
    /// SO_REUSEPORT, for servers of one user to share a port.
    pub(crate) reuse_port: bool,
    /// Threads per address, at least 1.
    pub(crate) workers: usize,
    /// SO_RCVBUF.
    pub(crate) recv_buffer: BufferSize,
    /// SO_SNDBUF; `None` leaves it to the system.
    pub(crate) send_buffer: Option<usize>,
    /// Receive size, 1 to [`LARGEST_DATAGRAM`].
    pub(crate) max_datagram: usize,
    /// Who is answered, and with which key.
    pub(crate) sources: Sources,
    /// How often.
    pub(crate) rate_limit: RateLimit,
    /// Whether loops are looked for.
    pub(crate) guard: LoopGuard,
    /// Whether what was sent to a group is answered.
    pub(crate) groups: GroupReplies,
    /// Which receive and send path.
    pub(crate) io: IoPath,
    /// How long to spin before sleeping; `None` is not at all.
    pub(crate) busy_poll: Option<Duration>,
    /// After how many datagrams to stop.
    pub(crate) count: Option<u64>,
    /// Where metrics are served.
    pub(crate) metrics: Option<Endpoint>,
    /// Who is let in there.
    pub(crate) web_config: Option<PathBuf>,
}

impl Config {
    /// The addresses to serve where none is named, neither on the command line nor by the service
    /// manager: every IPv4 address, or every IPv6 one under `-6`.
    pub(crate) fn default_bind(&self) -> Endpoint {
        let any: std::net::IpAddr = match self.family {
            Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
            _ => std::net::Ipv4Addr::UNSPECIFIED.into(),
        };
        Endpoint::from_addr(std::net::SocketAddr::new(any, DEFAULT_PORT))
    }
}

impl TryFrom<Args> for Config {
    type Error = Failure;

    fn try_from(args: Args) -> Result<Config, Failure> {
        if args.max_datagram == Some(0) {
            return Err(Failure::usage("--max-datagram must be at least 1"));
        }
        if args.stamp_key_file.is_some() && args.stamp.is_empty() {
            return Err(Failure::usage("--stamp-key-file needs --stamp")
                .with_hint("name the reflector's address, such as --stamp 0.0.0.0"));
        }
        let prefix = match (args.prefix, args.raw) {
            (Some(prefix), _) => prefix.into_bytes(),
            (None, true) => Vec::new(),
            (None, false) => b"echo ".to_vec(),
        };
        if prefix.len() > LONGEST_PREFIX {
            return Err(Failure::usage(format!(
                "the prefix is longer than {LONGEST_PREFIX} bytes"
            )));
        }
        // The kernel's own limit is far below; what it grants is logged.
        let in_kernel_range = |bytes: usize| bytes.min(i32::MAX as usize);
        Ok(Config {
            family: args.common.family(),
            sources: Sources {
                named: Lists { allow: args.allow, deny: args.deny },
                access: args.access_file,
                key: args.stamp_key_file,
            },
            style: Style::of_stdout(&args.common),
            interface: args.common.interface,
            binds: args.bind,
            metrics: args.metrics,
            web_config: args.web_config,
            stamps: args.stamp,
            reply: if args.sink { Reply::Nothing } else { Reply::Echo(prefix) },
            format: if args.json { Format::Json } else { Format::Text },
            detail: if args.quiet { Detail::Quiet } else { Detail::Datagrams },
            reuse_address: args.reuse_address,
            reuse_port: args.reuse_port,
            workers: usize::from(args.workers),
            recv_buffer: args.recv_buffer.map_or(BufferSize::Default(RECV_BUFFER), |bytes| {
                BufferSize::Asked(in_kernel_range(bytes))
            }),
            send_buffer: args.send_buffer.map(in_kernel_range),
            max_datagram: args
                .max_datagram
                .map_or(LARGEST_DATAGRAM, |size| size.min(LARGEST_DATAGRAM)),
            rate_limit: args.rate_limit.unwrap_or(RateLimit::Public),
            guard: if args.no_loop_guard { LoopGuard::Off } else { LoopGuard::On },
            groups: if args.answer_broadcast { GroupReplies::Answer } else { GroupReplies::Never },
            io: args.io,
            busy_poll: args.busy_poll.filter(|span| !span.is_zero()),
            count: args.count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn config(line: &str) -> Result<Config, String> {
        let words = std::iter::once("udp-server").chain(line.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        Config::try_from(args).map_err(|failure| failure.to_string())
    }

    fn plain() -> Config {
        Config {
            family: Family::Any,
            binds: Vec::new(),
            stamps: Vec::new(),
            reply: Reply::Echo(b"echo ".to_vec()),
            format: Format::Text,
            detail: Detail::Datagrams,
            reuse_address: false,
            reuse_port: false,
            workers: 1,
            recv_buffer: BufferSize::Default(1 << 20),
            send_buffer: None,
            max_datagram: 65_535,
            sources: Sources::default(),
            style: Style::default(),
            interface: None,
            rate_limit: RateLimit::Public,
            guard: LoopGuard::On,
            groups: GroupReplies::Never,
            io: IoPath::Auto,
            busy_poll: None,
            metrics: None,
            web_config: None,
            count: None,
        }
    }

    #[test]
    fn whole_command_lines() {
        let end = |text: &str| text.parse::<Endpoint>().unwrap();
        let net = |text: &str| text.parse().unwrap();
        let raw = || Reply::Echo(Vec::new());
        let cases = [
            ("", plain()),
            ("-b 127.0.0.1:9000", Config { binds: vec![end("127.0.0.1:9000")], ..plain() }),
            (
                "--bind :1 -b [::]:2 --raw",
                Config { binds: vec![end(":1"), end("[::]:2")], reply: raw(), ..plain() },
            ),
            ("--prefix >", Config { reply: Reply::Echo(b">".to_vec()), ..plain() }),
            ("--prefix=", Config { reply: raw(), ..plain() }),
            ("--sink -q", Config { reply: Reply::Nothing, detail: Detail::Quiet, ..plain() }),
            ("--json --quiet", Config { format: Format::Json, detail: Detail::Quiet, ..plain() }),
            (
                "--reuse-address --reuse-port --workers 4",
                Config { reuse_address: true, reuse_port: true, workers: 4, ..plain() },
            ),
            (
                "--recv-buffer 4M --send-buffer 64K",
                Config {
                    recv_buffer: BufferSize::Asked(4 << 20),
                    send_buffer: Some(64 << 10),
                    ..plain()
                },
            ),
            ("--max-datagram 1024", Config { max_datagram: 1024, ..plain() }),
            ("--max-datagram 64K", plain()),
            ("--max-datagram 100M", plain()),
            (
                "--allow 10.0.0.0/8 --allow ::1 --deny 10.1.0.0/16 --access-file a",
                Config {
                    sources: Sources {
                        named: Lists {
                            allow: vec![net("10.0.0.0/8"), net("::1")],
                            deny: vec![net("10.1.0.0/16")],
                        },
                        access: Some("a".into()),
                        key: None,
                    },
                    ..plain()
                },
            ),
            ("--rate-limit 0", Config { rate_limit: RateLimit::Off, ..plain() }),
            ("--rate-limit 5/9", Config { rate_limit: "5/9".parse().unwrap(), ..plain() }),
            (
                "--no-loop-guard --answer-broadcast",
                Config { guard: LoopGuard::Off, groups: GroupReplies::Answer, ..plain() },
            ),
            ("--io portable", Config { io: IoPath::Portable, ..plain() }),
            ("--io auto --busy-poll 0", plain()),
            ("--busy-poll 50us", Config { busy_poll: Some(Duration::from_micros(50)), ..plain() }),
            (
                "--stamp :0 --stamp [::1] --stamp-key-file k",
                Config {
                    stamps: vec![end(":0"), end("[::1]")],
                    sources: Sources { key: Some("k".into()), ..Sources::default() },
                    ..plain()
                },
            ),
            ("--count 3 -4 -vv", Config { count: Some(3), family: Family::V4, ..plain() }),
            (
                "-6 --interface va",
                Config { family: Family::V6, interface: Some("va".into()), ..plain() },
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(config(line).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "--raw --prefix x",
            "--sink --raw",
            "--sink --prefix x",
            "--workers 0",
            "--workers 257",
            "--workers -1",
            "--count 0",
            "--count x",
            "--max-datagram 0",
            "--max-datagram x",
            "--recv-buffer 1G",
            "--rate-limit fast",
            "--rate-limit 1/0",
            "--allow 10.0.0.0/40",
            "--deny nobody",
            "--bind 1.2.3.4:99999",
            "--bind",
            "--io uring",
            "--busy-poll 5x",
            "--stamp-key-file k",
            "-4 -6",
            "stray",
        ] {
            assert!(config(line).is_err(), "{line}");
        }
        let long = format!("--prefix {}", "x".repeat(1025));
        assert!(config(&long).is_err());
    }

    #[test]
    fn without_a_bind_every_address_of_the_family_is_served() {
        for (line, expected) in [("", "0.0.0.0:7000"), ("-4", "0.0.0.0:7000"), ("-6", "[::]:7000")]
        {
            assert_eq!(config(line).unwrap().default_bind().to_string(), expected, "{line}");
        }
    }
}
