//! What strangers send never steers a terminal and never forges a line, in any of the three
//! programs, in text and in JSON, in a pipe and on a terminal (CWE-150).

use anyhow::{Context as _, Result};

use super::super::scenarios;
use super::kinds::tricks;
use crate::e2e::check;
use crate::e2e::context::Context;
use crate::e2e::measure::figure;
use crate::e2e::net::{Asker, Peer, Reply};
use crate::e2e::terminal::Terminal;

scenarios!("hostile/terminal":
    server_in_a_pipe,
    server_on_a_terminal,
    client_in_a_pipe,
    client_on_a_terminal,
    heartbeat_in_a_pipe,
    heartbeat_on_a_terminal,
);

/// Where the text was to be seen.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Pipe,
    /// A terminal that the program merely writes to.
    Terminal,
    /// A terminal on which a line editor works, which moves the cursor and colours.
    Editor,
}

/// What the tricks would do to a reader's screen or log if shown as they came.
fn harmless(what: &str, place: Place, output: &[u8]) -> Result<()> {
    let text = std::str::from_utf8(output).with_context(|| format!("{what}: not UTF-8"))?;
    let text = if place == Place::Pipe { text.to_owned() } else { text.replace("\r\n", "\n") };
    let shown = if place == Place::Editor { without_editing(&text)? } else { text };
    let harm = shown.char_indices().find(|&(_, c)| c != '\n' && harms(c));
    if let Some((at, c)) = harm {
        let near: String = shown[at..].chars().take(40).collect();
        check::holds(&format!("{what}: {c:?} as it came: {near:?}"), false)?;
    }
    let forged = shown.lines().find(|l| {
        ["recvfrom ('192.0.2.1'", "5 received", "{\"type\":\"start\",\"v\":1}"]
            .iter()
            .any(|f| l.starts_with(f))
    });
    check::same(&format!("{what}: forged lines"), None, forged)
}

fn harms(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Takes out what a line editor uses: cursor movement, erasing, colours, bracketed paste; clearing
/// the screen, titles, clipboards and modes stay in and are found.
pub(super) fn without_editing(text: &str) -> Result<String> {
    let editing =
        regex::Regex::new(r"\x1b\[(?:[0-9;]*[ABCDGKm]|[0-9]*J|\?(?:25|2004|2026)[hl])|\r")?;
    check::holds("the screen is not cleared", !text.contains("\x1b[2J"))?;
    Ok(editing.replace_all(text, "").into_owned())
}

fn report(program: &str, place: &str) {
    let text = format!(
        "{program} {place}: {} tricks, 0 unescaped characters, 0 forged lines",
        tricks().len()
    );
    figure("hostile/terminal", &text);
}

fn trick_a_server(server: std::net::SocketAddr) -> Result<()> {
    let asker = Asker::new()?;
    for (name, text) in tricks() {
        let reply = [b"echo ", text.as_bytes()].concat();
        asker.expect(server, text.as_bytes(), &reply).context(name)?;
    }
    Ok(())
}

fn server_in_a_pipe(context: &Context) -> Result<()> {
    for options in [&["-vv"][..], &["--json", "-vv"]] {
        let launch = context.server().args(["--bind", "127.0.0.1:0"]).args(options.iter().copied());
        let server = launch.spawn()?;
        let address = server.out.wait_until(any_address).context("no start line")?;
        trick_a_server(address)?;
        // What is still to be shown at the end need not be: it is waited for.
        let all = |out: &[u8]| {
            (String::from_utf8_lossy(out).lines().filter(|l| is_datagram(l)).count()
                == tricks().len())
            .then_some(())
        };
        server.out.wait_until(all).context("a line for each datagram")?;
        let finished = server.interrupt()?;
        finished.exits(0)?;
        harmless("stdout of the server", Place::Pipe, &finished.stdout)?;
        harmless("stderr of the server", Place::Pipe, &finished.stderr)?;
    }
    report("server", "in a pipe");
    Ok(())
}

fn is_datagram(line: &str) -> bool {
    line.starts_with("recvfrom (") || line.contains("\"type\":\"datagram\"")
}

/// The first address of 127.0.0.1 in a line that has ended, in text or JSON.
fn any_address(output: &[u8]) -> Option<std::net::SocketAddr> {
    let text = std::str::from_utf8(output).ok()?;
    let line = &text[..text.rfind('\n')?];
    let digits = line.split("127.0.0.1:").nth(1)?;
    let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}").parse().ok()
}

fn server_on_a_terminal(context: &Context) -> Result<()> {
    let args = ["--bind", "127.0.0.1:0"];
    let terminal = Terminal::start(&context.programs.server, &args, context.home.path())?;
    let address = terminal.hear(any_address).context("no start line")?;
    trick_a_server(address)?;
    terminal.hear(|out| (last_trick_in(out)).then_some(()))?;
    let bytes = terminal.bytes();
    harmless("the server's terminal", Place::Terminal, &bytes)?;
    report("server", "on a terminal");
    Ok(())
}

/// Whether the last trick, the harmless looking end of input, has been shown.
fn last_trick_in(output: &[u8]) -> bool {
    let text = String::from_utf8_lossy(output);
    text.lines().filter(|l| l.contains("recvfrom ('127.0.0.1'") && l.contains(r"\x03")).count() > 0
}

/// A peer that replies to each request with the next trick.
fn trickster() -> Result<Peer> {
    let tricks = tricks();
    Peer::new(move |request| {
        let (_, text) = tricks[(request.number - 1) % tricks.len()];
        vec![Reply::now(request.from, text)]
    })
}

fn client_in_a_pipe(context: &Context) -> Result<()> {
    for options in [&["-vv"][..], &["--json", "-vv"], &["--escape", "-vv"], &["--hex"]] {
        let peer = trickster()?;
        let input = "6869\n".repeat(tricks().len());
        let launch = context.client().arg(peer.address.to_string()).args(options.iter().copied());
        let finished = launch.stdin(input).finish()?;
        finished.exits(0).with_context(|| format!("client {options:?}"))?;
        harmless(&format!("stdout of the client with {options:?}"), Place::Pipe, &finished.stdout)?;
        harmless(&format!("stderr of the client with {options:?}"), Place::Pipe, &finished.stderr)?;
        let out = finished.out();
        let replies =
            out.lines().filter(|l| l.starts_with("recvfrom (") || l.contains("\"type\":\"reply\""));
        check::same(&format!("reply lines with {options:?}"), tricks().len(), replies.count())?;
    }
    report("client", "in a pipe");
    Ok(())
}

fn client_on_a_terminal(context: &Context) -> Result<()> {
    let peer = trickster()?;
    let target = peer.address.to_string();
    let terminal = Terminal::start(&context.programs.client, &[&target], context.home.path())?;
    for n in 1..=tricks().len() {
        let prompts = |out: &[u8]| {
            let text = String::from_utf8_lossy(out);
            let sent = text.matches("sendto (").count();
            let prompts =
                without_editing(&text).is_ok_and(|t| t.ends_with("please input message: "));
            (sent + 1 == n && prompts).then_some(())
        };
        terminal.hear(prompts).with_context(|| format!("before message {n}"))?;
        terminal.type_in("hi\r")?;
    }
    let last = |out: &[u8]| last_trick_in(out).then_some(());
    terminal.hear(last).context("the last reply")?;
    harmless("the client's terminal", Place::Editor, &terminal.bytes())?;
    report("client", "on a terminal");
    Ok(())
}

fn beats() -> Vec<String> {
    ["-i", "5ms", "-c"]
        .iter()
        .map(|s| (*s).to_owned())
        .chain([tricks().len().to_string()])
        .collect()
}

fn heartbeat_in_a_pipe(context: &Context) -> Result<()> {
    for options in [&["-vv"][..], &["--json", "-vv"], &["-q"]] {
        let peer = trickster()?;
        let launch = context.heartbeat().arg(peer.address.to_string()).args(beats());
        let finished = launch.args(options.iter().copied()).finish()?;
        finished.exits(0).with_context(|| format!("heartbeat {options:?}"))?;
        harmless(
            &format!("stdout of the heartbeat with {options:?}"),
            Place::Pipe,
            &finished.stdout,
        )?;
        harmless(
            &format!("stderr of the heartbeat with {options:?}"),
            Place::Pipe,
            &finished.stderr,
        )?;
    }
    report("heartbeat", "in a pipe");
    Ok(())
}

fn heartbeat_on_a_terminal(context: &Context) -> Result<()> {
    let peer = trickster()?;
    let target = peer.address.to_string();
    let beats = beats();
    let args: Vec<&str> =
        std::iter::once(target.as_str()).chain(beats.iter().map(String::as_str)).collect();
    let terminal = Terminal::start(&context.programs.heartbeat, &args, context.home.path())?;
    let done = |out: &[u8]| String::from_utf8_lossy(out).contains("rtt min/avg/max").then_some(());
    terminal.hear(done).context("no summary")?;
    harmless("the heartbeat's terminal", Place::Terminal, &terminal.bytes())?;
    report("heartbeat", "on a terminal");
    Ok(())
}
