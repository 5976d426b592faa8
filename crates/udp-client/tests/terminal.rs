//! The client at a terminal: a pseudo-terminal types and a screen is looked at, step by step.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use common::{Peer, closed};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use pty_process::blocking::Pty;

/// A terminal with the client in it.
struct Terminal(driver::Terminal);

impl Terminal {
    fn start(arguments: &[&str], state: &Path) -> Terminal {
        Terminal::of("xterm-256color", "", arguments, state)
    }

    /// One of a kind, where `typed` was typed before the client started.
    fn of(kind: &str, typed: &str, arguments: &[&str], state: &Path) -> Terminal {
        let program = Path::new(env!("CARGO_BIN_EXE_udp-client"));
        let kind = [("TERM", kind)];
        Terminal(driver::Terminal::start_with(program, arguments, state, &kind, typed).unwrap())
    }

    fn press(&self, keys: &str) {
        self.0.type_in(keys).unwrap();
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn until(&self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let come = self.0.wait_until(right);
        assert!(come.is_ok(), "{what} does not come: {come:?}");
        self.0.screen()
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.until(text, |screen| screen == text);
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.0.id()).unwrap()), signal).unwrap();
    }

    /// The exit code, and the last screen.
    #[track_caller]
    fn end(self) -> (Option<i32>, String) {
        let (code, screen) = self.0.finish().unwrap();
        (Some(code), screen)
    }
}

/// Answers every message at once, the first only when `go` comes from elsewhere.
fn hesitant() -> Peer {
    let mut first: Option<(Vec<u8>, SocketAddr)> = None;
    Peer::new(move |socket, bytes, from, number| {
        if bytes == b"go" {
            let (bytes, from) = first.take().unwrap();
            socket.send_to(&[b"echo ", &bytes[..]].concat(), from).unwrap();
        } else if number == 1 {
            first = Some((bytes.to_vec(), from));
        } else {
            socket.send_to(&[b"echo ", bytes].concat(), from).unwrap();
        }
    })
}

fn go(peer: &Peer) {
    let anybody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    anybody.send_to(b"go", peer.address).unwrap();
}

#[test]
fn typing_is_not_disturbed_by_a_late_reply() {
    let state = tempfile::tempdir().unwrap();
    let peer = hesitant();
    let port = peer.port();
    let terminal = Terminal::start(&[&peer.target(), "-W", "1"], state.path());
    terminal.shows("please input message:");
    terminal.press("one\r");
    let silence = format!(
        "please input message: one\n\
         sendto ('127.0.0.1', {port}): one\n\
         no reply from ('127.0.0.1', {port}) within 1s\n"
    );
    terminal.shows(&format!("{silence}please input message:"));
    terminal.press("half a w");
    terminal.shows(&format!("{silence}please input message: half a w"));
    go(&peer);
    let late = format!("{silence}late (message 1): recvfrom ('127.0.0.1', {port}): echo one\n");
    terminal.shows(&format!("{late}please input message: half a w"));
    // The cursor is where it was: the word goes on, and editing works.
    terminal.press("ordX\x7f");
    terminal.shows(&format!("{late}please input message: half a word"));
    terminal.press("\r");
    let all = format!(
        "{late}please input message: half a word\n\
         sendto ('127.0.0.1', {port}): half a word\n\
         recvfrom ('127.0.0.1', {port}): echo half a word\n"
    );
    terminal.shows(&format!("{all}please input message:"));
    terminal.press("never sent\x03");
    let (code, screen) = terminal.end();
    let rest = screen.strip_prefix(&all).unwrap_or_else(|| panic!("{screen}"));
    let rest = rest.strip_prefix("please input message: never sent").unwrap_or_default();
    assert!(rest.contains("\n2 sent, 1 replied, 1 lost, 1 late\nrtt min/avg/"), "{screen}");
    assert_eq!(code, Some(1));
}

#[test]
fn what_was_typed_is_remembered_and_can_be_forgotten() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::echo();
    let (target, port) = (peer.target(), peer.port());
    let file = state.path().join("udp-client/history");
    for (arguments, keys, sent) in [
        (&[&target, "--no-history"][..], "secret\r", "secret"),
        (&[&target], "first\r", "first"),
        (&[&target], "\x1b[A\r", "first"),
        (&[&target, "--no-history"], "second\r", "second"),
        (&[&target], "\x1b[A!\r", "first!"),
    ] {
        let terminal = Terminal::start(arguments, state.path());
        terminal.shows("please input message:");
        terminal.press(keys);
        terminal.shows(&format!(
            "please input message: {sent}\n\
             sendto ('127.0.0.1', {port}): {sent}\n\
             recvfrom ('127.0.0.1', {port}): echo {sent}\n\
             please input message:"
        ));
        terminal.press("\x04");
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains("\n1 sent, 1 replied, 0 lost\nrtt "), "{screen}");
        assert_eq!(file.exists(), sent != "secret");
    }
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(!kept.contains("second") && kept.ends_with("first\nfirst!\n"), "{kept}");
}

#[test]
fn refusals_and_unusable_input_are_said_and_the_prompt_returns() {
    let state = tempfile::tempdir().unwrap();
    let target = closed();
    let port = target.port();
    let terminal = Terminal::start(&[&target.to_string(), "--hex", "-W", "20"], state.path());
    terminal.shows("please input message:");
    terminal.press("zz\r");
    let screen = terminal.until("the fault", |screen| screen.contains("\nerror: "));
    assert!(screen.contains("\nerror: 'z' at byte 0 is not a hex digit"), "{screen}");
    terminal.until("the prompt", |screen| screen.ends_with("\nplease input message:"));
    (&*terminal.0.pty).write_all(b"\xff").unwrap();
    terminal.until("the fault", |screen| screen.contains("\nerror: what was typed is not UTF-8"));
    terminal.until("the prompt", |screen| screen.ends_with("\nplease input message:"));
    terminal.press("61\r");
    let refused = format!(
        "please input message: 61\n\
         sendto ('127.0.0.1', {port}): 61\n\
         refused by ('127.0.0.1', {port}): nothing listens there\n\
         please input message:"
    );
    terminal.until("the refusal", |screen| screen.ends_with(&refused));
    terminal.press("\x04");
    let (code, screen) = terminal.end();
    assert!(screen.ends_with("\n1 sent, 0 replied, 0 lost, 1 refused"), "{screen}");
    assert_eq!(code, Some(3));
}

/// By script and for bad usage, too; and the sums stand below it.
#[test]
fn what_went_wrong_is_red() {
    let state = tempfile::tempdir().unwrap();
    let target = closed().to_string();
    let refusal = [&target, "-m", "x", "-W", "1"];
    for (arguments, color, row, last) in [
        (&refusal[..], "auto", 1, "nothing listens there\n1 sent, 0 replied, 0 lost, 1 refused"),
        (&refusal, "never", 1, ", 1 refused"),
        (&["--bogus"], "auto", 0, "try --help"),
        (&["--bogus"], "never", 0, "try --help"),
    ] {
        let arguments = [arguments, &["--color", color]].concat();
        let terminal = Terminal::start(&arguments, state.path());
        let screen = terminal.until(last, |screen| screen.ends_with(last));
        let parser = terminal.0.parser();
        let cell = parser.screen().cell(row, 0).unwrap();
        let red = cell.fgcolor() == driver::vt100::Color::Idx(1);
        assert_eq!(red, color == "auto", "{arguments:?}: {screen}");
    }
}

#[test]
fn a_terminal_without_escape_sequences_is_not_sent_any() {
    let state = tempfile::tempdir().unwrap();
    let peer = hesitant();
    let port = peer.port();
    let terminal = Terminal::of("dumb", "", &[&peer.target(), "-W", "1"], state.path());
    terminal.shows("please input message:");
    terminal.press("one\n");
    let silence = format!(
        "please input message: one\n\
         sendto ('127.0.0.1', {port}): one\n\
         no reply from ('127.0.0.1', {port}) within 1s\n\
         please input message:"
    );
    terminal.shows(&silence);
    go(&peer);
    let late = format!(
        "{silence}\nlate (message 1): recvfrom ('127.0.0.1', {port}): echo one\n\
         please input message:"
    );
    terminal.shows(&late);
    terminal.press("\x04");
    let (code, screen) = terminal.end();
    assert_eq!(screen, format!("{late}\n1 sent, 0 replied, 1 lost, 1 late"));
    assert_eq!(code, Some(1));
}

#[test]
fn stopped_at_the_prompt_the_terminal_is_as_it_was() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::echo();
    let terminal = Terminal::start(&[&peer.target()], state.path());
    let lflags = |pty: &Pty| tcgetattr(pty).unwrap().local_flags;
    terminal.shows("please input message:");
    let raw = lflags(&terminal.0.pty);
    assert!(!raw.contains(LocalFlags::ICANON));
    terminal.signal(Signal::SIGTERM);
    let pty = Arc::clone(&terminal.0.pty);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("0 sent, 0 replied, 0 lost"), "{screen}");
    let restored = lflags(&pty);
    assert!(restored.contains(LocalFlags::ICANON));
    assert!(restored.contains(LocalFlags::ECHO));
}

#[test]
fn a_terminal_that_goes_away_ends_the_client() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::echo();
    let terminal = Terminal::start(&[&peer.target()], state.path());
    terminal.shows("please input message:");
    // What the system sends when the window is closed.
    terminal.signal(Signal::SIGHUP);
    let (code, screen) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
}

#[test]
fn every_line_typed_ahead_is_a_message() {
    let many: String = (0..300).map(|n| format!("line{n}\r")).collect();
    let long: String = (0..200).map(|n| format!("{n} {}\n", "x".repeat(60))).collect();
    for (keys, count) in [("one\rtwo\rthree\r", 3), ("one\ntwo\n", 2), (&many, 300), (&long, 200)] {
        // The first waits for its answer while the others are typed, with the end behind them.
        let state = tempfile::tempdir().unwrap();
        let peer = Peer::new(|socket, bytes, from, number| {
            if number == 1 {
                udp_core::clock::sleep(std::time::Duration::from_millis(100));
            }
            socket.send_to(bytes, from).unwrap();
        });
        let terminal = Terminal::start(&[&peer.target(), "-W", "20"], state.path());
        terminal.shows("please input message:");
        terminal.press(keys);
        terminal.press("\u{4}");
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        let summary = format!("{count} sent, {count} replied, 0 lost");
        assert!(screen.contains(&summary), "{summary}:\n{screen}");
    }
}

#[test]
fn what_is_typed_before_the_start_is_not_lost() {
    for (kind, typed, then) in [
        ("xterm", "one\ntw", "o\r\u{4}"),
        ("xterm", "one\rtwo\r\u{4}", ""),
        ("dumb", "one\ntwo\n\u{4}", ""),
    ] {
        let state = tempfile::tempdir().unwrap();
        let peer = Peer::echo();
        let terminal = Terminal::of(kind, typed, &[&peer.target()], state.path());
        terminal.until("the first reply", |screen| screen.contains(": echo one"));
        terminal.press(then);
        let (code, screen) = terminal.end();
        assert_eq!(code, Some(0), "{screen}");
        assert!(screen.contains(": echo two\n"), "{screen}");
        assert!(screen.contains("2 sent, 2 replied, 0 lost"), "{screen}");
    }
}

#[test]
fn a_tab_is_a_character_and_the_quit_key_asks_for_a_snapshot() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::echo();
    let terminal = Terminal::start(&[&peer.target(), "-W", "20"], state.path());
    terminal.shows("please input message:");
    terminal.press("a\tb\r");
    terminal.until("the reply", |screen| screen.contains(": echo a\\tb\nplease input message:"));
    terminal.press("\u{1c}");
    terminal
        .until("the snapshot", |screen| screen.contains("1 sent, 1 replied, 0 lost, 0 in flight"));
    terminal.press("on\r");
    terminal.until("the reply", |screen| screen.contains("echo on"));
    terminal.press("\u{4}");
    assert_eq!(terminal.end().0, Some(0));
}

/// While the editor does not ask, it shows nothing, so that nobody may wait for it.
#[test]
fn a_flood_of_replies_does_not_keep_the_prompt_away() {
    let state = tempfile::tempdir().unwrap();
    let peer = Peer::new(|socket, bytes, from, _| {
        let replies = if bytes == b"flood" { 2_000 } else { 1 };
        for number in 0..replies {
            socket.send_to(format!("{number} {}", bytes.escape_ascii()).as_bytes(), from).unwrap();
        }
    });
    let options = ["--replies", "any", "-W", "500ms", "--window", "1"];
    let terminal = Terminal::start(&[&[&*peer.target()], &options[..]].concat(), state.path());
    terminal.shows("please input message:");
    terminal.press("flood\rmore\r");
    terminal.until("the last reply, and the prompt", |screen| {
        screen.contains(": 0 more\n") && screen.ends_with("please input message:")
    });
    terminal.press("\u{4}");
    let (code, screen) = terminal.end();
    assert!(code == Some(0) && screen.contains("2 sent, 2 replied"), "{code:?}: {screen}");
}
