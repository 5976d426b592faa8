//! Parses `SCHEME://HOST…` on the command line, and refuses the options that have no meaning with
//! it.

use udp_core::Endpoint;
use udp_core::cli::{Failure, files};
use udp_core::service::{self, Kind, Spec, SpecError};

use crate::args::Args;

/// `SCHEME://HOST[:PORT][/WHAT][?KEY=VALUE…]`; `udp://` is what a bare target is.
pub(crate) fn target(text: &str) -> Result<(Endpoint, Option<Spec>), Failure> {
    let (endpoint, spec) = service::target(text, &files::secret).map_err(|error| match error {
        SpecError::Form(error, hint) => {
            let failure = Failure::usage(format!("invalid value '{text}' for '[TARGET]': {error}"));
            failure.with_hint(hint.unwrap_or_else(|| "try --help".into()))
        }
        of_a_file => of_a_file.into(),
    })?;
    match spec.as_ref().map(Spec::kind) {
        Some(Kind::Service(_) | Kind::Stamp) => Ok((endpoint, spec)),
        Some(Kind::Udp) if spec.as_ref().is_some_and(|spec| spec.accept().is_any()) => Err(
            Failure::usage("accept=any: every answer to udp:// is taken anyway, but for --expect"),
        ),
        Some(Kind::Udp) | None => Ok((endpoint, None)),
    }
}

/// A service is asked once in its own words: there are no messages, and nothing but them to expect.
pub(crate) fn refuse_messages(args: &Args, spec: &Spec) -> Result<(), Failure> {
    let given = [
        (!args.message.is_empty(), "--message"),
        (args.stdin.is_some(), "--stdin"),
        (args.hex, "--hex"),
        (args.escape, "--escape"),
        (!args.interval.is_zero(), "--interval"),
        (args.window > 1, "--window"),
        (args.replies.is_some(), "--replies"),
        (args.no_reply, "--no-reply"),
        (args.expect.is_some(), "--expect"),
        (args.expect_hex.is_some(), "--expect-hex"),
        (args.expect_regex.is_some(), "--expect-regex"),
        (args.broadcast, "--broadcast"),
    ];
    let secret = spec.service().is_some_and(|service| service.is_secret());
    let scheme = spec.entry().scheme;
    // Its replies may hold what was asked with.
    for (given, option) in [(args.raw, "--raw"), (args.hexdump, "--hexdump")] {
        if given && secret {
            let what = format!("{option} would show the secret that {scheme} is asked with");
            return Err(Failure::usage(what));
        }
    }
    match given.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Failure::usage(format!(
            "{option} is not for {scheme}, which is asked in its own words"
        ))),
        None => Ok(()),
    }
}
