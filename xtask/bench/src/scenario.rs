//! The scenarios: each one's servers and loads, and the goals they are held to.
//!
//! A load's name says how: `t` datagrams sent singly, `g` in segmented runs; bytes; flows; window
//! of each flow.

use std::time::Duration;

use crate::figure::Figure;
use crate::goal::{Against, Goal};
use crate::load::{Load, Pace, Sending, Size, Waiting};
pub(crate) use crate::work::{Asks, Beats, Client, Seeing};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) goals: Vec<Goal>,
    /// Peers given on the command line are measured here too.
    pub(crate) open_to_peers: Option<Work>,
}

/// One row: who does what.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) contender: String,
    pub(crate) work: Work,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// A load is offered to the server.
    Offer(Load),
    /// So many times of what the server answers of `closed` is offered as `open`.
    Overload { closed: Load, open: Load, times: f64 },
    /// The server is started, asked once, and ended.
    Start,
    /// A client sends beats to the server.
    Beats(Beats),
    /// Somebody looks at what the heartbeat does.
    See(Seeing),
}

/// Staying awake with a pause in which replies collect.
const AWAKE: Waiting = Waiting::Spinning(Duration::from_micros(10));
/// Staying awake and looking again at once: replies a second compare servers only where the server
/// is what limits them, and one that answers whole runs waits for this load's pauses.
const EAGER: Waiting = Waiting::Spinning(Duration::ZERO);

const T64_F1_W32: Load = Load {
    flows: 1,
    window: 32,
    size: Size::Fixed(64),
    sending: Sending::Single,
    waiting: AWAKE,
    pace: Pace::Closed,
};
const T64_F64_W1: Load = Load { flows: 64, window: 1, ..T64_F1_W32 };
const T64_F64_W8: Load = Load { flows: 64, window: 8, ..T64_F1_W32 };
const T1400_F1_W32: Load = Load { size: Size::Fixed(1400), ..T64_F1_W32 };
const G64_F1_W256: Load =
    Load { window: 256, sending: Sending::Segmented, waiting: EAGER, ..T64_F1_W32 };
const G1400_F1_W256: Load = Load { size: Size::Fixed(1400), ..G64_F1_W256 };
const RTT_BLOCK: Load = Load { window: 1, waiting: Waiting::Sleeping, ..T64_F1_W32 };
const T64_F4_W32: Load = Load { flows: 4, ..T64_F1_W32 };
const MIB: f64 = 1_048_576.0;

/// All scenarios in the order in which they run.
pub(crate) fn all() -> Vec<Scenario> {
    let mut all = vec![
        t64_f1_w32(),
        t64_f64_w1(),
        t1400_f1_w32(),
        g64_f1_w256(),
        g1400_f1_w256(),
        print(),
        sources(),
        rtt_block(),
        overload(),
        workers(),
        start(),
    ];
    all.push(super::heartbeat::scenario());
    all.push(super::heartbeat::seeing::scenario());
    all
}

fn t64_f1_w32() -> Scenario {
    let mut goals = vec![
        at_most("`--raw -q`: C recvmmsg/sendmmsg", "raw", "mmsg", 0.75),
        at_most("`--raw -q`: C GRO/GSO", "raw", "gso", 1.10),
        at_most("`--raw -q`: sockperf's server", "raw", "sockperf", 0.65),
        at_most("`--raw -q`: tokio, one thread", "raw", "tokio", 0.60),
        at_most("prefix mode, `-q`: raw mode", "prefix", "raw", 1.05),
        at_most("`--io portable`: a plain std loop", "portable", "std", 1.10),
    ];
    goals.push(memory("raw"));
    let names = [
        "raw",
        "prefix",
        "portable",
        "std",
        "mio",
        "tokio",
        "quinn-udp",
        "sockperf",
        "tutorial-null",
    ];
    offered("t64_f1_w32", "64 bytes, one flow, window 32", &names, T64_F1_W32, goals)
}

fn t64_f64_w1() -> Scenario {
    let goals = vec![at_most("64 flows, window 1: C recvmmsg/sendmmsg", "raw", "mmsg", 1.05)];
    let names = ["raw", "std", "mio", "tokio", "quinn-udp", "sockperf", "tutorial-null", "socat"];
    offered("t64_f64_w1", "64 bytes, 64 flows, window 1 each", &names, T64_F64_W1, goals)
}

fn t1400_f1_w32() -> Scenario {
    let goals = vec![at_most("1,400 B, window 32: C recvmmsg/sendmmsg", "raw", "mmsg", 0.75)];
    let names = ["raw", "std", "tokio", "quinn-udp", "sockperf"];
    offered("t1400_f1_w32", "1,400 bytes, one flow, window 32", &names, T1400_F1_W32, goals)
}

fn g64_f1_w256() -> Scenario {
    let goals = vec![
        at_most("segmented senders, 64 B: C GRO/GSO", "raw", "gso", 1.25),
        at_most("segmented senders, 64 B: tokio", "raw", "tokio", 0.04),
        faster("segmented senders, 64 B: C recvmmsg/sendmmsg", "raw", "mmsg", 20.0),
        faster("segmented senders, 64 B: sockperf's server", "raw", "sockperf", 30.0),
        faster("segmented senders, 64 B: tokio", "raw", "tokio", 30.0),
        memory("raw"),
    ];
    let names = ["raw", "prefix", "std", "tokio", "quinn-udp", "sockperf"];
    offered("g64_f1_w256", "64 bytes in segmented runs, window 256", &names, G64_F1_W256, goals)
}

fn g1400_f1_w256() -> Scenario {
    let goals = vec![
        at_most("segmented senders, 1,400 B: C GRO/GSO", "raw", "gso", 1.15),
        faster("segmented senders, 1,400 B: C recvmmsg/sendmmsg", "raw", "mmsg", 7.0),
        memory("raw"),
    ];
    let names = ["raw", "prefix", "std", "tokio", "quinn-udp"];
    let about = "1,400 bytes in segmented runs, window 256";
    offered("g1400_f1_w256", about, &names, G1400_F1_W256, goals)
}

fn print() -> Scenario {
    let (unread, theirs) = ("lines-unread", "tutorial-terminal");
    let goals = vec![
        at_most("a line each to /dev/null: quiet", "lines-null", "prefix", 1.45),
        at_most("a line each to a pipe: quiet", "lines-pipe", "prefix", 1.45),
        at_most("a line each to a terminal: quiet", "lines-terminal", "prefix", 1.45),
        at_most("a line each to /dev/null: the tutorial's", "lines-null", "tutorial-null", 0.6),
        at_most("a line each to a pipe: the tutorial's", "lines-pipe", "tutorial-pipe", 0.6),
        at_most("a line each to a terminal: the tutorial's", "lines-terminal", theirs, 0.6),
        faster("an unread pipe, replies a second: quiet", unread, "prefix", 0.85),
        Goal::at_most(Figure::Lost, "an unread pipe: echoes lost", unread, Against::Nothing, 0.0),
        memory("lines-pipe"),
    ];
    let names = [
        "prefix",
        "lines-null",
        "lines-pipe",
        "lines-terminal",
        "lines-unread",
        "tutorial-null",
        "tutorial-pipe",
        "tutorial-terminal",
    ];
    let mut scenario =
        offered("print", "a line per datagram; load t64_f1_w32", &names, T64_F1_W32, goals);
    scenario.open_to_peers = None;
    scenario
}

fn sources() -> Scenario {
    let lanes = [("raw", 1), ("raw", 100), ("raw", 100_000), ("std", 1), ("std", 100_000)];
    let lanes = lanes.map(|(contender, count)| Lane {
        name: format!("{contender}, {count} sources"),
        contender: contender.to_owned(),
        // No two in a row have one length, so that one source cannot be answered in runs where
        // many cannot: what remains is the cost of the sources.
        work: Work::Offer(Load {
            window: 128,
            size: Size::Rising(64),
            sending: Sending::Sources(count),
            ..T64_F1_W32
        }),
    });
    let goals = vec![
        at_most("100,000 sources: 1 source", "raw, 100000 sources", "raw, 1 sources", 1.15),
        memory("raw, 100000 sources"),
    ];
    let about = "64 to 127 bytes, each datagram from the next source address, window 128";
    Scenario { name: "sources", about, lanes: lanes.into(), goals, open_to_peers: None }
}

fn rtt_block() -> Scenario {
    let rtt = |what, lane, against, most| {
        Goal::at_most(Figure::RttMedian, what, lane, Against::Lane(against), most)
    };
    let goals = vec![
        rtt("lone datagrams, median round trip: a std loop", "raw", "std", 1.05),
        rtt("`--busy-poll 50us`, median round trip: without", "busy-poll", "raw", 0.4),
    ];
    let names = ["raw", "busy-poll", "std", "mio", "tokio", "sockperf", "tutorial-null"];
    offered("rtt_block", "64 bytes, one at a time, the client sleeps", &names, RTT_BLOCK, goals)
}

fn overload() -> Scenario {
    let steps = [("1 ×", 1.0), ("1.5 ×", 1.5), ("2 ×", 2.0), ("4 ×", 4.0)];
    let mut lanes = Vec::new();
    for contender in ["raw", "portable", "std"] {
        let lane = |name: &str, work| Lane {
            name: format!("{contender} {name}"),
            contender: contender.to_owned(),
            work,
        };
        lanes.push(lane("closed", Work::Offer(T64_F4_W32)));
        for (name, times) in steps {
            let open = Load { sending: Sending::Segmented, ..T64_F4_W32 };
            lanes.push(lane(name, Work::Overload { closed: T64_F4_W32, open, times }));
        }
    }
    let best = |what, lane, beginning| {
        Goal::at_least(Figure::Rate, what, lane, Against::BestOf(beginning), 0.9)
    };
    let goals = vec![
        best("goodput at 4 × overload: the best", "raw 4 ×", "raw "),
        best("goodput at 4 × overload, `--io portable`: the best", "portable 4 ×", "portable "),
    ];
    let about =
        "64 bytes, 4 flows: what a closed loop gets answered, and multiples of that offered";
    Scenario { name: "overload", about, lanes, goals, open_to_peers: None }
}

fn workers() -> Scenario {
    let goals = vec![at_most("`--workers 2`, CPU a reply: one worker", "workers", "raw", 1.10)];
    let about = "64 bytes, 64 flows, window 8 each; two workers share the generator's core";
    let mut scenario = offered("workers", about, &["raw", "workers"], T64_F64_W8, goals);
    scenario.open_to_peers = None;
    scenario
}

fn start() -> Scenario {
    let names =
        ["prefix", "std", "mio", "tokio", "quinn-udp", "sockperf", "socat", "tutorial-null"];
    let lanes = names.map(|name| lane(name, Work::Start)).into();
    let absolute =
        |what, figure, most| Goal::at_most(figure, what, "prefix", Against::Nothing, most);
    let goals = vec![
        absolute("first reply after the start", Figure::FirstReply, 10e6),
        absolute("resident memory, idle", Figure::IdleMemory, 6.0 * MIB),
        absolute("stripped binary", Figure::BinarySize, 2.0 * MIB),
    ];
    let about = "from the start of the process to its first reply, by default settings";
    Scenario { name: "start", about, lanes, goals, open_to_peers: Some(Work::Start) }
}

fn offered(
    name: &'static str,
    about: &'static str,
    contenders: &[&str],
    load: Load,
    goals: Vec<Goal>,
) -> Scenario {
    let work = Work::Offer(load);
    let lanes = contenders.iter().map(|name| lane(name, work)).collect();
    Scenario { name, about, lanes, goals, open_to_peers: Some(work) }
}

/// A row that is named for its server.
pub(crate) fn lane(contender: &str, work: Work) -> Lane {
    Lane { name: contender.to_owned(), contender: contender.to_owned(), work }
}

fn at_most(what: &'static str, lane: &'static str, against: &'static str, most: f64) -> Goal {
    Goal::at_most(Figure::Cpu, what, lane, Against::Lane(against), most)
}

fn faster(what: &'static str, lane: &'static str, against: &'static str, least: f64) -> Goal {
    Goal::at_least(Figure::Rate, what, lane, Against::Lane(against), least)
}

fn memory(lane: &'static str) -> Goal {
    let what = "resident memory under load";
    Goal::at_most(Figure::PeakMemory, what, lane, Against::Nothing, 6.0 * MIB)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_goal_is_about_a_lane_of_its_scenario() {
        for scenario in all() {
            let lanes: BTreeSet<&str> = scenario.lanes.iter().map(|l| l.name.as_str()).collect();
            assert_eq!(lanes.len(), scenario.lanes.len(), "{}: a name twice", scenario.name);
            for goal in &scenario.goals {
                assert!(lanes.contains(goal.lane), "{}: {}", scenario.name, goal.lane);
                let given = ["mmsg", "gso"];
                let known = |lane: &str| {
                    lanes.contains(lane)
                        || (given.contains(&lane) && scenario.open_to_peers.is_some())
                };
                if let Against::Lane(lane) | Against::Beyond(lane) = goal.against {
                    assert!(known(lane), "{}: {lane}", scenario.name);
                }
                if let Against::BestOf(beginning) = goal.against {
                    assert!(lanes.iter().any(|lane| lane.starts_with(beginning)));
                }
            }
        }
    }

    #[test]
    fn scenarios_have_names_of_their_own() {
        let names: BTreeSet<&str> = all().iter().map(|s| s.name).collect();
        assert_eq!(names.len(), all().len());
    }
}
