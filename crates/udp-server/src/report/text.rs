//! Lines for people, the tutorial's among them.

use std::io::Write;
use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::cli::{Style, Tone};
use udp_core::clock::Wall;
use udp_core::endpoint::host_port;
use udp_core::text::escape::escape_prefix_into;

use super::Report;
use crate::block::{Record, Shape};
use crate::event::{Kind, Service, Summary};
use crate::policy::Reason;

/// Payload bytes that a line shows at most.
const SHOWN: usize = 1024;

/// The text reporter.
#[derive(Debug, Default)]
pub struct Text {
    style: Style,
    /// Whose `recvfrom ('…', port): ` is in `head`: datagrams of one peer often follow each other.
    peer: Option<SocketAddr>,
    head: Vec<u8>,
}

impl Text {
    /// A record keeps a few bytes more than are shown: they tell whether a character was cut in two.
    pub const SHAPE: Shape =
        Shape { blocks: 16, records: 256, bytes: 24 * 1024, keep: SHOWN + 4, times: false };

    /// Lines that look like this.
    pub fn new(style: Style) -> Self {
        Text { style, ..Text::default() }
    }
}

impl Report for Text {
    fn start(&mut self, services: &[Service], now: Wall, out: &mut Vec<u8>) {
        let start = out.len();
        for service in services {
            let what = if service.kind == Kind::Stamp { "stamp reflector" } else { "server" };
            line(out, format_args!("{what} start at: {}", host_port(service.address)));
        }
        line(out, format_args!("wait for connection..."));
        self.style.dress(out, start, now, Tone::Plain);
    }

    fn datagram(&mut self, record: &Record, kept: &[u8], out: &mut Vec<u8>) {
        if self.peer != Some(record.peer) {
            self.peer = Some(record.peer);
            self.head.clear();
            put(&mut self.head, format_args!("recvfrom {}: ", Shown(record.peer)));
        }
        let start = out.len();
        out.extend_from_slice(&self.head);
        let shown = escape_prefix_into(kept, SHOWN, out);
        if shown < record.len {
            put(out, format_args!("… ({} bytes)", record.len));
        }
        out.extend_from_slice(if record.truncated { b" truncated\n" } else { b"\n" });
        let tone = if record.dropped.is_some() { Tone::Bad } else { Tone::Plain };
        self.style.dress(out, start, record.at, tone);
    }

    fn dropped(&mut self, _: Reason, _: u64, _: Wall, _: &mut Vec<u8>) {
        // In text the datagram's own line and the summary's counts say it.
    }

    fn not_shown(&mut self, count: u64, now: Wall, out: &mut Vec<u8>) {
        let start = out.len();
        line(out, format_args!("... {count} datagrams not shown"));
        self.style.dress(out, start, now, Tone::Bad);
    }

    fn summary(&mut self, summary: &Summary, now: Wall, out: &mut Vec<u8>) {
        let start = out.len();
        let names: Vec<String> = summary.services.iter().map(|s| host_port(s.address)).collect();
        line(out, format_args!("--- {} server statistics ---", names.join(", ")));
        line(out, format_args!("{}", CountLine(summary)));
        let reasons: Vec<String> = Reason::ALL
            .iter()
            .map(|reason| format!("{} {}", reason.as_str(), summary.counts.dropped_for(*reason)))
            .collect();
        line(out, format_args!("dropped: {}", reasons.join(", ")));
        self.style.dress(out, start, now, Tone::Plain);
    }
}

/// The line of counts, which a snapshot shows as well.
#[derive(Debug)]
pub struct CountLine<'a>(pub &'a Summary);

impl std::fmt::Display for CountLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { counts, lost, .. } = self.0;
        write!(
            f,
            "{} received, {} replied, {} dropped, {} failed, ",
            counts.received,
            counts.replied,
            counts.dropped_total(),
            counts.failed
        )?;
        match lost {
            Some(lost) => write!(f, "{lost} kernel drops"),
            None => f.write_str("- kernel drops"),
        }
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    put(out, text);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::Counts;

    const NOW: Wall = Wall::from_nanos(0);

    fn shown(render: impl FnOnce(&mut Text, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        render(&mut Text::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    fn service(address: &str, kind: Kind) -> Service {
        Service { address: address.parse().unwrap(), kind }
    }

    #[test]
    fn the_tutorials_lines() {
        let one = [service("0.0.0.0:7000", Kind::Echo)];
        assert_eq!(
            shown(|text, out| text.start(&one, NOW, out)),
            "server start at: 0.0.0.0:7000\nwait for connection...\n"
        );
        let three = [
            service("127.0.0.1:7000", Kind::Echo),
            service("[::1]:7000", Kind::Sink),
            service("127.0.0.1:862", Kind::Stamp),
        ];
        assert_eq!(
            shown(|text, out| text.start(&three, NOW, out)),
            "server start at: 127.0.0.1:7000\nserver start at: [::1]:7000\n\
             stamp reflector start at: 127.0.0.1:862\nwait for connection...\n"
        );
    }

    #[test]
    fn one_line_a_datagram_whatever_it_holds() {
        let a = |len| "a".repeat(len);
        for (peer, payload, truncated, expected) in [
            (
                "127.0.0.1:36042",
                b"hello".to_vec(),
                false,
                "recvfrom ('127.0.0.1', 36042): hello\n".to_string(),
            ),
            ("[::1]:5000", b"".to_vec(), false, "recvfrom ('::1', 5000): \n".into()),
            (
                "[::1]:5",
                b"\x1b[2J\n\xff".to_vec(),
                false,
                "recvfrom ('::1', 5): \\x1b[2J\\n\\xff\n".into(),
            ),
            ("[::1]:5", b"abc".to_vec(), true, "recvfrom ('::1', 5): abc truncated\n".into()),
            ("[::1]:5", a(1024).into(), false, format!("recvfrom ('::1', 5): {}\n", a(1024))),
            (
                "[::1]:5",
                a(1025).into(),
                false,
                format!("recvfrom ('::1', 5): {}… (1025 bytes)\n", a(1024)),
            ),
            (
                "[::1]:5",
                a(2000).into(),
                true,
                format!("recvfrom ('::1', 5): {}… (2000 bytes) truncated\n", a(1024)),
            ),
            (
                "[::1]:5",
                format!("{}éé", a(1023)).into(),
                false,
                format!("recvfrom ('::1', 5): {}… (1027 bytes)\n", a(1023)),
            ),
        ] {
            let record = Record::new(NOW, peer.parse().unwrap(), payload.len(), truncated);
            let kept = &payload[..payload.len().min(SHOWN + 4)];
            assert_eq!(shown(|text, out| text.datagram(&record, kept, out)), expected);
        }
    }

    #[test]
    fn peers_are_not_mixed_up() {
        let record = |peer: &str| Record::new(NOW, peer.parse().unwrap(), 1, false);
        let text = shown(|text, out| {
            for peer in ["1.2.3.4:5", "1.2.3.4:5", "1.2.3.4:6", "1.2.3.4:5"] {
                text.datagram(&record(peer), b"x", out);
            }
        });
        let ports: Vec<&str> = text.lines().map(|line| &line[21..22]).collect();
        assert_eq!(ports, ["5", "5", "6", "5"], "{text}");
    }

    #[test]
    fn the_summary() {
        let counts = Counts { received: 5, replied: 5, ..Counts::default() };
        let services = vec![service("0.0.0.0:7000", Kind::Echo)];
        let summary = Summary { services, counts, lost: Some(0) };
        assert_eq!(
            shown(|text, out| text.summary(&summary, NOW, out)),
            "--- 0.0.0.0:7000 server statistics ---\n\
             5 received, 5 replied, 0 dropped, 0 failed, 0 kernel drops\n\
             dropped: rate 0, loop 0, access 0, destination 0, source 0, size 0\n"
        );
        let dropped = [1, 2, 3, 4, 5, 6];
        let counts = Counts { received: 30, replied: 1, dropped, failed: 8, ..Counts::default() };
        let services = vec![service("127.0.0.1:1", Kind::Echo), service("[::1]:2", Kind::Stamp)];
        let summary = Summary { services, counts, lost: None };
        assert_eq!(
            shown(|text, out| text.summary(&summary, NOW, out)),
            "--- 127.0.0.1:1, [::1]:2 server statistics ---\n\
             30 received, 1 replied, 21 dropped, 8 failed, - kernel drops\n\
             dropped: rate 1, loop 2, access 3, destination 4, source 5, size 6\n"
        );
        assert_eq!(
            shown(|text, out| text.not_shown(1234, NOW, out)),
            "... 1234 datagrams not shown\n"
        );
    }
}
