//! A summary as text: a block for one target, a table for several.

use std::fmt;
use std::time::Duration;

use udp_core::endpoint::Shown;
use udp_core::text::units::{Millis, MoreCounts, OrDash, put};

use super::names::one_line;
use crate::probe::session::Counts;
use crate::probe::snapshot::{Percentiles, Snapshot, StampSummary, TargetSnapshot};
use crate::probe::state::State;

/// The run's end.
pub(super) fn run(summary: &Snapshot, out: &mut Vec<u8>) {
    match &summary.targets[..] {
        [target] => block(target, summary.judged, out),
        targets => {
            table(targets, out);
            put(out, format_args!("{}\n", total(summary, |_| true)));
        }
    }
    if let Some(from) = summary.unsolicited_from {
        put(out, format_args!("unsolicited: first from {}\n", Shown(from)));
    }
    if let Some(drops) = summary.kernel_drops.filter(|drops| *drops > 0) {
        put(out, format_args!("kernel drops: {drops} (receive buffer full)\n"));
    }
}

/// The statistics of one target, as the summary has them.
#[cfg(feature = "live")]
pub(crate) fn statistics(target: &TargetSnapshot, judged: bool) -> String {
    let mut out = Vec::new();
    block(target, judged, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The statistics of one target.
fn block(target: &TargetSnapshot, judged: bool, out: &mut Vec<u8>) {
    put(out, format_args!("--- {} heartbeat statistics ---\n", one_line(&target.label)));
    put(out, format_args!("{}\n", Sums(&target.counts)));
    if judged || target.reasons.is_some() {
        let answers = target.counts.verdicts.shown().map(|(name, count)| format!("{count} {name}"));
        put(out, format_args!("answers: {}\n", answers.collect::<Vec<_>>().join(", ")));
    }
    if let Some(moments) = moments(target) {
        let (percentiles, jitter) = (target.rtt.percentiles, OrDash(target.jitter.map(Millis)));
        put(out, format_args!("rtt min/avg/max/mdev = {moments} ms\n"));
        put(out, format_args!("rtt p50/p90/p99 = {percentiles} ms, jitter {jitter} ms\n"));
    }
    if let Some(of_stamp) = &target.stamp {
        stamp(of_stamp, (target.rtt.average, target.counts.received), out);
    }
}

fn stamp(stamp: &StampSummary, (average, received): (Option<Duration>, u64), out: &mut Vec<u8>) {
    let split = stamp.split;
    let (forward, back, open) = (split.forward, split.back, split.undetermined);
    put(out, format_args!("loss: forward {forward}, return {back}, undetermined {open}\n"));
    if let (Some(net), Some(total)) = (average, stamp.rtt_total.average) {
        // A reply without a readable time of the reflector has none in its total.
        let readable = received.saturating_sub(stamp.unreadable_times);
        let sum = total.saturating_sub(net).as_nanos() * u128::from(received);
        let own = sum.checked_div(u128::from(readable)).and_then(|own| u64::try_from(own).ok());
        let own = OrDash(own.map(|own| Millis(Duration::from_nanos(own))));
        put(out, format_args!("reflector time avg {own} ms (not in rtt)\n"));
        let (forward, back) = (stamp.variation_forward, stamp.variation_back);
        let text =
            format_args!("delay variation p50/p90/p99 = forward {forward} ms, return {back} ms\n");
        put(out, text);
    }
    if stamp.unreadable_times > 0 {
        let count = stamp.unreadable_times;
        put(out, format_args!("{count} replies without a readable reflector time\n"));
    }
}

/// What the columns of a table are.
pub(crate) const COLUMNS: [&str; 9] = [
    "target",
    "sent",
    "recv",
    "lost",
    "loss%",
    "min/avg/max/mdev",
    "p50/p90/p99",
    "jitter",
    "state",
];

/// One line a target, in aligned columns.
fn table(targets: &[TargetSnapshot], out: &mut Vec<u8>) {
    let mut widths = COLUMNS.map(str::len);
    let rows: Vec<[String; 9]> = targets.iter().map(cells).collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    line(&COLUMNS, &widths, out);
    rows.iter().for_each(|row| line(row, &widths, out));
}

/// A target's line of the table.
pub(crate) fn cells(target: &TargetSnapshot) -> [String; 9] {
    let counts = &target.counts;
    let moments = moments(target);
    let percentiles = moments.is_some().then(|| target.rtt.percentiles.to_string());
    [
        one_line(&target.label),
        counts.sent.to_string(),
        counts.received.to_string(),
        counts.lost.to_string(),
        counts.loss_percent().map_or("-".into(), |share| format!("{share:.1}")),
        moments.unwrap_or("-".into()),
        percentiles.unwrap_or("-".into()),
        OrDash(target.jitter.map(Millis)).to_string(),
        target.state.to_string(),
    ]
}

/// Text to the left, figures to the right.
fn line<T: fmt::Display>(cells: &[T; 9], widths: &[usize; 9], out: &mut Vec<u8>) {
    let [target, figures @ .., state] = cells;
    let [width, widths @ .., _] = widths;
    put(out, format_args!("{target:<width$}"));
    for (cell, width) in figures.iter().zip(widths) {
        put(out, format_args!("  {cell:>width$}"));
    }
    put(out, format_args!("  {state}\n"));
}

/// How many targets are how, where that many are `shown`, and the sums of their counts.
pub(crate) fn total(summary: &Snapshot, shown: impl Fn(usize) -> bool) -> String {
    let count = |state| summary.targets.iter().filter(|target| target.state == state).count();
    let states = State::ALL.into_iter().map(|state| (count(state), state));
    let states = states.filter(|(count, _)| shown(*count));
    let states: Vec<String> = states.map(|(count, state)| format!("{count} {state}")).collect();
    let Counts { sent, received, lost, failed, .. } = summary.totals;
    // What the columns do not show, so that the counts add up.
    let more = [(failed, "failed"), (summary.totals.pending(), "pending")];
    let targets = match summary.targets.len() {
        1 => "1 target".to_owned(),
        targets => format!("{targets} targets"),
    };
    format!(
        "{targets}: {}; {sent} sent, {received} received, {lost} lost ({}){}",
        states.join(", "),
        Loss(&summary.totals),
        MoreCounts(&more)
    )
}

/// `min/avg/max/mdev`, if there was a reply.
fn moments(target: &TargetSnapshot) -> Option<String> {
    let rtt = &target.rtt;
    let [min, avg, max, mdev] = [rtt.min?, rtt.average?, rtt.max?, rtt.deviation?].map(Millis);
    Some(format!("{min}/{avg}/{max}/{mdev}"))
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99] = [self.p50, self.p90, self.p99].map(|it| OrDash(it.map(Millis)));
        write!(f, "{p50}/{p90}/{p99}")
    }
}

/// How things stand, in one line.
pub(crate) fn snapshot(name: &str, counts: &Counts, average: Option<Duration>) -> String {
    let average = match average {
        Some(average) => format!(", rtt avg {} ms", Millis(average)),
        None => String::new(),
    };
    format!("{}: {}{average}", one_line(name), Sums(counts))
}

/// Counts as the summary's first line has them.
struct Sums<'a>(&'a Counts);

impl fmt::Display for Sums<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { sent, received, lost, late, duplicate, reordered, .. } = self.0;
        write!(f, "{sent} sent, {received} received, {lost} lost ({}), ", Loss(self.0))?;
        write!(f, "{late} late, {duplicate} duplicate, {reordered} reordered")?;
        let more = [
            (self.0.refused, "refused"),
            (self.0.failed, "failed"),
            (self.0.pending(), "pending"),
            (self.0.unsolicited, "unsolicited"),
            (self.0.slots_skipped, "slots skipped"),
        ];
        MoreCounts(&more).fmt(f)
    }
}

/// Loss in percent, or a dash where there is none to speak of.
pub(super) struct Loss<'a>(pub(super) &'a Counts);

impl fmt::Display for Loss<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.loss_percent() {
            Some(share) => write!(f, "{share:.1}%"),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::probe::snapshot::Figures;
    use crate::probe::stats::direction::{Reflector, Split};
    use crate::probe::verdict::Verdict;
    use udp_core::clock::Wall;

    const MICRO: Duration = Duration::from_micros(1);

    fn figures(micros: [u64; 4]) -> Figures {
        let [min, average, max, deviation] = micros.map(|n| Some(Duration::from_micros(n)));
        let percentiles = Percentiles { p50: Some(130 * MICRO), ..Percentiles::default() };
        Figures { min, average, max, deviation, percentiles, with_loss: Percentiles::default() }
    }

    pub(crate) fn target() -> TargetSnapshot {
        TargetSnapshot {
            label: "127.0.0.1:7000".into(),
            labels: Default::default(),
            address: None,
            interval: Duration::from_secs(1),
            state: State::Up,
            counts: Counts { sent: 5, received: 4, lost: 1, ..Counts::default() },
            rtt: figures([101, 134, 170, 22]),
            jitter: Some(12 * MICRO),
            loss_runs: 1,
            longest_run: 1,
            longest_outage: Duration::from_secs(1),
            outage: Duration::from_secs(1),
            stamp: None,
            reasons: None,
            unmet: Vec::new(),
            warned: Vec::new(),
        }
    }

    pub(crate) fn run_of(targets: Vec<TargetSnapshot>) -> Snapshot {
        let mut totals = Counts::default();
        targets.iter().for_each(|target| totals.add(&target.counts));
        Snapshot {
            at: Wall::from_nanos(0),
            targets,
            totals,
            judged: totals.verdicts.not_ok() > 0,
            lag_p50: None,
            lag_p99: None,
            lag_max: None,
            unsolicited_from: None,
            kernel_drops: Some(0),
        }
    }

    fn summary(targets: Vec<TargetSnapshot>) -> String {
        let run = run_of(targets);
        let mut out = Vec::new();
        super::run(&run, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_statistics_of_one() {
        assert_eq!(
            summary(vec![target()]),
            "--- 127.0.0.1:7000 heartbeat statistics ---\n\
             5 sent, 4 received, 1 lost (20.0%), 0 late, 0 duplicate, 0 reordered\n\
             rtt min/avg/max/mdev = 0.101/0.134/0.170/0.022 ms\n\
             rtt p50/p90/p99 = 0.130/-/- ms, jitter 0.012 ms\n"
        );
        let mut counts = Counts {
            sent: 16,
            lost: 12,
            late: 2,
            refused: 2,
            failed: 1,
            unsolicited: 1,
            slots_skipped: 7,
            ..Counts::default()
        };
        counts.verdicts.count(Verdict::Unexpected);
        let silent = TargetSnapshot { counts, rtt: Figures::default(), jitter: None, ..target() };
        assert_eq!(
            summary(vec![silent]),
            "--- 127.0.0.1:7000 heartbeat statistics ---\n\
             16 sent, 0 received, 12 lost (100.0%), 2 late, 0 duplicate, 0 reordered, \
             2 refused, 1 failed, 3 pending, 1 unsolicited, 7 slots skipped\n\
             answers: 0 ok, 1 unexpected\n"
        );
    }

    #[test]
    fn a_table_of_several() {
        let silent = TargetSnapshot {
            label: "b:1".into(),
            state: State::Down,
            counts: Counts { sent: 5, lost: 5, ..Counts::default() },
            rtt: Figures::default(),
            jitter: None,
            ..target()
        };
        let failed = TargetSnapshot {
            label: "no\u{1b}where:7".into(),
            state: State::Unknown,
            counts: Counts { sent: 5, failed: 5, ..Counts::default() },
            ..silent.clone()
        };
        assert_eq!(
            summary(vec![target(), silent, failed]),
            "\
target          sent  recv  lost  loss%         min/avg/max/mdev  p50/p90/p99  jitter  state
127.0.0.1:7000     5     4     1   20.0  0.101/0.134/0.170/0.022    0.130/-/-   0.012  up
b:1                5     0     5  100.0                        -            -       -  down
no\\x1bwhere:7      5     0     0      -                        -            -       -  unknown
3 targets: 1 up, 0 degraded, 1 down, 1 unknown; 15 sent, 4 received, 6 lost (60.0%), 5 failed
"
        );
    }

    #[test]
    fn what_is_of_the_whole_run() {
        let run = Snapshot {
            unsolicited_from: "[::1]:7".parse().ok(),
            kernel_drops: Some(3),
            ..run_of(vec![target()])
        };
        let mut out = Vec::new();
        super::run(&run, &mut out);
        let text = String::from_utf8(out).unwrap();
        let end = "unsolicited: first from ('::1', 7)\nkernel drops: 3 (receive buffer full)\n";
        assert!(text.ends_with(end), "{text}");
    }

    #[test]
    fn what_stamp_adds() {
        let stamp = StampSummary {
            split: Split { forward: 1, back: 2, undetermined: 3 },
            reflector: Reflector::Stateful,
            rtt_total: figures([121, 154, 190, 22]),
            variation_forward: Percentiles {
                p50: Some(5 * MICRO),
                p90: Some(9 * MICRO),
                p99: None,
            },
            variation_back: Percentiles { p50: Some(4 * MICRO), ..Percentiles::default() },
            unreadable_times: 0,
        };
        for (unreadable_times, own, said) in [
            (0, "0.020", ""),
            (3, "0.080", "3 replies without a readable reflector time\n"),
            (4, "-", "4 replies without a readable reflector time\n"),
        ] {
            let stamp = StampSummary { unreadable_times, ..stamp.clone() };
            let it = TargetSnapshot { stamp: Some(stamp), ..target() };
            let variation = "forward 0.005/0.009/- ms, return 0.004/-/- ms";
            assert_eq!(
                summary(vec![it]).split_once("jitter 0.012 ms\n").unwrap().1,
                format!(
                    "loss: forward 1, return 2, undetermined 3\n\
                     reflector time avg {own} ms (not in rtt)\n\
                     delay variation p50/p90/p99 = {variation}\n{said}"
                )
            );
        }
    }

    #[test]
    fn a_snapshot_is_one_line() {
        let counts = Counts { sent: 2, received: 1, ..Counts::default() };
        assert_eq!(
            snapshot("a\nb:1", &counts, Some(134 * MICRO)),
            "a\\nb:1: 2 sent, 1 received, 0 lost (0.0%), 0 late, 0 duplicate, 0 reordered, \
             1 pending, rtt avg 0.134 ms"
        );
    }
}
