//! What the network says instead of an answer (nft(8), `reject`; RFC 792, RFC 4443): told with its
//! kind and sender by both askers, over both families, and never blamed on this host.

use anyhow::Result;

use super::super::scenarios;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::netns::{Net, SERVER, SERVER6, at};

scenarios!("faults/icmp": what_rejects_is_told_with_its_kind_and_sender);

fn what_rejects_is_told_with_its_kind_and_sender(context: &Context) -> Result<()> {
    let net = Net::new()?;
    // Each of them, and not six and then one a second (icmp(7)).
    net.server.run("sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")?;
    // The rule; what it is called over IPv4 and over IPv6; the exit code.
    for (rule, v4, v6, code) in [
        ("port-unreachable", "refused", "refused", 3),
        ("admin-prohibited", "admin-prohibited", "admin-prohibited", 1),
        ("host-unreachable", "host unreachable", "address unreachable", 1),
        ("no-route", "network unreachable", "no route", 1),
    ] {
        net.server.run(&format!(
            "nft add table inet t; nft add chain inet t c '{{ type filter hook input priority 0; }}'
             nft add rule inet t c udp dport 7000 reject with icmpx type {rule}"
        ))?;
        for (target, words) in [(at(SERVER), v4), (at(SERVER6), v6)] {
            let by = if code == 3 { String::new() } else { format!("{words} by {}", target.ip()) };
            let target = target.to_string();
            let asks = ["-m", "x", "-W", "300ms"];
            let client = net.asker.launch(context, &context.programs.client);
            let client = client.arg(&target).args(asks).finish()?;
            // A service's usual causes of silence are none of this.
            let service = net.asker.launch(context, &context.programs.client);
            let service = service.arg(format!("mumble://{target}")).args(&asks[2..]).finish()?;
            // What a send reports of the one before it keeps no message from leaving.
            let one_way = net.asker.launch(context, &context.programs.client);
            let sends = ["--no-reply", "-i", "50ms", "-m", "x", "-m", "y", "-m", "z"];
            let one_way = one_way.arg(&target).args(sends).finish()?;
            one_way.exits(0)?;
            let (out, err) = (one_way.out(), one_way.err());
            let told = out.contains("3 sent, ") && err.contains(words) && !err.contains("cannot ");
            check::holds(&format!("{target}, {rule}, one way: {out}{err}"), told)?;
            let beats = ["-c", "1", "-W", "300ms"];
            let heartbeat = net.asker.launch(context, &context.programs.heartbeat);
            let heartbeat = heartbeat.arg(&target).args(beats).finish()?;
            let asked = net.asker.launch(context, &context.programs.heartbeat);
            let asked = asked.arg(format!("mumble://{target}")).args(beats).finish()?;
            for finished in [client, service, heartbeat, asked] {
                finished.exits(code)?;
                let said = format!("{}{}", finished.out(), finished.err());
                let told = said.contains(words) && said.contains(&by);
                check::holds(&format!("{target}, {rule}: {said:?} has {words:?}, {by:?}"), told)?;
                for blame in ["permission denied", "cannot ", "is refused", "usual causes"] {
                    check::holds(&format!("{said:?} blames nobody"), !said.contains(blame))?;
                }
            }
        }
        net.server.run("nft delete table inet t")?;
    }
    Ok(())
}
