//! Writes a recording of a day that never was, to look at reports with: a path whose delay follows the
//! time of day, with bursts of loss and one outage. `day BEATS [INTERVAL_MS [SEED]] > day.ndjson`

use std::io::{self, BufWriter, Write};

use udp_core::clock::Wall;

/// 2026-05-04T00:00:00Z.
const START: u64 = 1_777_852_800_000_000_000;

fn main() -> io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|it| it.parse().unwrap_or(1_u64));
    let beats = numbers.next().unwrap_or(8_640);
    let interval = numbers.next().unwrap_or(86_400_000 / beats) * 1_000_000;
    let mut random = fastrand::Rng::with_seed(numbers.next().unwrap_or(5));
    let mut out = BufWriter::new(io::stdout().lock());
    let head = |kind: &str, at: u64| {
        let at = Wall::from_nanos(at).rfc3339();
        format!(r#"{{"type":"{kind}","v":1,"ts":"{at}","#)
    };
    let place = r#""target":"echo.example:7000","address":"192.0.2.7","port":7000"#;
    writeln!(
        out,
        r#"{}"version":"0.1.0","id":"day","options":{{"mode":"number","bytes":14,"interval_ns":{interval},"timeout_ns":1000000000,"count":{beats},"deadline_ns":null,"schedule":"periodic","seed":null,"down_after":3,"up_after":1,"limits":[],"judged":false,"clock":"kernel","percentile_digits":3}},"targets":[{{{place},"state":"unknown"}}]}}"#,
        head("run", START)
    )?;
    let (mut wandering, mut burst, mut row, mut down) = (0.0, false, 0, false);
    let state = |out: &mut dyn Write, at: u64, since: u64, state: &str, was: &str| {
        let since = Wall::from_nanos(since).rfc3339();
        writeln!(
            out,
            r#"{}{place},"state":"{state}","previous":"{was}","since":"{since}","duration_ns":0,"sent":0,"lost":0,"verdict":null,"reason":null}}"#,
            head("state", at)
        )
    };
    for seq in 1..=beats {
        let sent = START + (seq - 1) * interval;
        let share = seq as f64 / beats as f64;
        // Busy in the evening, silent for a while at noon.
        let busy = (-((share - 0.83) / 0.07).powi(2)).exp();
        let silent = (0.52..0.535).contains(&share);
        wandering = 0.97 * wandering + 0.03 * (random.f64() - 0.5);
        burst = random.f64() < if burst { 0.6 } else { 0.001 + 0.02 * busy };
        let queue = busy * 9.0 * random.f64().powi(3) + random.f64().powi(12) * 4.0;
        let rtt = ((11.0 + 4.0 * wandering + 0.3 * random.f64() + 2.5 * busy + queue) * 1e6) as u64;
        let lost = burst || silent;
        let at = sent + if lost { 1_000_000_000 } else { rtt };
        let (class, rtt, verdict) = match lost {
            true => ("lost", "null".into(), "null"),
            false => ("received", rtt.to_string(), r#""ok""#),
        };
        writeln!(
            out,
            r#"{}"target":"echo.example:7000","seq":{seq},"sent":"{}","class":"{class}","late":false,"refused":false,"rtt_ns":{rtt},"verdict":{verdict},"reason":null,"flow":null}}"#,
            head("beat", at),
            Wall::from_nanos(sent).rfc3339()
        )?;
        row = if lost { row + 1 } else { 0 };
        match (row, down) {
            (0, true) => state(&mut out, at, sent, "up", "down")?,
            (0, false) if seq == 1 => state(&mut out, at, sent, "up", "unknown")?,
            (3, _) => state(&mut out, at, sent - 2 * interval, "down", "up")?,
            _ => {}
        }
        down = row >= 3;
    }
    out.flush()
}
