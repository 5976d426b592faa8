//! What all targets on a made-up link have in common.

use std::sync::Arc;
use std::time::Duration;

use udp_core::expect::Expectation;
use udp_core::source_port;

use super::link::Link;
use crate::probe::format::Format;
use crate::probe::session::Rules;
use crate::probe::state::Hysteresis;
use crate::probe::stats::distribution::Precision;
use crate::probe::targets::{Setup, Sharing};

pub(super) const HYSTERESIS: Hysteresis = Hysteresis { down_after: 3, up_after: 1 };

/// What all targets on the link have in common.
pub(super) fn setup(link: &Link, format: Format) -> Setup {
    let timeout = Duration::from_millis(link.timeout_ms);
    let format = Arc::new(format);
    Setup {
        expectation: Expectation::Anything,
        rules: Rules {
            interval: Duration::from_millis(link.interval_ms),
            timeout,
            hysteresis: HYSTERESIS,
            limits: None,
            keep: 1000,
            precision: Precision::Fine,
            stamp: format.is_stamp(),
            metered: true,
        },
        format: format.clone(),
        stamp: format,
        alive: false,
        default_port: 7000,
        given: true,
        fast: true,
        secret: [0; 16],
        sharing: link.sharing,
        pool: source_port::Rules {
            ports: match link.fixed {
                true => source_port::Ports::One,
                false => source_port::Ports::UpTo(1000),
            },
            rest: timeout / 2,
            linger: match (link.fixed, link.sharing) {
                (true, _) => timeout * 2,
                // A shared port outlives the paths that left it; no reply is on its way for as long.
                (_, Sharing::Shared) => Duration::from_millis(300),
                _ => Duration::from_secs(3600),
            },
        },
    }
}
