//! `SCHEME://HOST[:PORT][/WHAT][?KEY=VALUE[&KEY=VALUE]…]`, and the same without its host,
//! `SCHEME:[WHAT][?KEY=VALUE…]`.
//!
//! WHAT and values may hold `%XX` (RFC 3986 §2.1). What is wrong is said with what there is.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::params::{Params, ReadFile, Secret};
use super::{Accept, Entry, Identity, Key, Reply, SERVICES, Service, Verdict};
use crate::Endpoint;
use crate::endpoint::ParseEndpointError;
use crate::text::escape;

/// What a scheme stands for.
#[derive(Debug, Clone)]
pub enum Kind {
    /// The payload of a bare target.
    Udp,
    /// A STAMP session-reflector.
    Stamp,
    /// A service of its own.
    Service(Arc<dyn Service>),
}

/// A service with its keys.
#[derive(Debug, Clone)]
pub struct Spec {
    entry: &'static Entry,
    kind: Kind,
    accept: Accept,
    /// `/WHAT?KEY=VALUE`, as it was given.
    tail: String,
}

/// What stands behind the host of a scheme where `/` is something else than nothing.
pub(super) const PATH: &str = "PATH";

/// The key that every service takes.
const ACCEPT: Key = Key::new("accept", "CODE[,CODE]", "these answers are ok too; any: every one");

pub(super) const STAMP: Entry = Entry {
    scheme: "stamp",
    port: 862,
    what: None,
    asks: "a STAMP test packet (RFC 8762)",
    ok: "the reflector answered",
    keys: &[],
    facts: &[],
    shown: &[],
    silence: "",
    interval: Duration::from_secs(1),
    floor: Duration::from_millis(10),
    identity: Identity::Any,
    parse: |_| Ok(Kind::Stamp),
};

pub(super) const UDP: Entry = Entry {
    scheme: "udp",
    port: 7000,
    asks: "the payload",
    ok: "it was answered, as expected",
    identity: Identity::Port,
    parse: |_| Ok(Kind::Udp),
    ..STAMP
};

/// Why a text is no target or service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// What was typed is wrong: in one line, and the right form where it is obvious.
    Form(String, Option<String>),
    /// A file that it names cannot be read, and why.
    Unreadable(String, String),
    /// A file that it names holds no secret.
    Empty(String),
}

impl SpecError {
    /// The right form, where it is obvious.
    pub fn hint(&self) -> Option<&str> {
        match self {
            SpecError::Form(_, hint) => hint.as_deref(),
            SpecError::Unreadable(..) | SpecError::Empty(_) => None,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpecError::Form(message, _) => f.write_str(message),
            SpecError::Unreadable(file, reason) => {
                write!(f, "cannot read {}: {reason}", escape::escape(file.as_bytes()))
            }
            SpecError::Empty(file) => write!(f, "{} is empty", escape::escape(file.as_bytes())),
        }
    }
}

impl std::error::Error for SpecError {}

impl From<String> for SpecError {
    fn from(message: String) -> Self {
        SpecError::Form(message, None)
    }
}

/// A target as it is typed: its endpoint, and the service that it names, if it names one.
///
/// # Errors
/// What is wrong.
pub fn target(text: &str, read: &ReadFile) -> Result<(Endpoint, Option<Spec>), SpecError> {
    let parse = |text: &str, scheme: &str, tail: &str| {
        text.parse().map_err(|error: ParseEndpointError| {
            SpecError::Form(error.to_string(), error.hint_in(scheme, tail))
        })
    };
    match Spec::of_target(text, read)? {
        Some((host, spec)) => {
            let scheme = format!("{}://", spec.entry.scheme);
            Ok((parse(host, &scheme, &spec.tail)?, Some(spec)))
        }
        None => Ok((parse(text, "", "")?, None)),
    }
}

impl Spec {
    /// A target that names a service: its host as it stands there, and the service. None for a bare
    /// target.
    ///
    /// # Errors
    /// What is wrong.
    pub fn of_target<'a>(
        text: &'a str,
        read: &ReadFile,
    ) -> Result<Option<(&'a str, Spec)>, SpecError> {
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(None) };
        let (host, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if let Err(SpecError::Form(message, _)) = Entry::of(scheme) {
            let host = host.rsplit('@').next().unwrap_or_default();
            let host = escape::escape(host.as_bytes());
            return Err(SpecError::Form(message, Some(format!("write udp://{host}, or {host}"))));
        }
        Spec::new(scheme, tail, read).map(|spec| Some((host, spec)))
    }

    /// `SCHEME:[WHAT][?KEY=VALUE…]`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str, read: &ReadFile) -> Result<Spec, SpecError> {
        let (scheme, rest) = text.split_once(':').unwrap_or((text, ""));
        if rest.starts_with("//") {
            let form = format!("{}:[WHAT][?KEY=VALUE]", Entry::of(scheme)?.scheme);
            return Err(format!("a service is given without its host: {form}").into());
        }
        match rest.is_empty() || rest.starts_with('?') {
            true => Spec::new(scheme, rest, read),
            false => Spec::new(scheme, &format!("/{rest}"), read),
        }
    }

    fn new(scheme: &str, tail: &str, read: &ReadFile) -> Result<Spec, SpecError> {
        let entry = Entry::of(scheme)?;
        // `coap:/` is what `coap://HOST/` is: a path without parts.
        let tail = if tail == "//" { "/" } else { tail };
        let (what, query) = match tail.split_once('?') {
            Some((what, query)) => (what, Some(query)),
            None => (tail, None),
        };
        let what = decoded(what.strip_prefix('/').unwrap_or(what))?;
        let what = Some(what).filter(|what| !what.is_empty());
        if entry.what.is_none() && what.is_some() {
            return Err(format!("{} takes nothing behind the host", entry.scheme).into());
        }
        let mut pairs: Vec<(&'static str, String)> = Vec::new();
        let mut secrets = Vec::new();
        for pair in query.into_iter().flat_map(|query| query.split('&')) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = |what: String| {
                let all: Vec<&str> = entry.all_keys().map(|key| key.name).collect();
                Err(format!("{what}: there are {}", all.join(", ")).into())
            };
            let Some(key) = entry.all_keys().find(|key| key.name == name) else {
                let name = escape::escape(name.as_bytes());
                return wrong(format!("{} has no key '{name}'", entry.scheme));
            };
            if value.is_empty() {
                return wrong(format!("the key '{name}' has no value, {name}={}", key.value));
            }
            if !key.repeats && pairs.iter().any(|(it, _)| *it == name) {
                return wrong(format!("the key '{name}' is given twice"));
            }
            let value = decoded(value)?;
            if key.names_a_file() {
                secrets.push((key.name, Secret::read(&value, read)?));
            }
            pairs.push((key.name, value));
        }
        let params = Params { what, root: tail == "/", pairs, secrets };
        let accept = params.get(ACCEPT.name).map(Accept::parse).transpose()?.unwrap_or_default();
        let kind = (entry.parse)(&params)?;
        if !matches!(kind, Kind::Service(_)) && accept != Accept::default() && !accept.is_any() {
            let scheme = entry.scheme;
            return Err(format!("an answer to {scheme} has no code: accept=any alone").into());
        }
        let tail = if params.root && entry.what != Some(PATH) { "" } else { tail };
        Ok(Spec { entry, kind, accept, tail: tail.to_owned() })
    }

    /// The table's line.
    pub fn entry(&self) -> &'static Entry {
        self.entry
    }

    /// What its scheme stands for.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The service, if it is one of its own.
    pub fn service(&self) -> Option<&Arc<dyn Service>> {
        match &self.kind {
            Kind::Service(service) => Some(service),
            Kind::Udp | Kind::Stamp => None,
        }
    }

    /// Which answers are `ok` beside those that are anyway.
    pub fn accept(&self) -> &Accept {
        &self.accept
    }

    /// The default port.
    pub fn port(&self) -> u16 {
        self.service().and_then(|service| service.port()).unwrap_or(self.entry.port)
    }

    /// How a target is called: the URL with its port. One of plain UDP is called by host and port.
    pub fn label(&self, endpoint: &Endpoint) -> String {
        let host = endpoint.label(self.port());
        match self.kind {
            Kind::Udp if self.tail.is_empty() => host,
            _ => format!("{}://{host}{}", self.entry.scheme, self.tail),
        }
    }

    /// What text shows of a reply, behind the scheme.
    pub fn shown(&self, reply: &Reply) -> String {
        self.entry.shown(reply)
    }

    /// The reply's verdict, with what `accept=` names moved into `ok`.
    pub fn judge(&self, reply: &Reply) -> Verdict {
        self.accept.judge(reply.verdict, reply.reason.as_deref())
    }
}

/// As `--service` takes it.
impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.tail.strip_prefix('/').filter(|tail| !tail.is_empty());
        write!(f, "{}:{}", self.entry.scheme, tail.unwrap_or(&self.tail))
    }
}

impl PartialEq for Spec {
    fn eq(&self, other: &Self) -> bool {
        (self.entry.scheme, &self.tail) == (other.entry.scheme, &other.tail)
    }
}

impl Eq for Spec {}

impl Entry {
    fn of(scheme: &str) -> Result<&'static Entry, SpecError> {
        // A scheme has no case (RFC 3986 §3.1).
        let entry = SERVICES.iter().find(|it| it.scheme.eq_ignore_ascii_case(scheme));
        entry.copied().ok_or_else(|| {
            let all: Vec<&str> = SERVICES.iter().map(|entry| entry.scheme).collect();
            let (scheme, all) = (escape::escape(scheme.as_bytes()), all.join(", "));
            format!("no such scheme '{scheme}': there are {all}").into()
        })
    }

    /// Its keys, with the one that all have.
    pub fn all_keys(&self) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().chain(std::iter::once(&ACCEPT))
    }

    /// What text shows of a reply, behind the scheme: the reason, or the main facts, or the verdict.
    pub fn shown(&self, reply: &Reply) -> String {
        let shown = match &reply.reason {
            Some(reason) => escape::escape(reason.as_bytes()),
            None => reply.facts.shown(self.shown),
        };
        if shown.is_empty() { reply.verdict.name().to_owned() } else { shown }
    }
}

/// The text with `%XX` turned into what it stands for (RFC 3986 §2.1).
///
/// # Errors
/// One line that says what is wrong.
pub fn decoded(text: &str) -> Result<String, String> {
    let wrong =
        || format!("'{}': % is not followed by two hex digits", escape::escape(text.as_bytes()));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || rest.next().and_then(|it| char::from(it).to_digit(16));
                let (high, low) = (digit().ok_or_else(wrong)?, digit().ok_or_else(wrong)?);
                (high << 4 | low) as u8
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes)
        .map_err(|_| format!("'{}': not UTF-8 behind its % forms", escape::escape(text.as_bytes())))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn read(path: &str) -> io::Result<Vec<u8>> {
        match path {
            "/secret" => Ok(b"s3cret\n".to_vec()),
            "/empty" => Ok(b"\n".to_vec()),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    #[test]
    fn targets() {
        let cases = [
            ("dns://192.0.2.53/example.org?type=A", "192.0.2.53", "dns:example.org?type=A"),
            ("DNS://[::1]:5353", "[::1]:5353", "dns:"),
            (
                "ntp://time.example?stratum=3&offset=50ms",
                "time.example",
                "ntp:?stratum=3&offset=50ms",
            ),
            ("ntp://time.example/", "time.example", "ntp:"),
            ("coap://h", "h", "coap:"),
            ("coap://h/", "h", "coap:/"),
            ("udp://127.0.0.1:7", "127.0.0.1:7", "udp:"),
            ("stamp://h", "h", "stamp:"),
        ];
        for (text, host, spec) in cases {
            let (found, it) = Spec::of_target(text, &read).unwrap().unwrap();
            assert_eq!((found, it.to_string().as_str()), (host, spec), "{text}");
            assert_eq!(Spec::parse(spec, &read).unwrap(), it, "{text}");
        }
        assert!(Spec::of_target("127.0.0.1:7000", &read).unwrap().is_none());
        let label = |text: &str| {
            let (host, spec) = Spec::of_target(text, &read).unwrap().unwrap();
            spec.label(&host.parse().unwrap())
        };
        assert_eq!(label("dns://192.0.2.53/example.org"), "dns://192.0.2.53:53/example.org");
        assert_eq!(label("udp://192.0.2.53/"), "192.0.2.53:7000");
        assert_eq!(label("coap://192.0.2.53/"), "coap://192.0.2.53:5683/");
    }

    #[test]
    fn slips() {
        let cases = [
            ("gopher://h", "no such scheme 'gopher': there are dns, "),
            ("ntp://h/x", "ntp takes nothing behind the host"),
            ("ntp://h?foo=1", "ntp has no key 'foo': there are stratum, "),
            ("ntp://h?stratum", "the key 'stratum' has no value, stratum=MAX: there are stratum, "),
            ("ntp://h?stratum=", "the key 'stratum' has no value, stratum=MAX"),
            (
                "ntp://h?stratum=1&stratum=1",
                "the key 'stratum' is given twice: there are stratum, ",
            ),
            ("ntp://h?stratum=x", "stratum=x: a number from 1 to 15"),
            ("ntp://h?", "ntp has no key ''"),
            ("ntp://h?accept=", "the key 'accept' has no value"),
            ("dns://h/%zz", "'%zz': % is not followed by two hex digits"),
        ];
        for (text, expected) in cases {
            let error = Spec::of_target(text, &read).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        for (text, hint) in [
            ("http://h:1/x", "write udp://h:1, or h:1"),
            ("ntp://::1:123", "write ntp://[::1]:123"),
            ("dns://[192.0.2.1]:53/a?aa=1", "write dns://192.0.2.1:53/a?aa=1"),
            ("ntp://123", "write ntp://:123, or ntp://HOST:123"),
            (
                "ntp://[fe80::1]:123",
                "write ntp://[fe80::1%INTERFACE]:123, such as ntp://[fe80::1%eth0]:123",
            ),
            ("::1:123", "write [::1]:123"),
        ] {
            assert_eq!(target(text, &read).unwrap_err().hint(), Some(hint), "{text}");
        }
        let error = |text: &str| Spec::parse(text, &read).unwrap_err().to_string();
        assert!(error("dns://h/x").contains("without its host"));
        assert!(error("foo").starts_with("no such scheme 'foo'"));
    }

    #[test]
    fn secrets_come_from_files() {
        let secret = Secret::read("/secret", &read).unwrap();
        assert_eq!((secret.bytes(), format!("{secret:?}").as_str()), (&b"s3cret"[..], "Secret"));
        let error = |text: &str| Spec::parse(text, &read).unwrap_err();
        for key in ["radius:?secret-file", "snmp:?community-file"] {
            assert_eq!(error(&format!("{key}=/empty")), SpecError::Empty("/empty".into()));
            let missing = error(&format!("{key}=/none"));
            assert!(matches!(missing, SpecError::Unreadable(file, _) if file == "/none"));
        }
        let form = error("radius:?secret-file=/secret&foo=1");
        assert!(matches!(form, SpecError::Form(..)), "{form}");
    }
}
