//! The interface between a program and the HTTP server: its pages, a request, a reply.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

pub use hyper::StatusCode;
use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderName};

use super::coding;

/// What a program shows. Pages are asked for on threads that may wait.
pub trait Site: Send + Sync + 'static {
    /// The program's name.
    fn program(&self) -> &'static str;

    /// Its pages, beside those that every program has.
    fn pages(&self) -> &'static [Page];

    /// The page at `request.path`, which is one of [`pages`](Self::pages).
    fn page(&self, request: &Request) -> Reply;

    /// Whether it does its work.
    fn is_ready(&self) -> bool;

    /// Reads its files again, all of them or none.
    ///
    /// # Errors
    /// Why everything is as it was: one line, or several.
    fn reload(&self) -> Result<(), String>;
}

/// A page.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// Where: `/metrics`.
    pub path: &'static str,
    /// What is seen there.
    pub what: &'static str,
    /// How long it may take.
    pub weight: Weight,
}

/// How long a page may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As long as it takes to look.
    Quick,
    /// Seconds: it has a bound of its own, so that it keeps no other page waiting.
    Long,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Without the query.
    pub path: String,
    /// What stands behind the `?`.
    pub query: Query,
    /// Who asks.
    pub asker: Asker,
    pub(super) headers: HeaderMap,
}

impl Request {
    pub(super) fn new(uri: &hyper::Uri, headers: HeaderMap) -> Request {
        let query = Query::new(uri.query().unwrap_or_default());
        Request { path: uri.path().to_owned(), query, headers, asker: Asker::default() }
    }

    /// The first header of this name; what is no text in it is replaced.
    pub fn header(&self, name: &str) -> Option<String> {
        let value = self.headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    /// All that `Accept` says.
    pub fn accept(&self) -> String {
        self.list(&ACCEPT)
    }

    /// Whether the answer may be in gzip.
    pub(super) fn takes_gzip(&self) -> bool {
        coding::takes_gzip(&self.list(&ACCEPT_ENCODING))
    }

    /// A list that may stand in several headers (RFC 9110 section 5.3).
    fn list(&self, name: &HeaderName) -> String {
        let values = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(",")
    }
}

/// Who waits for a page, and may go before it is made.
#[derive(Clone, Default)]
pub struct Asker(Arc<Mutex<Presence>>);

enum Presence {
    Here(Option<Box<dyn FnOnce() + Send>>),
    Gone,
}

impl Default for Presence {
    fn default() -> Self {
        Presence::Here(None)
    }
}

impl Asker {
    /// Has `work` done once the asker is gone or has its answer, in place of what was to be done then. It
    /// must not wait: the thread that serves all connections does it.
    pub fn when_gone(&self, work: impl FnOnce() + Send + 'static) {
        let mut presence = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *presence {
            Presence::Here(call) => *call = Some(Box::new(work)),
            Presence::Gone => {
                drop(presence);
                work();
            }
        }
    }

    fn leave(&self) {
        let mut presence = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *presence, Presence::Gone);
        drop(presence);
        if let Presence::Here(Some(work)) = before {
            work();
        }
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker").finish_non_exhaustive()
    }
}

/// The asker is here as long as this lives.
pub(super) struct Here(pub(super) Asker);

impl Drop for Here {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// The parameters of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(String);

impl Query {
    /// What stands behind the `?` of a request.
    pub fn new(text: impl Into<String>) -> Query {
        Query(text.into())
    }

    /// The first value of a parameter.
    pub fn get(&self, name: &str) -> Option<String> {
        let mut pairs = form_urlencoded::parse(self.0.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// How it went.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A body of this kind.
    pub fn ok(content_type: &'static str, body: impl Into<Vec<u8>>) -> Reply {
        Reply { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// A line of text.
    pub fn text(status: StatusCode, line: impl Into<String>) -> Reply {
        let mut line = line.into();
        line.push('\n');
        Reply { status, content_type: "text/plain; charset=utf-8", body: line.into_bytes() }
    }

    /// A page for people.
    pub fn html(body: String) -> Reply {
        Reply::ok("text/html; charset=utf-8", body)
    }
}
