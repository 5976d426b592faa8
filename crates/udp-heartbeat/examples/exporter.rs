//! An exporter for Prometheus around a prober: `cargo run --example exporter -- 127.0.0.1:7000 …`, then
//! `curl http://127.0.0.1:9107/metrics`. The beats never wait for who asks.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use udp_heartbeat::{Nobody, Plan, Prober, Snapshot, State};

fn main() -> Result<(), Box<dyn Error>> {
    let targets: Vec<_> = env::args().skip(1).map(|it| it.parse()).collect::<Result<_, _>>()?;
    let prober = Arc::new(Prober::new(Plan::new(targets), Nobody)?);
    let beats = Arc::clone(&prober);
    thread::spawn(move || beats.run());
    let listener = TcpListener::bind(env::var("LISTEN").unwrap_or("127.0.0.1:9107".into()))?;
    writeln!(io::stdout(), "listening on {}", listener.local_addr()?)?;
    for connection in listener.incoming() {
        let mut connection = connection?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        // One read is enough for the few lines of a scrape; who sends nothing gets nothing.
        if connection.read(&mut [0; 4096]).is_ok_and(|bytes| bytes > 0) {
            let body = metrics(&prober.snapshot());
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n";
            let _ = write!(connection, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
        }
    }
    Ok(())
}

fn metrics(snapshot: &Snapshot) -> String {
    let line = |target: &udp_heartbeat::TargetSnapshot| {
        let (label, counts) = (&target.label, target.counts);
        let up = u8::from(target.state == State::Up);
        format!(
            "udp_up{{target=\"{label}\"}} {up}\nudp_sent_total{{target=\"{label}\"}} {}\n\
             udp_lost_total{{target=\"{label}\"}} {}\n",
            counts.sent, counts.lost
        )
    };
    snapshot.targets.iter().map(line).collect()
}
