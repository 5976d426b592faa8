//! The figures of a sample: their names and units, in JSON and in tables.

use std::collections::BTreeMap;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Figure {
    /// CPU nanoseconds of the server, all its threads, for each right reply.
    Cpu,
    /// Right replies a second.
    Rate,
    /// Median round trip in nanoseconds.
    RttMedian,
    /// 99th percentile of the round trip in nanoseconds.
    Rtt99,
    /// Datagrams that were never answered.
    Lost,
    /// Lines that reached the reader, in percent of the replies: a line that is dropped costs
    /// nothing, so the cost of printing means little without this.
    Shown,
    /// Replies that were wrong.
    Bad,
    /// Nanoseconds from the start of the process to its first reply.
    FirstReply,
    /// Resident memory in bytes, before any load.
    IdleMemory,
    /// The most resident memory so far, in bytes.
    PeakMemory,
    /// Bytes of the program's file, stripped.
    BinarySize,
    /// Percent of the heartbeat's slots that were skipped.
    Missed,
    /// CPU nanoseconds of the client, for each beat sent.
    CpuPerBeat,
    /// Percent of one core that the client took.
    Core,
    /// Nanoseconds by which a send was late, as the client says: median, or irtt's mean.
    Lateness,
    /// The same, 99th percentile.
    Lateness99,
    /// The longest time, in nanoseconds, from asking for metrics to their last byte.
    Scrape,
    /// Bytes by which the most resident memory grew once metrics were read.
    ScrapeMemory,
    /// CPU nanoseconds of the thread that sends and receives, for each beat sent.
    OwnPerBeat,
    /// Nanoseconds from start to end.
    Wall,
    /// Bytes of what was written.
    OutputSize,
}

/// The figures of one slice.
pub(crate) type Sample = BTreeMap<Figure, f64>;

impl Figure {
    /// The key in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_per_reply_ns",
            Self::Rate => "replies_per_second",
            Self::RttMedian => "rtt_p50_ns",
            Self::Rtt99 => "rtt_p99_ns",
            Self::Lost => "lost",
            Self::Shown => "lines_shown_percent",
            Self::Bad => "bad",
            Self::IdleMemory => "idle_memory_bytes",
            Self::PeakMemory => "peak_memory_bytes",
            Self::FirstReply => "first_reply_ns",
            Self::BinarySize => "binary_bytes",
            Self::Missed => "missed_percent",
            Self::CpuPerBeat => "cpu_per_beat_ns",
            Self::Core => "core_percent",
            Self::Lateness => "late_p50_ns",
            Self::Lateness99 => "late_p99_ns",
            Self::Scrape => "scrape_ns",
            Self::ScrapeMemory => "scrape_memory_bytes",
            Self::OwnPerBeat => "own_cpu_per_beat_ns",
            Self::Wall => "took_ns",
            Self::OutputSize => "output_bytes",
        }
    }

    /// The heading of its column.
    pub(crate) fn heading(self) -> &'static str {
        match self {
            Self::Cpu => "CPU ns a reply",
            Self::Rate => "replies/s",
            Self::RttMedian => "RTT p50 µs",
            Self::Rtt99 => "RTT p99 µs",
            Self::Lost => "lost",
            Self::Shown => "lines shown %",
            Self::Bad => "wrong",
            Self::IdleMemory => "idle KiB",
            Self::PeakMemory => "peak KiB",
            Self::FirstReply => "first reply ms",
            Self::BinarySize => "binary KiB",
            Self::Missed => "missed %",
            Self::CpuPerBeat => "CPU µs a beat",
            Self::Core => "core %",
            Self::Lateness => "late p50 µs",
            Self::Lateness99 => "late p99 µs",
            Self::Scrape => "scrape ms",
            Self::ScrapeMemory => "scrape KiB",
            Self::OwnPerBeat => "its thread's CPU µs a beat",
            Self::Wall => "took s",
            Self::OutputSize => "output KiB",
        }
    }

    /// The figure as its column shows it.
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::Cpu if value < 1000.0 => format!("{value:.1}"),
            Self::Cpu | Self::Lost | Self::Bad => format!("{value:.0}"),
            Self::Rate => grouped(value),
            Self::RttMedian
            | Self::Rtt99
            | Self::Lateness
            | Self::Lateness99
            | Self::CpuPerBeat => format!("{:.1}", value / 1e3),
            Self::IdleMemory
            | Self::PeakMemory
            | Self::BinarySize
            | Self::ScrapeMemory
            | Self::OutputSize => grouped(value / 1024.0),
            Self::OwnPerBeat => format!("{:.2}", value / 1e3),
            Self::Wall => format!("{:.2}", value / 1e9),
            Self::FirstReply | Self::Scrape => format!("{:.1}", value / 1e6),
            Self::Missed | Self::Core | Self::Shown => format!("{value:.2}"),
        }
    }

    /// The figure with its unit, for a goal.
    pub(crate) fn show_with_unit(self, value: f64) -> String {
        match self {
            Self::IdleMemory
            | Self::PeakMemory
            | Self::BinarySize
            | Self::ScrapeMemory
            | Self::OutputSize => {
                format!("{:.2} MiB", value / f64::from(1 << 20))
            }
            Self::FirstReply | Self::Scrape => format!("{:.1} ms", value / 1e6),
            Self::Missed | Self::Core | Self::Shown => format!("{value:.2} %"),
            Self::Lost | Self::Bad => format!("{value:.0}"),
            Self::Cpu => format!("{} ns", self.show(value)),
            Self::Rate => format!("{}/s", self.show(value)),
            Self::RttMedian
            | Self::Rtt99
            | Self::Lateness
            | Self::Lateness99
            | Self::OwnPerBeat
            | Self::CpuPerBeat => format!("{} µs", self.show(value)),
            Self::Wall => format!("{} s", self.show(value)),
        }
    }

    /// Whether one bad slice is as bad as many: then the worst slice counts, not the median.
    pub(crate) fn worst_counts(self) -> bool {
        matches!(
            self,
            Self::Lost
                | Self::Bad
                | Self::PeakMemory
                | Self::IdleMemory
                | Self::Scrape
                | Self::ScrapeMemory
        )
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_as_a_reader_wants_them() {
        for (figure, value, shown, with_unit) in [
            (Figure::Cpu, 2104.6, "2105", "2105 ns"),
            (Figure::Cpu, 84.26, "84.3", "84.3 ns"),
            (Figure::Rate, 9_812_345.4, "9,812,345", "9,812,345/s"),
            (Figure::Rate, 812.0, "812", "812/s"),
            (Figure::RttMedian, 64_512.0, "64.5", "64.5 µs"),
            (Figure::PeakMemory, 4_194_304.0, "4,096", "4.00 MiB"),
            (Figure::FirstReply, 3_450_000.0, "3.5", "3.5 ms"),
            (Figure::Missed, 0.125, "0.12", "0.12 %"),
            (Figure::Lost, 0.0, "0", "0"),
        ] {
            assert_eq!(figure.show(value), shown, "{figure:?}");
            assert_eq!(figure.show_with_unit(value), with_unit, "{figure:?}");
        }
    }
}
