//! exporter-toolkit's web configuration (docs/web-configuration.md there): TLS, headers, users.
//!
//! What cannot be done as it is written is refused, never left out. Relative paths are relative to the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ServerConfig;
use serde_saphyr::Spanned;

use super::tls::{provider, server_config};
use super::written::{Faults, Http, Pem, Tls, Written, said};
use crate::cli::{Failure, files};

/// Bytes of each file.
const LONGEST: u64 = 1 << 20;

/// What the files say.
#[derive(Debug)]
pub(super) struct Rules {
    /// None is plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Headers of every answer.
    pub(super) headers: HeaderMap,
    /// bcrypt's hashes by user; without any, everybody is let in.
    pub(super) users: BTreeMap<String, String>,
}

/// Every file that was read, in the order of reading; none is one that could not be read.
pub(super) type Seen = Vec<(PathBuf, Option<Vec<u8>>)>;

/// Reads a file that the configuration names.
pub(super) type Load<'a> = dyn FnMut(&Path) -> Result<Vec<u8>, Failure> + 'a;

/// Reads a configuration and the files that it names, and notes each of them.
pub(super) fn read(path: &Path, seen: &mut Seen) -> Result<Rules, Failure> {
    let mut load = |path: &Path| {
        let content = files::read(path, LONGEST);
        seen.push((path.to_owned(), content.as_ref().ok().cloned()));
        content
    };
    let content = load(path)?;
    parse(path, &content, &mut load)
}

/// What the file of this path and `content` says.
pub(super) fn parse(path: &Path, content: &[u8], load: &mut Load<'_>) -> Result<Rules, Failure> {
    let mut faults = Faults { file: path.display().to_string(), all: Vec::new() };
    let options = serde_saphyr::options! { with_snippet: false };
    let written = match serde_saphyr::from_slice_with_options::<Option<Written>>(content, options) {
        Ok(written) => written.unwrap_or_default(),
        Err(error) => {
            let line = error.location().map_or(1, |at| at.line());
            let message = error.to_string();
            let message = message.rsplit_once(" at line ").map_or(&*message, |(it, _)| it);
            faults.add(line, message);
            return Err(Failure::in_file(faults.all));
        }
    };
    let http = written.http_server_config.unwrap_or_default();
    if let Some(http2) = http.http2.as_ref().filter(|it| it.value) {
        let (file, line) = (path.display(), http2.referenced.line());
        log::warn!("{file}:{line}: HTTP/2 is not spoken: everybody is served by HTTP/1.1");
    }
    let headers = headers(http, &mut faults);
    let mut users = BTreeMap::new();
    for (name, hash) in written.basic_auth_users.unwrap_or_default() {
        let parts = hash.value.parse::<bcrypt::HashParts>();
        if !parts.is_ok_and(|parts| (4..=31).contains(&parts.get_cost())) {
            faults.at(&hash, format!("the password of {name} is no hash of bcrypt"));
        }
        users.insert(name, hash.value);
    }
    let base = path.parent().unwrap_or(Path::new(""));
    let tls = match &written.tls_server_config {
        Some(it) => load_tls(&it.value, it.referenced.line(), base, load, &mut faults)?,
        None => None,
    };
    if faults.all.is_empty() {
        Ok(Rules { tls: tls.map(Arc::new), headers, users })
    } else {
        faults.all.sort_by_key(|fault| fault.line);
        Err(Failure::in_file(faults.all))
    }
}

/// Whether every file is as it was.
pub(super) fn unchanged(seen: &Seen) -> bool {
    seen.iter().all(|(path, before)| files::read(path, LONGEST).ok() == *before)
}

/// The headers that may be set, and to what.
fn headers(http: Http, faults: &mut Faults) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in http.headers.unwrap_or_default() {
        let allowed: &[&str] = match name.as_str() {
            "X-Frame-Options" => &["deny", "sameorigin"],
            "X-Content-Type-Options" => &["nosniff"],
            "X-XSS-Protection" | "Strict-Transport-Security" | "Content-Security-Policy" => &[],
            _ => {
                faults.at(&value, format!("the header {name} cannot be set"));
                continue;
            }
        };
        if !allowed.is_empty() && !allowed.contains(&&*value.value) {
            faults.at(&value, format!("{name} is one of {}", allowed.join(", ")));
            continue;
        }
        match (HeaderName::try_from(&name), HeaderValue::try_from(&value.value)) {
            (Ok(_), Ok(set)) if set.is_empty() => {}
            (Ok(name), Ok(set)) => drop(headers.insert(name, set)),
            _ => faults.at(&value, format!("{name} has a character that no header has")),
        }
    }
    headers
}

/// None where a line is bad, or no TLS is asked for.
fn load_tls(
    tls: &Tls,
    line: impl TryInto<usize> + Copy,
    base: &Path,
    load: &mut Load<'_>,
    faults: &mut Faults,
) -> Result<Option<ServerConfig>, Failure> {
    let provider = provider(tls, faults);
    if !tls.is_there() {
        return Ok(None);
    }
    let mut source = |file, inline| source(said(file), said(inline), base, load);
    let cert = source(&tls.cert_file, &tls.cert)?;
    let key = source(&tls.key_file, &tls.key)?;
    let ca = source(&tls.client_ca_file, &tls.client_ca)?;
    let (Some(cert), Some(key)) = (&cert, &key) else {
        for (it, name) in [(&cert, "cert_file"), (&key, "key_file")] {
            if it.is_none() {
                faults.add(line, format!("tls_server_config has no {name}"));
            }
        }
        return Ok(None);
    };
    Ok(server_config(tls, provider, (cert, key, ca.as_ref()), faults))
}

fn source<'a>(
    file: Option<&'a Spanned<String>>,
    inline: Option<&'a Spanned<String>>,
    base: &Path,
    load: &mut Load<'_>,
) -> Result<Option<Pem<'a>>, Failure> {
    // Where both are there, the toolkit takes the file.
    let content = match (file, inline) {
        (Some(file), _) => load(&base.join(&file.value))?,
        (None, Some(inline)) => inline.value.clone().into_bytes(),
        (None, None) => return Ok(None),
    };
    Ok(file.or(inline).map(|said| Pem { said, content }))
}
