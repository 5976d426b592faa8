//! The metrics of one probe: blackbox_exporter's names and words, and our own behind them.

use std::fmt;
use std::net::IpAddr;

use udp_core::cli::web::metrics::{Collector, DescriptorEncoder, MetricType};

use super::one::{Outcome, RESULTS};

/// A family of gauges: each with a label's value, if they have a label.
#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    label: Option<&'static str>,
    values: Vec<(String, f64)>,
}

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Gauge)?;
        for (value, number) in &self.values {
            let labels: Vec<_> = self.label.iter().map(|label| (*label, value.as_str())).collect();
            let mut one = family.encode_family(&labels)?;
            // A whole number is written as one.
            match number.fract() == 0.0 {
                true => one.encode_gauge(&(*number as i64))?,
                false => one.encode_gauge(number)?,
            }
        }
        Ok(())
    }
}

/// The sections of a DNS message behind its question.
const SECTIONS: [(&str, &str); 3] = [
    ("probe_dns_answer_rrs", "Returns number of entries in the answer resource record list"),
    ("probe_dns_authority_rrs", "Returns number of entries in the authority resource record list"),
    (
        "probe_dns_additional_rrs",
        "Returns number of entries in the additional resource record list",
    ),
];

/// All families of a probe.
pub(super) fn families(outcome: &Outcome) -> Vec<Box<dyn Collector>> {
    let Outcome { success, duration, timeout, lookup, address, facts, .. } = outcome;
    let mut all: Vec<Box<dyn Collector>> = Vec::new();
    let mut family = |name, help, label, values| {
        all.push(Box::new(Family { name, help, label, values }));
    };
    let one = |number: f64| vec![(String::new(), number)];
    let yes = |truth: bool| f64::from(u8::from(truth));
    let protocol = address.map_or(0.0, |ip| if ip.is_ipv4() { 4.0 } else { 6.0 });
    let hash = f64::from(address.map_or(0, hash));
    let (regex, bytes) = (outcome.failed_due_to_regex, outcome.failed_due_to_bytes);
    let single = [
        ("probe_success", "Displays whether or not the probe was a success", yes(*success)),
        (
            "probe_duration_seconds",
            "Returns how long the probe took to complete in seconds",
            duration.as_secs_f64(),
        ),
        (
            "probe_timeout_seconds",
            "Returns how long the probe timeout is in seconds",
            timeout.as_secs_f64(),
        ),
        (
            "probe_dns_lookup_time_seconds",
            "Returns the time taken for probe dns lookup in seconds",
            lookup.as_secs_f64(),
        ),
        ("probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", protocol),
        (
            "probe_ip_addr_hash",
            "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
            hash,
        ),
        ("probe_failed_due_to_regex", "Indicates if probe failed due to regex", yes(regex)),
        ("probe_failed_due_to_bytes", "Indicates if probe failed due to bytes", yes(bytes)),
        ("probe_udp_sent", "Datagrams that were sent", outcome.sent as f64),
        (
            "probe_udp_received",
            "Datagrams that were answered, whatever the answer said",
            outcome.received as f64,
        ),
    ];
    single.into_iter().for_each(|(name, help, number)| family(name, help, None, one(number)));
    if let Some(rtts) = outcome.rtts() {
        let stats = ["min", "median", "max"].map(String::from).into_iter();
        let rtts = stats.zip(rtts.map(|rtt| rtt.as_secs_f64())).collect();
        family("probe_udp_rtt_seconds", "Round trips", Some("stat"), rtts);
    }
    let results = RESULTS.map(|name| (name.to_owned(), yes(name == outcome.result))).into();
    family("probe_udp_result", "What became of the probe", Some("result"), results);
    if !facts.is_empty() {
        let facts = facts.iter().map(|(name, fact)| ((*name).to_owned(), *fact as f64)).collect();
        family("probe_udp_fact", "A number of the newest answer", Some("name"), facts);
    }
    if let Some(sections) = outcome.dns {
        let request = outcome.rtts().map_or(0.0, |[_, median, _]| median.as_secs_f64());
        let phases = [("resolve", lookup.as_secs_f64()), ("connect", 0.0), ("request", request)];
        let phases = phases.map(|(phase, seconds)| (phase.to_owned(), seconds)).into();
        let help = "Duration of DNS request by phase";
        family("probe_dns_duration_seconds", help, Some("phase"), phases);
        for ((name, help), count) in SECTIONS.into_iter().zip(sections) {
            family(name, help, None, one(count.into()));
        }
        let help = "Displays whether or not the query was executed successfully";
        family("probe_dns_query_succeeded", help, None, one(yes(outcome.received > 0)));
        if let Some(serial) = outcome.serial {
            let help = "Returns the serial number of the zone";
            family("probe_dns_serial", help, None, one(serial as f64));
        }
    }
    all
}

/// FNV-1a of 32 bits over the bytes of an address.
fn hash(ip: IpAddr) -> u32 {
    let hash = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
    };
    match ip {
        IpAddr::V4(ip) => hash(&ip.octets()),
        IpAddr::V6(ip) => hash(&ip.octets()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_others() {
        // By Go's hash/fnv.
        for (ip, expected) in [("127.0.0.1", 0xdaaf_40ed_u32), ("::1", 0x6869_1772)] {
            assert_eq!(format!("{:08x}", hash(ip.parse().unwrap())), format!("{expected:08x}"));
        }
    }
}
