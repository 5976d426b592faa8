//! The tutorial's lines, for people and for scripts that read lines.
//!
//! A credited reply begins with `recvfrom`, and nothing else does: a late, second or foreign
//! datagram has its label before it, where no payload can forge or hide one. Payloads are shown
//! escaped (or as hex), so that one datagram is one line.

use std::io::Write;
use std::net::SocketAddr;

use udp_core::Shown;
use udp_core::cli::parse::ShownDuration;
use udp_core::clock::Wall;
use udp_core::text::{escape, hex};

use super::{Event, Said, Transcript};
use crate::config::Coding;
use crate::expectation::Expectation;
use crate::outcome::Stray;
use crate::tally::Tally;

/// Datagrams that answer nothing are shown up to this many a second; anyone can send them.
const UNEXPECTED_PER_SECOND: u64 = 20;

/// The transcript in text.
#[derive(Debug)]
pub struct Text {
    coding: Coding,
    expectation: Expectation,
    /// The last peer, as it is shown.
    shown: Option<(SocketAddr, String)>,
    quota: Quota,
}

#[derive(Debug, Default)]
struct Quota {
    second: u64,
    shown: u64,
    hidden: u64,
}

impl Text {
    /// One that shows payloads in `coding` and holds replies to `expectation` when it says why
    /// they are wrong.
    pub fn new(coding: Coding, expectation: Expectation) -> Self {
        Text { coding, expectation, shown: None, quota: Quota::default() }
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
    fn event(&mut self, event: Event<'_>, at: Wall, said: &mut Said) {
        let out = &mut said.out;
        match event {
            Event::Sent { peer, bytes, .. } => self.line("sendto", peer, bytes, out),
            Event::Reply { seq, peer, bytes, wrong, .. } => {
                self.line("recvfrom", peer, bytes, out);
                if wrong {
                    let complaint = self.expectation.complaint(bytes);
                    said.notes.push(format!("wrong reply to message {seq}: {complaint}"));
                }
            }
            Event::Late { seq, peer, bytes, .. } => {
                self.line(&format!("late (message {seq}): recvfrom"), peer, bytes, out);
            }
            Event::Unexpected { peer, bytes, stray, .. } => {
                if self.quota.admits(at, out) {
                    let label = match stray {
                        Stray::Duplicate => "duplicate: recvfrom",
                        Stray::Another => "unexpected: recvfrom",
                        Stray::Stranger => "unexpected sender: recvfrom",
                    };
                    self.line(label, peer, bytes, out);
                }
            }
            Event::Timeout { peer, waited, .. } => {
                let waited = ShownDuration(waited);
                line(out, format_args!("no reply from {} within {waited}", Shown(peer)));
            }
            Event::Refused { peer, .. } => {
                line(out, format_args!("refused by {}: nothing listens there", Shown(peer)));
            }
            Event::Error { text, hint, .. } => {
                said.notes.push(format!("error: {text}"));
                said.notes.extend(hint.map(|hint| format!("hint: {hint}")));
            }
        }
    }

    fn summary(&mut self, tally: &Tally, _peer: SocketAddr, _at: Wall, said: &mut Said) {
        self.quota.tell(&mut said.out);
        line(&mut said.out, format_args!("{tally}"));
        if let Some(figures) = tally.rtt.figures() {
            line(&mut said.out, format_args!("{figures}"));
        }
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
        let admitted = self.shown <= UNEXPECTED_PER_SECOND;
        self.hidden += u64::from(!admitted);
        admitted
    }

    /// Says how many were not shown since it was last said.
    fn tell(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.hidden) {
            0 => {}
            hidden => line(out, format_args!("... {hidden} unexpected datagrams not shown")),
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
    use std::time::Duration;

    const AT: Wall = Wall::from_nanos(1_700_000_000_123_456_789);

    fn peer() -> SocketAddr {
        "127.0.0.1:7000".parse().unwrap()
    }

    fn told(text: &mut Text, event: Event<'_>) -> (String, Vec<String>) {
        let mut said = Said::default();
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
                Event::Reply { seq: 1, peer, bytes: b"echo hello", rtt, wrong: false },
                "recvfrom ('127.0.0.1', 7000): echo hello\n",
            ),
            (
                Event::Reply { seq: 1, peer: v6, bytes: b"\x1b[2J\n\xff", rtt, wrong: false },
                "recvfrom ('::1', 7000): \\x1b[2J\\n\\xff\n",
            ),
            (
                Event::Late { seq: 3, peer, bytes: b"x", rtt },
                "late (message 3): recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unexpected { seq: Some(1), peer, bytes: b"x", stray: Stray::Duplicate },
                "duplicate: recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unexpected { seq: None, peer, bytes: b"x", stray: Stray::Another },
                "unexpected: recvfrom ('127.0.0.1', 7000): x\n",
            ),
            (
                Event::Unexpected { seq: None, peer: v6, bytes: b"x", stray: Stray::Stranger },
                "unexpected sender: recvfrom ('::1', 7000): x\n",
            ),
            (
                Event::Timeout { seq: 1, peer, waited: Duration::from_secs(1), attempts: 1 },
                "no reply from ('127.0.0.1', 7000) within 1s\n",
            ),
            (
                Event::Refused { seq: Some(1), peer },
                "refused by ('127.0.0.1', 7000): nothing listens there\n",
            ),
        ];
        let mut text = Text::new(Coding::Text, Expectation::Anything);
        for (event, line) in cases {
            assert_eq!(told(&mut text, event), (line.to_string(), Vec::new()), "{event:?}");
        }
    }

    #[test]
    fn hex_is_shown_as_hex() {
        let mut text = Text::new(Coding::Hex, Expectation::Anything);
        let sent = Event::Sent { seq: 1, attempt: 1, peer: peer(), bytes: b"\x00k" };
        assert_eq!(told(&mut text, sent).0, "sendto ('127.0.0.1', 7000): 006b\n");
    }

    #[test]
    fn complaints_go_to_stderr() {
        let mut text = Text::new(Coding::Text, Expectation::Text(b"a".to_vec()));
        let rtt = Duration::ZERO;
        let wrong = Event::Reply { seq: 7, peer: peer(), bytes: b"b\n", rtt, wrong: true };
        let (out, notes) = told(&mut text, wrong);
        assert_eq!(out, "recvfrom ('127.0.0.1', 7000): b\\n\n");
        assert_eq!(notes, [r"wrong reply to message 7: expected 'a', got 'b\n'"]);
        let error = Event::Error { seq: None, text: "cannot", hint: Some("do") };
        let notes = vec!["error: cannot".to_string(), "hint: do".to_string()];
        assert_eq!(told(&mut text, error), (String::new(), notes));
    }

    #[test]
    fn a_flood_of_strangers_is_shown_in_part_and_counted() {
        let mut text = Text::new(Coding::Text, Expectation::Anything);
        let stray = Stray::Stranger;
        let event = Event::Unexpected { seq: None, peer: peer(), bytes: b"x", stray };
        let mut said = Said::default();
        for _ in 0..1000 {
            text.event(event, AT, &mut said);
        }
        assert_eq!(said.out.iter().filter(|&&b| b == b'\n').count(), 20);
        let later = Wall::from_nanos(AT.as_nanos() + 1_000_000_000);
        let mut said = Said::default();
        text.event(event, later, &mut said);
        let lines = String::from_utf8(said.out).unwrap();
        assert!(lines.starts_with("... 980 unexpected datagrams not shown\n"), "{lines}");
        assert_eq!(lines.lines().count(), 2);
    }

    #[test]
    fn the_summary_has_round_trips_only_where_there_were_any() {
        let mut text = Text::new(Coding::Text, Expectation::Anything);
        let mut tally = Tally { sent: 1, lost: 1, ..Tally::default() };
        let mut said = Said::default();
        text.summary(&tally, peer(), AT, &mut said);
        tally = Tally { sent: 1, replied: 1, ..Tally::default() };
        tally.rtt.record(Duration::from_micros(250));
        text.summary(&tally, peer(), AT, &mut said);
        let expected = "1 sent, 0 replied, 1 lost\n1 sent, 1 replied, 0 lost\n\
             rtt min/avg/max/mdev = 0.250/0.250/0.250/0.000 ms\n";
        assert_eq!(String::from_utf8(said.out).unwrap(), expected);
    }
}
