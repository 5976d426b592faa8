//! Serves metrics and the table of targets over HTTP.
//!
//! The beats wait for none of it: figures are taken between two beats and written on another thread.

mod families;
mod series;
mod table;

use std::sync::{Arc, Weak};
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use udp_core::cli::web::metrics::Format;
use udp_core::cli::web::{Page, Reply, Request, Site, StatusCode, Weight};
use udp_core::clock;

use super::Probes;
use super::reload::{Ask, Reloads};
use crate::args::HistogramForm;
use crate::run::Prober;
use families::{Scrape, series};

/// Targets up to which buckets are series of their own, unless asked for.
const MANY: usize = 200;
/// The longest that reading files again may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which buckets are written.
#[derive(Debug, Clone, Copy)]
struct Histograms {
    any: bool,
    classic: bool,
    native: bool,
}

impl Histograms {
    fn of(form: Option<HistogramForm>, targets: usize, format: Format) -> Histograms {
        let protobuf = format == Format::Protobuf;
        let (any, classic, native) = match form {
            None => (true, targets <= MANY, protobuf),
            Some(HistogramForm::Classic) => (true, true, false),
            Some(HistogramForm::Native) => (true, false, protobuf),
            Some(HistogramForm::None) => (false, false, false),
        };
        Histograms { any, classic, native }
    }
}

/// The heartbeat's pages.
#[derive(Debug)]
pub(crate) struct Pages {
    /// It must not keep the run from its end.
    pub(crate) prober: Weak<Prober>,
    pub(crate) form: Option<HistogramForm>,
    pub(crate) reloads: Reloads,
    /// Asks for files to be read again; none where there is none.
    pub(crate) asks: Option<Sender<Ask>>,
    pub(crate) probes: Option<Arc<Probes>>,
}

impl Pages {
    /// How many series a scrape in text has.
    pub(crate) fn series(&self) -> usize {
        let meters = self.prober.upgrade().map(|prober| prober.meters());
        meters.map_or(0, |meters| {
            series(&meters, Histograms::of(self.form, meters.targets.len(), Format::Text))
        })
    }

    fn metrics(&self, prober: &Prober, accept: &str) -> Reply {
        let format = Format::negotiate(accept);
        let meters = prober.meters();
        let histograms = Histograms::of(self.form, meters.targets.len(), format);
        let (reloaded, now) = (self.reloads.get(), (clock::wall(), clock::mono()));
        format.reply(Scrape { meters, histograms, reloaded, now }.families())
    }
}

impl Site for Pages {
    fn program(&self) -> &'static str {
        "udp-heartbeat"
    }

    fn pages(&self) -> &'static [Page] {
        const fn page(path: &'static str, what: &'static str, weight: Weight) -> Page {
            Page { path, what, weight }
        }
        const ALL: &[Page] = &[
            page("/metrics", "Metrics", Weight::Quick),
            page("/targets", "The targets and their figures", Weight::Quick),
            page(
                "/probe",
                "One probe now: ?target=HOST[:PORT]&module=NAME[&debug=true]",
                Weight::Long,
            ),
        ];
        if self.probes.is_some() { ALL } else { &ALL[..2] }
    }

    fn page(&self, request: &Request) -> Reply {
        let Some(prober) = self.prober.upgrade() else {
            return Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the run is over");
        };
        match (request.path.as_str(), &self.probes) {
            ("/probe", Some(probes)) => {
                drop(prober);
                probes.page(request)
            }
            ("/targets", _) => table::page(&prober.snapshot(), &request.accept()),
            _ => self.metrics(&prober, &request.accept()),
        }
    }

    fn is_ready(&self) -> bool {
        self.prober.strong_count() > 0
    }

    fn reload(&self) -> Result<(), String> {
        let Some(asks) = &self.asks else { return Ok(()) };
        let (answer, done) = bounded(1);
        if asks.send_timeout(Ask { answer: Some(answer) }, PATIENCE).is_err() {
            return Err("files are being read already".into());
        }
        done.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("the run is over".into()))
    }
}
