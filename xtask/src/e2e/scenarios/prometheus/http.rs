//! HTTP as it goes over the wire; over TLS by openssl.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::process::Process;

/// What was answered.
#[derive(Debug)]
pub(in crate::e2e::scenarios) struct Answer {
    pub(in crate::e2e::scenarios) status: u16,
    pub(super) head: String,
    pub(in crate::e2e::scenarios) body: String,
}

impl Answer {
    fn parse(text: &[u8]) -> Result<Answer> {
        let text = String::from_utf8_lossy(text);
        let (head, body) = text.split_once("\r\n\r\n").context("no head")?;
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).context("no status")?;
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }
}

/// Where a program serves, from what it says at the start.
pub(super) fn address(process: &Process) -> Result<String> {
    let url = process.err.between("metrics: http", "/metrics")?;
    Ok(url.split_once("://").context("no URL")?.1.to_owned())
}

/// A request that ends its connection; `more` are lines of its head.
pub(super) fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
}

/// What is answered to these bytes until the other side closes.
pub(super) fn ask(address: &str, request: &[u8]) -> Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // A server that has heard enough may be gone already.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    Answer::parse(&answer)
}

/// A page.
pub(in crate::e2e::scenarios) fn get(address: &str, path: &str, more: &str) -> Result<Answer> {
    ask(address, request("GET", path, more).as_bytes())
}

/// The same over TLS, with more options for openssl; none if nobody answered.
pub(super) fn ask_tls(
    context: &Context,
    directory: &Path,
    address: &str,
    options: &str,
    request: impl Into<Vec<u8>>,
) -> Result<Option<Answer>> {
    let openssl = context.launch(&"openssl".into()).directory(directory);
    let openssl = openssl.args(["s_client", "-quiet", "-connect", address]);
    let answer = openssl.args(options.split_whitespace()).stdin(request).finish()?;
    if answer.stdout.is_empty() { Ok(None) } else { Answer::parse(&answer.stdout).map(Some) }
}

/// A number of an instant query to Prometheus, for each series.
pub(super) fn query(prometheus: &str, expression: &str) -> Result<Vec<(serde_json::Value, f64)>> {
    let coded: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let answer = get(prometheus, &format!("/api/v1/query?query={coded}"), "")?;
    ensure!(answer.status == 200, "{expression}: {}", answer.body);
    let result: serde_json::Value = serde_json::from_str(&answer.body)?;
    let series = result["data"]["result"].as_array().context("no result")?;
    let number = |it: &serde_json::Value| {
        let value = it["value"][1].as_str().and_then(|value| value.parse().ok());
        Ok((it["metric"].clone(), value.context("no number")?))
    };
    series.iter().map(number).collect()
}
