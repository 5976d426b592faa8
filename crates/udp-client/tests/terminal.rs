//! The client at a terminal: a pseudo-terminal types and a screen is looked at, step by step.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![cfg(unix)]

mod common;

use nix::sys::termios::{LocalFlags, tcgetattr};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use common::{DEADLINE, Peer, closed, wait};
use pty_process::Size;
use pty_process::blocking::{Command, Pty};

/// What is on the screen, kept up by a thread.
struct Shown {
    parser: Mutex<vt100::Parser>,
    changed: Condvar,
}

/// A terminal with the client in it.
struct Terminal {
    pty: Arc<Pty>,
    child: Child,
    shown: Arc<Shown>,
    reader: thread::JoinHandle<()>,
}

impl Terminal {
    fn start(arguments: &[&str], state: &Path) -> Terminal {
        Terminal::of("xterm-256color", "", arguments, state)
    }

    /// One of a kind, where `typed` was typed before the client started.
    fn of(kind: &str, typed: &str, arguments: &[&str], state: &Path) -> Terminal {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        (&pty).write_all(typed.as_bytes()).unwrap();
        pty.resize(Size::new(40, 100)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_udp-client")).args(arguments);
        let command = command.env("TERM", kind).env("XDG_STATE_HOME", state);
        let child = command.env_remove("RUST_LOG").spawn(pts).unwrap();
        let cells = |count| std::num::NonZero::new(count).unwrap();
        let parser = Mutex::new(vt100::Parser::new(cells(40), cells(100), 0));
        let shown = Arc::new(Shown { parser, changed: Condvar::new() });
        let (pty, keep) = (Arc::new(pty), Arc::clone(&shown));
        let source = Arc::clone(&pty);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal is an error.
            while let Ok(length @ 1..) = (&*source).read(&mut buffer) {
                keep.parser.lock().unwrap().process(&buffer[..length]);
                keep.changed.notify_all();
            }
        });
        Terminal { pty, child, shown, reader }
    }

    fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn until(&self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let parser = self.shown.parser.lock().unwrap();
        let wrong = |parser: &mut vt100::Parser| !right(&text(parser));
        let (parser, late) =
            self.shown.changed.wait_timeout_while(parser, DEADLINE, wrong).unwrap();
        let text = text(&parser);
        assert!(!late.timed_out(), "{what} does not come:\n{text}");
        text
    }

    #[track_caller]
    fn shows(&self, text: &str) {
        self.until(text, |screen| screen == text);
    }

    /// The exit code, and the last screen.
    #[track_caller]
    fn end(self) -> (Option<i32>, String) {
        let status = wait(self.child);
        // With the last user of the terminal gone, reading from it ends.
        self.reader.join().unwrap();
        (status.code(), text(&self.shown.parser.lock().unwrap()))
    }
}

/// The screen's lines without the blanks at their ends, which cannot be seen.
fn text(parser: &vt100::Parser) -> String {
    let screen = parser.screen().contents();
    let lines: Vec<&str> = screen.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n")
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
    (&*terminal.pty).write_all(b"\xff").unwrap();
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
        let shown = Arc::clone(&terminal.shown);
        let (_, screen) = terminal.end();
        assert!(screen.ends_with(last), "{screen}");
        let parser = shown.parser.lock().unwrap();
        let cell = parser.screen().cell(row, 0).unwrap();
        let red = cell.fgcolor() == vt100::Color::Idx(1);
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
    let raw = lflags(&terminal.pty);
    assert!(!raw.contains(LocalFlags::ICANON));
    let id = terminal.child.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap();
    let pty = Arc::clone(&terminal.pty);
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
    let id = terminal.child.id().to_string();
    // What the system sends when the window is closed.
    std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap();
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
