//! What Prometheus scrapes, in the format that it asks for: text 0.0.4, OpenMetrics 1.0 or protobuf.
//!
//! Families are written one after another, as their messages in protobuf take many times the bytes.

use std::fmt;

use prometheus_client::encoding::{prometheus_protobuf, prometheus_text, text};
use prometheus_client::registry::Registry;

pub use prometheus_client::collector::Collector;
pub use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabel, EncodeLabelSet, EncodeMetric,
    LabelSetEncoder, MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
};
pub use prometheus_client::metrics::MetricType;

use super::accept::preferred;
use super::site::Reply;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The text of every Prometheus.
    Text,
    /// Its standardised successor.
    OpenMetrics,
    /// The one that has native histograms.
    Protobuf,
}

impl Format {
    /// The format that `Accept` prefers of those there are; text where it names none.
    pub fn negotiate(accept: &str) -> Format {
        let known = |kind: &str, says: &dyn Fn(&str) -> Option<String>| match kind {
            "application/vnd.google.protobuf" => {
                let ours = says("proto").as_deref() == Some("io.prometheus.client.metricfamily")
                    && says("encoding").as_deref() == Some("delimited");
                ours.then_some(Format::Protobuf)
            }
            "application/openmetrics-text" => {
                let ours = matches!(says("version").as_deref(), None | Some("1.0.0" | "0.0.1"));
                ours.then_some(Format::OpenMetrics)
            }
            "text/plain" => {
                let ours = matches!(says("version").as_deref(), None | Some("0.0.4"));
                ours.then_some(Format::Text)
            }
            "text/*" | "*/*" => Some(Format::Text),
            _ => None,
        };
        preferred(accept, known).unwrap_or(Format::Text)
    }

    fn content_type(self) -> &'static str {
        match self {
            Format::Text => prometheus_text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; \
                 encoding=delimited"
            }
        }
    }

    /// The families in this format.
    ///
    /// # Errors
    /// When a family cannot be written in it.
    pub fn encode(
        self,
        families: impl IntoIterator<Item = Box<dyn Collector>>,
    ) -> Result<Vec<u8>, fmt::Error> {
        let mut bytes = Vec::new();
        for family in families {
            let mut registry = Registry::default();
            registry.register_collector(family);
            let mut written = String::new();
            match self {
                Format::Text => {
                    prometheus_text::encode(&mut written, &registry)?;
                    written = without_lone_buckets(written);
                }
                Format::OpenMetrics => text::encode_registry(&mut written, &registry)?,
                Format::Protobuf => {
                    let encoded = prometheus_protobuf::encode_to_vec(&registry);
                    bytes.append(&mut encoded.map_err(|_| fmt::Error)?);
                }
            }
            bytes.extend_from_slice(written.as_bytes());
        }
        if self == Format::OpenMetrics {
            bytes.extend_from_slice(b"# EOF\n");
        }
        Ok(bytes)
    }

    /// The same as an answer.
    pub fn reply(self, families: impl IntoIterator<Item = Box<dyn Collector>>) -> Reply {
        match self.encode(families) {
            Ok(body) => Reply::ok(self.content_type(), body),
            Err(_) => {
                Reply::text(super::StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be written")
            }
        }
    }
}

/// A histogram without buckets has none in text: its count says what the one of +Inf would, which is
/// written all the same.
fn without_lone_buckets(text: String) -> String {
    let is_bucket = |line: &str| {
        let name = line.split('{').next().unwrap_or_default();
        name.ends_with("_bucket")
    };
    if !text.lines().any(is_bucket) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut before = false;
    for line in text.split_inclusive('\n') {
        let bucket = is_bucket(line);
        if !bucket || before || !line.contains("le=\"+Inf\"} ") {
            kept.push_str(line);
        }
        before = bucket;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_accept_prefers() {
        let protobuf =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=";
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        let native = format!("{protobuf}delimited,{prometheus}");
        let cases = [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            (prometheus, Format::OpenMetrics),
            (&native, Format::Protobuf),
            (&format!("{protobuf}text, text/plain;q=0.1"), Format::Text),
            (
                &format!("{protobuf}delimited;q=0.2, text/plain ; version = 0.0.4 ; q=0.3"),
                Format::Text,
            ),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text; q=0", Format::Text),
            ("text/plain;q=x, application/openmetrics-text;q=0.1", Format::OpenMetrics),
        ];
        for (accept, expected) in cases {
            assert_eq!(Format::negotiate(accept), expected, "{accept}");
        }
    }

    #[test]
    fn a_bucket_alone_is_none() {
        let lone = "# TYPE x histogram\nx_bucket{a=\"{\",le=\"+Inf\"} 2\nx_sum{a=\"{\"} 1\n";
        let kept = without_lone_buckets(lone.to_owned());
        assert_eq!(kept, "# TYPE x histogram\nx_sum{a=\"{\"} 1\n");
        let both = "x_bucket{le=\"1\"} 2\nx_bucket{le=\"+Inf\"} 2\nx_sum 1\n";
        assert_eq!(without_lone_buckets(both.to_owned()), both);
    }
}
