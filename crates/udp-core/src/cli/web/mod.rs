//! HTTP/1.1 for whoever watches a program: a few pages, on a thread of its own.
//!
//! It must hold up nobody and be held up by nobody: connections, heads, time and answers under way are
//! bounded, a request's body is refused, and the pages that ask the program wait on threads apart.
//! hyper speaks the protocol (RFC 9110, RFC 9112).

mod accept;
mod alternative_names;
mod coding;
mod config;
mod connections;
mod conversation;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod half;
pub mod metrics;
mod pages;
mod passwords;
mod server;
mod site;
mod tls;
mod written;

pub use accept::preferred;
pub use guard::Guard;
pub use pages::escape;
pub use server::{Bound, Web};
pub use site::{Asker, Page, Query, Reply, Request, Site, StatusCode, Weight};

use super::parse;
use crate::Endpoint;

/// Has large blocks of memory given back to the system as soon as they are freed, so that a large page costs
/// little more than its size, and nothing between two requests. It is of the whole process: for a program's
/// start, before there are threads.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    crate::sys::map_large_blocks();
}

/// Where to serve HTTP: it has no default port.
///
/// # Errors
/// What is wrong with `text`, as a value of the command line.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    let endpoint = parse::endpoint(text)?;
    match endpoint.port() {
        Some(_) => Ok(endpoint),
        None => {
            let host = endpoint.label(0);
            let host = host.strip_suffix(":0").unwrap_or(text);
            let hint = format!("write {host}:PORT");
            Err(parse::joined(("it has no port".into(), Some(hint))))
        }
    }
}
