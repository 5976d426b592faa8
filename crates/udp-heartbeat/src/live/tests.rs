//! Frames as text, and what keys do.

use std::sync::Arc;
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use udp_core::clock::{Mono, Wall};

use super::draw::draw;
use super::feed::{Beat, News};
use super::history::Outcome;
use super::look::Look;
use super::model::{Action, Model};
use crate::plan::Plan;
use crate::probe::snapshot::Snapshot;
use crate::probe::state::{Change, Reason, State};
use crate::run::Prober;

const UNICODE: Look = Look { ascii: false, color: true };
const PLAIN: Look = Look { ascii: true, color: false };

/// A minute of three targets: one is well, one loses every tenth beat, one is down.
fn model() -> Model {
    let names = ["192.0.2.1:7000", "192.0.2.2:7000", "[2001:db8::3]:862"];
    let plan = Plan::new(names.map(|name| name.parse().unwrap()));
    let mut snapshot: Snapshot = Prober::new(plan, crate::Nobody).unwrap().snapshot();
    let start = Mono::from_nanos(1_000_000_000);
    let mut model = Model::new(start, Wall::from_nanos(1_800_000_000_000_000_000));
    let ms = Duration::from_millis;
    for (number, name) in (0..).zip(names) {
        model.learn(News::Begin(number, Arc::from(name)));
        let target = &mut snapshot.targets[number as usize];
        for seq in 1..=60 {
            let outcome = match number {
                0 => Outcome::Received(ms(10 + seq % 3)),
                1 if seq % 10 != 0 => Outcome::Received(ms(20 + 7 * (seq % 5))),
                _ => Outcome::Lost,
            };
            match outcome {
                Outcome::Received(_) => target.counts.received += 1,
                _ => target.counts.lost += 1,
            }
            target.counts.sent += 1;
            model.beat(&Beat { target: number, sent: start + ms(1000 * (seq - 1)), outcome });
        }
        target.state = [State::Up, State::Degraded, State::Down][number as usize];
        target.rtt.percentiles.p50 = [Some(ms(11)), Some(ms(34)), None][number as usize];
        snapshot.totals.sent += target.counts.sent;
        snapshot.totals.received += target.counts.received;
        snapshot.totals.lost += target.counts.lost;
    }
    let change = Change {
        state: State::Down,
        previous: State::Unknown,
        since: start,
        lasted: ms(0),
        verdict: None,
        reason: Some(Reason::NoReply),
    };
    model.learn(News::State(2, change));
    model.advance(start + ms(59_500), Wall::from_nanos(1_800_000_059_500_000_000), Some(snapshot));
    model
}

fn frame(model: &mut Model, look: Look, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, look, frame.buffer_mut())).unwrap();
    let lines = terminal.backend().buffer().content().chunks(width.into());
    let line = |line: &[ratatui::buffer::Cell]| {
        line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned()
            + "\n"
    };
    lines.map(line).collect()
}

fn press(model: &mut Model, keys: &str) -> Action {
    let code = |key| match key {
        '\n' => KeyCode::Enter,
        '\u{1b}' => KeyCode::Esc,
        '\u{8}' => KeyCode::Backspace,
        key => KeyCode::Char(key),
    };
    let press = |key| model.key(KeyEvent::new(code(key), KeyModifiers::NONE));
    keys.chars().map(press).last().unwrap()
}

const FLEET: &str =
    " udp-heartbeat                                         sort given  08:00:59 UTC
  target             loss%   last    p50    p99 jitter (ms) -1m              now
● 192.0.2.1:7000       0.0  10.00  11.00      -      - █████████████████████████
◐ 192.0.2.2:7000      10.0  48.00  34.00      -      - ▆▄▆×▅▇▅×▅▇▅▇×▇▄▇×▇▄▆×▆▅▆×
✖ [2001:db8::3]:862  100.0      -      -      -      - ×××××××××××××××××××××××××
";

const SMALL: &str = " udp-heartbeat sort given  08:00:59 UTC
  target             loss% -1m       now
+ 192.0.2.1:7000       0.0 #############
~ 192.0.2.2:7000      10.0 *X**X+X+X*X*X
X [2001:db8::3]:862  100.0 XXXXXXXXXXXXX



3 targets: 1 up, 1 degraded, 1 down; 18>
q end  ? help  Enter one  s sort  / filt
";

#[test]
fn the_fleet_has_a_line_a_target() {
    let large = frame(&mut model(), UNICODE, (80, 24));
    assert!(large.starts_with(FLEET), "{large}");
    let total = "3 targets: 1 up, 1 degraded, 1 down; 180 sent, 114 received, 66 lost (36.7%)";
    assert!(large.contains(total), "{large}");
    assert_eq!(frame(&mut model(), PLAIN, (40, 10)), SMALL);
    let wide = frame(&mut model(), UNICODE, (200, 60));
    assert!(wide.contains("◐ degraded 192.0.2.2:7000"), "{wide}");
}

#[test]
fn one_target_has_figures_graph_lengths_and_changes() {
    let mut model = model();
    press(&mut model, "jj\n");
    let down = frame(&mut model, UNICODE, (80, 24));
    let texts = [
        " [2001:db8::3]:862 ",
        "✖ down for 59.5s",
        "60 sent, 0 received, 60 lost (100.0%)",
        "lost   ×",
        "08:00:00 ✖ down\n",
    ];
    texts.iter().for_each(|text| assert!(down.contains(text), "{text}: {down}"));
    press(&mut model, "k");
    let lossy = frame(&mut model, PLAIN, (80, 24));
    let texts = ["~ degraded", "last 48.00 ms", "  28.39+      0", "  40.29+     24 ####"];
    texts.iter().for_each(|text| assert!(lossy.contains(text), "{text}: {lossy}"));
    // A graph has room on the least screen.
    let small = frame(&mut model, PLAIN, (40, 10));
    assert!(small.contains("\nlost ") && small.contains(" now\n"), "{small}");
    assert_eq!(press(&mut model, "\u{1b}"), Action::Nothing);
    assert!(frame(&mut model, PLAIN, (80, 24)).contains("3 targets"));
}

#[test]
fn keys() {
    let order = |keys: &str| {
        let mut model = model();
        press(&mut model, keys);
        let listed = model.listed();
        let last = |target: &&crate::TargetSnapshot| target.label.chars().nth(8).unwrap();
        (listed.iter().map(last).collect::<String>(), model.place(&listed))
    };
    let rows = [
        ("x", "128", 0),
        ("j", "128", 1),
        ("jjjjk", "128", 1),
        ("s", "821", 0),
        ("ss", "821", 0),
        ("jss", "821", 1),
        ("sss", "218", 0),
        ("sssss", "128", 0),
        ("ssssss", "128", 0),
        ("/DOWN\n", "8", 0),
        ("/192\u{8}2", "12", 0),
        ("/nothing", "", 0),
        ("/nothing\u{1b}", "128", 0),
        ("/nothing\n\u{1b}", "128", 0),
    ];
    for (keys, listed, place) in rows {
        assert_eq!(order(keys), (listed.to_owned(), place), "{keys:?}");
    }
    let mut model = model();
    assert_eq!(press(&mut model, "+++++++++"), Action::Nothing);
    assert_eq!(model.span().1, "24h");
    press(&mut model, "-----------");
    assert_eq!(model.span().1, "10s");
    assert_eq!((press(&mut model, "/q"), model.filter.as_str()), (Action::Nothing, "q"));
    assert_eq!(press(&mut model, "\nq"), Action::Quit);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    press(&mut model, "/");
    assert_eq!(model.key(ctrl_c), Action::Quit);
}

#[test]
fn a_frozen_screen_stays_and_thaws() {
    let mut model = model();
    let before = frame(&mut model, PLAIN, (80, 24));
    press(&mut model, " ");
    model.beat(&Beat {
        target: 0,
        sent: model.now + Duration::from_millis(500),
        outcome: Outcome::Lost,
    });
    let (now, wall) =
        (model.now + Duration::from_secs(3), Wall::from_nanos(1_800_000_063_000_000_000));
    model.advance(now, wall, None);
    let frozen = frame(&mut model, PLAIN, (80, 24));
    assert_eq!(frozen.replace("FROZEN ", "       "), before);
    press(&mut model, " ");
    model.advance(now, wall, None);
    let after = frame(&mut model, PLAIN, (80, 24));
    assert!(after.contains("08:01:03") && after.lines().nth(2).unwrap().contains('X'), "{after}");
}

#[test]
fn every_size_is_drawn_and_ascii_has_seven_bits() {
    let mut model = model();
    model.note = Some("warning: something".into());
    for keys in ["x", "j\n", "?"] {
        press(&mut model, keys);
        for size in [(1, 1), (5, 3), (20, 4), (21, 40), (40, 10), (80, 24), (200, 60), (500, 5)] {
            assert!(frame(&mut model, PLAIN, size).is_ascii(), "{keys:?} {size:?}");
            frame(&mut model, UNICODE, size);
        }
    }
    let mut empty = Model::new(Mono::from_nanos(0), Wall::from_nanos(0));
    press(&mut empty, "jk\n");
    assert!(frame(&mut empty, PLAIN, (80, 24)).contains("no targets"));
}
