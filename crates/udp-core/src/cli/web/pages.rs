//! The pages that every program has: the front page, `/-/healthy`, `/-/ready`, `/-/reload`, and
//! refusals.

use std::fmt::Write;

use hyper::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode, Version};

use super::site::{Reply, Site};

/// The pages that ask nothing of the program's own.
pub(super) const HEALTHY: &str = "/-/healthy";
pub(super) const READY: &str = "/-/ready";
pub(super) const RELOAD: &str = "/-/reload";

/// Why a request is not answered, from its head alone: it brings a body, in whatever form, names no
/// host or several (RFC 9112 §3.2), or is made in a way that its page does not know.
pub(super) fn refusal(Parts { method, uri, version, headers, .. }: &Parts) -> Option<Reply> {
    let lengths = headers.get_all(CONTENT_LENGTH).iter();
    let has_length = lengths.into_iter().any(|value| value != "0");
    if has_length || headers.contains_key(TRANSFER_ENCODING) {
        return Some(Reply::text(StatusCode::BAD_REQUEST, "a request has no body here"));
    }
    let hosts = headers.get_all(HOST).iter().count();
    if hosts > 1 || hosts == 0 && *version >= Version::HTTP_11 {
        return Some(Reply::text(StatusCode::BAD_REQUEST, "a request has one Host"));
    }
    let (known, text) = match uri.path() {
        RELOAD => (*method == Method::POST || *method == Method::PUT, "only POST or PUT"),
        _ => (*method == Method::GET || *method == Method::HEAD, "only GET or HEAD"),
    };
    (!known).then(|| Reply::text(StatusCode::METHOD_NOT_ALLOWED, text))
}

/// Which methods a page knows.
pub(super) fn allowed(path: &str) -> &'static str {
    if path == RELOAD { "POST, PUT" } else { "GET, HEAD" }
}

/// Name, version, links.
pub(super) fn front(site: &dyn Site) -> Reply {
    let (name, version) = (site.program(), env!("CARGO_PKG_VERSION"));
    let mut links = String::new();
    let own = site.pages().iter().map(|page| (page.path, page.what));
    for (path, what) in own.chain([(HEALTHY, "Whether it runs"), (READY, "Whether it works")]) {
        let (path, what) = (escape(path), escape(what));
        // To a String, which takes everything.
        let _ = writeln!(links, "<li><a href=\"{path}\">{path}</a> {what}</li>");
    }
    Reply::html(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name}</title></head>\n\
         <body><h1>{name}</h1>\n<p>Version {version}</p>\n<ul>\n{links}</ul>\n</body></html>\n"
    ))
}

/// Text as HTML shows it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_by_its_head() {
        let x = ("host", "x");
        let cases = [
            ("GET", "/", &[x][..], None),
            ("GET", "/", &[], Some(400)),
            ("GET", "/", &[x, ("host", "y")], Some(400)),
            ("HEAD", "/metrics", &[x, ("content-length", "0")], None),
            ("GET", "/", &[x, ("content-length", "1")], Some(400)),
            ("GET", "/", &[x, ("content-length", "0"), ("content-length", "5")], Some(400)),
            ("POST", "/-/reload", &[x, ("transfer-encoding", "identity")], Some(400)),
            ("POST", "/-/reload", &[x], None),
            ("PUT", "/-/reload", &[x], None),
            ("GET", "/-/reload", &[x], Some(405)),
            ("POST", "/metrics", &[x], Some(405)),
            ("BREW", "/nowhere", &[x], Some(405)),
        ];
        for (method, path, given, expected) in cases {
            let request = hyper::Request::builder().method(method).uri(path);
            let request =
                given.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            let refused = refusal(&request.body(()).unwrap().into_parts().0);
            let status = refused.map(|reply| reply.status.as_u16());
            assert_eq!(status, expected, "{method} {path} {given:?}");
        }
    }

    #[test]
    fn html_is_escaped() {
        assert_eq!(escape("<a href='x'>&\"é"), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;é");
    }
}
