//! `/probe` of the built program: what it tells of each kind of peer, whom it refuses, and what hangs.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::io::Write as _;
use std::net::TcpStream;

use common::exporter::Exporter;
use common::{Peer, closed, run, wait_until};
use tempfile::TempDir;

/// Where tests may probe.
const HERE: [&str; 2] = ["--probe-allow", "127.0.0.0/8"];

/// The program with a file of these modules, and their file.
struct Rig {
    exporter: Exporter,
    directory: TempDir,
}

impl Rig {
    fn new(modules: &str, options: &[&str]) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("m.yml");
        std::fs::write(&file, modules.replace("DIR", directory.path().to_str().unwrap())).unwrap();
        std::fs::write(directory.path().join("secret"), "hush-hush\n").unwrap();
        let arguments = [&["-q", "--json", "--modules", file.to_str().unwrap()], options].concat();
        Rig { exporter: Exporter::start(&arguments), directory }
    }

    /// The status, and the body.
    fn get(&self, query: &str, header: &str) -> (u16, String) {
        let more = if header.is_empty() { String::new() } else { format!("\r\n{header}") };
        let path = format!("/probe?{query}");
        let (head, body) = self.exporter.ask("GET", &path, &format!("text/plain{more}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, String::from_utf8(body).unwrap())
    }

    /// A probe's series.
    #[track_caller]
    fn probe(&self, target: &str, module: &str) -> String {
        let (status, body) = self.get(&format!("target={target}&module={module}"), "");
        assert_eq!(status, 200, "{body}");
        body
    }
}

/// The value of a series, as text.
#[track_caller]
fn value<'a>(body: &'a str, series: &str) -> &'a str {
    let mut lines = body.lines().filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    lines.next().unwrap_or_else(|| unreachable!("no {series} in\n{body}"))
}

const KINDS: &str = r#"modules:
  echo: {prober: udp, timeout: 4s, udp: {count: 5, interval: 5ms, min_replies: 4, send: "ping", expect: "^echo ping$"}}
  all: {prober: udp, timeout: 4s, udp: {count: 5, interval: 5ms, min_replies: 5, send: "ping"}}
  most: {prober: udp, timeout: 10s, udp: {count: 3, interval: 5ms, send: a, expect: a}}
  raw: {prober: udp, timeout: 10s, udp: {send_hex: "0e00 0000", expect_hex: "0e01"}}
  quick: {prober: udp, timeout: 200ms, udp: {send: ""}}
  ntp: {prober: udp, timeout: 10s, udp: {service: "ntp:"}}
  dns: {prober: udp, timeout: 10s, udp: {service: "dns:example.org?type=A", preferred_ip_protocol: ip4}}
"#;

#[test]
fn what_became_of_a_probe() {
    let rig = Rig::new(KINDS, &HERE);
    let echo = Peer::echo();
    let lossy = Peer::new(|it| if it.number % 5 == 2 { Vec::new() } else { vec![it.echo()] });
    let silent = Peer::silent();
    let other = Peer::new(|it| match it.number % 3 {
        0 => vec![it.with("x")],
        _ => vec![it.with("a")],
    });
    let gtp =
        Peer::new(|it| vec![it.with([0x0e, if it.bytes == [0x0e, 0, 0, 0] { 1 } else { 9 }])]);
    let longer = Peer::new(|it| vec![it.with([0x0e, 1, 0])]);
    let clock = Peer::new(|it| vec![it.with(common::ntp(&it.bytes, "240203e9"))]);
    let unset = Peer::new(|it| vec![it.with(common::ntp(&it.bytes, "e40003e9"))]);
    let refused = Peer::new(|it| {
        let mut answer = it.bytes.clone();
        answer[2..4].copy_from_slice(&[0x81, 0x85]);
        vec![it.with(answer)]
    });
    let (closed, nowhere) = (closed().to_string(), "nowhere.invalid:7".to_owned());
    // The target, the module; success, result, sent, received.
    let cases = [
        (echo.target(), "echo", "1", "ok", "5", "5"),
        (lossy.target(), "echo", "1", "ok", "5", "4"),
        (lossy.target(), "all", "0", "silent", "5", "4"),
        (other.target(), "most", "0", "unexpected", "3", "3"),
        (other.target(), "echo", "0", "unexpected", "5", "5"),
        (gtp.target(), "raw", "1", "ok", "1", "1"),
        (longer.target(), "raw", "0", "unexpected", "1", "1"),
        (silent.target(), "quick", "0", "silent", "1", "0"),
        (closed, "quick", "0", "refused", "1", "0"),
        (nowhere, "quick", "0", "failed", "0", "0"),
        (clock.target(), "ntp", "1", "ok", "1", "1"),
        (unset.target(), "ntp", "0", "failing", "1", "1"),
        (refused.target(), "dns", "0", "declined", "1", "1"),
    ];
    for (target, module, success, result, sent, received) in &cases {
        let body = rig.probe(target, module);
        let case = format!("{target} {module}: {body}");
        assert_eq!(value(&body, "probe_success"), *success, "{case}");
        let results = "ok unexpected declined failing limited invalid refused silent failed";
        for other in results.split(' ') {
            let series = format!("probe_udp_result{{result=\"{other}\"}}");
            let expected = if other == *result { "1" } else { "0" };
            assert_eq!(value(&body, &series), expected, "{other}: {case}");
        }
        assert_eq!(value(&body, "probe_udp_sent"), *sent, "{case}");
        assert_eq!(value(&body, "probe_udp_received"), *received, "{case}");
        let found = *sent != "0";
        assert_eq!(value(&body, "probe_ip_protocol"), if found { "4" } else { "0" }, "{case}");
        let hash = if found { "3668918509" } else { "0" };
        assert_eq!(value(&body, "probe_ip_addr_hash"), hash, "{case}");
        let answered = *received != "0";
        assert_eq!(body.contains("probe_udp_rtt_seconds{stat=\"median\"} "), answered, "{case}");
        let unexpected = *result == "unexpected";
        let regex = unexpected && *module != "raw";
        assert_eq!(value(&body, "probe_failed_due_to_regex"), if regex { "1" } else { "0" });
        let bytes = unexpected && *module == "raw";
        assert_eq!(value(&body, "probe_failed_due_to_bytes"), if bytes { "1" } else { "0" });
        let span = |series| value(&body, series).parse::<f64>().unwrap();
        assert!(span("probe_duration_seconds") >= span("probe_dns_lookup_time_seconds"), "{case}");
    }
    let body = rig.probe(&clock.target(), "ntp");
    assert_eq!(value(&body, "probe_udp_fact{name=\"stratum\"}"), "2");
    assert!(!body.contains("probe_dns_answer_rrs"), "{body}");
    let body = rig.probe(&refused.target(), "dns");
    assert_eq!(value(&body, "probe_dns_query_succeeded"), "1");
    assert_eq!(value(&body, "probe_dns_answer_rrs"), "0");
    assert!(echo.seen().iter().all(|it| it.bytes == b"ping"), "nothing is appended");
    assert!(silent.seen().iter().all(|it| it.bytes.is_empty()));
}

#[test]
fn whom_a_request_gets_an_answer_from() {
    let rig = Rig::new(KINDS, &[]);
    let long = "x".repeat(7000);
    let all = [
        ("", "", 400, "module is missing"),
        ("target=192.0.2.1", "", 400, "module is missing"),
        ("module=&target=192.0.2.1", "", 400, "module is missing"),
        ("module=none&target=192.0.2.1", "", 400, "no such module: 'none'"),
        ("module=%1b[2J%0aX&target=192.0.2.1", "", 400, "no such module: '\\x1b[2J\\nX'\n"),
        ("module=%ff&target=192.0.2.1", "", 400, "no such module: '\u{fffd}'"),
        ("module=quick", "", 400, "target is missing"),
        ("module=quick&target=", "", 400, "target is missing"),
        ("module=quick&target=dns://h", "", 400, "target 'dns://h': no such scheme"),
        ("module=quick&target=7000", "", 400, "target '7000': a number alone is no host"),
        ("module=quick&target=a%00b", "", 400, "target 'a\\0b': not a host name"),
        ("module=quick&target=192.0.2.1:0", "", 200, "probe_success 0"),
        ("module=none", "Y: z", 400, "no such module"),
        ("module=quick&target=192.0.2.1", "ten", 500, "'ten' is no number of seconds"),
        // The time comes before the target.
        ("module=quick", "ten", 500, "'ten' is no number of seconds"),
        ("module=quick&target=127.0.0.1", "", 403, "127.0.0.1 may not be probed"),
        ("module=quick&target=localhost", "", 403, "may not be probed"),
        ("module=quick&target=:7", "", 403, "127.0.0.1 may not be probed"),
        ("module=quick&target=%253A7", "", 403, "127.0.0.1 may not be probed"),
        ("module=quick&target=[::1]:7", "", 403, "::1 may not be probed"),
        ("module=quick&target=[::ffff:127.0.0.1]:7", "", 403, "127.0.0.1 may not be probed"),
        ("module=quick&target=0.0.0.0:7", "", 403, "0.0.0.0 may not be probed"),
        ("module=quick&target=[::]:7", "", 403, ":: may not be probed"),
        ("module=quick&target=169.254.169.254", "", 403, "169.254.169.254 may not be probed"),
        ("module=quick&target=[fe80::1%25lo]:7", "", 403, "fe80::1 may not be probed"),
        ("module=quick&target=224.0.0.1", "", 403, "224.0.0.1 may not be probed"),
        ("module=quick&target=255.255.255.255", "", 403, "255.255.255.255 may not be probed"),
        ("module=quick&target=127.0.0.1&debug=true", "", 403, "127.0.0.1 may not be probed"),
    ];
    for (query, header, status, part) in all {
        let header = match header {
            "ten" => "X-Prometheus-Scrape-Timeout-Seconds: ten",
            other => other,
        };
        let (found, body) = rig.get(query, header);
        assert_eq!(found, status, "{query}: {body}");
        assert!(body.contains(part), "{query}: {body}");
        assert!(!body.contains('\u{1b}'), "{query}: {body}");
    }
    let (status, body) = rig.get(&format!("module=quick&target={long}"), "");
    assert_eq!((status, body.len() < 300), (400, true), "{body}");
    // A head that is longer than it may be has no answer of ours.
    let (head, _) =
        rig.exporter.ask("GET", &format!("/probe?module={}", "x".repeat(10_000)), "a/b");
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
    let (head, _) = rig.exporter.ask("POST", "/probe?module=quick&target=h", "a/b");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let parts = "module= target= quick & = % %2 %00 + debug=true 127.0.0.1 : [ ?";
    let parts: Vec<&str> = parts.split(' ').collect();
    for _ in 0..300 {
        let query: String =
            (0..random.usize(..12)).map(|_| parts[random.usize(..parts.len())]).collect();
        let (status, _) = rig.get(&query, "");
        assert!(status == 400 || status == 403 || status == 200, "seed {seed}: {query}: {status}");
    }
}

#[test]
fn the_evidence_is_shown_to_who_asks_for_it_and_no_secret_to_anybody() {
    let modules = "modules:
  echo: {prober: udp, timeout: 10s, udp: {send: \"a\\u001b[2Jb\", expect: b}}
  snmp: {prober: udp, timeout: 300ms, udp: {service: 'snmp:?community-file=DIR/secret'}}
  radius: {prober: udp, timeout: 300ms, udp: {service: 'radius:?secret-file=DIR/secret'}}
  stamp: {prober: udp, timeout: 300ms, udp: {service: 'stamp:'}}\n";
    let rig = Rig::new(modules, &HERE);
    let (echo, silent) = (Peer::echo(), Peer::silent());
    let (status, body) = rig.get(&format!("module=echo&target={}&debug=true", echo.target()), "");
    assert_eq!(status, 200);
    for part in [
        "Logs for the probe:\n",
        &format!("resolving {}\n", echo.target()),
        "Z sent seq=1 6 bytes: a\\x1b[2Jb\n",
        " ms ok 11 bytes: echo a\\x1b[2Jb\n",
        "result ok, success 1, after ",
        "\n\nMetrics that would have been returned:\n# HELP probe_success ",
        "\nprobe_success 1\n",
        "\n\nModule configuration:\nprober: \"udp\"\ntimeout: \"10s\"\nudp:\n  send: \"a\\x1b[2Jb\"\n",
    ] {
        assert!(body.contains(part), "{part:?} in {body}");
    }
    let (_, body) = rig.get(&format!("module=echo&target={}&debug=True", echo.target()), "");
    assert!(body.starts_with("# HELP probe_success "), "{body}");
    for module in ["snmp", "radius", "stamp"] {
        let (_, body) =
            rig.get(&format!("module={module}&target={}&debug=true", silent.target()), "");
        assert!(body.contains("result silent, success 0"), "{body}");
        assert!(body.contains(" sent seq=1 ") && !body.contains("hush-hush"), "{body}");
        let hidden = body.contains(" bytes: ");
        assert_eq!(hidden, module == "stamp", "{module}: {body}");
    }
    let sent = silent.seen();
    assert!(sent[0].bytes.windows(9).any(|it| it == b"hush-hush"), "SNMP does send it");
}

#[test]
fn modules_are_read_again_all_or_none() {
    let rig = Rig::new("modules: {a: {prober: udp, timeout: 1s}}", &HERE);
    let echo = Peer::echo();
    assert_eq!(value(&rig.probe(&echo.target(), "a"), "probe_success"), "1");
    assert_eq!(echo.seen()[0].bytes, b"heartbeat");
    let file = rig.directory.path().join("m.yml");
    let reload = |modules: &str| {
        std::fs::write(&file, modules).unwrap();
        let (head, body) = rig.exporter.ask("POST", "/-/reload", "a/b");
        let good = rig.exporter.scrape()["udp_heartbeat_config_last_reload_successful"];
        (head.split(' ').nth(1).unwrap().to_owned(), String::from_utf8(body).unwrap(), good)
    };
    let (status, body, good) = reload("modules:\n  b: {prober: udp, x: 1}\n  c: {prober: tcp}\n");
    assert_eq!((status.as_str(), good), ("500", 0.0));
    let shown = file.display();
    assert!(body.contains(&format!("{shown}:2: the module 'b' has no key 'x'")), "{body}");
    assert!(body.contains(&format!("{shown}:3: prober 'tcp': only udp is")), "{body}");
    assert_eq!(value(&rig.probe(&echo.target(), "a"), "probe_success"), "1");
    let (status, _, good) = reload("modules: {b: {prober: udp, timeout: 1s, udp: {send: new}}}");
    assert_eq!((status.as_str(), good), ("200", 1.0));
    assert_eq!(rig.get(&format!("module=a&target={}", echo.target()), "").0, 400);
    assert_eq!(value(&rig.probe(&echo.target(), "b"), "probe_success"), "1");
    assert_eq!(echo.seen().last().unwrap().bytes, b"new");
    // There are no beats, and of none the sums are told.
    let (code, events) = rig.exporter.end();
    assert_eq!(code, Some(0));
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["start", "reloaded", "summary"]);
    assert_eq!(events[0]["targets"], serde_json::json!([]));
}

#[test]
fn a_list_of_targets_may_be_empty_beside_modules() {
    let directory = tempfile::tempdir().unwrap();
    let list = directory.path().join("targets");
    std::fs::write(&list, "# none yet\n").unwrap();
    let options = ["--targets-file", list.to_str().unwrap(), "-i", "20ms"];
    let rig = Rig::new("modules: {a: {prober: udp}}", &options);
    let targets =
        |state: &str| rig.exporter.scrape()[&format!("udp_heartbeat_targets{{state=\"{state}\"}}")];
    assert_eq!(["unknown", "up", "degraded", "down"].map(targets), [0.0; 4]);
    let echo = Peer::echo();
    for (content, up) in [(echo.target(), 1.0), (String::new(), 0.0)] {
        std::fs::write(&list, content).unwrap();
        assert!(rig.exporter.ask("POST", "/-/reload", "a/b").0.starts_with("HTTP/1.1 200"));
        wait_until(|| targets("up") == up);
    }
}

#[test]
fn what_a_command_line_says_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("m.yml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "modules:\n  a: {prober: udp, udp: {count: x, ttl: 0}}\n  b: 5\n")
        .unwrap();
    let finished = run(&["--modules", path, "--metrics", "127.0.0.1:0"]);
    let lines = [
        format!("{path}:2: count is no number from 1 to 64\n"),
        format!("{path}:2: ttl '0': not a number from 1 to 255\n"),
        format!("{path}:3: the module 'b' is no mapping\n"),
    ];
    assert_eq!((finished.code, finished.stderr), (Some(2), lines.concat()));
    let many: String = (0..20).map(|n| format!("  m{n}: {{}}\n")).collect();
    std::fs::write(&file, format!("modules:\n{many}")).unwrap();
    let finished = run(&["--modules", path, "--metrics", "127.0.0.1:0"]);
    assert_eq!((finished.code, finished.stderr.lines().count()), (Some(2), 10));
    let finished = run(&["--modules", "/no/such/file", "--metrics", "127.0.0.1:0"]);
    let said = "error: cannot read /no/such/file: no such file or directory\n";
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(4), said));
    let finished = run(&["--modules", path]);
    assert_eq!(finished.code, Some(2));
    assert!(finished.stderr.contains("\nhint: add --metrics "), "{}", finished.stderr);
    for options in
        [&["--probe-allow", "10.0.0.0/8"][..], &["--modules", path, "--probe-allow", "x"]]
    {
        assert_eq!(run(options).code, Some(2), "{options:?}");
    }
}

#[test]
fn probes_that_wait_keep_out_only_further_ones_until_who_asked_is_gone() {
    let modules =
        "modules: {wait: {prober: udp, timeout: 300s}, quick: {prober: udp, timeout: 10s}}";
    let rig = Rig::new(modules, &HERE);
    let (silent, echo) = (Peer::silent(), Peer::echo());
    let quick = format!("module=quick&target={}", echo.target());
    let request =
        format!("GET /probe?module=wait&target={} HTTP/1.1\r\nHost: x\r\n\r\n", silent.target());
    let mut waiting: Vec<TcpStream> = (0..200)
        .map(|_| {
            let mut stream = TcpStream::connect(&rig.exporter.address).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    wait_until(|| silent.seen().len() >= 64);
    assert_eq!(rig.get(&quick, "").0, 503);
    assert!(rig.exporter.text().contains("udp_heartbeat_build_info"));
    assert_eq!(silent.seen().len(), 64);
    waiting.clear();
    wait_until(|| rig.get(&quick, "").0 == 200);
}
