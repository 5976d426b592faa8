//! A peer that answers in every way but the right one, for each service at once: nothing is credited wrongly.

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{Figures, facts, scenarios, summary};
use crate::e2e::context::Context;
use crate::e2e::process::{Finished, Launch, Process};
use crate::e2e::{check, json};

scenarios!(
    "services": every_service_at_once, a_liar_is_not_believed, what_the_keys_demand, a_mirror_shows_no_secret
);

/// Each service, and what stands behind its host.
const SERVICES: [(&str, &str); 14] = [
    ("stun", ""),
    ("turn", ""),
    ("sip", ""),
    ("quic", ""),
    ("snmp", ""),
    ("radius", "?secret-file=SECRET"),
    ("coap", "/x"),
    ("a2s", ""),
    ("bedrock", ""),
    ("mumble", ""),
    ("openvpn", ""),
    ("ike", ""),
    ("dns", "/example.org"),
    ("ntp", ""),
];

struct Liar {
    process: Process,
    url: String,
}

impl Liar {
    fn start(context: &Context, service: &str, tail: &str, each: u64) -> Result<Liar> {
        let script = context.root.join("xtask/services/liar.py");
        let speaks = if service == "turn" { "stun" } else { service };
        let mut launch = Launch::new("python3").arg("-u").arg(script).arg(speaks);
        if each > 0 {
            launch = launch.arg(each.to_string());
        }
        let process = launch.stdin_open().spawn()?;
        let said = process.wait_for("port <n>\n")?;
        let port: u16 = said.trim_start_matches("port ").trim().parse().context("no port")?;
        Ok(Liar { process, url: format!("{service}://127.0.0.1:{port}{tail}") })
    }

    fn end(mut self) -> Result<()> {
        self.process.end_input();
        self.process.finish()?.exits(0).map(drop)
    }
}

fn all_of_them(context: &Context, each: u64) -> Result<(Vec<Liar>, TempDir)> {
    let directory = tempfile::tempdir()?;
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "testing123\n")?;
    let secret = secret.to_str().context("a path that is not UTF-8")?;
    let start = |(service, tail): &(&str, &str)| {
        Liar::start(context, service, &tail.replace("SECRET", secret), each)
    };
    let liars: Result<Vec<Liar>> = SERVICES.iter().map(start).collect();
    Ok((liars?, directory))
}

/// One process asks them all, as a targets file names them, and has every figure of each.
fn every_service_at_once(context: &Context) -> Result<()> {
    let (peers, directory) = all_of_them(context, 0)?;
    let file = directory.path().join("targets");
    let urls: Vec<&str> = peers.iter().map(|peer| peer.url.as_str()).collect();
    std::fs::write(&file, urls.join("\n") + "\n")?;
    let options = ["-c", "20", "-i", "20ms", "-W", "10s", "--json", "--targets-file"];
    let run = context.heartbeat().args(options).arg(file).finish()?;
    run.exits(0)?;
    let events = json::events("udp-heartbeat", &run.stdout)?;
    for peer in &peers {
        check::same(&peer.url, Figures::all(20), Figures::of(summary(&events, &peer.url)?)?)?;
    }
    facts(&events, "stun", &[("mapped", "192.0.2.1"), ("mapped_port", "4711")])?;
    facts(&events, "sip", &[("code", "200"), ("reason", "OK")])?;
    facts(&events, "snmp", &[("value", "226"), ("uptime", "2")])?;
    facts(&events, "a2s", &[("name", "name"), ("map", "map"), ("players", "3"), ("max", "8")])?;
    facts(&events, "bedrock", &[("version", "1.16.20"), ("online", "3"), ("max", "20")])?;
    facts(&events, "mumble", &[("version", "1.3.4"), ("users", "3"), ("bandwidth", "72000")])?;
    facts(&events, "dns", &[("rcode", "NOERROR"), ("first", "192.0.2.7"), ("ttl", "300")])?;
    check::holds("no secret in JSON", !run.out().contains("testing123"))?;
    peers.into_iter().try_for_each(Liar::end)
}

/// Late, right, twice, broken behind our identity, with another identity, from another port: five of each.
fn a_liar_is_not_believed(context: &Context) -> Result<()> {
    let (peers, _directory) = all_of_them(context, 5)?;
    let options = ["-c", "30", "-i", "150ms", "-W", "3s", "--json"];
    let urls = peers.iter().map(|peer| &peer.url);
    let run = context.heartbeat().args(options).args(urls).finish()?;
    run.exits(1)?;
    let events = json::events("udp-heartbeat", &run.stdout)?;
    for (peer, (service, _)) in peers.iter().zip(SERVICES) {
        let usual = Figures {
            received: 15,
            lost: 15,
            late: 5,
            duplicate: 5,
            ok: 10,
            invalid: 5,
            // Another identity, and another port.
            unsolicited: 10,
        };
        let expected = match service {
            // What has eight bits of identity and a bad authenticator is not authentic.
            "radius" => Figures { received: 20, lost: 10, invalid: 10, unsolicited: 5, ..usual },
            // It has no identity to be another one, or to be known by from elsewhere.
            "a2s" => Figures { received: 20, lost: 10, ok: 15, unsolicited: 0, ..usual },
            // What is repeated until it is acknowledged is no duplicate.
            "openvpn" => Figures { duplicate: 0, ..usual },
            _ => usual,
        };
        check::same(&peer.url, expected, Figures::of(summary(&events, &peer.url)?)?)?;
    }
    peers.into_iter().try_for_each(Liar::end)
}

/// What is well formed and not as demanded is unexpected, and named.
fn what_the_keys_demand(context: &Context) -> Result<()> {
    for (service, tail, verdict, reason) in [
        ("a2s", "?players=4", "unexpected", "players"),
        ("a2s", "?players=3", "ok", ""),
        ("quic", "?version=2", "unexpected", "version"),
        ("stun", "?mapped=192.0.2.2", "unexpected", "mapped"),
        ("snmp", "?expect=227", "unexpected", "expect"),
    ] {
        let peer = Liar::start(context, service, tail, 0)?;
        let run = context.beat(["-c", "1", "-W", "10s", "--json", &peer.url])?;
        run.exits(i32::from(verdict != "ok"))?;
        let events = json::events("udp-heartbeat", &run.stdout)?;
        let reply = json::first(&events, "reply")?;
        check::same(&peer.url, Some(verdict), reply["verdict"].as_str())?;
        check::same(&peer.url, reason, reply["reason"].as_str().unwrap_or_default())?;
        peer.end()?;
    }
    Ok(())
}

/// Who sends back what was asked sends the community with it: nothing shows it. Nor does a message quote what was
/// typed as a password.
fn a_mirror_shows_no_secret(context: &Context) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("community");
    std::fs::write(&file, "Zq7Secret\n")?;
    let mirror = context.serve(&["-q", "--raw"])?;
    let url = format!("snmp://{}?community-file={}", mirror.address(), file.display());
    let hidden = |what: &str, run: &Finished| {
        let all = run.out() + &run.err();
        check::holds(what, !all.contains("Zq7Secret") && !all.contains("5a7137536563726574"))
    };
    for form in [&["-vv"][..], &["--json"], &["--json", "-q"]] {
        let options = [&["-W", "100ms"], form].concat();
        let run = context.ask([&[url.as_str()], &options[..]].concat())?;
        hidden("the client", run.exits(1)?)?;
        if form == ["-vv"] {
            let event = "unsolicited: recvfrom ('127.0.0.1', ";
            check::holds("what came is said", run.out().contains(event))?;
        }
        let run = context.beat([&["-c", "1", url.as_str()], &options[..]].concat())?;
        hidden("the heartbeat", run.exits(1)?)?;
    }
    for typed in [
        "snmp://h?community=Zq7Secret",
        "dns://me:Zq7Secret@h",
        "http://me:Zq7Secret@h",
        "me:Zq7Secret@h:1",
    ] {
        hidden(typed, context.ask([typed])?.exits(2)?)?;
        hidden(typed, context.beat(["-c", "1", typed])?.exits(2)?)?;
        std::fs::write(&file, typed)?;
        let list = file.to_str().context("a path that is not UTF-8")?;
        hidden(typed, context.beat(["--targets-file", list, "-c", "1"])?.exits(2)?)?;
    }
    mirror.stop().map(drop)
}
