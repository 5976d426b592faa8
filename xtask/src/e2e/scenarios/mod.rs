//! All scenarios, one file a subject. A scenario's name is `file/function`.

mod addresses;
mod faults;
mod heartbeat_run;
mod hostile;
mod interop;
mod live;
mod mesh;
mod output;
mod pages;
mod prometheus;
mod recordings;
mod services;
mod signals;
mod soak;
mod stamp;
mod tutorial;
mod tutorial_python;
mod usage;

use super::runner::Scenario;

/// Lists the scenarios of a file by the names of their functions.
macro_rules! scenarios {
    ($subject:literal: $($function:ident),+ $(,)?) => {
        pub(super) fn all() -> Vec<$crate::e2e::runner::Scenario> {
            vec![$($crate::e2e::runner::Scenario {
                name: concat!($subject, "/", stringify!($function)).to_owned(),
                run: Box::new($function),
            }),+]
        }
    };
}
use scenarios;

/// Every scenario but those of the README, in the order of the files.
pub(super) fn all() -> Vec<Scenario> {
    // Those that take longest stand first, so that none of them runs alone at the end.
    [
        soak::all(),
        mesh::all(),
        faults::all(),
        hostile::all(),
        interop::all(),
        services::all(),
        tutorial::all(),
        tutorial_python::all(),
        heartbeat_run::all(),
        stamp::all(),
        output::all(),
        addresses::all(),
        prometheus::all(),
        signals::all(),
        live::all(),
        recordings::all(),
        pages::all(),
        usage::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
