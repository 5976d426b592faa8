//! The reporters, one a file. A reporter runs on the printer's thread and turns values into text;
//! it decides nothing.

mod held;
mod item;
mod json;
mod nagios;
mod show;
mod text;

use std::time::Duration;

use udp_core::cli::Style;
use udp_core::cli::printer::Render;

use crate::probe::thresholds::Thresholds;

pub(crate) use held::{Budget, Held};
pub(crate) use item::{
    Answer, Item, Language, Record, Reloaded, ReportEvent, Start, StartTarget, StateChange,
};
pub(crate) use json::{Json, Settings, each_target, targets_json};
pub(crate) use nagios::{Status, unknown};
pub(crate) use show::{Kind, Show};
pub(crate) use text::{COLUMNS, cells, place, snapshot};
#[cfg(feature = "live")]
pub(crate) use text::{one_line, statistics, total};

use nagios::Nagios;
use text::{Payload, Text};

/// In which form the output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Json,
    /// One line of a monitoring plugin.
    Nagios,
}

/// What is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) form: Form,
    pub(crate) show: Show,
    /// Payloads are shown as hex.
    pub(crate) hex: bool,
    /// Replies are a STAMP reflector's.
    pub(crate) stamp: bool,
}

/// The reporter that was asked for; a plugin's line names the limits to warn about and the critical ones.
pub(crate) fn reporter(
    output: Output,
    timeout: Duration,
    style: Style,
    (warning, critical): (&Thresholds, &Thresholds),
) -> Box<dyn Render<Item>> {
    let payload = match (output.stamp, output.hex) {
        (true, _) => Payload::Stamp,
        (_, true) => Payload::Hex,
        _ => Payload::Text,
    };
    match output.form {
        Form::Json => Box::new(Json::new(output.stamp)),
        Form::Text => Box::new(Text::new(payload, timeout, style)),
        Form::Nagios => Box::new(Nagios::new(warning.clone(), critical.clone())),
    }
}
