//! What `--version` says: version, commit, target and features of the build; with `-v` also what this
//! kernel can do, which is not looked up but tried, on a socket of the loopback.

use std::fmt::Write as _;
use std::io;

/// The lines behind the first, which is the program's name and version.
pub(super) fn more(features: &[&str], verbose: bool) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}: {value}");
    };
    let commit = env!("UDP_CORE_COMMIT");
    if !commit.is_empty() {
        line("commit", commit);
    }
    let linking = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
    line("target", &format!("{}, {linking}", env!("UDP_CORE_TARGET")));
    line("features", &if features.is_empty() { "none".to_owned() } else { features.join(" ") });
    if verbose {
        line("kernel", &kernel());
        match abilities() {
            Ok(found) => found.iter().for_each(|(name, has)| {
                let _ = writeln!(text, "  {name:<16}{}", if *has { "yes" } else { "no" });
            }),
            Err(error) => {
                let _ = writeln!(text, "  unknown: {}", crate::error::describe(&error));
            }
        }
    }
    text
}

/// The system's name and its release.
fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{} {}", std::env::consts::OS, release.trim()).trim_end().to_owned()
}

/// What the batch layer is built to do without, and whether it is there: three datagrams are sent,
/// of which two can be joined, and their metadata says what came of each wish.
#[cfg(target_os = "linux")]
fn abilities() -> io::Result<Vec<(&'static str, bool)>> {
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
    use std::time::Duration;

    use crate::batch::{Backend, Io, Meta, Options, Outbox, SLOT, Slots, Wait};

    let open = || {
        let asked = Options { timestamps: true, ttl: true, ecn: true, ..Options::default() };
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = socket.local_addr()?;
        let io = Io::new(socket, Backend::Auto, &asked).map_err(|error| error.source)?;
        Ok::<_, io::Error>((io, address))
    };
    let ((receiver, to), (sender, _)) = (open()?, open()?);
    let ((mut receiver, _), (_, mut sender)) = (receiver.split(), sender.split());
    let mut outbox = Outbox::new(3, 300);
    for length in [100, 100, 50] {
        let _ = outbox.push(to, None, &[b' '; 100][..length]);
    }
    let mut slots = Slots::new(3, SLOT, 0);
    let mut sent = Ok(());
    sender.send(&mut outbox, &slots, |one| sent = one.result);
    sent?;
    let mut metas: Vec<Meta> = Vec::new();
    while metas.iter().map(Meta::datagrams).sum::<usize>() < 3 {
        if receiver.receive(&mut slots, Wait::Block(Some(Duration::from_secs(1))))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        metas.extend(slots.iter().map(|received| *received.meta));
    }
    let can = receiver.abilities();
    let reported = |what: fn(&Meta) -> bool| metas.iter().all(what);
    let merged = metas.iter().any(|meta| meta.datagrams() > 1);
    Ok(vec![
        ("recvmmsg", receiver.is_batched()),
        ("sendmmsg", sender.is_batched()),
        // Nothing can be merged here that was not joined before.
        ("UDP_GRO", if can.gso { merged } else { can.gro }),
        ("UDP_SEGMENT", can.gso),
        ("IP_PKTINFO", can.destination && reported(|meta| meta.local.is_some())),
        ("SO_TIMESTAMPNS", reported(|meta| meta.timestamp.is_some())),
        ("IP_RECVTTL", reported(|meta| meta.ttl.is_some())),
        ("IP_RECVTOS", reported(|meta| meta.ecn.is_some())),
        ("SO_MEMINFO", can.drops),
        ("IPv6", UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()),
    ])
}

/// Elsewhere the portable backend asks for nothing.
#[cfg(not(target_os = "linux"))]
fn abilities() -> io::Result<Vec<(&'static str, bool)>> {
    Ok(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_was_built_and_asks_the_kernel_where_wanted() {
        let text = more(&[], false);
        assert!(text.contains("features: none\n") && !text.contains("kernel"), "{text}");
        let text = more(&["live", "other"], true);
        assert!(text.contains("features: live other\nkernel: "), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_filter_refuses_is_not_there() {
        use crate::sys::seccomp::refuse;
        let named = |found: &[(&str, bool)], wanted| -> Vec<String> {
            found.iter().filter(|(_, has)| *has == wanted).map(|(name, _)| (*name).into()).collect()
        };
        let found = abilities().expect("a loopback");
        assert_eq!(named(&found, false), Vec::<String>::new());
        let refused = std::thread::spawn(|| {
            let udp = |name| Some((libc::SOL_UDP, name));
            let refused = [
                (libc::SYS_recvmmsg, None),
                (libc::SYS_sendmmsg, None),
                (libc::SYS_setsockopt, udp(libc::UDP_GRO)),
                (libc::SYS_getsockopt, udp(libc::UDP_SEGMENT)),
                (libc::SYS_setsockopt, Some((libc::SOL_SOCKET, libc::SO_TIMESTAMPNS))),
            ];
            for (call, option) in refused {
                refuse(call, option, libc::EPERM).expect("a filter");
            }
            abilities().expect("a loopback")
        });
        let found = refused.join().expect("no panic");
        let missing = ["recvmmsg", "sendmmsg", "UDP_GRO", "UDP_SEGMENT", "SO_TIMESTAMPNS"];
        assert_eq!(named(&found, false), missing);
    }
}
