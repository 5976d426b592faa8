//! The checked configuration: the options with every default filled in and every contradiction
//! refused.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use udp_core::batch::Backend;
use udp_core::cli::cidr::Block;
use udp_core::cli::parse::ShownDuration;
use udp_core::cli::{self, Failure};
use udp_core::endpoint::DEFAULT_PORT;
use udp_core::expect::Expectation;
use udp_core::service::{Kind, Spec};
use udp_core::stamp::{self, Key};
use udp_core::{Endpoint, Family};

use crate::args::{Args, HistogramForm, Path, Schedule};
use crate::commands::Sort;
use crate::modules::Modules;
use crate::payload::{expectation, format};
use crate::plan::{Local, Plan};
use crate::probe::schedule::Spacing;
use crate::probe::state::Hysteresis;
use crate::probe::targets::Listed;
use crate::probe::thresholds::Thresholds;
use crate::report::{Form, Output, Show};
use crate::shard::Shard;
use crate::targets_file;

const SECOND: Duration = Duration::from_secs(1);

/// What runs, and what is printed of it.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) plan: Plan,
    /// Targets that were named more than once.
    pub(crate) twice: Vec<String>,
    /// What is read again.
    pub(crate) sources: Sources,
    pub(crate) on_change: Option<std::ffi::OsString>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) output: Output,
    pub(crate) sort: Sort,
    /// Where metrics are served, and which histograms they have.
    pub(crate) metrics: Option<(Endpoint, Option<HistogramForm>)>,
    /// Who is let in there.
    pub(crate) web_config: Option<PathBuf>,
    /// The modules of `/probe`, and where it may send to.
    pub(crate) probes: Option<(Modules, Vec<Block>)>,
}

/// Where targets and key come from, to be read again.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// Targets of the command line, which stay, and the service of those that name none.
    pub(crate) named: Vec<String>,
    pub(crate) service: Option<String>,
    pub(crate) list: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) modules: Option<PathBuf>,
    pub(crate) family: Family,
    pub(crate) default_port: u16,
    pub(crate) shard: Option<Shard>,
    pub(crate) every_address: bool,
}

/// What the files named on the command line hold.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// With the file's name.
    pub(crate) targets: Option<(String, Vec<u8>)>,
    pub(crate) key: Option<Key>,
    pub(crate) modules: Option<Modules>,
}

impl Config {
    /// What `args` mean; `random` is a seed for what is not given one.
    ///
    /// # Errors
    /// Bad usage.
    pub(crate) fn new(args: Args, files: Files, random: u64) -> Result<Config, Failure> {
        let targets = targets(&args, &files)?;
        let (mut named, service) = (args.targets.clone(), args.service.clone());
        if named.is_empty() && files.targets.is_none() {
            // The default stays, too, when files are read again.
            named.extend(targets.iter().map(|target| target.endpoint.to_string()));
        }
        let (family, default_port) = (args.common.family(), default_port(&args));
        let (targets, twice) = merge(targets, family, default_port);
        let list = args.targets_file.clone().filter(|path| path.as_os_str() != "-");
        let key = args.stamp_key_file.clone();
        let modules = args.modules.clone();
        let (shard, every_address) = (args.shard, args.every_address);
        let sources = Sources {
            named,
            service,
            list,
            key,
            modules,
            family,
            default_port,
            shard,
            every_address,
        };
        let targets = part(targets, &sources)?;
        let format = format(&args, files.key.as_ref())?;
        let of_stamp =
            |it: &Listed| it.spec.as_ref().is_some_and(|it| matches!(it.kind(), Kind::Stamp));
        let mut modules = files.modules.iter().flat_map(Modules::values);
        let asks_stamp = modules.any(|module| module.asks("stamp"));
        if args.stamp_key_file.is_some()
            && !args.stamp
            && !targets.iter().any(of_stamp)
            && !asks_stamp
        {
            return Err(Failure::usage(
                "--stamp-key-file is for --stamp, stamp:// targets and modules of stamp:",
            ));
        }
        if sources.list.is_none()
            && targets.iter().all(|target| target.own_spec().is_some())
            && let Some(option) = of_bare_targets(&args)
        {
            return Err(Failure::usage(format!("{option} is for targets without a service")));
        }
        let hex = args.payload_hex.is_some();
        let expectation = expectation(&args)?;
        let judged = expectation.is_some();
        let expectation = if args.alive { Expectation::Anything } else { expectation };
        let form = match (args.json, args.nagios) {
            (true, _) => Form::Json,
            (_, true) => Form::Nagios,
            _ => Form::Text,
        };
        let show = match args.quiet {
            true => Show::quiet(),
            false => Show::EVERYTHING,
        };
        let show = args.show.unwrap_or(show);
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
            max_not_ok: args.max_not_ok,
        };
        let warnings = Thresholds {
            max_loss: args.warn_loss,
            max_rtt: args.warn_rtt,
            ..Thresholds::default()
        };
        let plan = Plan {
            targets,
            changing: sources.list.is_some() || every_address,
            every_address,
            shard,
            default_port,
            family,
            format,
            expectation,
            spacing,
            alive: args.alive,
            key: files.key.clone(),
            interval: args.interval.unwrap_or(SECOND),
            given: args.interval.is_some(),
            timeout: args.timeout,
            // A plugin has to end.
            count: args.count.or(args.nagios.then_some(5)),
            deadline: args.deadline,
            fast: args.fast,
            thresholds,
            hysteresis: Hysteresis { down_after: args.down_after, up_after: args.up_after },
            window: args.window,
            warnings,
            report_every: args.report_every,
            judged,
            local: Local {
                bind: args.bind,
                interface: args.common.interface,
                ttl: args.ttl,
                dscp: args.dscp,
                ecn: args.ecn,
            },
            backend: match args.io {
                Path::Auto => Backend::Auto,
                Path::Portable => Backend::Portable,
            },
            metered: args.metrics.is_some(),
            lingers: true,
            sockets: None,
        };
        let probes = files.modules.map(|modules| (modules, args.probe_allow));
        let output = Output { form, show, hex, stamp: args.stamp };
        let metrics = args.metrics.map(|endpoint| (endpoint, args.metrics_histograms));
        let (on_change, record, web_config) = (args.on_change, args.record, args.web_config);
        let sort = args.sort;
        Ok(Config {
            plan,
            twice,
            sources,
            on_change,
            record,
            output,
            sort,
            metrics,
            web_config,
            probes,
        })
    }
}

/// An option that means nothing to a service.
fn of_bare_targets(args: &Args) -> Option<&'static str> {
    let options = [
        (args.payload.is_some(), "--payload"),
        (args.payload_hex.is_some(), "--payload-hex"),
        (args.number, "--number"),
        (args.size.is_some(), "--size"),
        (args.stamp, "--stamp"),
        (args.expect.is_some(), "--expect"),
        (args.expect_hex.is_some(), "--expect-hex"),
        (args.expect_regex.is_some(), "--expect-regex"),
    ];
    options.into_iter().find(|(given, _)| *given).map(|(_, option)| option)
}

/// The targets that were named, and those in the file.
fn targets(args: &Args, files: &Files) -> Result<Vec<Listed>, Failure> {
    if args.targets.first().is_some_and(|first| first == "path") {
        // It is to be a command's name: nobody's script may come to mean a host by it.
        let failure = Failure::usage("no such command: path");
        return Err(failure.with_hint("a host of this name is path:7000"));
    }
    let service = service(args.service.as_deref())?;
    let mut targets = named(&args.targets, service.as_ref())?;
    if let Some((file, content)) = &files.targets {
        let listed = targets_file::parse(file, content, service.as_ref());
        targets.extend(listed.map_err(Failure::in_file)?);
        if targets.is_empty() && files.modules.is_none() {
            return Err(Failure::usage(format!("{file} names no target")));
        }
    }
    if targets.is_empty() && files.modules.is_none() {
        // Without a host, the loopback address of the family that was asked for.
        let port = service.as_ref().map_or(default_port(args), Spec::port);
        let target = default_target(args.common.family(), port).map(Listed::bare);
        targets.extend(target.map(|target| Listed { spec: service, ..target }));
    }
    Ok(targets)
}

/// The service of targets that name none, with what its files hold.
pub(crate) fn service(text: Option<&str>) -> Result<Option<Spec>, Failure> {
    Ok(text.map(|text| Spec::parse(text, &cli::files::secret)).transpose()?)
}

/// The targets of the command line, whose form was found right before: only a file can be wrong.
pub(crate) fn named(texts: &[String], service: Option<&Spec>) -> Result<Vec<Listed>, Failure> {
    let listed = texts.iter().map(|text| {
        let listed = targets_file::named(text)?;
        Ok(Listed { spec: listed.spec.or_else(|| service.cloned()), ..listed })
    });
    listed.collect()
}

/// Each of `targets` once, with defaults filled in; and those that stand twice.
pub(crate) fn merge(
    mut targets: Vec<Listed>,
    family: Family,
    default_port: u16,
) -> (Vec<Listed>, Vec<String>) {
    let mut seen = HashSet::new();
    let mut twice = Vec::new();
    targets.retain_mut(|target| {
        target.endpoint = target.endpoint.clone().asked(family);
        let label = target.label(default_port);
        let first = seen.insert(label.clone());
        if !first {
            twice.push(label);
        }
        first
    });
    (targets, twice)
}

/// Those of `targets` that are of the part that is asked for. Where each address of a name is a target,
/// it is not yet known of which part they are.
///
/// # Errors
/// When there is none.
pub(crate) fn part(mut targets: Vec<Listed>, sources: &Sources) -> Result<Vec<Listed>, Failure> {
    let Some(shard) = sources.shard else { return Ok(targets) };
    let open = |target: &Listed| sources.every_address && target.endpoint.is_name();
    targets.retain(|it| open(it) || shard.holds(&it.label(sources.default_port)));
    if targets.is_empty() {
        return Err(Failure::usage(format!("no target is of the part {shard}")));
    }
    Ok(targets)
}

fn default_port(args: &Args) -> u16 {
    if args.stamp { stamp::DEFAULT_PORT } else { DEFAULT_PORT }
}

fn default_target(family: Family, port: u16) -> Option<Endpoint> {
    let host = if family == Family::V6 { "[::1]" } else { "127.0.0.1" };
    format!("{host}:{port}").parse().ok()
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

#[cfg(test)]
mod tests {
    use udp_core::socket::{Dscp, Ecn};

    use std::ffi::OsStr;

    use super::*;
    use crate::probe::format::Format;
    use crate::probe::stats::distribution::Percentile;
    use clap::Parser;

    /// What a command line means. Its words are apart by one blank; `''` is the empty word.
    fn meaning(line: &str, files: Files) -> Result<Config, String> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let words = words.map(|word| if word == "''" { "" } else { word });
        let args = Args::try_parse_from(std::iter::once("udp-heartbeat").chain(words))
            .map_err(|error| error.to_string())?;
        Config::new(args, files, 4711).map_err(|failure| failure.to_string())
    }

    #[track_caller]
    fn works(line: &str) -> Config {
        meaning(line, Files::default()).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    fn targets(config: &Config) -> Vec<String> {
        let targets = config.plan.targets.iter();
        targets.map(|target| target.label(config.plan.default_port)).collect()
    }

    #[test]
    fn by_default_it_is_the_tutorials_heartbeat() {
        let it = works("");
        assert_eq!(targets(&it), ["127.0.0.1:7000"]);
        assert_eq!(
            (it.plan.interval, it.plan.timeout),
            (Duration::from_secs(1), Duration::from_secs(1))
        );
        assert_eq!(
            (it.plan.count, it.plan.deadline, it.plan.fast, it.plan.judged),
            (None, None, false, false)
        );
        assert_eq!(it.plan.spacing, Spacing::Periodic);
        assert_eq!(it.plan.hysteresis, Hysteresis { down_after: 3, up_after: 1 });
        assert_eq!(
            it.output,
            Output { form: Form::Text, show: Show::EVERYTHING, hex: false, stamp: false }
        );
        assert_eq!(it.plan.thresholds, Thresholds::default());
        assert_eq!((it.plan.backend, it.plan.family), (Backend::Auto, Family::Any));
        let Format::Plain { payload, padding } = it.plan.format else {
            panic!("{:?}", it.plan.format)
        };
        assert_eq!((payload.as_slice(), padding.length), (&b"heartbeat"[..], 0));
    }

    #[test]
    fn whom_to_watch() {
        let cases: [(&str, &[&str]); 9] = [
            ("-6", &["[::1]:7000"]),
            ("-4", &["127.0.0.1:7000"]),
            ("--stamp", &["127.0.0.1:862"]),
            ("--stamp -6", &["[::1]:862"]),
            ("--stamp host", &["host:862"]),
            ("host", &["host:7000"]),
            (":9", &["127.0.0.1:9"]),
            ("::1", &["[::1]:7000"]),
            ("a:1 b [::1]:2", &["a:1", "b:7000", "[::1]:2"]),
        ];
        for (line, expected) in cases {
            assert_eq!(targets(&works(line)), expected, "{line}");
        }
        let file = |content: &str| Files {
            targets: Some(("f".into(), content.as_bytes().to_vec())),
            ..Files::default()
        };
        let from =
            |line: &str, content: &str| meaning(line, file(content)).map(|config| targets(&config));
        assert_eq!(from("x", "a\nb:1").unwrap(), ["x:7000", "a:7000", "b:1"]);
        assert_eq!(from("", "a").unwrap(), ["a:7000"]);
        assert_eq!(from("", "a\nb c").unwrap_err(), "f:2: 'c' is no label=value");
        assert_eq!(from("", "\n#\n").unwrap_err(), "error: f names no target");
        let twice = meaning("a :9 127.0.0.1:9 b", file("a:7000 k=v\nb:1")).unwrap();
        assert_eq!(targets(&twice), ["a:7000", "127.0.0.1:9", "b:7000", "b:1"]);
        assert_eq!(twice.twice, ["127.0.0.1:9", "a:7000"]);
    }

    #[test]
    fn what_is_sent() {
        let cases = [
            (
                "-p ping",
                "Plain { payload: [112, 105, 110, 103], padding: Padding { length: 0, byte: 46 } }",
            ),
            ("-p ''", "Plain { payload: [], padding: Padding { length: 0, byte: 46 } }"),
            ("-p=-x", "Plain { payload: [45, 120], padding: Padding { length: 0, byte: 46 } }"),
            ("-p a -s 1K", "Plain { payload: [97], padding: Padding { length: 1024, byte: 46 } }"),
            (
                "--payload-hex 00ff -s 4",
                "Plain { payload: [0, 255], padding: Padding { length: 4, byte: 0 } }",
            ),
            (
                "-p a --number -s 3",
                "Numbered { payload: [97], padding: Padding { length: 3, byte: 46 } }",
            ),
            (
                "--number --payload-hex 61",
                "Numbered { payload: [97], padding: Padding { length: 0, byte: 0 } }",
            ),
            ("--stamp", "Stamp { key: None, length: 44 }"),
            ("--stamp -s 100", "Stamp { key: None, length: 100 }"),
        ];
        for (line, expected) in cases {
            assert_eq!(format!("{:?}", works(line).plan.format), expected, "{line}");
        }
        assert!(works("--payload-hex 00").output.hex);
        let files = Files { key: Key::from_file_bytes(b"secret\n").ok(), ..Files::default() };
        let keyed = meaning("--stamp --stamp-key-file x", files).unwrap();
        assert_eq!(format!("{:?}", keyed.plan.format), "Stamp { key: Some(Key), length: 112 }");
    }

    #[test]
    fn every_other_option() {
        let it = works(
            "-i 200ms -c 5 -w 1m -W 0.5 --fast -q --json --down-after 2 --up-after 4 \
             --on-change x -b 127.0.0.1:5 --ttl 3 --dscp ef --ecn ect0 --io portable -vv \
             --max-loss 2.5% --max-rtt 9ms --max-rtt p99=50ms --min-replies 7 --max-not-ok 1 --window 5s --expect ok",
        );
        assert_eq!(it.plan.interval, Duration::from_millis(200));
        assert_eq!(it.plan.count, Some(5));
        assert_eq!(it.plan.deadline, Some(Duration::from_secs(60)));
        assert_eq!(it.plan.timeout, Duration::from_millis(500));
        assert!(it.plan.fast && it.plan.judged);
        assert_eq!(
            it.output,
            Output { form: Form::Json, show: Show::quiet(), hex: false, stamp: false }
        );
        assert_eq!(it.plan.hysteresis, Hysteresis { down_after: 2, up_after: 4 });
        assert_eq!(it.on_change.as_deref(), Some(OsStr::new("x")));
        assert_eq!(it.plan.local.bind.as_ref().and_then(Endpoint::port), Some(5));
        assert_eq!((it.plan.local.ttl, it.plan.local.dscp.map(Dscp::get)), (Some(3), Some(46)));
        assert_eq!(it.plan.local.ecn, Some(Ecn::Ect0));
        assert_eq!(it.plan.backend, Backend::Portable);
        assert_eq!(it.plan.thresholds.max_loss, Some(2.5));
        let limits: Vec<_> = it
            .plan
            .thresholds
            .max_rtt
            .iter()
            .map(|it| (it.percentile, it.most.as_millis()))
            .collect();
        assert_eq!(limits, [(None, 9), (Percentile::new(99.0), 50)]);
        assert_eq!(it.plan.thresholds.min_replies, Some(7));
        assert_eq!(
            (it.plan.thresholds.max_not_ok, it.plan.window),
            (Some(1.0), Duration::from_secs(5))
        );
        assert_eq!(works("-q --show -sent").output.show, "-sent".parse().unwrap());
        let plugin = works("--nagios --warn-loss 5 --warn-rtt p90=1s -q");
        assert_eq!((plugin.output.form, plugin.plan.count), (Form::Nagios, Some(5)));
        assert_eq!(
            (plugin.plan.warnings.max_loss, plugin.plan.warnings.max_rtt.len()),
            (Some(5.0), 1)
        );
        assert_eq!(works("--nagios -c 2").plan.count, Some(2));
        assert_eq!(works("--report-every 5m").plan.report_every, Some(Duration::from_secs(300)));
        let alive = works("--expect ok --alive");
        assert!(alive.plan.judged && alive.plan.expectation.holds(b"no"));
        assert!(it.plan.expectation.holds(b"ok") && !it.plan.expectation.holds(b"no"));
        assert_eq!(works("--schedule poisson --seed 3").plan.spacing, Spacing::Poisson { seed: 3 });
        assert_eq!(works("--schedule poisson").plan.spacing, Spacing::Poisson { seed: 4711 });
        assert!(works("--expect-hex 00ff").plan.expectation.holds(&[0, 255]));
        assert!(works("--expect-regex ^a+$").plan.expectation.holds(b"aa"));
        assert!(works("--expect ''").plan.expectation.is_some());
    }

    #[test]
    fn what_is_refused() {
        let cases = [
            ("--stamp -s 43", "--size 43: a STAMP packet takes 44 bytes"),
            ("-p abc -s 2", "--size 2: the payload takes 3 bytes"),
            ("-p abc --number -s 4", "--size 4: the payload takes 5 bytes"),
            ("-s 65508", "--size: a datagram holds at most 65507 bytes"),
            ("--seed 1", "--seed is for --schedule poisson"),
            ("-p x ntp://h", "--payload is for targets without a service"),
            ("--expect x ntp://h dns://h", "--expect is for targets without a service"),
            ("--payload-hex 0", "invalid value '0' for '--payload-hex <HEX>': "),
            ("--expect-hex zz", "invalid value 'zz' for '--expect-hex <HEX>': "),
        ];
        for (line, expected) in cases {
            let error = meaning(line, Files::default()).err().unwrap_or_default();
            let error = error.trim_start_matches("error: ");
            assert!(error.starts_with(expected), "{line}: {error}");
        }
        let long = format!("-p {}", "x".repeat(65_508));
        assert!(meaning(&long, Files::default()).is_err());
        // What the parser refuses, by the option that it names.
        let cases = [
            ("-i 0", "--interval"),
            ("-i x", "--interval"),
            ("-c 0", "--count"),
            ("-w 0", "--deadline"),
            ("-W 0s", "--timeout"),
            ("--stamp --number", "--number"),
            ("--stamp -p x", "--payload"),
            ("--stamp --payload-hex 00", "--payload-hex"),
            ("--stamp --expect x", "--expect"),
            ("--stamp-key-file x", "--stamp"),
            ("-p x --payload-hex 00", "--payload"),
            ("--expect a --expect-regex b", "--expect"),
            ("--expect-regex (", "--expect-regex"),
            ("--max-loss 101", "--max-loss"),
            ("--max-loss -1", "-1"),
            ("--max-rtt p0=1s", "--max-rtt"),
            ("--max-rtt p99", "--max-rtt"),
            ("--min-replies x", "--min-replies"),
            ("--max-not-ok 101", "--max-not-ok"),
            ("--window 0", "--window"),
            ("--show all", "--show"),
            ("--report-every 0", "--report-every"),
            ("--nagios --json", "--nagios"),
            ("--nagios --show sent", "--show"),
            ("--nagios --report-every 1s", "--report-every"),
            ("--warn-loss 5", "--nagios"),
            ("--warn-rtt 5ms", "--nagios"),
            ("--down-after 0", "--down-after"),
            ("--up-after 0", "--up-after"),
            ("--schedule often", "--schedule"),
            ("--seed -1", "-1"),
            ("--ttl 0", "--ttl"),
            ("--ttl 256", "--ttl"),
            ("--dscp 64", "--dscp"),
            ("--ecn 4", "--ecn"),
            ("-s x", "--size"),
            ("-4 -6", "--ipv"),
            ("a b:70000", "b:70000"),
            ("--bind ''", "--bind"),
            ("--io fast", "--io"),
            ("--no-such-option", "--no-such-option"),
        ];
        for (line, named) in cases {
            let error = meaning(line, Files::default()).err().unwrap_or_default();
            assert!(error.contains(named), "{line}: {error:?}");
        }
    }

    #[test]
    fn what_is_read_again_names_the_default_too() {
        for (line, named) in
            [("", "127.0.0.1:7000"), ("-6", "[::1]:7000"), ("--service ntp:", "127.0.0.1:123")]
        {
            assert_eq!(works(line).sources.named, [named], "{line}");
        }
        assert_eq!(works("a b:1").sources.named, ["a", "b:1"]);
    }

    #[test]
    fn bare_targets_beside_services_have_their_options() {
        for line in ["-p x ntp://h h", "--expect x udp://h", "--stamp ntp://h h"] {
            works(line);
        }
    }

    #[test]
    fn how_much_a_fast_run_offers() {
        let cases = [
            (
                Duration::from_millis(1),
                1,
                9,
                "offering 1000 datagrams/s, 296.0 kbit/s (interval 1ms)",
            ),
            (
                Duration::from_micros(100),
                1,
                1472,
                "offering 10000 datagrams/s, 120.0 Mbit/s (interval 100us)",
            ),
            (
                Duration::from_millis(5),
                10_000,
                72,
                "offering 2000000 datagrams/s, 1.6 Gbit/s (interval 5ms)",
            ),
        ];
        for (interval, targets, length, expected) in cases {
            assert_eq!(offered_rate(interval, targets, length), expected);
        }
    }
}
