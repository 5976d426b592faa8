//! `report` and `compare`, on recordings of real runs and on some that were made up.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::fmt::Write as _;
use std::fs;

use common::{Peer, run};
use serde_json::Value;

fn file(directory: &tempfile::TempDir, name: &str) -> String {
    directory.path().join(name).display().to_string()
}

/// A recording with these round trips, None for a lost beat.
fn recording(target: &str, rtts: impl IntoIterator<Item = Option<u64>>) -> String {
    let target = serde_json::to_string(target).unwrap();
    let at = "2026-05-04T12:00:00.000000Z";
    let mut text = format!(
        r#"{{"type":"run","v":1,"ts":"{at}","version":"0.1.0","id":"a","options":{{"mode":"number","bytes":9,"interval_ns":1000000000,"timeout_ns":1000000000,"count":null,"deadline_ns":null,"schedule":"periodic","seed":null,"down_after":3,"up_after":1,"limits":[],"judged":true,"clock":"kernel","percentile_digits":3}},"targets":[{{"target":{target},"address":null,"port":null,"state":"unknown","labels":{{"a":"<b onload=x>"}}}}]}}"#
    );
    for (n, rtt) in rtts.into_iter().enumerate() {
        let (minute, second, seq) = (n / 60 % 60, n % 60, n + 1);
        let (class, rtt, verdict) = match rtt {
            Some(rtt) => ("received", rtt.to_string(), r#""ok""#),
            None => ("lost", "null".into(), "null"),
        };
        write!(
            text,
            "\n{{\"type\":\"beat\",\"v\":1,\"ts\":\"{at}\",\"target\":{target},\"seq\":{seq},\"sent\":\
             \"2026-05-04T12:{minute:02}:{second:02}.000000Z\",\"class\":\"{class}\",\"late\":false,\
             \"refused\":false,\"rtt_ns\":{rtt},\"verdict\":{verdict},\"reason\":null,\"flow\":null}}"
        )
        .unwrap();
    }
    text + "\n"
}

#[test]
fn the_summary_is_the_one_that_was_printed() {
    let peer = Peer::new(|request| match request.number {
        2 => vec![request.echo(), request.echo(), request.with(&b"what"[..])],
        3..=6 => Vec::new(),
        8 => vec![request.echo().after(600)],
        9 => vec![request.echo().after(150)],
        _ => vec![request.echo()],
    });
    let other = Peer::silent();
    let (one, two) = (peer.target(), other.target());
    let closed = common::closed().to_string();
    let rest = ["-i", "100ms", "-W", "400ms", "-q", "--number", "--expect-regex", "[^7]$"];
    let directory = tempfile::tempdir().unwrap();
    for (name, targets, json) in [
        ("a.ndjson", &[one.as_str()][..], false),
        ("a.ndjson.gz", &[&one], false),
        ("b.ndjson", &[&one, &two, &closed], false),
        ("c.ndjson", &[&one], true),
    ] {
        let path = file(&directory, name);
        let mut options = [targets, &rest, &["-c", "14", "--record", &path]].concat();
        options.extend(json.then_some("--json"));
        let printed = run(&options);
        if json {
            let out = file(&directory, "c.json");
            assert_eq!(run(&["report", &path, "-o", &out]).code, Some(0));
            let report: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
            let last: Value = serde_json::from_str(printed.stdout.lines().last().unwrap()).unwrap();
            assert_eq!(report, last);
        } else {
            let start = printed.stdout.find("---").or(printed.stdout.find("target  ")).unwrap();
            let report = run(&["report", path.as_str()]);
            assert_eq!((report.code, report.stdout.as_str()), (Some(0), &printed.stdout[start..]));
            assert_eq!(report.stderr, "");
        }
    }
    // A URL may be none of a service.
    let (path, out) = (file(&directory, "d.ndjson"), file(&directory, "d.json"));
    let printed = run(&[&format!("stamp://{closed}"), "-c", "1", "--json", "--record", &path]);
    run(&["report", &path, "-o", &out]);
    let report: Value = serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap();
    let last: Value = serde_json::from_str(printed.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(report, last);
}

#[test]
fn the_parts_of_a_recording_are_the_whole() {
    let peer = Peer::echo();
    let directory = tempfile::tempdir().unwrap();
    let (path, old) = (file(&directory, "new.ndjson"), file(&directory, "old.ndjson"));
    let target = peer.target();
    let running = common::start(&[&target, "-i", "20ms", "-q", "--record", &path]);
    let beats = |path: &str| {
        fs::read_to_string(path).unwrap_or_default().matches(r#""type":"beat""#).count()
    };
    common::wait_until(|| beats(&path) > 10);
    fs::rename(&path, &old).unwrap();
    running.signal(nix::sys::signal::Signal::SIGHUP);
    common::wait_until(|| beats(&path) > 10);
    running.signal(nix::sys::signal::Signal::SIGINT);
    let printed = running.finish();
    assert_eq!(run(&["report", &path, &old, &path]).stdout, printed.stdout);
    let part = run(&["report", path.as_str()]).stdout;
    assert!(part.contains(&format!("{} sent, ", beats(&path))), "{part}");
}

#[test]
fn what_is_written_is_what_the_recording_holds() {
    let directory = tempfile::tempdir().unwrap();
    let (path, out) = (file(&directory, "a.ndjson"), |end: &str| file(&directory, end));
    let hostile = "<script>alert(1)</script>\"&'\u{202e}";
    let rtts = (0..300_u64)
        .map(|n| (n % 10 != 7 && !(100..105).contains(&n)).then_some(1_000_000 + n * 1000));
    let late = format!(
        "{{\"type\":\"late\",\"v\":1,\"ts\":\"2026-05-04T12:00:09.000000Z\",\"target\":{},\"seq\":8,\"rtt_ns\":5}}\n{{\"type\":\"beat\",\"v\"",
        serde_json::to_string(hostile).unwrap()
    );
    fs::write(&path, recording(hostile, rtts) + &late).unwrap();
    for end in ["x.html", "x.svg", "x.csv", "x.json"] {
        let finished = run(&["report", &path, "-o", &out(end)]);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{end}");
    }
    let read = |end: &str| fs::read_to_string(out(end)).unwrap();
    let rows: Vec<String> = read("x.csv").lines().map(String::from).collect();
    assert_eq!(rows[0], "target,seq,sent,class,late,refused,rtt_ns,verdict,reason,flow");
    assert!(rows[8].ends_with(",8,2026-05-04T12:00:07.000000Z,lost,true,false,,,,"), "{}", rows[8]);
    assert_eq!(rows.len(), 301);
    let summary: Value = serde_json::from_str(&read("x.json")).unwrap();
    let lost = 30 + 5;
    assert_eq!((summary["lost"].as_u64(), summary["late"].as_u64()), (Some(lost), Some(1)));
    assert_eq!(summary["longest_loss_run"], 5);
    for end in ["x.html", "x.svg"] {
        let text = read(end);
        for harmful in
            ["<script", "<b ", "alert(1)</", "\u{202e}", "href=\"http", "src=", "@import", "url("]
        {
            assert!(!text.contains(harmful), "{end} has {harmful}");
        }
        assert!(text.contains("&lt;script&gt;") && text.contains("prefers-color-scheme:dark"));
        assert!(text.contains("<title>") && text.contains("role=\"img\""));
    }
    let page = read("x.html");
    for said in
        ["<dt>loss</dt>", "Over time, as a table", "<td>5</td>", "a=&lt;b onload=x&gt;", ">265<"]
    {
        assert!(page.contains(said), "{said}");
    }
}

/// What no beat has is in the summaries: in those of targets where one ran alone, else in that of all.
#[test]
fn what_is_of_whole_runs_is_summed_up() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two, out] = ["one", "two", "all.json"].map(|name| file(&directory, name));
    let rest = r#""sent":1,"received":1,"lost":0,"unsolicited_from""#;
    let end = |target: &str, drops: u32, from: &str| {
        let at = "2026-05-04T12:01:00.000000Z";
        format!(
            r#"{{"type":"summary","v":1,"ts":"{at}","target":{target},{rest}:{from},"kernel_drops":{drops}}}"#
        ) + "\n"
    };
    let of = |id: &str, label: &str| {
        recording(label, [Some(5)]).replace(r#""id":"a""#, &format!(r#""id":"{id}""#))
    };
    fs::write(&one, of("x", "a:1") + &end(r#""a:1""#, 3, r#"{"address":"192.0.2.9","port":9}"#))
        .unwrap();
    let several = of("y", "b:1") + &end(r#""b:1""#, 4, "null") + &end("null", 4, "null");
    fs::write(&two, several).unwrap();
    let text = run(&["report", &one, &two]).stdout;
    let last = "unsolicited: first from ('192.0.2.9', 9)\nkernel drops: 7 (receive buffer full)\n";
    assert!(text.ends_with(last), "{text}");
    assert_eq!(run(&["report", &one, &two, "-o", &out]).code, Some(0));
    let targets: Vec<Value> = fs::read_to_string(out)
        .unwrap()
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!((targets.len(), targets[1]["kernel_drops"].as_u64()), (2, Some(7)));
}

#[test]
fn the_worst_target_comes_first_if_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "x");
    let beats = |lost: usize| (0..4).map(move |n| (n >= lost).then_some(5));
    let all = [("a:1", 1), ("b:1", 4), ("c:1", 0), ("d:1", 1)];
    fs::write(&path, all.map(|(label, lost)| recording(label, beats(lost))).concat()).unwrap();
    let order = |options: &[&str]| {
        let text = run(&[&["report", &path], options].concat()).stdout;
        text.lines().skip(1).take(4).map(|line| line[..1].to_owned()).collect::<String>()
    };
    assert_eq!((order(&[]), order(&["--sort", "loss"])), ("abcd".into(), "badc".into()));
}

#[test]
fn how_it_ends() {
    let directory = tempfile::tempdir().unwrap();
    let [path, other, idle, empty, missing] =
        ["a.ndjson", "b.ndjson", "c.ndjson", "empty", "no/file"].map(|name| file(&directory, name));
    fs::write(&path, recording("a:1", [Some(5), None])).unwrap();
    fs::write(&other, recording("b:1", [Some(5)])).unwrap();
    fs::write(&idle, recording("a:1", [])).unwrap();
    fs::write(&empty, "no recording\n").unwrap();
    let pdf = file(&directory, "x.pdf");
    let svg = format!("{missing}.svg");
    let cases: [(&[&str], i32, &str); 11] = [
        (&["report"], 2, "error: the following required arguments were not provided: <FILE>..."),
        (&["report", &path, "-o", &pdf], 2, "no such kind of report"),
        (&["report", &empty], 2, "no recording"),
        (&["report", &missing], 4, "cannot read "),
        (&["-vD", "--color", "never", "report", &missing], 4, "Z error: cannot read "),
        (&["report", &path, "-o", &svg], 4, "cannot write "),
        (&["compare", &path, &other], 2, "no target in common"),
        (&["compare", &path, &idle], 2, "no figure in common"),
        (&["compare", &path, &missing], 4, "cannot read "),
        (&["compare", &path], 2, "<NEW>"),
        (&["compare", &path, &path, "--tolerance", "-1"], 2, "--tolerance"),
    ];
    for (line, code, said) in cases {
        let finished = run(line);
        assert_eq!(finished.code, Some(code), "{line:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(said), "{line:?}: {}", finished.stderr);
    }
    // What only looks like a command is a target.
    let peer = Peer::echo();
    let finished = run(&["-c", "1", "-W", "100ms", "report:1", &peer.target()]);
    assert!(finished.stdout.contains("report:1 "), "{}", finished.stdout);
}

#[test]
fn what_got_worse_is_exit_1_and_what_chance_explains_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let [old, new, short] = ["old", "new", "short"].map(|name| file(&directory, name));
    let mut random = fastrand::Rng::with_seed(11);
    let mut rtts = |scale: u64| -> Vec<Option<u64>> {
        (0..800).map(|n| (n % 50 != 0).then(|| scale * (1_000 + random.u64(0..300)))).collect()
    };
    fs::write(&old, recording("a:1", rtts(1_000))).unwrap();
    fs::write(&new, recording("a:1", rtts(1_300))).unwrap();
    fs::write(&short, recording("a:1", [Some(1_000_000); 5])).unwrap();
    let verdicts = |line: &[&str], code| {
        let finished = run(line);
        assert_eq!(finished.code, Some(code), "{line:?}: {}{}", finished.stdout, finished.stderr);
        let object = &driver::json::objects("comparison", &finished.stdout).unwrap()[0];
        ["p50", "p90", "p99", "loss"].map(|it| object[it]["verdict"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        verdicts(&["compare", &old, &new, "--json"], 1),
        ["worse", "worse", "worse", "same"]
    );
    assert_eq!(
        verdicts(&["compare", &new, &old, "--json"], 0),
        ["better", "better", "better", "same"]
    );
    assert_eq!(verdicts(&["compare", &old, &old, "--json"], 0), ["same"; 4]);
    assert_eq!(verdicts(&["compare", &old, &new, "--json", "--tolerance", "50"], 0), ["same"; 4]);
    assert_eq!(verdicts(&["compare", &old, &short, "--json"], 0), ["unknown"; 4]);
    let text = run(&["compare", &old, &new]).stdout;
    let row = text.lines().find(|line| line.contains("p50")).unwrap();
    assert!(row.starts_with("a:1") && row.ends_with("worse") && row.contains("+3"), "{text}");
    assert!(text.lines().any(|line| line.contains("loss") && line.contains('~')), "{text}");
}
