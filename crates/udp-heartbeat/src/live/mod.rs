//! `--live`: a screen of all targets, and of one, on a thread of its own.
//!
//! Figures are snapshots of the prober and pictures are made of what the observer heard; neither the
//! terminal nor a key is waited for by a beat.

mod detail;
mod draw;
mod feed;
mod fleet;
mod history;
mod look;
mod model;
mod screen;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};
use ratatui::crossterm::event::{self, Event};
use udp_core::cli::Console;
use udp_core::clock;

use crate::run::Prober;
pub(crate) use feed::{Fed, Feed, feed};
pub(crate) use look::Look;
use model::{Action, Model};
use screen::{Screen, has_key};
pub(crate) use screen::{has_unicode, obstacle};

/// The time of a frame.
const FRAME: Duration = Duration::from_millis(250);
/// How often the end of the run is looked for.
const LOOK: Duration = Duration::from_millis(50);
/// Figures of so many targets are taken with each frame; of more of them, as much more seldom.
const AT_ONCE: usize = 500;
/// One look that takes so long was no look: the process was stopped, and goes on.
const STOPPED: Duration = Duration::from_secs(1);
/// How long the end waits for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_secs(2);

/// The screen's thread.
pub(crate) struct Live {
    stop: Arc<AtomicBool>,
    left: Receiver<()>,
}

impl Live {
    /// Shows the screen until [`leave`](Live::leave); `prober` is stopped by the user's key.
    pub(crate) fn start(
        prober: Weak<Prober>,
        fed: Fed,
        look: Look,
        console: &Console,
    ) -> io::Result<Live> {
        // What was said before is written before there is a screen to write over.
        console.hold();
        console.settle();
        let screen = Screen::enter().inspect_err(|_| console.release())?;
        let stop = Arc::new(AtomicBool::new(false));
        let (leaving, left) = bounded(1);
        let (flag, console) = (stop.clone(), console.clone());
        let work = move || {
            let model = Model::new(clock::mono(), clock::wall());
            let mut shown = Shown { prober, fed, look, console, screen, model };
            if shown.run(&flag).is_err() {
                // The terminal is gone.
                shown.quit();
            }
            let console = shown.console.clone();
            drop(shown);
            console.release();
            let _ = leaving.send(());
        };
        thread::Builder::new().name("live".into()).spawn(work)?;
        Ok(Live { stop, left })
    }

    /// Puts the terminal back as it was.
    pub(crate) fn leave(self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.left.recv_timeout(PATIENCE);
    }
}

/// What the thread has.
struct Shown {
    prober: Weak<Prober>,
    fed: Fed,
    look: Look,
    console: Console,
    screen: Screen,
    model: Model,
}

impl Shown {
    fn run(&mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut next = clock::mono();
        let mut figures = next;
        loop {
            self.take_in();
            let now = clock::mono();
            let snapshot = (now >= figures).then(|| self.prober.upgrade()).flatten();
            let snapshot = snapshot.map(|prober| prober.snapshot());
            if let Some(snapshot) = &snapshot {
                let times = snapshot.targets.len().div_ceil(AT_ONCE).max(1);
                figures = now + FRAME * u32::try_from(times).unwrap_or(u32::MAX);
            }
            self.model.advance(now, clock::wall(), snapshot);
            self.model.hear(self.console.newest(), now);
            let (model, look) = (&mut self.model, self.look);
            self.screen.terminal.draw(|frame| draw::draw(model, look, frame.buffer_mut()))?;
            next = (next + FRAME).max(now);
            loop {
                if stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let left = next.saturating_since(clock::mono());
                if left.is_zero() {
                    break;
                }
                let asked = clock::mono();
                let has_come = has_key(left.min(LOOK))?;
                if clock::mono().saturating_since(asked) > STOPPED {
                    self.screen.again()?;
                }
                if has_come {
                    if let Event::Key(key) = event::read()? {
                        match self.model.key(key) {
                            Action::Nothing => {}
                            Action::Redraw => self.screen.again()?,
                            Action::Suspend => self.screen.suspend()?,
                            Action::Quit => self.quit(),
                        }
                    }
                    // What a key does is seen at once, but for a flood of them.
                    if !has_key(Duration::ZERO)? {
                        next = clock::mono();
                        break;
                    }
                }
            }
        }
    }

    /// What has come since the last frame.
    fn take_in(&mut self) {
        self.fed.news.try_iter().for_each(|news| self.model.learn(news));
        // As many as wait now: a fast run must not keep the screen from being drawn.
        let waiting = self.fed.beats.len();
        self.fed.beats.try_iter().take(waiting).for_each(|beat| self.model.beat(&beat));
    }

    fn quit(&self) {
        if let Some(prober) = self.prober.upgrade() {
            prober.stop();
        }
    }
}
