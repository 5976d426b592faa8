//! Statistics of many beats: distributions, jitter, loss runs and their direction. Streaming, in
//! constant memory.

pub(crate) mod buckets;
pub(crate) mod direction;
pub(crate) mod distribution;
pub(crate) mod jitter;
pub(crate) mod loss;
pub(crate) mod variation;
