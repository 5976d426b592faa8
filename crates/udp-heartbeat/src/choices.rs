//! The values of options that take one of several words.

use clap::ValueEnum;

/// How beats are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Schedule {
    /// One each interval
    Periodic,
    /// Exponential gaps, their mean the interval
    Poisson,
}

/// Which way datagrams take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Path {
    /// The fastest of this system
    Auto,
    /// The one that works everywhere
    Portable,
}

/// Which buckets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistogramForm {
    /// A series for each bucket
    Classic,
    /// In protobuf alone, finer; in text the sum and the count
    Native,
    /// No histogram at all
    None,
}
