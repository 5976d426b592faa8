//! The prober's configuration: targets, what is sent to them and when, and the thresholds.
//!
//! Every field has a default; a [`Plan`] is made with the targets and changed by its methods.

use std::time::Duration;

use udp_core::batch::Backend;
use udp_core::endpoint::DEFAULT_PORT;
use udp_core::expect::Expectation;
use udp_core::service::{Kind, Nonces, Spec};
use udp_core::socket::{Dscp, Ecn};
use udp_core::stamp::{self, Key, Mode};
use udp_core::{Endpoint, Family};

use crate::probe::asking::Asking;
use crate::probe::format::{Format, Padding};
use crate::probe::schedule::Spacing;
use crate::probe::state::Hysteresis;
use crate::probe::targets::Listed;
use crate::probe::thresholds::Thresholds;
use crate::shard::Shard;

/// The tutorial's beat.
pub(crate) const PAYLOAD: &[u8] = b"heartbeat";
const SECOND: Duration = Duration::from_secs(1);

/// What a [`Prober`](crate::Prober) is to do.
///
/// By default each target is sent `heartbeat` once a second, and a beat that is not answered within a
/// second is lost.
#[derive(Debug)]
pub struct Plan {
    pub(crate) targets: Vec<Listed>,
    /// Targets may come and go while it runs.
    pub(crate) changing: bool,
    /// Each address of a name is a target of its own, if it is of this part of all targets.
    pub(crate) every_address: bool,
    pub(crate) shard: Option<Shard>,
    pub(crate) default_port: u16,
    pub(crate) family: Family,
    pub(crate) format: Format,
    pub(crate) expectation: Expectation,
    /// Any authentic answer is ok.
    pub(crate) alive: bool,
    /// Of targets that name STAMP.
    pub(crate) key: Option<Key>,
    pub(crate) spacing: Spacing,
    pub(crate) interval: Duration,
    /// Whether that was asked for, and is every target's.
    pub(crate) given: bool,
    pub(crate) timeout: Duration,
    pub(crate) count: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) fast: bool,
    pub(crate) thresholds: Thresholds,
    pub(crate) hysteresis: Hysteresis,
    /// The time over which thresholds decide about the state.
    pub(crate) window: Duration,
    /// Limits that a monitoring plugin warns about.
    pub(crate) warnings: Thresholds,
    /// How often the figures of an interval are reported.
    pub(crate) report_every: Option<Duration>,
    /// Whether answers can be other than ok in principle.
    pub(crate) judged: bool,
    pub(crate) local: Local,
    pub(crate) backend: Backend,
    /// Whether somebody scrapes.
    pub(crate) metered: bool,
    /// After the last beat is settled, whether to listen for second replies and ask reflectors once more.
    pub(crate) lingers: bool,
    /// Sockets at most, where not as many as there may be.
    pub(crate) sockets: Option<usize>,
}

/// How local sockets are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    pub(crate) bind: Option<Endpoint>,
    pub(crate) interface: Option<String>,
    pub(crate) ttl: Option<u8>,
    pub(crate) dscp: Option<Dscp>,
    pub(crate) ecn: Option<Ecn>,
}

impl Plan {
    /// Beats to these targets, of which each is to be named once.
    pub fn new(targets: impl IntoIterator<Item = Endpoint>) -> Plan {
        Plan {
            targets: targets.into_iter().map(Listed::bare).collect(),
            changing: false,
            every_address: false,
            shard: None,
            default_port: DEFAULT_PORT,
            family: Family::Any,
            format: Format::Plain { payload: PAYLOAD.to_vec(), padding: Padding::default() },
            expectation: Expectation::Anything,
            spacing: Spacing::Periodic,
            alive: false,
            key: None,
            interval: SECOND,
            given: false,
            timeout: SECOND,
            count: None,
            deadline: None,
            fast: false,
            thresholds: Thresholds::default(),
            hysteresis: Hysteresis { down_after: 3, up_after: 1 },
            window: 60 * SECOND,
            warnings: Thresholds::default(),
            report_every: None,
            judged: false,
            local: Local::default(),
            backend: Backend::Auto,
            metered: false,
            lingers: true,
            sockets: None,
        }
    }

    /// One more target: a service, asked in its own language at its own pace.
    #[must_use]
    pub fn service(mut self, endpoint: Endpoint, spec: Spec) -> Plan {
        self.targets.push(Listed { spec: Some(spec), ..Listed::bare(endpoint) });
        self
    }

    /// The longest of the first beats.
    pub(crate) fn length(&self) -> usize {
        let of = |listed: &Listed| match listed.spec.as_ref().map(|spec| (spec, spec.kind())) {
            None | Some((_, Kind::Udp)) => self.format.length(),
            Some((_, Kind::Stamp)) => self.stamp_format().length(),
            Some((spec, Kind::Service(service))) => {
                Asking::new(spec.clone(), service.clone(), Nonces::new([0; 16], 0)).length()
            }
        };
        self.targets.iter().map(of).max().unwrap_or_else(|| self.format.length())
    }

    /// The beats of targets that name STAMP.
    pub(crate) fn stamp_format(&self) -> Format {
        let key = self.key.clone();
        let length = match self.format {
            Format::Stamp { length, .. } => length,
            _ => Mode::from(key.as_ref()).packet_len(),
        };
        Format::Stamp { key, length }
    }

    /// Each address of a name is a target of its own, and the set follows the name.
    #[must_use]
    pub fn every_address(self) -> Plan {
        Plan { every_address: true, ..self }
    }

    /// The time from one beat of a target to the next; at least a nanosecond.
    #[must_use]
    pub fn interval(self, interval: Duration) -> Plan {
        Plan { interval: interval.max(Duration::from_nanos(1)), given: true, ..self }
    }

    /// A beat that is not answered for so long is lost.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Plan {
        Plan { timeout, ..self }
    }

    /// The run ends once each target was sent so many beats and each of them is settled.
    #[must_use]
    pub fn count(self, count: u64) -> Plan {
        Plan { count: Some(count), ..self }
    }

    /// The run ends after so long.
    #[must_use]
    pub fn deadline(self, deadline: Duration) -> Plan {
        Plan { deadline: Some(deadline), ..self }
    }

    /// Intervals below 10 ms are allowed towards others than this host.
    #[must_use]
    pub fn fast(self) -> Plan {
        Plan { fast: true, ..self }
    }

    /// Each beat is `payload`; replies are known by the port they come to.
    #[must_use]
    pub fn payload(self, payload: impl Into<Vec<u8>>) -> Plan {
        let format = Format::Plain { payload: payload.into(), padding: Padding::default() };
        Plan { format, ..self }
    }

    /// Each beat is `payload`, a blank and its number, which an echo names again.
    #[must_use]
    pub fn numbered(self, payload: impl Into<Vec<u8>>) -> Plan {
        let format = Format::Numbered { payload: payload.into(), padding: Padding::default() };
        Plan { format, ..self }
    }

    /// Beats are STAMP session-sender packets (RFC 8762), authenticated where there is a key; the
    /// default port is 862.
    #[must_use]
    pub fn stamp(self, key: Option<Key>) -> Plan {
        let length = Mode::from(key.as_ref()).packet_len();
        let format = Format::Stamp { key: key.clone(), length };
        Plan { format, key, default_port: stamp::DEFAULT_PORT, ..self }
    }

    /// What every answer must be to be ok.
    #[must_use]
    pub fn expect(self, expectation: Expectation) -> Plan {
        Plan { expectation, judged: true, ..self }
    }

    /// Where beats leave from; a port that is not 0 is kept for all of them.
    #[must_use]
    pub fn bind(mut self, bind: Endpoint) -> Plan {
        self.local.bind = Some(bind);
        self
    }
}
