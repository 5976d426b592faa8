//! Metrics as Prometheus and its own tools read them, and who is let in to them.

mod attackers;
pub(super) mod http;
mod probe;
mod scraped;
mod web_config;

use anyhow::{Result, ensure};

use super::scenarios;
use crate::e2e::context::Context;
use crate::e2e::netns::present;
use crate::e2e::skip::skip;
use attackers::attackers_disturb_nothing;
use http::{address, get};
use probe::{
    a_name_that_changes_is_sent_to_where_it_was_judged, a_stranger_can_make_it_send_nowhere_else,
    promtool_finds_no_fault_in_a_probe,
};
use scraped::scraped_by_prometheus;
use web_config::{promtool_takes_the_same_files, who_is_let_in};

scenarios!("prometheus":
    scraped_by_prometheus,
    attackers_disturb_nothing,
    who_is_let_in,
    promtool_takes_the_same_files,
    promtool_finds_no_fault,
    promtool_finds_no_fault_in_a_probe,
    a_stranger_can_make_it_send_nowhere_else,
    a_name_that_changes_is_sent_to_where_it_was_judged,
);

/// A skip where Prometheus is not installed.
fn promtool() -> Result<()> {
    if present("promtool") && present("prometheus") {
        return Ok(());
    }
    skip("promtool is not installed (Debian's package prometheus)")
}

/// `promtool check metrics` on both programs, in every form of histogram.
fn promtool_finds_no_fault(context: &Context) -> Result<()> {
    promtool()?;
    let server = context.serve(&["-q", "--metrics", "127.0.0.1:0"])?;
    let target = server.address().to_string();
    check(context, &get(&address(&server.process)?, "/metrics", "")?.body)?;
    for form in ["classic", "native", "none"] {
        let options =
            ["-q", "-i", "0.05", "--metrics", "127.0.0.1:0", "--metrics-histograms", form];
        let heartbeat = context.heartbeat().arg(&target).args(options).spawn()?;
        check(context, &get(&address(&heartbeat)?, "/metrics", "")?.body)?;
        heartbeat.interrupt()?;
    }
    Ok(())
}

fn check(context: &Context, metrics: &str) -> Result<()> {
    let promtool = context.launch(&"promtool".into()).args(["check", "metrics"]);
    let finished = promtool.stdin(metrics).finish()?;
    finished.exits(0)?;
    let said = finished.out() + &finished.err();
    ensure!(said.trim().is_empty(), "{said}\n{metrics}");
    Ok(())
}
