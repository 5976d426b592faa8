//! The keys of exporter-toolkit's web configuration file, and an error with its line for each that
//! is wrong.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::cli::Fault;

/// A value of the file, and where it stands.
pub(super) type Said = Option<Spanned<String>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Written {
    pub(super) tls_server_config: Option<Spanned<Tls>>,
    pub(super) http_server_config: Option<Http>,
    pub(super) basic_auth_users: Option<BTreeMap<String, Spanned<String>>>,
}

/// `tls_server_config`
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) cert: Said,
    pub(super) cert_file: Said,
    pub(super) key: Said,
    pub(super) key_file: Said,
    pub(super) client_ca: Said,
    pub(super) client_ca_file: Said,
    pub(super) client_auth_type: Said,
    pub(super) client_allowed_sans: Option<Vec<Spanned<String>>>,
    pub(super) cipher_suites: Option<Vec<Spanned<String>>>,
    pub(super) curve_preferences: Option<Vec<Spanned<String>>>,
    pub(super) min_version: Said,
    pub(super) max_version: Said,
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Http {
    /// Whether HTTP/2 may be spoken: it is not.
    pub(super) http2: Option<Spanned<bool>>,
    pub(super) headers: Option<BTreeMap<String, Spanned<String>>>,
}

/// What a value says, unless that is nothing.
pub(super) fn said(value: &Said) -> Option<&Spanned<String>> {
    value.as_ref().filter(|it| !it.value.is_empty())
}

/// What stands in a file, or in its place.
#[derive(Debug)]
pub(super) struct Pem<'a> {
    pub(super) said: &'a Spanned<String>,
    pub(super) content: Vec<u8>,
}

impl Tls {
    /// Whether TLS is asked for, by the toolkit's rule.
    pub(super) fn is_there(&self) -> bool {
        let (own, key) = ([&self.cert, &self.cert_file], [&self.key, &self.key_file]);
        let clients = [&self.client_ca, &self.client_ca_file, &self.client_auth_type];
        own.into_iter().chain(key).chain(clients).any(|it| said(it).is_some())
    }
}

/// Bad lines.
#[derive(Debug)]
pub(super) struct Faults {
    pub(super) file: String,
    pub(super) all: Vec<Fault>,
}

impl Faults {
    pub(super) fn add(&mut self, line: impl TryInto<usize>, message: impl Into<String>) {
        let (file, line) = (self.file.clone(), line.try_into().unwrap_or(1));
        self.all.push(Fault { file, line, message: message.into(), hint: None });
    }

    /// Says what is wrong with a value.
    pub(super) fn at(&mut self, value: &Spanned<String>, message: impl Into<String>) {
        self.add(value.referenced.line(), message);
    }
}
