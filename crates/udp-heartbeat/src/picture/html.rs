//! The page: for each target its figures, its pictures with a table beside each, and what went wrong.

use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;

use super::draw::{Text, put, time};
use super::page::{folded, ms, ns, pairs, percent, table};
use super::sections::{DEFINITIONS, directions, flows, trouble, verdicts};
use super::series::{Slice, Span, fitting, slices};
use super::{histogram, latency, open, style};
use crate::probe::snapshot::{Percentiles, Snapshot, TargetSnapshot};
use crate::probe::stats::loss::confidence;
use crate::recorded::{Recorded, Target};

/// Rows of a table beside a picture.
const ROWS: usize = 24;

/// All of it.
pub(crate) fn page(all: &Recorded, figures: &Snapshot) -> String {
    let span = Span::of(all.targets.iter()).unwrap_or(Span { from: 0, to: 1 });
    let title = match &all.targets[..] {
        [only] => format!("UDP heartbeat: {}", only.label),
        targets => format!("UDP heartbeat: {} targets", targets.len()),
    };
    let mut out = String::new();
    put(
        &mut out,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width,initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none';style-src 'unsafe-inline'\"><title>{}</title>\
             <style>{}{}</style></head><body><h1>{}</h1>",
            Text(&title),
            style::PAGE,
            style::COLORS,
            Text(&title)
        ),
    );
    head(&mut out, all, span);
    if figures.targets.len() > 1 {
        overview(&mut out, figures);
    }
    for (n, (target, of)) in all.targets.iter().zip(&figures.targets).enumerate() {
        section(&mut out, all, (n, target, of), span);
    }
    whole(&mut out, figures);
    out.push_str(DEFINITIONS);
    out.push_str("</body></html>\n");
    out
}

/// When, how, and what is missing.
fn head(out: &mut String, all: &Recorded, span: Span) {
    let (interval, timeout, _) = all.rules();
    let [from, to] = [span.from, span.to].map(|it| time(Wall::from_nanos(it), true));
    let runs = match all.runs() {
        1 => "one run".to_owned(),
        runs => format!("{runs} runs"),
    };
    let (interval, timeout) = (ShownDuration(interval), ShownDuration(timeout));
    let least = if all.mode() == "service" { " at the fastest" } else { "" };
    put(
        out,
        format_args!(
            "<p class=\"dim\">{from} to {to} (UTC), {runs}; a beat each {interval}{least}, lost after {timeout}, \
             replies known by {}.</p>",
            match all.mode() {
                "number" => "the number in them",
                "stamp" => "STAMP (RFC 8762)",
                "service" => "what each service puts into them",
                _ => "the port they come to",
            }
        ),
    );
    for (count, what) in [
        (all.not_recorded, "not recorded, because the file was slow"),
        (all.unreadable, "unreadable"),
    ] {
        if count > 0 {
            put(
                out,
                format_args!(
                    "<p class=\"warn\">Lines of the recording that are {what}: {count}.</p>"
                ),
            );
        }
    }
}

fn overview(out: &mut String, figures: &Snapshot) {
    out.push_str("<h2>All targets</h2>");
    let row = |it: &TargetSnapshot| {
        let Percentiles { p50, p90, p99 } = it.rtt.percentiles;
        vec![
            it.label.clone(),
            it.counts.sent.to_string(),
            it.counts.received.to_string(),
            it.counts.lost.to_string(),
            percent(it.counts.loss_percent()),
            ms(p50),
            ms(p90),
            ms(p99),
            ms(it.jitter),
            it.state.to_string(),
        ]
    };
    let rows: Vec<_> = figures.targets.iter().map(row).collect();
    let head = [
        "target",
        "sent",
        "received",
        "lost",
        "loss",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "jitter ms",
        "state",
    ];
    table(out, "overview", "Figures of each target", &head, &rows);
}

fn section(
    out: &mut String,
    all: &Recorded,
    (n, target, of): (usize, &Target, &TargetSnapshot),
    span: Span,
) {
    put(
        out,
        format_args!("<section aria-labelledby=\"t{n}\"><h2 id=\"t{n}\">{}</h2>", Text(&of.label)),
    );
    let address = of.address.map(|it| it.to_string()).filter(|it| *it != of.label);
    let mut about: Vec<_> = address.into_iter().collect();
    if of.interval != all.rules().0 {
        about.push(format!("a beat each {}", ShownDuration(of.interval)));
    }
    about.extend(of.labels.iter().map(|(name, value)| format!("{name}={value}")));
    if !about.is_empty() {
        put(out, format_args!("<p class=\"dim\">{}</p>", Text(&about.join(" · "))));
    }
    for unmet in &of.unmet {
        put(out, format_args!("<p class=\"warn\">{}</p>", Text(&unmet.text)));
    }
    numbers(out, of);
    pictures(out, target, span);
    trouble(out, all, target);
    if let Some(stamp) = &of.stamp {
        directions(out, stamp);
    }
    flows(out, target);
    verdicts(out, of);
    out.push_str("</section>");
}

/// The figures of the summary.
fn numbers(out: &mut String, of: &TargetSnapshot) {
    let counts = &of.counts;
    let bounds = confidence(counts.lost, counts.received + counts.lost);
    let bounds = bounds.map_or(String::new(), |(low, high)| format!(" ({low:.1} to {high:.1}%)"));
    out.push_str("<div class=\"f\">");
    pairs(
        out,
        "beats",
        "Beats",
        &[
            ("sent", counts.sent.to_string()),
            ("received", counts.received.to_string()),
            ("lost", counts.lost.to_string()),
            ("failed", counts.failed.to_string()),
            ("pending", counts.pending().to_string()),
            ("loss", percent(counts.loss_percent()) + &bounds),
        ],
    );
    pairs(
        out,
        "more",
        "Among them",
        &[
            ("late", counts.late.to_string()),
            ("refused", counts.refused.to_string()),
            ("duplicate", counts.duplicate.to_string()),
            ("reordered", counts.reordered.to_string()),
            ("unsolicited", counts.unsolicited.to_string()),
            ("slots skipped", counts.slots_skipped.to_string()),
        ],
    );
    let (rtt, loss) = (of.rtt, of.rtt.with_loss);
    pairs(
        out,
        "rtt",
        "Round trips, ms",
        &[
            ("min", ms(rtt.min)),
            ("avg", ms(rtt.average)),
            ("max", ms(rtt.max)),
            ("mdev", ms(rtt.deviation)),
            ("jitter", ms(of.jitter)),
            ("state", of.state.to_string()),
        ],
    );
    let Percentiles { p50, p90, p99 } = rtt.percentiles;
    let rows = [("p50", p50, loss.p50), ("p90", p90, loss.p90), ("p99", p99, loss.p99)];
    let rows: Vec<_> = rows.map(|(name, of, all)| vec![name.to_owned(), ms(of), ms(all)]).into();
    table(out, "percentiles", "Percentiles, ms", &["", "of the replies", "lost as ∞"], &rows);
    out.push_str("</div>");
}

fn pictures(out: &mut String, target: &Target, span: Span) {
    out.push_str("<figure>");
    let name = format!("{} over time", target.label);
    open(out, latency::HEIGHT, &name, "The table below holds the same in fewer rows.", false);
    latency::draw(out, target, span, 0.0);
    out.push_str(
        "</svg><figcaption>Round trips over time: the line is the median, around it lie the middle half, the middle \
         eight tenths, and all. A bar below is a time with lost beats: the higher, the more.</figcaption></figure>",
    );
    let count = fitting(target, ROWS);
    let row = |(n, it): (usize, &Slice)| {
        let (least, most) = it.ends().unzip();
        vec![
            time(span.start(n, count), true),
            it.sent.to_string(),
            it.lost.to_string(),
            percent(it.loss()),
            ns(least),
            ns(it.percentile(50)),
            ns(it.percentile(90)),
            ns(most),
        ]
    };
    let rows: Vec<_> = slices(target, span, count).iter().enumerate().map(row).collect();
    let head = ["from", "sent", "lost", "loss", "min ms", "p50 ms", "p90 ms", "max ms"];
    folded(out, "Over time, as a table", &head, &rows);
    let (Some(bars), Some(few)) =
        (histogram::bins(target, histogram::BARS), histogram::bins(target, ROWS / 2))
    else {
        return;
    };
    out.push_str("<figure>");
    let name = format!("How the round trips of {} are spread", target.label);
    open(out, histogram::HEIGHT, &name, "The table below holds the same in fewer rows.", false);
    histogram::draw(out, target, &bars, 0.0);
    out.push_str("</svg><figcaption>How many replies took how long, on a logarithmic axis.</figcaption></figure>");
    let row = |(from, to, count): &(u64, u64, u64)| {
        vec![ns(Some(*from)), ns(Some(*to)), count.to_string()]
    };
    let rows: Vec<_> = few.iter().map(row).collect();
    folded(out, "The histogram, as a table", &["from ms", "to ms", "replies"], &rows);
}

/// What is of the run and of no target.
fn whole(out: &mut String, figures: &Snapshot) {
    if let Some(drops) = figures.kernel_drops.filter(|drops| *drops > 0) {
        put(
            out,
            format_args!("<p class=\"warn\">Kernel drops: {drops} (receive buffer full).</p>"),
        );
    }
    if let Some(from) = figures.unsolicited_from {
        put(
            out,
            format_args!(
                "<p>Unsolicited datagrams, the first from {}.</p>",
                Text(&from.to_string())
            ),
        );
    }
}
