//! `/probe`: one probe now, for whom a request asks, as blackbox_exporter has it.
//!
//! Whoever asks decides where to and by which module, within what `--probe-allow` and the modules file
//! bound. Nothing here waits for a beat or a scrape, and neither waits for this.

mod allow;
mod evidence;
mod families;
mod lookup;
mod one;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use udp_core::batch::Backend;
use udp_core::cli::web::metrics::Format;
use udp_core::cli::web::{Query, Reply, Request, StatusCode};
use udp_core::service::decoded;
use udp_core::stamp::Key;
use udp_core::{Endpoint, Family};

pub(crate) use allow::Allow;
use evidence::Witness;
use families::families;
use lookup::LookUps;
use one::Question;

use crate::modules::{Module, Modules, shown};
use crate::plan::Plan;
use crate::run::descriptors;

/// How much of the scraper's time is left for the answer.
const OFFSET: f64 = 0.5;
/// The time of a probe where neither the scraper nor the module says it, less the offset.
const DEFAULT: f64 = 120.0;
/// The longest probe, in seconds.
const LONGEST: f64 = 600.0;
/// Probes at a time, by the bound of pages that take long.
const PROBES: usize = 64;
/// Descriptors that are left for everything else.
const RESERVE: usize = 2304;
/// The header with the scraper's time-out.
const TIMEOUT: &str = "x-prometheus-scrape-timeout-seconds";

/// What probes have in common, for as long as the program runs.
#[derive(Debug)]
struct Common {
    allow: Allow,
    family: Family,
    interface: Option<String>,
    backend: Backend,
    fast: bool,
    /// Sockets of one probe.
    sockets: usize,
    lookups: LookUps,
}

/// The modules, and STAMP's key: what is read again.
#[derive(Debug)]
struct Read {
    modules: Modules,
    key: Option<Key>,
}

/// Makes probes.
#[derive(Debug)]
pub(crate) struct Probes {
    common: Common,
    read: Mutex<Arc<Read>>,
}

/// An address that may not be sent to.
#[derive(Debug)]
struct Forbidden(IpAddr);

impl Probes {
    /// Probes by these modules, with the socket options of `plan` that are not a module's.
    pub(crate) fn new(modules: Modules, allow: Allow, plan: &Plan) -> Probes {
        let common = Common {
            allow,
            family: plan.family,
            interface: plan.local.interface.clone(),
            backend: plan.backend,
            fast: plan.fast,
            sockets: (descriptors(1 << 20).saturating_sub(RESERVE) / PROBES).max(1),
            lookups: LookUps::default(),
        };
        let read = Read { modules, key: plan.key.clone() };
        Probes { common, read: Mutex::new(Arc::new(read)) }
    }

    /// How many modules there are.
    pub(crate) fn modules(&self) -> usize {
        self.read().modules.len()
    }

    /// Takes what was read again.
    pub(crate) fn replace(&self, modules: Modules, key: Option<Key>) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key.or_else(|| read.key.clone());
        *read = Arc::new(Read { modules, key });
    }

    fn read(&self) -> Arc<Read> {
        Arc::clone(&self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes the probe that is asked for.
    pub(crate) fn page(&self, request: &Request) -> Reply {
        let read = self.read();
        let header = request.header(TIMEOUT);
        let (module, asked) = match asked(&read.modules, &request.query, header.as_deref()) {
            Ok(asked) => asked,
            Err((status, line)) => return Reply::text(status, line),
        };
        let witness = Witness::new(module, asked.debug);
        let (key, asker) = (read.key.as_ref(), &request.asker);
        let (target, timeout) = (&asked.target, asked.timeout);
        let question = Question { module, key, target, timeout, asker };
        let outcome = match question.ask(&self.common, &witness) {
            Ok(outcome) => outcome,
            Err(Forbidden(ip)) => {
                let line = format!("{ip} may not be probed: see --probe-allow");
                return Reply::text(StatusCode::FORBIDDEN, line);
            }
        };
        let families = families(&outcome);
        if !asked.debug {
            return Format::negotiate(&request.accept()).reply(families);
        }
        let metrics = Format::Text.encode(families).unwrap_or_default();
        let body = format!(
            "Logs for the probe:\n{}\n\n\nMetrics that would have been returned:\n{}\n\n\n\
             Module configuration:\n{}\n",
            witness.seen().text(),
            String::from_utf8_lossy(&metrics),
            module.given.join("\n")
        );
        Reply::ok("text/plain; charset=utf-8", body)
    }
}

/// What a request asks for, beside the module.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: Endpoint,
    pub(crate) timeout: Duration,
    debug: bool,
}

/// What is asked for by these parameters and this header, or what is wrong with them.
pub(crate) fn asked<'a>(
    modules: &'a Modules,
    query: &Query,
    header: Option<&str>,
) -> Result<(&'a Module, Asked), (StatusCode, String)> {
    let bad = |line: &str| (StatusCode::BAD_REQUEST, line.to_owned());
    let parameter = |name| query.get(name).filter(|value| !value.is_empty());
    let name = parameter("module").ok_or_else(|| bad("module is missing"))?;
    let module =
        modules.get(&name).ok_or_else(|| bad(&format!("no such module: {}", shown(&name))))?;
    let timeout =
        budget(header, module.timeout).map_err(|line| (StatusCode::INTERNAL_SERVER_ERROR, line))?;
    let target = parameter("target").ok_or_else(|| bad("target is missing"))?;
    // Scrapers that escape twice are known.
    let target = decoded(&target).unwrap_or(target);
    let parsed = target.parse::<Endpoint>();
    let target = parsed.map_err(|error| bad(&format!("target {}: {error}", shown(&target))))?;
    let debug = parameter("debug").is_some_and(|debug| debug == "true");
    Ok((module, Asked { target, timeout, debug }))
}

/// How long a probe may take: the scraper's time less the offset, or the module's where that is less,
/// or where the scraper's is less than the offset.
fn budget(header: Option<&str>, module: Option<Duration>) -> Result<Duration, String> {
    let given = match header.filter(|text| !text.is_empty()) {
        Some(text) => text.parse::<f64>().ok().filter(|seconds| seconds.is_finite()),
        None => Some(0.0),
    };
    let Some(given) = given else {
        let header = shown(header.unwrap_or_default());
        return Err(format!(
            "X-Prometheus-Scrape-Timeout-Seconds: {header} is no number of seconds"
        ));
    };
    let most = (if given == 0.0 { DEFAULT } else { given }) - OFFSET;
    let most = if most < 0.0 { None } else { Some(Duration::from_secs_f64(most.min(LONGEST))) };
    Ok(match (most, module) {
        (Some(most), Some(module)) => most.min(module),
        (Some(time), None) | (None, Some(time)) => time,
        (None, None) => Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_a_probe() {
        let cases = [
            (None, None, Ok(119.5)),
            (None, Some(2.0), Ok(2.0)),
            (Some(""), None, Ok(119.5)),
            (Some("0"), None, Ok(119.5)),
            (Some("10"), None, Ok(9.5)),
            (Some("10"), Some(2.0), Ok(2.0)),
            (Some("10"), Some(20.0), Ok(9.5)),
            (Some("1e1"), Some(20.0), Ok(9.5)),
            (Some("0.5"), Some(2.0), Ok(0.0)),
            (Some("0.4"), Some(2.0), Ok(2.0)),
            (Some("0.4"), None, Ok(0.0)),
            (Some("-3"), Some(2.0), Ok(2.0)),
            (Some("1e300"), None, Ok(600.0)),
            (Some("1e300"), Some(7000.0), Ok(600.0)),
            (Some("ten"), None, Err("'ten'")),
            (Some("NaN"), None, Err("'NaN'")),
            (Some("inf"), Some(1.0), Err("'inf'")),
            (Some("\u{1b}[2J"), None, Err("'\\x1b[2J'")),
        ];
        for (header, module, expected) in cases {
            let found = budget(header, module.map(Duration::from_secs_f64));
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found, Duration::from_secs_f64(expected), "{header:?} {module:?}");
                }
                (Err(line), Err(part)) => assert!(line.contains(part), "{line}"),
                (found, _) => unreachable!("{header:?} {module:?}: {found:?}"),
            }
        }
    }
}
