//! `/probe` beside the real blackbox_exporter: the same families, words and figures for the same DNS probe.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::super::prometheus::http::get;
use super::{scenarios, servers};
use crate::e2e::check;
use crate::e2e::clock::{Deadline, PATIENCE, pause};
use crate::e2e::context::Context;
use crate::e2e::netns::{Net, present};
use crate::e2e::skip::skip;

scenarios!("services": the_families_of_blackbox_exporter);

const THEIRS: &str = "prometheus-blackbox-exporter";
/// Their port and ours: nothing else differs for who scrapes.
const PORTS: [u16; 2] = [9115, 17007];

fn modules(prober: &str) -> String {
    let module = |name: &str, kind: &str| match prober {
        "dns" => format!(
            "  {name}: {{prober: dns, timeout: 5s, dns: {{query_name: example.org, query_type: {kind}, \
             preferred_ip_protocol: ip4}}}}\n"
        ),
        _ => format!(
            "  {name}: {{prober: udp, timeout: 5s, udp: {{service: 'dns:example.org?type={kind}&edns=0', \
             preferred_ip_protocol: ip4}}}}\n"
        ),
    };
    format!("modules:\n{}{}{}", module("a", "A"), module("soa", "SOA"), module("aaaa", "AAAA"))
}

fn the_families_of_blackbox_exporter(context: &Context) -> Result<()> {
    if !present(THEIRS) {
        return skip(&format!("{THEIRS} is missing (Debian package {THEIRS})"));
    }
    let net = Arc::new(Net::new()?);
    let rig = servers::UNBOUND.start_in(context, net.clone())?;
    let place = rig.place();
    place.write("theirs.yml", &modules("dns"))?;
    place.write("ours.yml", &modules("udp"))?;
    let [their_port, our_port] = PORTS.map(|port| port.to_string());
    let listen = format!("--web.listen-address=127.0.0.1:{their_port}");
    let theirs =
        place.launch(THEIRS).args(["--config.file=theirs.yml".to_owned(), listen]).spawn()?;
    let serve =
        ["-q", "--modules", &place.url("DIR/ours.yml")?, "--probe-allow", "127.0.0.1", "--metrics"];
    let ours = place.heartbeat().args(serve);
    let ours = ours.arg(format!("127.0.0.1:{our_port}")).spawn()?;
    let ask = |port: u16, path: &str| {
        let end = Deadline::after(PATIENCE);
        loop {
            match net.server.inside(|| get(&format!("127.0.0.1:{port}"), path, "")) {
                Err(error) if end.left().is_none() => return Err(error),
                Err(_) => pause(Duration::from_millis(20)),
                Ok(answer) => return Ok(answer),
            }
        }
    };
    for (path, status) in [
        ("/probe?module=a&target=127.0.0.1:53", 200),
        ("/probe?module=a&target=127.0.0.1", 200),
        ("/probe?module=a&target=127.0.0.1&hostname=x", 200),
        ("/probe?module=aaaa&target=127.0.0.1:9", 200),
        ("/probe?module=soa&target=127.0.0.1", 200),
        ("/probe?module=a&target=no.such.name.invalid", 200),
        ("/probe?module=a", 400),
        ("/probe?module=none&target=127.0.0.1", 400),
        ("/probe?target=127.0.0.1", 400),
    ] {
        let [theirs, ours] = [ask(PORTS[0], path)?, ask(PORTS[1], path)?];
        check::same(path, (status, status), (theirs.status, ours.status))?;
        if status == 200 {
            compare(&theirs.body, &ours.body).with_context(|| {
                format!("{path}\n--- theirs\n{}\n--- ours\n{}", theirs.body, ours.body)
            })?;
        }
    }
    ours.interrupt()?.exits(0)?;
    theirs.interrupt().map(drop)
}

/// Every family of theirs is one of ours, with its words, and figures agree but for times.
fn compare(theirs: &str, ours: &str) -> Result<()> {
    let words = |text: &str| -> BTreeSet<String> {
        text.lines().filter(|line| line.starts_with("# ")).map(str::to_owned).collect()
    };
    let missing: Vec<String> = words(theirs).difference(&words(ours)).cloned().collect();
    ensure!(missing.is_empty(), "{missing:?}");
    let (theirs, ours) = (series(theirs)?, series(ours)?);
    for (name, value) in &theirs {
        let found = ours.get(name).with_context(|| format!("{name} is missing"))?;
        ensure!(name.contains("seconds") || value == found, "{name}: {value}, and not {found}");
    }
    Ok(())
}

fn series(text: &str) -> Result<BTreeMap<&str, f64>> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let split = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').context("no series")?;
        Ok((name, value.parse()?))
    });
    split.collect()
}
