//! `--web-config`: the same files as exporter-toolkit takes, and who is let in by them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::http::{Answer, address, ask_tls, get, request};
use super::promtool;
use crate::e2e::check;
use crate::e2e::clock::PATIENCE;
use crate::e2e::context::Context;
use crate::e2e::netns::present;
use crate::e2e::process::Launch;
use crate::e2e::skip::skip;

/// alice:secret
pub(super) const USER: &str =
    "{alice: $2b$04$E/z8GRdjwwZbqg4ryM2Lh.MoMsKIIL2zTvJ0sksJFITMDz3f5ue46}";
pub(super) const ALICE: &str = "Authorization: Basic YWxpY2U6c2VjcmV0\r\n";
const MALLORY: &str = "Authorization: Basic bWFsbG9yeTpzZWNyZXQ=\r\n";

/// A certificate and key, another pair, an authority, a client of it, and a stranger.
const CERTIFICATES: &str = "\
    pair() { name=$1; shift; \
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 \
        -subj /CN=$name -keyout $name.key -out $name.crt \"$@\"; }
    pair server -addext subjectAltName=DNS:localhost,IP:127.0.0.1
    pair other -addext subjectAltName=DNS:localhost,IP:127.0.0.1
    pair ca
    pair stranger -addext subjectAltName=DNS:scraper.example
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=client \
        -keyout client.key -out client.csr
    echo subjectAltName=DNS:scraper.example > client.ext
    openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 36500 \
        -extfile client.ext -out client.crt";

/// A directory with certificates.
pub(super) fn certificates(context: &Context) -> Result<TempDir> {
    if !present("openssl") {
        return skip("openssl is missing");
    }
    let directory = tempfile::tempdir().context("no temporary directory")?;
    let shell = context.launch(&"sh".into()).directory(directory.path());
    shell.args(["-ec", CERTIFICATES]).finish()?.exits(0)?;
    Ok(directory)
}

/// Who takes a file.
enum Takes {
    Both,
    /// And what the programs say then.
    BothSaying(&'static str),
    /// And what the programs say.
    Neither(&'static str),
    /// What rustls lacks, or what the toolkit leaves out in silence.
    Promtool(&'static str),
    /// What the toolkit has learnt since.
    We,
}

use Takes::{Both, BothSaying, Neither, Promtool, We};

const FILES: &[(&str, Takes)] = &[
    ("", Both),
    ("# nothing\n", Both),
    ("tls_server_config:\nhttp_server_config:\nbasic_auth_users:\n", Both),
    ("tls_server_config:\n  CERT\n", Both),
    (
        "tls_server_config:\n  CERT\n  min_version: TLS13\nhttp_server_config: {http2: false}\n",
        Both,
    ),
    (
        "tls_server_config:\n  CERT\nhttp_server_config:\n  http2: true\n",
        BothSaying("warning: web.yml:5: HTTP/2 is not spoken: everybody is served by HTTP/1.1\n"),
    ),
    ("tls_server_config:\n  CERT\n  client_auth_type: RequestClientCert\n", Both),
    ("tls_server_config:\n  CERT\n  client_auth_type: RequireAnyClientCert\n", Both),
    ("tls_server_config:\n  CERT\n  client_auth_type: NoClientCert\n", Both),
    (
        "tls_server_config:\n  CERT\n  client_auth_type: RequireAndVerifyClientCert\n  \
         client_ca_file: ca.crt\n  max_version: TLS12\n  prefer_server_cipher_suites: false\n  \
         cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384]\n  \
         curve_preferences: [X25519, CurveP384, CurveP256]\n\
         http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-XSS-Protection: 1\n    \
         X-Content-Type-Options: nosniff\nbasic_auth_users: USER\n",
        Both,
    ),
    ("hWkNKCp3fvIx3jKnsaBI\nTuEjdwNS8A2vYdFbiKqr\n", Neither("1: expected mapping start")),
    ("tls_server_config:\n  cert_filse: x\n", Neither("2: unknown field `cert_filse`<any>")),
    ("tls_server_config:\n\tcert_file: x\n", Neither("2: tabs disallowed<any>")),
    ("basic_auth_users:\n  a: x\n  a: y\n", Neither("3: duplicate mapping key: a<any>")),
    (
        "tls_server_config:\n  client_auth_type: NoClientCert\n",
        Neither(
            "2: tls_server_config has no cert_file\nweb.yml:2: tls_server_config has no key_file",
        ),
    ),
    (
        "tls_server_config:\n  cert_file: server.crt\n",
        Neither("2: tls_server_config has no key_file"),
    ),
    (
        "tls_server_config:\n  cert_file: ca.key\n  key_file: server.crt\n",
        Neither("2: no certificate is in it\nweb.yml:3: no private key is in it"),
    ),
    (
        "tls_server_config:\n  cert_file: server.crt\n  key_file: other.key\n",
        Neither("3: certificate and key cannot be used: <any>"),
    ),
    (
        "tls_server_config:\n  CERT\n  client_ca_file: ca.crt\n",
        Neither("4: there is a client_ca, but no client_auth_type"),
    ),
    (
        "tls_server_config:\n  CERT\n  client_auth_type: All\n",
        Neither("4: there is no client_auth_type All"),
    ),
    (
        "tls_server_config:\n  CERT\n  cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048\n",
        Neither(
            "5: there is no cipher suite TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA2048; there are <any>",
        ),
    ),
    (
        "tls_server_config:\n  CERT\n  curve_preferences: [CurveP257]\n",
        Neither("4: there is no curve CurveP257; there are X25519, CurveP256, CurveP384"),
    ),
    (
        "tls_server_config:\n  CERT\n  min_version: TLS111\n",
        Neither("4: TLS111 is not spoken; there are TLS12, TLS13"),
    ),
    ("basic_auth_users:\n  john: doe\n", Neither("2: the password of john is no hash of bcrypt")),
    (
        // A cost that bcrypt has not.
        "basic_auth_users:\n  john: $2a$99$E/z8GRdjwwZbqg4ryM2Lh.MoMsKIIL2zTvJ0sksJFITMDz3f5ue46\n",
        Neither("2: the password of john is no hash of bcrypt"),
    ),
    (
        "http_server_config:\n  headers:\n    X-Frame-Options: foo\n    Content-Type: foo\n",
        Neither(
            "3: X-Frame-Options is one of deny, sameorigin\n\
             web.yml:4: the header Content-Type cannot be set",
        ),
    ),
    ("http_server_config:\n  http2: maybe\n", Neither("2: <any>")),
    (
        "tls_server_config:\n  CERT\n  min_version: TLS10\n",
        Promtool("4: TLS10 is not spoken; there are TLS12, TLS13"),
    ),
    (
        "tls_server_config:\n  CERT\n  min_version: TLS13\n  max_version: TLS12\n",
        Promtool("4: min_version is above max_version"),
    ),
    (
        "tls_server_config:\n  CERT\n  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]\n",
        Promtool("4: there is no cipher suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA; there are <any>"),
    ),
    (
        "tls_server_config:\n  CERT\n  curve_preferences: [CurveP521]\n",
        Promtool("4: there is no curve CurveP521; there are X25519, CurveP256, CurveP384"),
    ),
    (
        "tls_server_config:\n  CERT\n  client_auth_type: RequireAndVerifyClientCert\n",
        Promtool("4: it needs a client_ca_file to verify by"),
    ),
    ("basic_auth_users: USER\n---\nmore: 1\n", Promtool("3: multiple YAML documents<any>")),
    (
        "tls_server_config:\n  CERT\n  client_auth_type: RequireAnyClientCert\n  \
         client_allowed_sans: [scraper.example]\n",
        We,
    ),
];

pub(super) fn promtool_takes_the_same_files(context: &Context) -> Result<()> {
    promtool()?;
    let directory = certificates(context)?;
    for (text, takes) in FILES {
        let text = text
            .replace("CERT", "cert_file: server.crt\n  key_file: server.key")
            .replace("USER", USER);
        fs::write(directory.path().join("web.yml"), &text)?;
        let checked = context.launch(&"promtool".into()).directory(directory.path());
        let checked = checked.args(["check", "web-config", "web.yml"]).finish()?;
        let expected = i32::from(!matches!(takes, Both | BothSaying(_) | Promtool(_)));
        checked.exits(expected).with_context(|| text.clone())?;
        let server = serve(context, directory.path()).spawn()?;
        match takes {
            Both | We => drop(address(&server).with_context(|| text.clone())?),
            BothSaying(said) => {
                server.wait_for_stderr(said).with_context(|| text.clone())?;
            }
            Neither(fault) | Promtool(fault) => {
                let finished = server.finish()?;
                finished.exits(2).with_context(|| text.clone())?;
                finished.complains(&format!("web.yml:{fault}\n")).with_context(|| text.clone())?;
            }
        }
    }
    for unreadable in ["cert_file: none.crt", "cert_file: server.crt\n  key_file: none.key"] {
        let text = format!("tls_server_config:\n  {unreadable}\n");
        fs::write(directory.path().join("web.yml"), text)?;
        let finished = serve(context, directory.path()).finish()?;
        let error = "error: cannot read none<any>: no such file or directory\n";
        finished.exits(4)?.complains(error)?;
    }
    Ok(())
}

/// A server with the directory's `web.yml`.
fn serve(context: &Context, directory: &Path) -> Launch {
    let server = context.server().directory(directory);
    server.args("-q -b 127.0.0.1:0 --metrics 127.0.0.1:0 --web-config web.yml".split(' '))
}

pub(super) const TLS: &str =
    "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n";
const CLIENT: &str = "-cert client.crt -key client.key";
const STRANGER: &str = "-cert stranger.crt -key stranger.key";

/// Options of who asks, and the status that is answered.
type Asker = (&'static str, Option<u16>);

/// To whom each file lets something be served.
const SERVED: &[(&str, &[Asker])] = &[
    ("", &[("-CAfile server.crt -verify_return_error -verify_hostname localhost", Some(200))]),
    (
        "  max_version: TLS12\n  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]\n",
        &[
            ("-tls1_3", None),
            ("-tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384", None),
            ("-tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256", Some(200)),
        ],
    ),
    ("  min_version: TLS13\n", &[("-tls1_2", None), ("", Some(200))]),
    (
        "  curve_preferences: [CurveP384]\n",
        &[("-curves P-256", None), ("-curves P-384", Some(200))],
    ),
    (
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.crt\n",
        &[("", None), (STRANGER, None), (CLIENT, Some(200))],
    ),
    (
        "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.crt\n",
        &[("", Some(200)), (STRANGER, None), (CLIENT, Some(200))],
    ),
    ("  client_auth_type: RequireAnyClientCert\n", &[("", None), (STRANGER, Some(200))]),
    ("  client_auth_type: RequestClientCert\n", &[("", Some(200)), (STRANGER, Some(200))]),
    (
        "  client_auth_type: RequireAnyClientCert\n  client_allowed_sans: [scraper.example]\n",
        &[(STRANGER, Some(200)), (CLIENT, Some(200)), ("-cert other.crt -key other.key", None)],
    ),
    // A file that is bad lets nobody in.
    ("  client_auth_type: Nobody\n", &[("", None), (CLIENT, None)]),
    (
        "http_server_config: {headers: {X-Frame-Options: deny}}\nbasic_auth_users: USER\n",
        &[("", Some(401))],
    ),
];

pub(super) fn who_is_let_in(context: &Context) -> Result<()> {
    let directory = certificates(context)?;
    let path = directory.path();
    let write = |text: &str| fs::write(path.join("web.yml"), text.replace("USER", USER));
    write(TLS)?;
    let server = serve(context, path).spawn()?;
    let at = address(&server)?;
    let over_tls = |options: &str, more: &str| -> Result<Option<Answer>> {
        ask_tls(context, path, &at, options, request("GET", "/metrics", more))
    };
    for (more, askers) in SERVED {
        write(&format!("{TLS}{more}"))?;
        for (options, expected) in *askers {
            let status = over_tls(options, "")?.map(|answer| answer.status);
            check::same(&format!("{more}{options}"), *expected, status)?;
        }
    }
    // It is the last one that has a user.
    check::same("a stranger", Some(401), over_tls("", MALLORY)?.map(|it| it.status))?;
    let answer = over_tls("", ALICE)?.context("no answer")?;
    check::same("alice", 200, answer.status)?;
    check::holds("a header", answer.head.contains("x-frame-options: deny"))?;
    let answer = get(&at, "/metrics", ALICE)?;
    check::same("HTTP to TLS", (400, "HTTPS is spoken here\n"), (answer.status, &*answer.body))?;
    // The certificate is another now, and SIGHUP reads, too.
    for end in ["crt", "key"] {
        fs::copy(path.join("other").with_extension(end), path.join("server").with_extension(end))?;
    }
    server.signal(Signal::SIGHUP)?;
    let anew = over_tls("-CAfile other.crt -verify_return_error", ALICE)?;
    check::same("another certificate", Some(200), anew.map(|it| it.status))?;
    // Without TLS: by password, and when the file is bad, nobody.
    write("basic_auth_users: USER\n")?;
    for (who, expected) in [(ALICE, 200), (MALLORY, 401), ("", 401)] {
        check::same(who, expected, get(&at, "/metrics", who)?.status)?;
    }
    write("basic_auth_users: {alice: secret}\n")?;
    check::same("a bad file", 500, get(&at, "/-/healthy", ALICE)?.status)?;
    fs::remove_file(path.join("web.yml"))?;
    check::same("no file", 500, get(&at, "/metrics", ALICE)?.status)?;
    write("")?;
    check::same("everybody", 200, get(&at, "/metrics", "")?.status)?;
    // A connection that is kept ends when TLS is another.
    let mut kept = TcpStream::connect(&at)?;
    kept.set_read_timeout(Some(PATIENCE))?;
    let again = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n";
    let (healthy, mut answer) = (&b"udp-server is Healthy.\n"[..], Vec::new());
    kept.write_all(again)?;
    while !answer.ends_with(healthy) {
        let mut byte = [0];
        kept.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    write(TLS)?;
    kept.write_all(again)?;
    let mut rest = Vec::new();
    // Closed, or reset for what it had not read.
    let _ = kept.read_to_end(&mut rest);
    check::same("an answer without TLS", "", &*String::from_utf8_lossy(&rest))?;
    let said = server.interrupt()?.exits(0)?.err();
    let bad = said.matches("nobody is answered until it is good again").count();
    check::same("a bad file is said once", 3, bad)
}
