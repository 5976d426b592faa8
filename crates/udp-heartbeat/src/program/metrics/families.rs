//! The families of metrics, over what one scrape read.
//!
//! Names and labels are what dashboards lean on; a series is there from the start wherever it can be, so
//! that the first increase is not missed.

use std::fmt;
use std::sync::Arc;

use udp_core::cli::web::metrics::{
    Collector, DescriptorEncoder, EncodeGaugeValue, MetricType, NoLabelSet,
};
use udp_core::clock::{Mono, Wall};

use super::Histograms;
use super::series::{NONE, Of, count, gauge, histogram};
use crate::probe::meter::{Counted, Meter, Meters};
use crate::probe::state::State;

/// What one scrape read, and the format to render it in.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) meters: Meters,
    pub(super) histograms: Histograms,
    /// Whether files were read again well, and when they last were.
    pub(super) reloaded: (bool, Wall),
    pub(super) now: (Wall, Mono),
}

impl Scrape {
    /// Each family, in the order they are written in.
    pub(super) fn families(self) -> impl Iterator<Item = Box<dyn Collector>> {
        let scrape = Arc::new(self);
        let counters = COUNTERS.iter().map(Which::Counter);
        let others = OTHERS.iter().map(|write| Which::Other(*write));
        counters.chain(others).map(move |which| {
            let family: Box<dyn Collector> = Box::new(Family { scrape: scrape.clone(), which });
            family
        })
    }
}

/// How many series there are once every target was answered; the numbers of services come on top.
pub(super) fn series(meters: &Meters, histograms: Histograms) -> usize {
    let buckets = if histograms.classic { 20 } else { 0 };
    let histogram = if histograms.any { 2 + buckets } else { 0 };
    let each = |meter: &Meter| {
        let directions = if meter.counts.split.is_some() { 3 } else { 0 };
        // Jitter, up, changes and the last reply have one each.
        COUNTERS.len()
            + directions
            + verdicts(meters, &meter.counts).count()
            + histogram
            + State::ALL.len()
            + meter.facts.len()
            + 4
    };
    let drops = usize::from(meters.kernel_drops.is_some());
    // The two of the configuration, and the build.
    meters.targets.iter().map(each).sum::<usize>() + histogram + drops + State::ALL.len() + 3
}

#[derive(Debug)]
struct Family {
    scrape: Arc<Scrape>,
    which: Which,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Counter(&'static Counter),
    Other(Write),
}

type Write = fn(&Scrape, DescriptorEncoder<'_>) -> fmt::Result;

/// A counter that every target has.
#[derive(Debug)]
struct Counter {
    name: &'static str,
    help: &'static str,
    value: fn(&Counted) -> u64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&Counted) -> u64) -> Counter {
    Counter { name, help, value }
}

const COUNTERS: [Counter; 10] = [
    counter("udp_heartbeat_sent", "Beats that were due, whether or not they left.", |it| it.sent),
    counter("udp_heartbeat_received", "Beats answered in time.", |it| it.received),
    counter("udp_heartbeat_lost", "Beats not answered in time.", |it| it.lost),
    counter("udp_heartbeat_late", "Lost beats answered after the timeout.", |it| it.late),
    counter("udp_heartbeat_refused", "Lost beats refused by the peer's host.", |it| it.refused),
    counter("udp_heartbeat_failed", "Beats that never left this host.", |it| it.failed),
    counter("udp_heartbeat_duplicates", "Second and further replies.", |it| it.duplicates),
    counter("udp_heartbeat_reordered", "Replies after that to a later beat.", |it| it.reordered),
    counter("udp_heartbeat_unsolicited", "Datagrams that answer no beat.", |it| it.unsolicited),
    counter("udp_heartbeat_slots_skipped", "Slots of the schedule that were skipped.", |it| {
        it.slots_skipped
    }),
];

const OTHERS: [Write; 15] = [
    directions,
    answers,
    rtt,
    jitter,
    up,
    state,
    changes,
    last_reply,
    facts,
    kernel_drops,
    lag,
    targets,
    reload_successful,
    reload_time,
    build,
];

impl Collector for Family {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        match self.which {
            Which::Other(write) => write(&self.scrape, encoder),
            Which::Counter(counter) => {
                let kind = MetricType::Counter;
                let mut family =
                    encoder.encode_descriptor(counter.name, counter.help, None, kind)?;
                for meter in &self.scrape.meters.targets {
                    count(&mut family, meter, NONE, (counter.value)(&meter.counts))?;
                }
                Ok(())
            }
        }
    }
}

fn directions(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let split = |meter| Some((meter, meter_split(meter)?));
    let mut known = scrape.meters.targets.iter().filter_map(split).peekable();
    if known.peek().is_none() {
        return Ok(());
    }
    let help = "Lost beats by where they were lost, once that is as clear as it will be.";
    let name = "udp_heartbeat_lost_by_direction";
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    known.try_for_each(|(meter, split)| {
        split.into_iter().try_for_each(|(direction, lost)| {
            count(&mut family, meter, Some(("direction", direction)), lost)
        })
    })
}

fn meter_split(meter: &Meter) -> Option<[(&'static str, u64); 3]> {
    let it = meter.counts.split?;
    Some([("forward", it.forward), ("return", it.back), ("undetermined", it.undetermined)])
}

/// The verdicts that answers can have.
fn verdicts(meters: &Meters, counts: &Counted) -> impl Iterator<Item = (&'static str, u64)> {
    let judged = meters.judged;
    counts.verdicts.all().filter(move |(name, count)| judged || *name == "ok" || *count > 0)
}

fn answers(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let help = "Received answers by what they said.";
    let kind = MetricType::Counter;
    let mut family = encoder.encode_descriptor("udp_heartbeat_answers", help, None, kind)?;
    for meter in &scrape.meters.targets {
        for (verdict, answers) in verdicts(&scrape.meters, &meter.counts) {
            count(&mut family, meter, Some(("verdict", verdict)), answers)?;
        }
    }
    Ok(())
}

fn rtt(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    if !scrape.histograms.any {
        return Ok(());
    }
    let help = "Round trips of received beats.";
    let kind = MetricType::Histogram;
    let mut family = encoder.encode_descriptor("udp_heartbeat_rtt_seconds", help, None, kind)?;
    for meter in &scrape.meters.targets {
        let Some(rtt) = &meter.rtt else { continue };
        histogram(family.encode_family(&Of(meter, NONE))?, rtt, scrape.histograms)?;
    }
    Ok(())
}

fn gauges<V: EncodeGaugeValue>(
    scrape: &Scrape,
    mut encoder: DescriptorEncoder<'_>,
    (name, help): (&'static str, &'static str),
    value: impl Fn(&Meter) -> Option<V>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for meter in &scrape.meters.targets {
        if let Some(value) = value(meter) {
            gauge(&mut family, meter, NONE, &value)?;
        }
    }
    Ok(())
}

fn jitter(scrape: &Scrape, encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let about = ("udp_heartbeat_jitter_seconds", "Interarrival jitter of round trips (RFC 3550).");
    gauges(scrape, encoder, about, |it| it.jitter.map(|jitter| jitter.as_secs_f64()))
}

fn up(scrape: &Scrape, encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let about = ("udp_heartbeat_up", "1 for a target in the state up, else 0.");
    gauges(scrape, encoder, about, |it| Some(u64::from(it.state == State::Up)))
}

fn state(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("udp_heartbeat_state", "1 for the state that a target is in, else 0.");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for meter in &scrape.meters.targets {
        for state in State::ALL {
            let value = u64::from(meter.state == state);
            gauge(&mut family, meter, Some(("state", state.name())), &value)?;
        }
    }
    Ok(())
}

fn changes(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("udp_heartbeat_state_changes", "Changes of a target's state.");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    let mut meters = scrape.meters.targets.iter();
    meters.try_for_each(|meter| count(&mut family, meter, NONE, meter.state_changes))
}

fn last_reply(scrape: &Scrape, encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let about = ("udp_heartbeat_last_reply_timestamp_seconds", "When the newest reply came.");
    let (wall, mono) = scrape.now;
    gauges(scrape, encoder, about, |meter| {
        // To the millisecond: the two clocks do not go alike, and nothing has changed meanwhile.
        let ago = mono.saturating_since(meter.last_reply?).as_nanos() as u64;
        Some((wall.as_nanos().saturating_sub(ago) as f64 / 1e6).round() / 1e3)
    })
}

fn facts(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let meters = &scrape.meters.targets;
    if meters.iter().all(|meter| meter.facts.is_empty()) {
        return Ok(());
    }
    let (name, help) = ("udp_heartbeat_fact", "Numbers of a service's newest answer.");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for meter in meters {
        for (fact, value) in &meter.facts {
            gauge(&mut family, meter, Some(("name", fact)), value)?;
        }
    }
    Ok(())
}

fn kernel_drops(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let Some(drops) = scrape.meters.kernel_drops else { return Ok(()) };
    let help = "Datagrams that found a receive queue of ours full.";
    let kind = MetricType::Counter;
    let mut family = encoder.encode_descriptor("udp_heartbeat_kernel_drops", help, None, kind)?;
    family.encode_counter::<NoLabelSet, _, u64>(&drops, None)
}

fn lag(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    if !scrape.histograms.any {
        return Ok(());
    }
    let help = "How late beats were sent, by their schedule.";
    let (name, kind) = ("udp_heartbeat_send_lag_seconds", MetricType::Histogram);
    let family = encoder.encode_descriptor(name, help, None, kind)?;
    histogram(family, &scrape.meters.lag, scrape.histograms)
}

fn targets(scrape: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("udp_heartbeat_targets", "Targets in each state.");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    State::ALL.into_iter().try_for_each(|state| {
        let targets = scrape.meters.targets.iter().filter(|meter| meter.state == state).count();
        family.encode_family(&[("state", state.name())])?.encode_gauge(&(targets as u64))
    })
}

fn single(
    mut encoder: DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

fn reload_successful(scrape: &Scrape, encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let name = "udp_heartbeat_config_last_reload_successful";
    let good = u64::from(scrape.reloaded.0);
    single(encoder, name, "Whether files were read again well the last time, 1 or 0.", &good)
}

fn reload_time(scrape: &Scrape, encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let name = "udp_heartbeat_config_last_reload_success_timestamp_seconds";
    let at = (scrape.reloaded.1.as_nanos() as f64 / 1e6).round() / 1e3;
    single(encoder, name, "When files were last read well.", &at)
}

fn build(_: &Scrape, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
    let (name, help) = ("udp_heartbeat_build_info", "The version that runs.");
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    family.encode_family(&version)?.encode_gauge(&1u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use udp_core::cli::web::metrics::Format;

    use super::*;
    use crate::args::HistogramForm;
    use crate::probe::stats::buckets::Buckets;
    use crate::probe::stats::direction::Split;

    fn meters(split: Option<Split>) -> Meters {
        let mut rtt = Buckets::default();
        [1, 90, 5000].into_iter().for_each(|micros| rtt.record(Duration::from_micros(micros)));
        let meter = |label: &str| Meter {
            label: label.into(),
            labels: Arc::new([("k".to_owned(), "v".to_owned())].into()),
            address: Some(([127, 0, 0, 1], 7000).into()),
            state: State::Up,
            state_changes: 1,
            last_reply: Some(Mono::from_nanos(1)),
            rtt: Some(rtt.clone()),
            jitter: Some(Duration::from_millis(1)),
            counts: Counted { sent: 3, received: 3, split, ..Counted::default() },
            facts: split.map(|_| ("stratum", 2)).into_iter().collect(),
        };
        Meters {
            targets: vec![meter("a:1"), meter("b:2")],
            lag: rtt.clone(),
            kernel_drops: split.map(|_| 7),
            judged: split.is_some(),
        }
    }

    #[test]
    fn the_number_of_series_is_known_before() {
        let forms = [
            None,
            Some(HistogramForm::Classic),
            Some(HistogramForm::Native),
            Some(HistogramForm::None),
        ];
        for form in forms {
            for split in [None, Some(Split::default())] {
                let histograms = Histograms::of(form, 2, Format::Text);
                let expected = series(&meters(split), histograms);
                let now = (Wall::from_nanos(9), Mono::from_nanos(5));
                let reloaded = (true, Wall::from_nanos(3));
                let scrape = |histograms| {
                    Scrape { meters: meters(split), histograms, reloaded, now }.families()
                };
                let text = Format::Text.encode(scrape(histograms)).unwrap();
                let text = String::from_utf8(text).unwrap();
                let lines = text.lines().filter(|line| !line.starts_with('#')).count();
                assert_eq!(lines, expected, "{form:?} {split:?}\n{text}");
                let fact = "udp_heartbeat_fact{target=\"a:1\",address=\"127.0.0.1\",k=\"v\",name=\"stratum\"} 2";
                assert_eq!(text.contains(fact), split.is_some(), "{text}");
                for format in [Format::OpenMetrics, Format::Protobuf] {
                    let histograms = Histograms::of(form, 2, format);
                    assert!(format.encode(scrape(histograms)).is_ok(), "{form:?} {format:?}");
                }
            }
        }
    }
}
