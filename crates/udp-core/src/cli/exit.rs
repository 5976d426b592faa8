//! Exit codes, and failures that are printed as one line.

use std::fmt;
use std::net::SocketAddrV6;
use std::process::ExitCode;

use crate::endpoint::ResolveError;
use crate::error::{Error, ErrorClass, Operation};
#[cfg(feature = "service")]
use crate::service::SpecError;

/// The exit codes, the same for every program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: it worked, and every threshold and expectation held.
    Worked = 0,
    /// 1: it ran, but no reply came, or a threshold or expectation failed.
    Failed = 1,
    /// 2: bad usage, or a name that does not resolve.
    Usage = 2,
    /// 3: the peer's host said that nothing listens there, and nothing was ever answered.
    Refused = 3,
    /// 4: a local failure, such as an address in use.
    Local = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What ends a program before it has a verdict: `error: …`, perhaps `hint: …`, and an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What was attempted, on what, and why it failed: one line.
    pub message: String,
    /// The way out, where there is an obvious one: one line.
    pub hint: Option<String>,
    /// Bad lines of a file, which are then said in place of the message.
    pub faults: Vec<Fault>,
}

/// A bad line of a file: `FILE:LINE: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file as it was named.
    pub file: String,
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
    /// The right form, where it is obvious.
    pub hint: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let one_line = super::usage::one_line;
        write!(f, "{}:{}: {}", one_line(&self.file), self.line, one_line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", one_line(hint)),
            None => Ok(()),
        }
    }
}

/// So many bad lines of a file are said.
const FAULTS: usize = 10;

impl Failure {
    /// Bad usage, or a name that does not resolve.
    pub fn usage(message: impl fmt::Display) -> Self {
        Failure { exit: Exit::Usage, message: message.to_string(), hint: None, faults: Vec::new() }
    }

    /// A local failure.
    pub fn local(message: impl fmt::Display) -> Self {
        Failure { exit: Exit::Local, message: message.to_string(), hint: None, faults: Vec::new() }
    }

    /// A file that holds no key or secret, which is all that it is for.
    pub(super) fn empty_file(file: String, message: String) -> Self {
        Failure::in_file(vec![Fault { file, line: 1, message, hint: None }])
    }

    /// A file with bad lines.
    pub fn in_file(faults: Vec<Fault>) -> Self {
        Failure { faults, ..Failure::usage("") }
    }

    /// The same with a way out.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.faults.is_empty() {
            let said = self.faults.iter().take(FAULTS).map(ToString::to_string);
            return f.write_str(&said.collect::<Vec<_>>().join("\n"));
        }
        write!(f, "error: {}", super::usage::one_line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", super::usage::one_line(hint)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

#[cfg(feature = "service")]
impl From<SpecError> for Failure {
    fn from(error: SpecError) -> Self {
        let message = error.to_string();
        match error {
            SpecError::Form(_, hint) => Failure { hint, ..Failure::usage(message) },
            SpecError::Unreadable(..) => Failure::local(message),
            SpecError::Empty(file) => Failure::empty_file(file, "it is empty".into()),
        }
    }
}

impl From<ResolveError> for Failure {
    fn from(error: ResolveError) -> Self {
        Failure::usage(error)
    }
}

impl From<Error> for Failure {
    /// A failed system call is a local failure. A bind has well-known ways out.
    fn from(error: Error) -> Self {
        let hint = match (error.operation, error.class()) {
            (Operation::Bind, ErrorClass::AddressInUse) => Some(
                "another program serves this port; stop it, or choose another port with --bind",
            ),
            (Operation::Bind, ErrorClass::Denied) => Some(
                "ports below 1024 need a privilege; choose a higher one, or grant CAP_NET_BIND_SERVICE",
            ),
            (Operation::Bind, ErrorClass::AddressNotAvailable) => {
                Some("the address is not one of this host; see `ip address`")
            }
            (Operation::Join, _) => Some(
                "name the interface, with --interface or as a zone: [ff02::1%eth0]; see `ip route get`",
            ),
            (Operation::Connect, ErrorClass::Invalid) if is_link_local(&error) => Some(
                "a link-local address needs its zone, which a name does not have; write ADDRESS%INTERFACE",
            ),
            (Operation::Connect, ErrorClass::Invalid) => Some(
                "the source address of --bind cannot reach this target; leave it out, or bind one that can",
            ),
            _ => None,
        };
        Failure { hint: hint.map(String::from), ..Failure::local(error) }
    }
}

/// Whether `error` is about a link-local address without a zone (RFC 4007 §6).
fn is_link_local(error: &Error) -> bool {
    let address = error.address.as_ref().and_then(|it| it.parse::<SocketAddrV6>().ok());
    address.is_some_and(|it| it.ip().is_unicast_link_local() && it.scope_id() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn a_failure_is_one_line_and_perhaps_a_hint() {
        let taken = Error::new(Operation::Bind, "0.0.0.0:7000", io::ErrorKind::AddrInUse.into());
        let cases = [
            (Failure::usage("bad"), "error: bad", Exit::Usage),
            (Failure::local("a\nb\u{1b}[2J"), "error: a b\\x1b[2J", Exit::Local),
            (Failure::local("x").with_hint("y"), "error: x\nhint: y", Exit::Local),
            (
                taken.into(),
                "error: cannot bind 0.0.0.0:7000: address in use\n\
                 hint: another program serves this port; stop it, or choose another port with --bind",
                Exit::Local,
            ),
            (
                Error::new(
                    Operation::Connect,
                    "[fe80::1]:7000",
                    io::ErrorKind::InvalidInput.into(),
                )
                .into(),
                "error: cannot connect to [fe80::1]:7000: invalid input parameter\n\
                 hint: a link-local address needs its zone, which a name does not have; \
                 write ADDRESS%INTERFACE",
                Exit::Local,
            ),
        ];
        for (failure, text, exit) in cases {
            assert_eq!((failure.to_string().as_str(), failure.exit), (text, exit));
        }
    }

    #[test]
    fn bad_lines_of_a_file_are_said_without_error() {
        let fault = |line| Fault {
            file: "targets".into(),
            line,
            message: "'a b': no\n".into(),
            hint: (line == 1).then(|| "write a:b".into()),
        };
        let failure = Failure::in_file((1..=11).map(fault).collect());
        let text = failure.to_string();
        assert!(text.starts_with("targets:1: 'a b': no \nhint: write a:b\ntargets:2: "), "{text}");
        assert_eq!((text.lines().count(), failure.exit), (11, Exit::Usage));
    }
}
