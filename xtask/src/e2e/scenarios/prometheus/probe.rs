//! `/probe` as Prometheus' tools and strangers see it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::http::{address, get};
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::netns::{ASKER, Net, SERVER, SERVER_TOO, mounted};

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

/// Names that a stranger's name server would tell; of the last one any address may be chosen.
const HOSTS: &str = "127.0.0.1 localhost near.test\n169.254.169.254 meta.test\n::1 six.test\n\
    ::ffff:127.0.0.1 some.test\n127.8.8.8 some.test\n";

/// A strange host asks for probes of everything that is none of its business: none of it is sent to.
pub(super) fn a_stranger_can_make_it_send_nowhere_else(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let modules = context.home.path().join("probe-allow.yml");
    std::fs::write(&modules, "modules: {m: {prober: udp, timeout: 5s, udp: {send: x}}}")?;
    let near = "127.0.0.1 127.9.9.9 localhost :7 [::1] [::ffff:127.0.0.1] 0.0.0.0 [::] 0.0.0.1 \
        169.254.1.1 [fe80::1%25v0] [fe80::77:ff:fe00:2%25v0] 224.0.0.1 255.255.255.255 [ff02::1%25v0] \
        [::127.0.0.1] 127.0.0.1:53 10.77.0.255 [::1%25lo] [64:ff9b::127.0.0.1] [2002:7f00:1::1] \
        [::ffff:0:127.0.0.1] near.test meta.test six.test some.test:53";
    // What other resolvers take for 127.0.0.1.
    let odd =
        "2130706433:7 0x7f000001:7 0x7f.1 0177.0.0.1 127.1:7 127.0.1 [::1 127.0.0.1%00.example.org";
    let hosts = context.home.path().join("probe-hosts");
    std::fs::write(&hosts, HOSTS)?;
    let outside = format!("{near} {SERVER} {SERVER_TOO} 192.0.2.1 [fd77::2] [::ffff:192.0.2.1]");
    for (port, allow, forbidden) in [
        (17007, &[][..], near.to_owned()),
        (17008, &["--probe-allow", "10.77.0.2"][..], outside.clone()),
        (17009, &["--probe-allow", "10.77.0.2", "--probe-allow", "192.0.2.128/25"], outside),
    ] {
        let serve = ["-q", "--metrics", &format!("0.0.0.0:{port}"), "--modules"];
        let unshare = net.server.launch(context, "unshare");
        let launch = mounted(unshare, &hosts, "/etc/hosts").arg(&context.programs.heartbeat);
        let heartbeat = launch.args(serve).arg(&modules).args(allow).spawn()?;
        heartbeat.wait_for_stderr("metrics: <any>\nprobes: <any>/probe, 1 modules\n")?;
        let ask = |target: &str, more: &str| {
            let path = format!("/probe?module=m&target={target}{more}");
            net.asker.inside(|| get(&format!("{SERVER}:{port}"), &path, ""))
        };
        let before = net.server.kernel()?.sent;
        let forbidden = forbidden.split_whitespace().map(|target| (target, 403));
        for (target, status) in forbidden.chain(odd.split_whitespace().map(|target| (target, 400)))
        {
            for more in ["", "&debug=true"] {
                let answer = ask(target, more)?;
                ensure!(answer.status == status, "{target}: {}: {}", answer.status, answer.body);
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

/// A name is another address each time that it is asked for: who looked it up twice, to judge it and to send
/// to it, would send to the loopback.
pub(super) fn a_name_that_changes_is_sent_to_where_it_was_judged(context: &Context) -> Result<()> {
    let net = Net::new()?;
    let (modules, resolver) =
        (context.home.path().join("changes.yml"), context.home.path().join("changes.conf"));
    std::fs::write(
        &modules,
        "modules: {m: {prober: udp, timeout: 20s, udp: {send: x, count: 3}}}",
    )?;
    std::fs::write(&resolver, "nameserver 127.0.0.53\noptions timeout:5 attempts:2\n")?;
    let names = net.server.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, 53), 53)))?;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    std::thread::spawn(move || changes(&names, &count));
    let far = net.asker.bind(SocketAddr::from((ASKER, 0)))?;
    let port = far.local_addr()?.port();
    let near = net.server.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    near.set_read_timeout(Some(Duration::from_millis(1)))?;
    std::thread::spawn(move || {
        let mut bytes = [0; 8];
        while let Ok((length, from)) = far.recv_from(&mut bytes) {
            let _ = far.send_to(&bytes[..length], from);
        }
    });
    let unshare = net.server.launch(context, "unshare");
    let launch = mounted(unshare, &resolver, "/etc/resolv.conf").arg(&context.programs.heartbeat);
    let serve = ["-q", "--metrics", "0.0.0.0:17007", "--modules"];
    let heartbeat = launch.args(serve).arg(&modules).spawn()?;
    heartbeat.wait_for_stderr("metrics: <any>\nprobes: <any>\n")?;
    for (round, status) in [(1, 200), (2, 403), (3, 200), (4, 403)] {
        let path = format!("/probe?module=m&target=changes.test:{port}");
        let answer = net.asker.inside(|| get(&format!("{SERVER}:17007"), &path, ""))?;
        check::same("status", status, answer.status)?;
        let proved = answer.body.contains("\nprobe_success 1\n");
        ensure!(proved == (status == 200), "{}", answer.body);
        check::same("look-ups", round, asked.load(Ordering::Relaxed))?;
    }
    let heard = near.recv_from(&mut [0; 8]).map(|(_, from)| from).ok();
    check::same("what the loopback hears", None, heard)?;
    heartbeat.interrupt()?.exits(0)?;
    Ok(())
}

/// A name server that answers with the asker's address and the loopback's in turn.
fn changes(socket: &UdpSocket, asked: &AtomicUsize) {
    let mut bytes = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut bytes) {
        let answer = (|| {
            let end = bytes.get(12..length)?.iter().position(|byte| *byte == 0)? + 12 + 5;
            // A is type 1 (RFC 1035 section 3.2.2); of any other there is nothing.
            let records = u8::from(bytes.get(end - 4..end - 2)? == [0, 1]);
            let mut answer = [&bytes[..2], &[0x85, 0x80, 0, 1, 0, records, 0, 0, 0, 0]].concat();
            answer.extend(&bytes[12..end]);
            if records > 0 {
                let turn = asked.fetch_add(1, Ordering::Relaxed) % 2;
                answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
                answer.extend([ASKER, Ipv4Addr::LOCALHOST][turn].octets());
            }
            Some(answer)
        })();
        let _ = answer.map(|answer| socket.send_to(&answer, from));
    }
}
