//! The state of the live screen and how keys change it. It draws nothing.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use udp_core::clock::{Mono, Wall};

use super::feed::{Beat, News};
use super::history::{History, Outcome};
use crate::probe::snapshot::{Snapshot, TargetSnapshot};
use crate::probe::state::{Change, State};

/// How much time a graph may show.
pub(super) const SPANS: [(Duration, &str); 9] = [
    (Duration::from_secs(10), "10s"),
    (Duration::from_secs(30), "30s"),
    (Duration::from_secs(60), "1m"),
    (Duration::from_secs(120), "2m"),
    (Duration::from_secs(300), "5m"),
    (Duration::from_secs(900), "15m"),
    (Duration::from_secs(3600), "1h"),
    (Duration::from_secs(6 * 3600), "6h"),
    (Duration::from_secs(24 * 3600), "24h"),
];
/// How long a line of stderr is shown.
const NOTED: Duration = Duration::from_secs(10);
/// Changes of state that a target keeps.
const CHANGES: usize = 64;

/// The order of the targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Given,
    State,
    Loss,
    P50,
    P99,
    Name,
}

impl Sort {
    const ALL: [(Sort, &str); 6] = [
        (Sort::Given, "given"),
        (Sort::State, "state"),
        (Sort::Loss, "loss"),
        (Sort::P50, "p50"),
        (Sort::P99, "p99"),
        (Sort::Name, "name"),
    ];

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(sort, _)| *sort == self).map_or("", |(_, name)| name)
    }

    fn next(self) -> Sort {
        let place = Self::ALL.iter().position(|(sort, _)| *sort == self).unwrap_or(0);
        Self::ALL[(place + 1) % Self::ALL.len()].0
    }
}

/// A target as far as pictures need it.
#[derive(Debug, Default)]
pub(super) struct Target {
    pub(super) history: History,
    pub(super) changes: VecDeque<Change>,
    pub(super) last: Option<Duration>,
}

/// What a key asks of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Redraw,
    Suspend,
    Quit,
}

/// All that is shown.
#[derive(Debug)]
pub(super) struct Model {
    started: Mono,
    /// By their number.
    targets: Vec<Target>,
    numbers: HashMap<String, usize>,
    pub(super) snapshot: Option<Snapshot>,
    /// The moment that is shown.
    pub(super) now: Mono,
    pub(super) wall: Wall,
    pub(super) sort: Sort,
    pub(super) filter: String,
    /// The filter is being typed.
    pub(super) typing: bool,
    pub(super) frozen: bool,
    pub(super) help: bool,
    /// One target fills the screen.
    pub(super) detail: bool,
    span: usize,
    /// The label of the chosen target.
    chosen: Option<String>,
    /// The newest line of stderr, which waits for the end, and since when.
    heard: (Option<String>, Mono),
    /// It, for as long as it is new.
    pub(super) note: Option<String>,
    /// Rows of the list that fit, as last drawn.
    pub(super) page: usize,
}

impl Model {
    pub(super) fn new(started: Mono, wall: Wall) -> Model {
        Model {
            started,
            targets: Vec::new(),
            numbers: HashMap::new(),
            snapshot: None,
            now: started,
            wall,
            sort: Sort::Given,
            filter: String::new(),
            typing: false,
            frozen: false,
            help: false,
            detail: false,
            span: 2,
            chosen: None,
            heard: (None, started),
            note: None,
            page: 1,
        }
    }

    /// What has happened since.
    pub(super) fn learn(&mut self, news: News) {
        match news {
            News::Begin(number, label) => {
                let number = number as usize;
                if self.targets.len() <= number {
                    self.targets.resize_with(number + 1, Target::default);
                }
                self.targets[number] = Target::default();
                self.numbers.retain(|_, old| *old != number);
                self.numbers.insert(label.to_string(), number);
            }
            News::State(number, change) => {
                if let Some(target) = self.targets.get_mut(number as usize) {
                    target.changes.truncate(CHANGES - 1);
                    target.changes.push_front(change);
                }
            }
        }
    }

    /// A beat has ended.
    pub(super) fn beat(&mut self, beat: &Beat) {
        let capacity = History::capacity(self.targets.len());
        let sent = beat.sent.saturating_since(self.started);
        if let Some(target) = self.targets.get_mut(beat.target as usize) {
            if let Outcome::Received(rtt) = beat.outcome {
                target.last = Some(rtt);
            }
            target.history.push(sent, beat.outcome, capacity);
        }
    }

    /// Time goes on, with new figures if there are any; a frozen screen keeps its own.
    pub(super) fn advance(&mut self, now: Mono, wall: Wall, snapshot: Option<Snapshot>) {
        if self.frozen {
            return;
        }
        (self.now, self.wall) = (now, wall);
        if snapshot.is_some() {
            self.snapshot = snapshot;
        }
    }

    /// This is the newest line of stderr.
    pub(super) fn hear(&mut self, line: Option<String>, now: Mono) {
        if self.heard.0 != line {
            self.heard = (line, now);
        }
        let (line, since) = &self.heard;
        self.note = line.clone().filter(|_| now.saturating_since(*since) < NOTED);
    }

    /// How much time the graphs show.
    pub(super) fn span(&self) -> (Duration, &'static str) {
        SPANS[self.span]
    }

    /// The moment that is shown, in time of the run.
    pub(super) fn shown_at(&self) -> Duration {
        self.now.saturating_since(self.started)
    }

    /// The time of day of a moment.
    pub(super) fn on_wall(&self, moment: Mono) -> Wall {
        let ago = self.now.saturating_since(moment).as_nanos();
        Wall::from_nanos(self.wall.as_nanos().saturating_sub(ago.try_into().unwrap_or(u64::MAX)))
    }

    /// What pictures need of a target.
    pub(super) fn of(&self, target: &TargetSnapshot) -> Option<&Target> {
        self.targets.get(*self.numbers.get(&target.label)?)
    }

    /// The targets that the filter lets through, in order.
    pub(super) fn listed(&self) -> Vec<&TargetSnapshot> {
        let all = self.snapshot.iter().flat_map(|snapshot| &snapshot.targets);
        let wanted = self.filter.to_lowercase();
        let mut listed: Vec<_> = all.filter(|target| matches(target, &wanted)).collect();
        match self.sort {
            Sort::Given => {}
            Sort::State => listed.sort_by_key(|target| std::cmp::Reverse(badness(target.state))),
            Sort::Loss => listed.sort_by(|a, b| a.counts.worst_first(&b.counts)),
            Sort::P50 => listed.sort_by_key(|it| std::cmp::Reverse(it.rtt.percentiles.p50)),
            Sort::P99 => listed.sort_by_key(|it| {
                let Some(p99) = it.rtt.percentiles.p99 else {
                    return std::cmp::Reverse(it.rtt.max);
                };
                std::cmp::Reverse(Some(p99))
            }),
            Sort::Name => listed.sort_by(|a, b| a.label.cmp(&b.label)),
        }
        listed
    }

    /// The place of the chosen target among those that are listed.
    pub(super) fn place(&self, listed: &[&TargetSnapshot]) -> usize {
        let chosen = self.chosen.as_deref();
        listed.iter().position(|target| Some(&*target.label) == chosen).unwrap_or(0)
    }

    fn choose(&mut self, step: impl Fn(usize, usize) -> usize) {
        let listed = self.listed();
        let last = listed.len().saturating_sub(1);
        let place = step(self.place(&listed), last).min(last);
        self.chosen = listed.get(place).map(|target| target.label.clone());
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: KeyEvent) -> Action {
        if key.kind == KeyEventKind::Release {
            return Action::Nothing;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c') => Action::Quit,
                KeyCode::Char('l') => Action::Redraw,
                KeyCode::Char('z') => Action::Suspend,
                _ => Action::Nothing,
            };
        }
        if self.typing {
            self.type_filter(key.code);
            return Action::Nothing;
        }
        if std::mem::take(&mut self.help) && key.code != KeyCode::Char('q') {
            return Action::Nothing;
        }
        let page = self.page.max(1);
        match key.code {
            KeyCode::Char('q') => return Action::Quit,
            KeyCode::Char('?') => self.help = true,
            KeyCode::Up | KeyCode::Char('k') => self.choose(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.choose(|at, _| at + 1),
            KeyCode::PageUp => self.choose(|at, _| at.saturating_sub(page)),
            KeyCode::PageDown => self.choose(|at, _| at + page),
            KeyCode::Home => self.choose(|_, _| 0),
            KeyCode::End => self.choose(|_, last| last),
            KeyCode::Enter => {
                // The first is chosen where none is.
                self.choose(|at, _| at);
                self.detail = self.chosen.is_some();
            }
            KeyCode::Esc if self.detail => self.detail = false,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('s') => self.sort = self.sort.next(),
            KeyCode::Char('/') => (self.typing, self.detail) = (true, false),
            KeyCode::Char(' ') => self.frozen = !self.frozen,
            KeyCode::Char('+' | '=') => self.span = (self.span + 1).min(SPANS.len() - 1),
            KeyCode::Char('-') => self.span = self.span.saturating_sub(1),
            _ => {}
        }
        Action::Nothing
    }

    fn type_filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(char) => self.filter.push(char),
            _ => {}
        }
    }
}

fn matches(target: &TargetSnapshot, wanted: &str) -> bool {
    let labels = target.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let mut words =
        std::iter::once(target.label.clone()).chain(labels).chain([target.state.to_string()]);
    words.any(|word| word.to_lowercase().contains(wanted))
}

/// Worse is more.
fn badness(state: State) -> u8 {
    match state {
        State::Up => 0,
        State::Unknown => 1,
        State::Degraded => 2,
        State::Down => 3,
    }
}
