//! The server's counts as Prometheus reads them, by the address that is served.
//!
//! A scrape reads what the workers publish once a batch anyway; it asks nothing of them.

use std::fmt;
use std::sync::Arc;

use udp_core::cli::web::metrics::{
    Collector, DescriptorEncoder, Format, MetricEncoder, MetricType, NoLabelSet,
};
use udp_core::cli::web::{Page, Reply, Request, Site, Weight};

use crate::accounting::{Counts, Published};
use crate::policy::Reason;
use crate::receive_queue::Queue;
use crate::reload::{Current, Sources};

/// An address that is served, and its workers.
#[derive(Debug)]
pub(crate) struct Bind {
    /// `host:port`
    pub(crate) name: String,
    pub(crate) published: Vec<Arc<Published>>,
    pub(crate) queues: Vec<Arc<Queue>>,
}

/// What one scrape read of it.
#[derive(Debug)]
struct Read {
    name: String,
    counts: Counts,
    kernel_drops: Option<u64>,
}

impl Bind {
    fn read(&self) -> Read {
        let mut counts = Counts::default();
        self.published.iter().for_each(|published| counts += published.counts());
        let kernel_drops = self.queues.iter().map(|queue| queue.dropped()).sum();
        Read { name: self.name.clone(), counts, kernel_drops }
    }
}

/// The server's pages.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) binds: Vec<Bind>,
    pub(crate) sources: Sources,
    pub(crate) rules: Arc<Current>,
}

impl Pages {
    /// How many series a scrape has.
    pub(crate) fn series(&self) -> usize {
        let drops = |read: &Read| usize::from(read.kernel_drops.is_some());
        let each = |bind: &Bind| COUNTERS.len() + Reason::ALL.len() + drops(&bind.read());
        self.binds.iter().map(each).sum::<usize>() + 1
    }

    fn families(&self) -> impl Iterator<Item = Box<dyn Collector>> {
        let read: Arc<[Read]> = self.binds.iter().map(Bind::read).collect();
        let families = COUNTERS.iter().map(Which::Counter);
        families.chain([Which::Dropped, Which::KernelDrops, Which::Build]).map(move |which| {
            let family: Box<dyn Collector> = Box::new(Family { which, read: Arc::clone(&read) });
            family
        })
    }
}

impl Site for Pages {
    fn program(&self) -> &'static str {
        "udp-server"
    }

    fn pages(&self) -> &'static [Page] {
        &[Page { path: "/metrics", what: "Metrics", weight: Weight::Quick }]
    }

    fn page(&self, request: &Request) -> Reply {
        Format::negotiate(&request.accept()).reply(self.families())
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn reload(&self) -> Result<(), String> {
        self.sources.read_again(&self.rules).map_err(|failure| failure.to_string())
    }
}

/// A counter that every address has: its name, its help, its value.
#[derive(Debug)]
struct Counter(&'static str, &'static str, fn(&Counts) -> u64);

const COUNTERS: [Counter; 5] = [
    Counter("udp_server_received", "Datagrams taken from the socket.", |it| it.received),
    Counter("udp_server_replied", "Datagrams answered: the kernel took the reply.", |it| {
        it.replied
    }),
    Counter("udp_server_failed", "Datagrams whose reply the kernel did not take.", |it| it.failed),
    Counter("udp_server_received_bytes", "Bytes of the datagrams received.", |it| {
        it.received_bytes
    }),
    Counter("udp_server_replied_bytes", "Bytes of the replies.", |it| it.replied_bytes),
];

#[derive(Debug)]
struct Family {
    which: Which,
    read: Arc<[Read]>,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Counter(&'static Counter),
    Dropped,
    KernelDrops,
    Build,
}

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (name, help, kind) = match self.which {
            Which::Counter(&Counter(name, help, _)) => (name, help, MetricType::Counter),
            Which::Dropped => {
                ("udp_server_dropped", "Datagrams not answered by rule.", MetricType::Counter)
            }
            Which::KernelDrops => {
                let help = "Datagrams that found the receive queue full.";
                ("udp_server_kernel_drops", help, MetricType::Counter)
            }
            Which::Build => ("udp_server_build_info", "The version that runs.", MetricType::Gauge),
        };
        if matches!(self.which, Which::KernelDrops)
            && self.read.iter().all(|it| it.kernel_drops.is_none())
        {
            return Ok(());
        }
        let mut family = encoder.encode_descriptor(name, help, None, kind)?;
        if matches!(self.which, Which::Build) {
            let version = [("version", env!("CARGO_PKG_VERSION"))];
            return family.encode_family(&version)?.encode_gauge(&1u64);
        }
        self.read.iter().try_for_each(|read| self.write(read, &mut family))
    }
}

impl Family {
    fn write(&self, read: &Read, family: &mut MetricEncoder<'_>) -> fmt::Result {
        let bind = ("bind", read.name.as_str());
        let mut count = |value: u64, more: Option<(&str, &str)>| match more {
            Some(label) => family
                .encode_family(&[bind, label])?
                .encode_counter::<NoLabelSet, _, u64>(&value, None),
            None => {
                family.encode_family(&[bind])?.encode_counter::<NoLabelSet, _, u64>(&value, None)
            }
        };
        match self.which {
            Which::Counter(Counter(_, _, value)) => count(value(&read.counts), None),
            Which::Dropped => Reason::ALL.into_iter().try_for_each(|reason| {
                count(read.counts.dropped_for(reason), Some(("reason", reason.as_str())))
            }),
            Which::KernelDrops => match read.kernel_drops {
                Some(drops) => count(drops, None),
                None => Ok(()),
            },
            Which::Build => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_is_there_by_address() {
        let published = Arc::new(Published::default());
        published.show(&Counts {
            received: 10,
            replied: 4,
            dropped: [1, 0, 2, 0, 0, 1],
            failed: 2,
            received_bytes: 100,
            replied_bytes: 60,
        });
        let bind = |name: &str| Bind {
            name: name.into(),
            published: vec![published.clone(); 2],
            queues: Vec::new(),
        };
        let sources = Sources::default();
        let rules = Arc::new(Current::new(sources.read().unwrap()));
        let pages = Pages { binds: vec![bind("a:1"), bind("[::]:2")], sources, rules };
        let text = String::from_utf8(Format::Text.encode(pages.families()).unwrap()).unwrap();
        for line in [
            "udp_server_received_total{bind=\"a:1\"} 20",
            "udp_server_replied_bytes_total{bind=\"[::]:2\"} 120",
            "udp_server_dropped_total{bind=\"a:1\",reason=\"access\"} 4",
            "udp_server_kernel_drops_total{bind=\"a:1\"} 0",
            "# TYPE udp_server_failed_total counter",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        let series = text.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(series, pages.series(), "{text}");
    }
}
