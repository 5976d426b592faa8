//! Watches UDP paths and measures them: the library under the program `udp-heartbeat`.
//!
//! A [`Prober`] is made of a [`Plan`] and of an [`Observer`], which gets each event as it happens. It
//! runs on the thread that calls [`Prober::run`]; meanwhile any thread may ask for a [`Snapshot`] of all
//! figures, or stop it. It prints nothing, takes no signals and changes nothing of the process, so several
//! may run side by side.
//!
//! Any echo server answers a plain plan, a reflector one of [`Plan::stamp`], and its own protocol a
//! [`Plan::service`]. What a plan is made of, such as [`Endpoint`](udp_core::Endpoint), is
//! [`udp_core`]'s, which is here as well.
//!
//! ```no_run
//! use std::time::Duration;
//! use udp_heartbeat::{Nobody, Plan, Prober};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let plan = Plan::new(["127.0.0.1:7000".parse()?]).interval(Duration::from_millis(100)).count(50);
//! let snapshot = Prober::new(plan, Nobody)?.run();
//! for target in &snapshot.targets {
//!     let (sent, lost) = (target.counts.sent, target.counts.lost);
//!     println!("{}: {sent} sent, {lost} lost, p50 {:?}", target.label, target.rtt.percentiles.p50);
//! }
//! # Ok(()) }
//! ```
//!
//! An observer, which is called on the thread of the beats and so must not wait for anything:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use udp_heartbeat::{Event, Observer, Plan, Prober, What};
//!
//! struct Slow;
//!
//! impl Observer for Slow {
//!     fn observe(&mut self, event: &Event<'_>) {
//!         if let What::Reply { seq, reply, .. } = event.what
//!             && reply.rtt.as_millis() > 50
//!         {
//!             println!("beat {seq} took {:?}", reply.rtt);
//!         }
//!     }
//! }
//!
//! Prober::new(Plan::new(["127.0.0.1:7000".parse()?]), Slow)?.run();
//! # Ok(()) }
//! ```
//!
//! `examples/exporter.rs` is an exporter for Prometheus in fifty lines, imports and all.

pub mod args;
mod choices;
mod commands;
mod compare;
mod config;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod help;
#[cfg(feature = "live")]
mod live;
mod modules;
mod payload;
mod picture;
mod plan;
mod probe;
mod program;
mod record;
mod recorded;
mod report;
mod run;
mod shard;
mod targets_file;

pub use plan::Plan;
pub use probe::asking::Reasons;
pub use probe::counts::Counts;
pub use probe::event::{End, Event, Nobody, Observer, Regrouped, Said, What};
pub use probe::schedule::TargetId;
pub use probe::session::{Interval, Received};
pub use probe::snapshot::{Figures, Labels, Percentiles, Snapshot, StampSummary, TargetSnapshot};
pub use probe::state::{Change, Reason, State};
pub use probe::stats::direction::{Reflector, Split};
pub use probe::thresholds::Unmet;
pub use probe::verdict::{Verdict, Verdicts};
pub use probe::window::Seq;
pub use program::run;
pub use run::Prober;
pub use udp_core;
pub use udp_core::cli::Failure;
