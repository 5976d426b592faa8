//! The tutorial's lines, for people and for scripts that read lines.
//!
//! A credited reply begins with `recvfrom`, and nothing else does: a late, second or foreign
//! datagram has its label before it, where no payload can forge or hide one. Payloads are shown
//! escaped (or as hex), so that one datagram is one line.

use std::io::Write;
use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::cli::{Style, Tone};
use udp_core::clock::Wall;
use udp_core::text::{escape, hex};

use super::{Demands, Event, PendingOutput, Transcript, note_failure};
use crate::config::Coding;
use crate::exchange::Unsolicited;
use crate::stats::Counts;

/// Datagrams that answer nothing are shown up to this many a second; anyone can send them.
const UNSOLICITED_PER_SECOND: u64 = 20;

/// The transcript in text.
#[derive(Debug)]
pub struct Text {
    coding: Coding,
    demands: Demands,
    look: Look,
    /// The last peer, as it is shown.
    shown: Option<(SocketAddr, String)>,
    quota: Quota,
}

/// How lines are shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Look {
    /// The summary alone.
    pub quiet: bool,
    /// What came is shown as `xxd` does, below its line.
    pub hexdump: bool,
    /// Time and colour.
    pub style: Style,
}

/// Offset, hex and ASCII, 16 bytes a line, as `xxd(1)` prints them.
pub(crate) fn hexdump(bytes: &[u8], out: &mut Vec<u8>) {
    for (index, row) in bytes.chunks(16).enumerate() {
        let hex: String = row
            .chunks(2)
            .map(|pair| {
                pair.iter().fold(String::from(" "), |text, byte| format!("{text}{byte:02x}"))
            })
            .collect();
        let shown = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
        let text: String = row.iter().map(shown).collect();
        line(out, format_args!("{:08x}:{hex:<40}  {text}", index * 16));
    }
}

#[derive(Debug, Default)]
struct Quota {
    second: u64,
    shown: u64,
    hidden: u64,
}

impl Text {
    /// One that shows payloads in `coding` and holds replies to `demands` when it says why they
    /// are wrong.
    pub fn new(coding: Coding, demands: Demands, look: Look) -> Self {
        Text { coding, demands, look, shown: None, quota: Quota::default() }
    }

    /// A datagram that came, and below it its bytes if they were asked for.
    fn received(&mut self, verb: &str, peer: SocketAddr, bytes: &[u8], out: &mut Vec<u8>) {
        self.line(verb, peer, bytes, out);
        if self.look.hexdump {
            hexdump(bytes, out);
        }
    }

    /// `sendto ('127.0.0.1', 7000): hello`
    fn line(&mut self, verb: &str, peer: SocketAddr, bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(verb.as_bytes());
        out.push(b' ');
        match &self.shown {
            Some((last, text)) if *last == peer => out.extend_from_slice(text.as_bytes()),
            _ => {
                let text = Shown(peer).to_string();
                out.extend_from_slice(text.as_bytes());
                self.shown = Some((peer, text));
            }
        }
        out.extend_from_slice(b": ");
        match self.coding {
            Coding::Hex => hex::encode_into(bytes, out),
            Coding::Text | Coding::Escape => escape::escape_into(bytes, out),
        }
        out.push(b'\n');
    }
}

impl Transcript for Text {
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut PendingOutput) {
        note_failure(event, &self.demands, said);
        let start = said.out.len();
        let out = &mut said.out;
        match event {
            _ if self.look.quiet => {}
            Event::Sent { peer, bytes, .. } => self.line("sendto", peer, bytes, out),
            Event::Reply { peer, bytes, .. } => self.received("recvfrom", peer, bytes, out),
            Event::Late { seq, peer, bytes, .. } => {
                self.received(&format!("late (message {seq}): recvfrom"), peer, bytes, out);
            }
            Event::Unsolicited { peer, bytes, kind, .. } if self.quota.admits(at, out) => {
                let label = match kind {
                    Unsolicited::Duplicate => "duplicate: recvfrom",
                    Unsolicited::Extra | Unsolicited::Elsewhere => "unsolicited: recvfrom",
                };
                self.received(label, peer, bytes, out);
            }
            _ => {}
        }
        self.look.style.dress(out, start, at, Tone::Plain);
    }

    fn summary(&mut self, counts: &Counts, _peer: SocketAddr, at: Wall, said: &mut PendingOutput) {
        let start = said.out.len();
        self.quota.tell(&mut said.out);
        line(&mut said.out, format_args!("{counts}"));
        if let Some(figures) = counts.rtt.figures() {
            line(&mut said.out, format_args!("rtt min/avg/max/mdev = {figures} ms"));
        }
        self.look.style.dress(&mut said.out, start, at, Tone::Plain);
    }
}

impl Quota {
    fn admits(&mut self, at: Wall, out: &mut Vec<u8>) -> bool {
        let second = at.as_nanos() / 1_000_000_000;
        if second != self.second {
            self.tell(out);
            (self.second, self.shown) = (second, 0);
        }
        self.shown += 1;
        let admitted = self.shown <= UNSOLICITED_PER_SECOND;
        self.hidden += u64::from(!admitted);
        admitted
    }

    /// Says how many were not shown since it was last said.
    fn tell(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.hidden) {
            0 => {}
            hidden => line(out, format_args!("... {hidden} datagrams not shown")),
        }
    }
}

fn line(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use udp_core::expect::Expectation;

    fn demands(expectation: Expectation) -> Demands {
        Demands { expectation, max_rtt: None }
    }
    use std::time::Duration;

    const AT: Wall = Wall::from_nanos(1_700_000_000_123_456_789);

    fn peer() -> SocketAddr {
        "127.0.0.1:7000".parse().unwrap()
    }

    fn told(text: &mut Text, event: Event<'_>) -> (String, Vec<String>) {
        let mut said = PendingOutput::default();
        text.event(event, AT, &mut said);
        (String::from_utf8(said.out).unwrap(), said.notes)
    }

    #[test]
    fn each_event_is_one_line() {
        let v6: SocketAddr = "[::1]:7000".parse().unwrap();
        let (peer, rtt) = (peer(), Duration::from_millis(1500));
        let cases = [
            (
                Event::Sent { seq: 1, attempt: 1, peer, bytes: b"hello" },
                "sendto ('127.0.0.1', 7000): hello\n",
            ),
            (
                Event::Reply {
                    seq: 1,
                    peer,
                    bytes: b"echo hello",
                    rtt,
                    wrong: false,
                    after_refusal: false,
                },
                "recvfrom ('127.0.0.1', 7000): echo hello\n",
            ),
            (
                Event::Reply {
                    seq: 1,
                    peer: v6,
                    bytes: b"\x1b[2J\n\xff",
                    rtt,
                    wrong: false,
                    after_refusal: false,
                },
                "recvfrom ('::1', 7000): \\x1b[2J\\n\\xff\n",
            ),
            (
                Event::Late { seq: 3, peer, bytes: b"x", rtt },
                "late (message 3): recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unsolicited {
                    seq: Some(1),
                    peer,
                    bytes: b"x",
                    kind: Unsolicited::Duplicate,
                },
                "duplicate: recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unsolicited { seq: None, peer, bytes: b"x", kind: Unsolicited::Extra },
                "unsolicited: recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unsolicited {
                    seq: None,
                    peer: v6,
                    bytes: b"x",
                    kind: Unsolicited::Elsewhere,
                },
                "unsolicited: recvfrom ('::1', 7000): x\n",
            ),
        ];
        let mut text = Text::new(Coding::Text, demands(Expectation::Anything), Look::default());
        for (event, line) in cases {
            assert_eq!(told(&mut text, event), (line.to_string(), Vec::new()), "{event:?}");
        }
    }

    #[test]
    fn what_went_wrong_is_a_note() {
        let peer = peer();
        for (event, note) in [
            (
                Event::Timeout { seq: 1, peer, waited: Duration::from_secs(1), attempts: 1 },
                "no reply from ('127.0.0.1', 7000) within 1s",
            ),
            (
                Event::Refused { seq: Some(1), peer, by: None },
                "refused by ('127.0.0.1', 7000): nothing listens there",
            ),
            (
                Event::Network { seq: Some(1), peer, text: "host unreachable by 192.0.2.1" },
                "host unreachable by 192.0.2.1",
            ),
            (
                Event::Reply {
                    seq: 1,
                    peer,
                    bytes: b"x",
                    rtt: Duration::from_micros(1500),
                    wrong: true,
                    after_refusal: false,
                },
                "wrong reply to message 1: too slow, 1.500 ms",
            ),
        ] {
            let look = Look { quiet: true, ..Look::default() };
            let mut text = Text::new(Coding::Text, demands(Expectation::Anything), look);
            assert_eq!(told(&mut text, event), (String::new(), vec![note.into()]), "{event:?}");
        }
    }

    #[test]
    fn a_hexdump_is_as_xxd_prints_it() {
        let mut out = Vec::new();
        hexdump(b"\x00\x01hello, world\x7f\xff\nx", &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "00000000: 0001 6865 6c6c 6f2c 2077 6f72 6c64 7fff  ..hello, world..\n\
             00000010: 0a78                                     .x\n"
        );
    }

    #[test]
    fn hex_is_shown_as_hex() {
        let mut text = Text::new(Coding::Hex, demands(Expectation::Anything), Look::default());
        let sent = Event::Sent { seq: 1, attempt: 1, peer: peer(), bytes: b"\x00k" };
        assert_eq!(told(&mut text, sent).0, "sendto ('127.0.0.1', 7000): 006b\n");
    }

    #[test]
    fn complaints_go_to_stderr() {
        let mut text =
            Text::new(Coding::Text, demands(Expectation::Text(b"a".to_vec())), Look::default());
        let rtt = Duration::ZERO;
        let wrong = Event::Reply {
            seq: 7,
            peer: peer(),
            bytes: b"b\n",
            rtt,
            wrong: true,
            after_refusal: false,
        };
        let (out, notes) = told(&mut text, wrong);
        assert_eq!(out, "recvfrom ('127.0.0.1', 7000): b\\n\n");
        assert_eq!(notes, [r"wrong reply to message 7: expected 'a', got 'b\n'"]);
        let error = Event::Error { seq: None, text: "cannot", hint: Some("do") };
        let notes = vec!["error: cannot".to_string(), "hint: do".to_string()];
        assert_eq!(told(&mut text, error), (String::new(), notes));
    }

    #[test]
    fn a_flood_of_strangers_is_shown_in_part_and_counted() {
        let mut text = Text::new(Coding::Text, demands(Expectation::Anything), Look::default());
        let kind = Unsolicited::Elsewhere;
        let event = Event::Unsolicited { seq: None, peer: peer(), bytes: b"x", kind };
        let mut said = PendingOutput::default();
        for _ in 0..1000 {
            text.event(event, AT, &mut said);
        }
        assert_eq!(said.out.iter().filter(|&&b| b == b'\n').count(), 20);
        let later = Wall::from_nanos(AT.as_nanos() + 1_000_000_000);
        let mut said = PendingOutput::default();
        text.event(event, later, &mut said);
        let lines = String::from_utf8(said.out).unwrap();
        assert!(lines.starts_with("... 980 datagrams not shown\n"), "{lines}");
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn the_summary_has_round_trips_only_where_there_were_any() {
        let mut text = Text::new(Coding::Text, demands(Expectation::Anything), Look::default());
        let mut counts = Counts { sent: 1, lost: 1, ..Counts::default() };
        let mut said = PendingOutput::default();
        text.summary(&counts, peer(), AT, &mut said);
        counts = Counts { sent: 1, replied: 1, ..Counts::default() };
        counts.rtt.record(Duration::from_micros(250));
        text.summary(&counts, peer(), AT, &mut said);
        let expected = "1 sent, 0 replied, 1 lost\n1 sent, 1 replied, 0 lost\n\
             rtt min/avg/max/mdev = 0.250/0.250/0.250/0.000 ms\n";
        assert_eq!(String::from_utf8(said.out).unwrap(), expected);
    }
}
