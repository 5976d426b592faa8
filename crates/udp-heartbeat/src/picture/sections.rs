//! The parts of a page that not every target has, and what the figures mean.

use std::collections::BTreeMap;

use super::draw::{Text, put, time};
use super::page::{folded, ms, ns, table};
use super::series::{Outage, Slice, outages};
use crate::probe::snapshot::{Percentiles, StampSummary, TargetSnapshot};
use crate::recorded::{Class, Recorded, Target};

/// Outages and flows that are listed.
const LISTED: usize = 200;

/// Outages, states, and why beats failed.
pub(super) fn trouble(out: &mut String, all: &Recorded, target: &Target) {
    let (.., least) = all.rules();
    let outages = outages(target, least);
    let row = |it: &Outage| {
        let lasted = it.until.map(|until| until.as_nanos().saturating_sub(it.since.as_nanos()));
        let lasted = lasted.map_or("to the end".into(), |it| format!("{:.3} s", it as f64 / 1e9));
        vec![time(it.since, true), lasted, it.beats.to_string()]
    };
    let caption = match outages.len() {
        0 => format!("No {least} beats in a row went unanswered."),
        1..=LISTED => format!("Outages: {least} or more beats in a row that were not answered"),
        more => format!("The first {LISTED} of {more} outages"),
    };
    out.push_str("<h3>Outages</h3>");
    match outages.is_empty() {
        true => put(out, format_args!("<p>{}</p>", Text(&caption))),
        false => {
            let rows: Vec<_> = outages.iter().take(LISTED).map(row).collect();
            table(out, "outages", &caption, &["since", "lasted", "beats"], &rows);
        }
    }
    if target.states.len() > 1 {
        let rows = target.states.iter().take(LISTED);
        let rows: Vec<_> =
            rows.map(|(at, state)| vec![time(*at, true), state.to_string()]).collect();
        folded(out, "States", &["since", "state"], &rows);
    }
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    target
        .beats
        .iter()
        .filter_map(|it| all.reason_of(it))
        .for_each(|it| *reasons.entry(it).or_default() += 1);
    if !reasons.is_empty() {
        let rows: Vec<_> = reasons
            .iter()
            .take(LISTED)
            .map(|(why, count)| vec![(*why).to_owned(), count.to_string()])
            .collect();
        table(out, "reasons", "Reasons", &["reason", "beats"], &rows);
    }
}

/// What a STAMP reflector tells.
pub(super) fn directions(out: &mut String, stamp: &StampSummary) {
    let own = stamp.rtt_total.average;
    let row = |name: &str, lost: u64, it: Percentiles| {
        vec![name.to_owned(), lost.to_string(), ms(it.p50), ms(it.p90), ms(it.p99)]
    };
    let split = stamp.split;
    let rows = vec![
        row("forward", split.forward, stamp.variation_forward),
        row("return", split.back, stamp.variation_back),
        row("undetermined", split.undetermined, Percentiles::default()),
    ];
    out.push_str("<h3>Directions</h3>");
    let head = ["direction", "lost", "variation p50 ms", "p90 ms", "p99 ms"];
    table(out, "directions", "Loss and delay variation by direction", &head, &rows);
    put(out, format_args!("<p>Round trip with the reflector's own time: avg {} ms.</p>", ms(own)));
}

/// By source port, where each beat has a flow.
pub(super) fn flows(out: &mut String, target: &Target) {
    let mut flows: BTreeMap<u16, (u64, u64, Vec<u64>)> = BTreeMap::new();
    for (beat, flow) in target.beats.iter().filter_map(|it| Some((it, it.flow?))) {
        let of = flows.entry(flow).or_default();
        of.0 += 1;
        match beat.class {
            Class::Received => of.2.push(beat.rtt_ns),
            Class::Lost => of.1 += 1,
            _ => {}
        }
    }
    if flows.is_empty() {
        return;
    }
    let row = |(port, (sent, lost, mut rtts)): (u16, (u64, u64, Vec<u64>))| {
        rtts.sort_unstable();
        let slice = Slice { sent, lost, failed: 0, rtts };
        let (received, p50) = (slice.rtts.len(), slice.percentile(50));
        vec![port.to_string(), sent.to_string(), received.to_string(), lost.to_string(), ns(p50)]
    };
    let rows: Vec<_> = flows.into_iter().take(LISTED).map(row).collect();
    out.push_str("<h3>Flows</h3>");
    table(out, "flows", "By source port", &["port", "sent", "received", "lost", "p50 ms"], &rows);
}

pub(super) fn verdicts(out: &mut String, of: &TargetSnapshot) {
    if of.counts.verdicts.not_ok() == 0 {
        return;
    }
    let shown = of.counts.verdicts.shown();
    let rows: Vec<_> =
        shown.map(|(name, count)| vec![name.to_owned(), count.to_string()]).collect();
    out.push_str("<h3>Answers</h3>");
    table(out, "verdicts", "What the answers said", &["verdict", "answers"], &rows);
}

pub(super) const DEFINITIONS: &str = "<section aria-labelledby=\"d\"><h2 id=\"d\">What the figures mean</h2><dl>\
<dt>received, lost, failed, pending</dt><dd>Each beat is in exactly one: answered in time; not answered in time; never \
left the host; in flight at the end. Late (answered after the timeout) and refused (ICMP port unreachable) beats are \
lost ones.</dd>\
<dt>loss</dt><dd>Lost, of received and lost (RFC 6673), with Wilson's 95 % interval in brackets.</dd>\
<dt>round trip</dt><dd>From sending to the arrival of the first reply (RFC 2681); with STAMP without the reflector's \
own time. mdev is the standard deviation.</dd>\
<dt>percentile</dt><dd>By nearest rank. It is \"-\" where the sample cannot support it: p50 takes 2 replies, p90 10, p99 \
100. Beyond 1,024 replies it is exact to a thousandth, and to a hundredth in a run of more than 100 targets. \"Lost as ∞\": as if a beat that was not answered had taken for \
ever; \"-\" where that is the figure.</dd>\
<dt>jitter</dt><dd>Interarrival jitter of RFC 3550, over round trips in the order of arrival.</dd>\
<dt>duplicate, reordered</dt><dd>Second and further replies to a beat (RFC 5560); replies that came after that to a \
later beat (RFC 4737).</dd>\
<dt>states</dt><dd>Down after beats in a row that were not answered, degraded after as many that were not ok or while a \
threshold does not hold, up after beats in a row that were ok.</dd>\
<dt>outage</dt><dd>From the sending of the first of a row of unanswered beats to that of the next answered \
one.</dd>\
<dt>direction, delay variation</dt><dd>Forward is to the reflector, return is back; a direction is told only where \
counters prove it. Variation is each one-way delay less the least one (RFC 5481).</dd>\
</dl></section>";
