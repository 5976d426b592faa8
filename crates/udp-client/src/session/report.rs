//! Reports what happens in a session: the prompt, lines for stdout and stderr, the summary at the
//! end. It decides nothing.

use udp_core::cli::printer::Reader;
use udp_core::cli::{Exit, Failure, Tone};
use udp_core::clock::{self, Mono, Wall};

use super::{Ending, Prompt, Session};
use crate::config::Source;
use crate::input::{self, Input, PROMPT, Restore};
use crate::transcript::Event;

impl Session {
    /// Shows the prompt once all is quiet.
    pub(super) fn ask(&mut self, input: &Input) {
        let quiet = self.queue.is_empty() && self.exchange.outstanding() == 0;
        let Some(ask) = input.ask.as_ref().filter(|_| quiet && !self.input_over) else { return };
        if self.prompt == Prompt::Asked {
            return;
        }
        if self.config.source == Source::PlainPrompt {
            self.said.out.extend_from_slice(PROMPT.as_bytes());
        }
        self.say();
        self.output.settle();
        if self.config.source == Source::ApartPrompt {
            input::write_apart(PROMPT);
        }
        self.prompt = Prompt::Asked;
        // There is room for it: it is asked for one line at a time.
        let _ = ask.try_send(());
    }

    /// The cursor still stands behind the prompt.
    pub(super) fn leave_prompt(&mut self) {
        match self.config.source {
            Source::PlainPrompt => self.said.out.push(b'\n'),
            Source::ApartPrompt => input::write_apart("\n"),
            _ => {}
        }
    }

    /// Hands on what there is to say. On a terminal without an editor the prompt moves down.
    pub(super) fn say(&mut self) {
        let moved = self.config.source == Source::PlainPrompt
            && self.prompt == Prompt::Asked
            && !self.said.is_empty();
        if moved {
            self.said.out.insert(0, b'\n');
        }
        self.output.say(&mut self.said);
        if moved {
            self.said.out.extend_from_slice(PROMPT.as_bytes());
            self.output.say(&mut self.said);
        }
    }

    pub(super) fn event(&mut self, event: Event<'_>, at: Mono) {
        let at = self.wall_time(at);
        self.transcript.event(event, at, &mut self.said);
        if self.config.source.is_prompt() {
            // A person at the prompt is to see everything in one place.
            for note in std::mem::take(&mut self.said.notes) {
                self.line(&note, at, Tone::Bad);
            }
        }
    }

    fn line(&mut self, text: &str, at: Wall, tone: Tone) {
        let start = self.said.out.len();
        self.said.out.extend_from_slice(text.as_bytes());
        self.said.out.push(b'\n');
        self.config.look.style.dress(&mut self.said.out, start, at, tone);
    }

    pub(super) fn wall_time(&self, at: Mono) -> Wall {
        let (mono, wall) = self.anchor;
        let (at, mono, wall) = (at.as_nanos(), mono.as_nanos(), wall.as_nanos());
        Wall::from_nanos(wall.saturating_add(at).saturating_sub(mono))
    }

    pub(super) fn snapshot(&mut self) {
        let in_flight = self.exchange.outstanding();
        let line = format!("{}, {in_flight} in flight", self.exchange.counts());
        match self.config.source.is_prompt() {
            true => self.line(&line, clock::wall(), Tone::Plain),
            false => self.output.snapshot(line),
        }
    }

    /// Sums up.
    pub(super) fn finish(
        mut self,
        ending: Ending,
        editor: Option<&Restore>,
    ) -> Result<Exit, Failure> {
        self.exchange.stop();
        if ending == Ending::ReaderGone {
            if let Some(editor) = editor {
                editor.leave(b"");
            }
            return Ok(Exit::Worked);
        }
        if ending == Ending::Stopped {
            self.leave_prompt();
        }
        let peer = self.addresses.peer();
        let counts = self.exchange.counts();
        self.transcript.summary(counts, peer, clock::wall(), &mut self.said);
        let mut exit = counts.exit(self.config.mode);
        let silent = counts.sent + counts.failed + counts.unusable == 0;
        let unread = self.failure.is_some();
        if silent && ending == Ending::Done && !unread && !self.config.source.is_prompt() {
            self.said.notes.push("error: nothing was sent: stdin is empty".into());
            exit = Exit::Failed;
        }
        if let Some(editor) = editor {
            editor.leave(&std::mem::take(&mut self.said.out));
        }
        match (self.output.end(self.said)?, self.failure) {
            (Reader::Gone, _) => Ok(Exit::Worked),
            (_, Some(failure)) => Err(failure),
            _ => Ok(exit),
        }
    }
}
