//! The modules of `/probe`: what a probe of each name sends, how often, and what proves an answer.
//!
//! Bytes in, modules out, or all that is wrong with which line.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use udp_core::Family;
use udp_core::batch::MAX_V4;
use udp_core::cli::parse::{self, ShownDuration};
use udp_core::cli::yaml::{self, Key, Node, Value};
use udp_core::cli::{Fault, files};
use udp_core::expect::{self, Expectation};
use udp_core::service::{Kind, ReadFile, Spec};
use udp_core::socket::Dscp;
use udp_core::text::{escape, hex};

use crate::plan::PAYLOAD;

/// The most beats of one probe.
pub(crate) const MOST_BEATS: u64 = 64;
/// The time between them, where neither the module nor its service says it.
const INTERVAL: Duration = Duration::from_millis(100);

/// All modules, by name.
pub(crate) type Modules = BTreeMap<String, Module>;

/// What a probe is.
#[derive(Debug, Clone)]
pub(crate) struct Module {
    pub(crate) timeout: Option<Duration>,
    pub(crate) count: u64,
    pub(crate) interval: Duration,
    /// So many ok answers prove it; without it, one does, where none was another.
    pub(crate) min_replies: Option<u64>,
    /// Of a service of its own; else the payload is sent.
    pub(crate) spec: Option<Spec>,
    pub(crate) payload: Vec<u8>,
    pub(crate) expectation: Expectation,
    /// Payloads are shown as hex.
    pub(crate) hex: bool,
    /// Which family of addresses is asked, and whether the other one is where there is none of it.
    pub(crate) family: Family,
    pub(crate) fallback: bool,
    pub(crate) source: Option<IpAddr>,
    pub(crate) ttl: Option<u8>,
    pub(crate) dscp: Option<Dscp>,
    /// As it was given, a line a key.
    pub(crate) given: Vec<String>,
}

impl Module {
    /// Whether it asks a service of this scheme.
    pub(crate) fn asks(&self, scheme: &str) -> bool {
        self.spec.as_ref().is_some_and(|spec| spec.entry().scheme == scheme)
    }

    /// Whether it asks for a zone's SOA record.
    pub(crate) fn asks_soa(&self) -> bool {
        let asked = self.spec.as_ref().filter(|_| self.asks("dns")).map(ToString::to_string);
        asked.is_some_and(|spec| spec.to_ascii_lowercase().contains("type=soa"))
    }
}

/// The modules in a file of this name, with what their services' files hold.
pub(crate) fn parse(file: &str, content: &[u8]) -> Result<Modules, Vec<Fault>> {
    parse_with(file, content, &files::secret)
}

/// The same with another way to the files of secrets.
pub(crate) fn parse_with(
    file: &str,
    content: &[u8],
    read: &ReadFile,
) -> Result<Modules, Vec<Fault>> {
    let root = yaml::parse(file, content).map_err(|fault| vec![fault])?;
    let mut reader = Reader { file, read, faults: Vec::new() };
    let [modules] = reader.fields("the file", &root, ["modules"]);
    let mut found = Modules::new();
    match modules.map(|node| (node.line, &node.value)) {
        Some((_, Value::Map(entries))) if !entries.is_empty() => {
            for (Key { line, name }, node) in entries {
                let module = reader.module(name, node);
                if found.insert(name.clone(), module).is_some() {
                    reader.fault(*line, format!("the module {} is given twice", shown(name)));
                }
            }
        }
        Some((line, _)) => reader.fault(line, "modules names none: NAME: {prober: udp, udp: {…}}"),
        None if reader.faults.is_empty() => reader.fault(root.line, "modules is missing"),
        None => {}
    }
    let mut faults = reader.faults;
    faults.sort_by_key(|fault| fault.line);
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Takes what is wrong down and goes on; values that are wrong are as if they were not given.
struct Reader<'a> {
    file: &'a str,
    read: &'a ReadFile,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    fn fault(&mut self, line: usize, message: impl Into<String>) {
        let file = self.file.to_owned();
        self.faults.push(Fault { file, line, message: message.into(), hint: None });
    }

    /// The values of a mapping's keys, which are these and no others.
    fn fields<'n, const N: usize>(
        &mut self,
        what: &str,
        node: &'n Node,
        names: [&str; N],
    ) -> [Option<&'n Node>; N] {
        let mut found = [None; N];
        let Value::Map(entries) = &node.value else {
            self.fault(node.line, format!("{what} is no mapping"));
            return found;
        };
        for (key, node) in entries {
            let Some(place) = names.iter().position(|name| *name == key.name) else {
                let (name, names) = (shown(&key.name), names.join(", "));
                self.fault(key.line, format!("{what} has no key {name}: there are {names}"));
                continue;
            };
            if found[place].replace(node).is_some() {
                self.fault(key.line, format!("{} is given twice", key.name));
            }
        }
        found
    }

    /// A value's text, whatever YAML takes it for.
    fn text(&mut self, name: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Text(text) | Value::Number(_, text) | Value::Plain(text) => Some(text.clone()),
            Value::Null | Value::List | Value::Map(_) => {
                self.fault(node.line, format!("{name} is no text"));
                None
            }
        }
    }

    /// The same as something else.
    fn parsed<T>(
        &mut self,
        name: &str,
        node: Option<&Node>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let node = node?;
        let text = self.text(name, node)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(reason) => {
                self.fault(node.line, format!("{name} {}: {reason}", shown(&text)));
                None
            }
        }
    }

    /// A number, which is not in quotes.
    fn number(&mut self, name: &str, node: Option<&Node>, most: u64) -> Option<u64> {
        let node = node?;
        match node.value {
            Value::Number(number, _) if (1..=most).contains(&number) => Some(number),
            _ => {
                self.fault(node.line, format!("{name} is no number from 1 to {most}"));
                None
            }
        }
    }

    /// The first of these that are given, of which one may be.
    fn one_of<'n>(&mut self, two: [(&str, Option<&'n Node>); 2]) -> Option<&'n Node> {
        if let [(first, Some(_)), (second, Some(node))] = two {
            self.fault(node.line, format!("{second} is given beside {first}"));
        }
        two[0].1.or(two[1].1)
    }

    fn module(&mut self, name: &str, node: &Node) -> Module {
        let what = format!("the module {}", shown(name));
        let [prober, timeout, udp] = self.fields(&what, node, ["prober", "timeout", "udp"]);
        let is_udp = |text: &str| if text == "udp" { Ok(()) } else { Err("only udp is".into()) };
        if prober.is_none() && matches!(node.value, Value::Map(_)) {
            self.fault(node.line, format!("{what} has no prober: udp"));
        }
        self.parsed("prober", prober, is_udp);
        let timeout_node = timeout;
        let timeout = self.parsed("timeout", timeout, parse::positive_duration);
        let empty = Node { line: node.line, value: Value::Map(Vec::new()) };
        let module = self.udp(timeout, udp.unwrap_or(&empty));
        let lasts = module.interval * u32::try_from(module.count - 1).unwrap_or(u32::MAX);
        if let Some((node, timeout)) = timeout_node.zip(timeout).filter(|(_, it)| lasts >= *it) {
            let (lasts, timeout) = (ShownDuration(lasts), ShownDuration(timeout));
            let count = module.count;
            let text = format!("timeout {timeout}: the last of {count} beats leaves after {lasts}");
            self.fault(node.line, text);
        }
        let mut given = Vec::new();
        lines(node, "", &mut given);
        Module { given, ..module }
    }

    fn udp(&mut self, timeout: Option<Duration>, node: &Node) -> Module {
        const KEYS: [&str; 13] = [
            "count",
            "interval",
            "min_replies",
            "send",
            "send_hex",
            "expect",
            "expect_hex",
            "service",
            "preferred_ip_protocol",
            "ip_protocol_fallback",
            "source_ip_address",
            "ttl",
            "dscp",
        ];
        let [
            count,
            interval,
            min_replies,
            send,
            send_hex,
            expect,
            expect_hex,
            service,
            family,
            fallback,
            source,
            ttl,
            dscp,
        ] = self.fields("udp", node, KEYS);
        self.one_of([("send", send), ("send_hex", send_hex)]);
        self.one_of([("expect", expect), ("expect_hex", expect_hex)]);
        let read = self.read;
        let spec = self.parsed("service", service, |text| {
            Spec::parse(text, read).map_err(|error| error.to_string())
        });
        if spec.as_ref().is_some_and(|spec| !matches!(spec.kind(), Kind::Udp)) {
            let own = [("send", send), ("send_hex", send_hex)];
            for (name, node) in
                own.into_iter().chain([("expect", expect), ("expect_hex", expect_hex)])
            {
                if let Some(node) = node {
                    self.fault(node.line, format!("{name} is for modules without a service"));
                }
            }
        }
        let text = self.parsed("send", send, |text| bounded(text.as_bytes().to_vec()));
        let decode = |text: &str| hex::decode(text).map_err(|error| error.to_string());
        let bytes = self.parsed("send_hex", send_hex, |text| decode(text).and_then(bounded));
        let pattern = self.parsed("expect", expect, expect::pattern).map(Expectation::Pattern);
        let exact = self.parsed("expect_hex", expect_hex, decode).map(Expectation::Hex);
        let number = self.number("count", count, MOST_BEATS).unwrap_or(1);
        let least = self.number("min_replies", min_replies, MOST_BEATS);
        if let Some((least, node)) = least.zip(min_replies).filter(|(least, _)| *least > number) {
            self.fault(node.line, format!("min_replies {least}: only {number} beats are sent"));
        }
        let pace = spec.as_ref().filter(|it| !matches!(it.kind(), Kind::Udp | Kind::Stamp));
        let pace = pace.map_or(INTERVAL, |spec| spec.entry().floor);
        Module {
            timeout,
            count: number,
            interval: self.parsed("interval", interval, parse::positive_duration).unwrap_or(pace),
            min_replies: least,
            spec,
            payload: text.or(bytes).unwrap_or_else(|| PAYLOAD.to_vec()),
            expectation: pattern.or(exact).unwrap_or_default(),
            hex: send_hex.or(expect_hex).is_some(),
            family: self.parsed("preferred_ip_protocol", family, protocol).unwrap_or(Family::V6),
            fallback: self.parsed("ip_protocol_fallback", fallback, truth).unwrap_or(true),
            source: self.parsed("source_ip_address", source, |text| {
                text.parse().map_err(|_| "no IP address".to_owned())
            }),
            ttl: self.parsed("ttl", ttl, parse::ttl),
            dscp: self.parsed("dscp", dscp, parse::dscp),
            given: Vec::new(),
        }
    }
}

/// Bytes that a datagram holds.
fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    match bytes.len() > MAX_V4 {
        true => Err(format!("a datagram holds at most {MAX_V4} bytes")),
        false => Ok(bytes),
    }
}

fn protocol(text: &str) -> Result<Family, String> {
    match text {
        "ip4" => Ok(Family::V4),
        "ip6" => Ok(Family::V6),
        _ => Err("ip4 or ip6".into()),
    }
}

fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "true or false".into())
}

/// Text in quotes, on one line, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let start: String = text.chars().take(100).collect();
    let more = if start.len() < text.len() { "…" } else { "" };
    format!("'{}{more}'", escape::escape(start.as_bytes()))
}

/// A mapping as it was given, a line a key.
fn lines(node: &Node, indent: &str, out: &mut Vec<String>) {
    let Value::Map(entries) = &node.value else { return };
    for (key, node) in entries {
        let value = match &node.value {
            Value::Text(text) => format!(" \"{}\"", escape::escape(text.as_bytes())),
            Value::Number(_, text) | Value::Plain(text) => {
                format!(" {}", escape::escape(text.as_bytes()))
            }
            Value::Null | Value::List | Value::Map(_) => String::new(),
        };
        out.push(format!("{indent}{}:{value}", key.name));
        lines(node, "  ", out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content: &str) -> Result<Modules, String> {
        let secret = |path: &str| match path {
            "/secret" => Ok(b"hush\n".to_vec()),
            _ => Err(std::io::Error::from(std::io::ErrorKind::NotFound)),
        };
        parse_with("f", content.as_bytes(), &secret)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn what_the_contract_shows() {
        let modules = read(
            "modules:\n  echo: {prober: udp, timeout: 2s, udp: {count: 5, interval: 20ms, min_replies: 4, send: \"ping\", expect: \"^echo ping$\"}}\n  \
             raw:  {prober: udp, udp: {send_hex: \"0e00 0000\", expect_hex: \"0e01\"}}\n  \
             dns:  {prober: udp, udp: {service: \"dns:example.org?type=A\"}}\n  \
             path: {prober: udp, udp: {service: \"stamp:\"}}\n  bare: {prober: udp}\n",
        )
        .unwrap();
        let echo = &modules["echo"];
        assert_eq!(
            (echo.timeout, echo.count, echo.interval, echo.min_replies),
            (Some(Duration::from_secs(2)), 5, Duration::from_millis(20), Some(4))
        );
        assert_eq!((echo.payload.as_slice(), echo.hex), (&b"ping"[..], false));
        assert!(echo.expectation.holds(b"echo ping") && !echo.expectation.holds(b"echo ping\n"));
        assert_eq!(
            echo.given[..4],
            ["prober: \"udp\"", "timeout: \"2s\"", "udp:", "  count: 5"].map(String::from)
        );
        let raw = &modules["raw"];
        assert_eq!((raw.payload.as_slice(), raw.hex, raw.count), (&[14, 0, 0, 0][..], true, 1));
        assert!(raw.expectation.holds(&[14, 1]) && !raw.expectation.holds(&[14, 1, 0]));
        assert_eq!((raw.family, raw.fallback, raw.timeout), (Family::V6, true, None));
        let dns = &modules["dns"];
        assert_eq!(dns.spec.as_ref().map(ToString::to_string).unwrap(), "dns:example.org?type=A");
        assert!(modules["path"].asks("stamp") && !dns.asks("stamp"));
        assert_eq!(modules["bare"].payload, PAYLOAD);
    }

    #[test]
    fn what_is_installed() {
        let path = "../../packaging/systemd/udp-toolkit.modules.yml";
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let modules = read(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(
            modules.keys().cloned().collect::<Vec<_>>(),
            ["dns", "echo", "ntp", "stamp", "stun"]
        );
    }

    #[test]
    fn every_key() {
        let modules = read(
            "modules:\n m:\n  prober: udp\n  timeout: 1\n  udp:\n   send_hex: 0e00\n   expect_hex: 0102\n   \
             preferred_ip_protocol: ip4\n   ip_protocol_fallback: false\n   source_ip_address: ::1\n   \
             ttl: 3\n   dscp: ef\n r: {prober: udp, udp: {service: 'radius:?secret-file=/secret', count: 2}}\n \
             e: {prober: udp, udp: {send: ''}}\n n: {prober: udp, udp: {send: 12, expect: yes}}",
        )
        .unwrap();
        let m = &modules["m"];
        assert_eq!((m.payload.as_slice(), m.timeout), (&[14, 0][..], Some(Duration::from_secs(1))));
        assert!(m.expectation.holds(&[1, 2]));
        assert_eq!((m.family, m.fallback, m.ttl), (Family::V4, false, Some(3)));
        assert_eq!((m.source, m.dscp.map(Dscp::get)), (Some("::1".parse().unwrap()), Some(46)));
        let r = &modules["r"];
        assert_eq!((r.count, r.interval), (2, Duration::from_secs(6)), "as often as it may be");
        assert!(!format!("{r:?}").contains("hush"));
        assert!(modules["e"].payload.is_empty());
        assert_eq!(modules["n"].payload, b"12");
        assert!(modules["n"].expectation.holds(b"oh yes"));
    }

    #[test]
    fn everything_that_is_wrong_with_its_line() {
        let cases = [
            ("", "f:1: the file is no mapping"),
            ("modules:", "f:1: modules names none: NAME: {prober: udp, udp: {…}}"),
            ("modules: {}", "f:1: modules names none: NAME: {prober: udp, udp: {…}}"),
            ("{}", "f:1: modules is missing"),
            ("module: {}", "f:1: the file has no key 'module': there are modules"),
            ("modules:\n  a:\n", "f:2: the module 'a' is no mapping"),
            ("modules: {a: {}}", "f:1: the module 'a' has no prober: udp"),
            ("modules: {a: {prober: http}}", "f:1: prober 'http': only udp is"),
            (
                "modules:\n  a: {prober: udp}\n  a: {prober: udp}",
                "f:3: the module 'a' is given twice",
            ),
            (
                "modules: {\"\\e[2J\": {prober: udp, x: 1}}",
                "f:1: the module '\\x1b[2J' has no key 'x': there are prober, timeout, udp",
            ),
            ("modules: {a: {prober: udp, udp: 5}}", "f:1: udp is no mapping"),
        ];
        for (content, expected) in cases {
            assert_eq!(read(content).unwrap_err(), expected, "{content}");
        }
        let udp = [
            ("count: 0", "count is no number from 1 to 64"),
            ("count: 65", "count is no number from 1 to 64"),
            ("count: \"5\"", "count is no number from 1 to 64"),
            ("count: [1]", "count is no number from 1 to 64"),
            ("count: 1.5", "count is no number from 1 to 64"),
            ("min_replies: 2", "min_replies 2: only 1 beats are sent"),
            ("count: 2\n  count: 3", "count is given twice"),
            (
                "interval: x",
                "interval 'x': not a duration: a number with ns, us, ms, s, m, min, h or d, or seconds",
            ),
            ("interval: 0", "interval '0': must be above 0"),
            ("send: [a]", "send is no text"),
            ("send:", "send is no text"),
            ("send: a\n  send_hex: 00", "send_hex is given beside send"),
            ("send_hex: 0", "send_hex '0': the hex digit at byte 0 has no second digit"),
            ("expect: (", "expect '(': unclosed group"),
            ("service: foo", "service 'foo': no such scheme 'foo': there are "),
            (
                "service: radius:?secret-file=/none",
                "service 'radius:?secret-file=/none': cannot read /none: ",
            ),
            ("service: 'ntp:'\n  send: x", "send is for modules without a service"),
            ("preferred_ip_protocol: ip5", "preferred_ip_protocol 'ip5': ip4 or ip6"),
            ("ip_protocol_fallback: maybe", "ip_protocol_fallback 'maybe': true or false"),
            ("source_ip_address: host", "source_ip_address 'host': no IP address"),
            ("ttl: 0", "ttl '0': not a number from 1 to 255"),
            ("dscp: 64", "dscp '64': "),
            ("size: 5", "udp has no key 'size': there are count, interval, "),
        ];
        for (keys, expected) in udp {
            let content =
                format!("modules:\n a:\n  prober: udp\n  udp:\n   {}", keys.replace("\n", "\n "));
            let error = read(&content).unwrap_err();
            let line = 4 + keys.lines().count();
            let (first, second) = (format!("f:5: {expected}"), format!("f:{line}: {expected}"));
            assert!(error.starts_with(&first) || error.starts_with(&second), "{keys}: {error}");
            assert_eq!(error.lines().count(), 1, "{keys}: {error}");
        }
        let late = "modules:\n a:\n  timeout: 2s\n  prober: udp\n  udp: {count: 3, interval: 1s}\n b:\n  prober: x\n  udp:\n   ttl: a\n   q: 1";
        assert_eq!(
            read(late).unwrap_err(),
            "f:3: timeout 2s: the last of 3 beats leaves after 2s\nf:7: prober 'x': only udp is\n\
             f:9: ttl 'a': not a number from 1 to 255\n\
             f:10: udp has no key 'q': there are count, interval, min_replies, send, send_hex, expect, \
             expect_hex, service, preferred_ip_protocol, ip_protocol_fallback, source_ip_address, ttl, dscp"
        );
    }

    #[test]
    fn any_bytes_are_modules_or_told_what_they_are_not() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let words = [
            "modules:",
            "\n",
            " a: ",
            "prober: udp",
            "udp:",
            "{",
            "}",
            "[",
            "]",
            ",",
            "&x ",
            "*x",
            "<<: ",
            "count: 1",
            "\"",
            "'",
            "!!binary ",
            "|\n",
            "\t",
            "\u{1b}",
            "0e00",
            "- ",
            "? ",
            ": ",
            "#",
            "%",
            "---",
            "\u{feff}",
            "~",
            "\\x",
        ];
        for _ in 0..2000 {
            let text: String =
                (0..random.usize(..20)).map(|_| words[random.usize(..words.len())]).collect();
            if let Err(faults) = read(&text) {
                assert!(
                    faults.lines().all(|line| line.starts_with("f:")),
                    "seed {seed}: {text:?}: {faults}"
                );
            }
        }
    }
}
