//! `/probe` as Prometheus' tools and strangers see it.

use std::net::{SocketAddr, UdpSocket};

use anyhow::{Result, ensure};

use super::http::{address, get};
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::netns::{ASKER, Net, SERVER, SERVER_TOO};

/// `promtool check metrics` on a probe.
pub(super) fn promtool_finds_no_fault_in_a_probe(context: &Context) -> Result<()> {
    super::promtool()?;
    let server = context.serve(&["-q"])?;
    let target = server.address();
    let modules = context.home.path().join("modules.yml");
    std::fs::write(&modules, "modules: {echo: {prober: udp, timeout: 5s, udp: {count: 2}}}")?;
    let options = ["-q", "--metrics", "127.0.0.1:0", "--probe-allow", "127.0.0.1", "--modules"];
    let heartbeat = context.heartbeat().args(options).arg(modules).spawn()?;
    let probed = get(&address(&heartbeat)?, &format!("/probe?module=echo&target={target}"), "")?;
    ensure!(probed.body.contains("\nprobe_success 1\n"), "{}", probed.body);
    super::check(context, &probed.body)?;
    heartbeat.interrupt()?;
    Ok(())
}

/// A strange host asks for probes of everything that is none of its business: none of it is sent to.
pub(super) fn a_stranger_can_make_it_send_nowhere_else(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let modules = context.home.path().join("probe-allow.yml");
    std::fs::write(&modules, "modules: {m: {prober: udp, timeout: 5s, udp: {send: x}}}")?;
    let near = "127.0.0.1 127.9.9.9 localhost :7 [::1] [::ffff:127.0.0.1] 0.0.0.0 [::] 0.0.0.1 \
        169.254.1.1 [fe80::1%25v0] [fe80::77:ff:fe00:2%25v0] 224.0.0.1 255.255.255.255 [ff02::1%25v0] \
        [::127.0.0.1] 127.0.0.1:53";
    let outside = format!("{near} {SERVER} {SERVER_TOO} 192.0.2.1 [fd77::2] [::ffff:192.0.2.1]");
    for (port, allow, forbidden) in [
        (17007, &[][..], near.to_owned()),
        (17008, &["--probe-allow", "10.77.0.2"][..], outside.clone()),
        (17009, &["--probe-allow", "10.77.0.2", "--probe-allow", "192.0.2.128/25"], outside),
    ] {
        let serve = ["-q", "--metrics", &format!("0.0.0.0:{port}"), "--modules"];
        let launch = net.server.launch(context, &context.programs.heartbeat);
        let heartbeat = launch.args(serve).arg(&modules).args(allow).spawn()?;
        heartbeat.wait_for_stderr("metrics: <any>\nprobes: <any>/probe, 1 modules\n")?;
        let ask = |target: &str, more: &str| {
            let path = format!("/probe?module=m&target={target}{more}");
            net.asker.inside(|| get(&format!("{SERVER}:{port}"), &path, ""))
        };
        let before = net.server.kernel()?.sent;
        for target in forbidden.split_whitespace() {
            for more in ["", "&debug=true"] {
                let answer = ask(target, more)?;
                ensure!(answer.status == 403, "{target}: {}", answer.body);
            }
        }
        check::same("sent", before, net.server.kernel()?.sent)?;
        let socket: UdpSocket = net.asker.bind(SocketAddr::from((ASKER, 0)))?;
        let target = SocketAddr::from((ASKER, socket.local_addr()?.port()));
        let peer = std::thread::spawn(move || {
            let mut bytes = [0; 8];
            let (length, from) = socket.recv_from(&mut bytes)?;
            socket.send_to(&bytes[..length], from)
        });
        let answer = ask(&target.to_string(), "")?;
        ensure!(answer.body.contains("\nprobe_success 1\n"), "{}", answer.body);
        peer.join().map_err(|_| anyhow::anyhow!("the peer panicked"))??;
        check::same("sent", before + 1, net.server.kernel()?.sent)?;
        heartbeat.interrupt()?.exits(0)?;
    }
    Ok(())
}
