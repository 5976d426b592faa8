//! One series: a target's labels, and a counter, a gauge or a histogram with them.

use std::fmt;

use udp_core::cli::web::metrics::{
    EncodeGaugeValue, EncodeLabel, EncodeLabelSet, LabelSetEncoder, MetricEncoder, NativeHistogram,
    NativeHistogramBuckets, NoLabelSet,
};
use udp_core::endpoint::canonical_ip;

use super::Histograms;
use crate::probe::meter::Meter;
use crate::probe::stats::buckets::{Buckets, SCHEMA};

/// A label beside those of the target.
pub(super) type More = Option<(&'static str, &'static str)>;
pub(super) const NONE: More = None;

/// A target's labels.
#[derive(Debug)]
pub(super) struct Of<'a>(pub(super) &'a Meter, pub(super) More);

impl EncodeLabelSet for Of<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let Of(meter, more) = self;
        let address = meter.address.map(|it| canonical_ip(it.ip()).to_string());
        ("target", &*meter.label).encode(encoder.encode_label())?;
        ("address", address.as_deref().unwrap_or_default()).encode(encoder.encode_label())?;
        for (name, value) in &*meter.labels {
            (name.as_str(), value.as_str()).encode(encoder.encode_label())?;
        }
        match more {
            Some(label) => label.encode(encoder.encode_label()),
            None => Ok(()),
        }
    }
}

pub(super) fn count(
    family: &mut MetricEncoder<'_>,
    meter: &Meter,
    more: More,
    value: u64,
) -> fmt::Result {
    family.encode_family(&Of(meter, more))?.encode_counter::<NoLabelSet, _, u64>(&value, None)
}

pub(super) fn gauge(
    family: &mut MetricEncoder<'_>,
    meter: &Meter,
    more: More,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    family.encode_family(&Of(meter, more))?.encode_gauge(value)
}

/// A histogram, in the buckets that are asked for.
pub(super) fn histogram(
    mut family: MetricEncoder<'_>,
    of: &Buckets,
    how: Histograms,
) -> fmt::Result {
    let classic = if how.classic { of.classic() } else { Vec::new() };
    let (sum, count) = (of.sum(), of.count());
    if !how.native {
        return family.encode_histogram::<NoLabelSet>(sum, count, &classic, None);
    }
    let (mut spans, deltas) = of.native();
    if spans.is_empty() {
        // Without a span it would be taken for a classic one.
        spans.push((0, 0));
    }
    let (zero_count, zero_threshold) = of.zero();
    let native = NativeHistogram {
        schema: SCHEMA,
        zero_threshold,
        zero_count,
        negative: NativeHistogramBuckets { spans: &[], deltas: &[] },
        positive: NativeHistogramBuckets { spans: &spans, deltas: &deltas },
        created: None,
    };
    family.encode_histogram_with_native::<NoLabelSet>(sum, count, &classic, None, native)
}
