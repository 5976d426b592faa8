//! The built program as it serves metrics, asked by HTTP.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The program, serving metrics.
pub(crate) struct Exporter {
    process: driver::Process,
    pub(crate) address: String,
    pub(crate) series: usize,
}

impl Exporter {
    pub(crate) fn start(arguments: &[&str]) -> Exporter {
        let metrics = ["--metrics", "127.0.0.1:0"];
        let process = super::command(&[arguments, &metrics[..]].concat()).spawn().unwrap();
        let line = process.err.line(&mut 0).unwrap();
        let words: Vec<&str> = line.split([' ', ',']).collect();
        let ["metrics:", url, "", series, "series"] = words[..] else { unreachable!("{line}") };
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap().into();
        Exporter { process, address, series: series.parse().unwrap() }
    }

    /// What is answered, with its head.
    pub(crate) fn ask(&self, method: &str, path: &str, accept: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        // Lines of a head may follow what is accepted.
        stream.write_all(format!("{head}Accept: {accept}\r\n\r\n").as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }

    pub(crate) fn text(&self) -> String {
        let (head, body) = self.ask("GET", "/metrics", "text/plain");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        String::from_utf8(body).unwrap()
    }

    /// Each series and its value.
    pub(crate) fn scrape(&self) -> BTreeMap<String, f64> {
        let text = self.text();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let split = lines.map(|line| line.rsplit_once(' ').unwrap());
        split.map(|(series, value)| (series.to_owned(), value.parse().unwrap())).collect()
    }

    /// Ends it, with its summary.
    pub(crate) fn stop(self) -> Vec<serde_json::Value> {
        self.end().1
    }

    /// The same with its exit code.
    pub(crate) fn end(self) -> (Option<i32>, Vec<serde_json::Value>) {
        self.process.signal(nix::sys::signal::Signal::SIGTERM).unwrap();
        let ended = self.process.finish().unwrap();
        let lines = ended.out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (ended.status.code(), lines)
    }
}
