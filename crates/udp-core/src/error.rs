//! What went wrong: which operation, on which address, and why.
//!
//! [`Error`] is for people (one line, lower case, no full stop). Loops never look into it: they
//! match on [`ErrorClass`], which folds the many error numbers of `send(2)`, `recv(2)` and
//! `udp(7)` into the few cases that call for different behaviour.

use std::fmt;
use std::io;

/// A socket operation, in the words of an error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// `socket(2)`
    Open,
    /// `bind(2)`
    Bind,
    /// SO_BINDTODEVICE
    UseInterface,
    /// IP_ADD_MEMBERSHIP, IPV6_JOIN_GROUP
    Join,
    /// `connect(2)`
    Connect,
    /// `send(2)` and its kin
    Send,
    /// `recv(2)` and its kin
    Receive,
    /// `setsockopt(2)` or `getsockopt(2)` of the option named here
    Configure(&'static str),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Open => f.write_str("open a socket for"),
            Operation::Bind => f.write_str("bind"),
            Operation::UseInterface => f.write_str("use the interface"),
            Operation::Join => f.write_str("join"),
            Operation::Connect => f.write_str("connect to"),
            Operation::Send => f.write_str("send to"),
            Operation::Receive => f.write_str("receive on"),
            Operation::Configure(option) => write!(f, "set {option} on"),
        }
    }
}

/// A failed socket operation: `cannot bind 0.0.0.0:7000: address already in use`.
#[derive(Debug)]
pub struct Error {
    /// What was attempted.
    pub operation: Operation,
    /// The address it was attempted on, as text, where there is one.
    pub address: Option<String>,
    /// Why it failed.
    pub source: io::Error,
}

impl Error {
    /// An error of `operation` on `address`.
    pub fn new(operation: Operation, address: impl fmt::Display, source: io::Error) -> Self {
        Error { operation, address: Some(address.to_string()), source }
    }

    /// The case that this error is.
    pub fn class(&self) -> ErrorClass {
        ErrorClass::of(&self.source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = describe(&self.source);
        match (&self.address, self.operation) {
            (Some(address), operation) => write!(f, "cannot {operation} {address}: {reason}"),
            (None, Operation::Open) => write!(f, "cannot open a socket: {reason}"),
            (None, operation) => write!(f, "cannot {operation} a socket: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// The cases of a failed send or receive that call for different behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// EINTR: a signal came; try again at once.
    Interrupted,
    /// EAGAIN: nothing there (a receive), or no room (a send), within the time allowed.
    NotReady,
    /// ECONNREFUSED: the peer's host said by ICMP that nothing listens there. On a send this
    /// reports an *earlier* datagram, and the present one did not go out.
    Refused,
    /// ENETUNREACH, EHOSTUNREACH, ENETDOWN and the like: there is no way to the peer now.
    Unreachable,
    /// EMSGSIZE: the datagram is larger than the protocol or the path allows.
    TooLarge,
    /// ENOBUFS, ENOMEM: the kernel is short of memory for it.
    NoBuffer,
    /// EPERM, EACCES: a packet filter, a missing right, or a broadcast address.
    Denied,
    /// EADDRINUSE: another socket holds the address and port.
    AddressInUse,
    /// EADDRNOTAVAIL: the address is not one of this host.
    AddressNotAvailable,
    /// EINVAL and the like: the kernel does not accept the arguments, such as port 0.
    Invalid,
    /// EMFILE, ENFILE: no descriptor is left for another socket.
    Exhausted,
    /// Anything else.
    Other,
}

impl ErrorClass {
    /// The class of `error`.
    pub fn of(error: &io::Error) -> ErrorClass {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::Interrupted => ErrorClass::Interrupted,
            Kind::WouldBlock | Kind::TimedOut => ErrorClass::NotReady,
            Kind::ConnectionRefused | Kind::ConnectionReset => ErrorClass::Refused,
            Kind::NetworkUnreachable | Kind::HostUnreachable | Kind::NetworkDown => {
                ErrorClass::Unreachable
            }
            Kind::OutOfMemory => ErrorClass::NoBuffer,
            Kind::PermissionDenied => ErrorClass::Denied,
            Kind::AddrInUse => ErrorClass::AddressInUse,
            Kind::AddrNotAvailable => ErrorClass::AddressNotAvailable,
            Kind::InvalidInput => ErrorClass::Invalid,
            _ => ErrorClass::of_number(error.raw_os_error()),
        }
    }

    /// Error numbers for which the standard library has no stable kind.
    fn of_number(number: Option<i32>) -> ErrorClass {
        match number {
            Some(number::EMSGSIZE) => ErrorClass::TooLarge,
            Some(number::ENOBUFS) => ErrorClass::NoBuffer,
            Some(number::EHOSTDOWN) => ErrorClass::Unreachable,
            #[cfg(target_os = "linux")]
            Some(number::ENONET) => ErrorClass::Unreachable,
            #[cfg(unix)]
            Some(number::ENFILE | number::EMFILE) => ErrorClass::Exhausted,
            _ => ErrorClass::Other,
        }
    }

    /// The class in a few words, as a log line or a counter names it.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorClass::Interrupted => "interrupted",
            ErrorClass::NotReady => "not ready",
            ErrorClass::Refused => "refused",
            ErrorClass::Unreachable => "unreachable",
            ErrorClass::TooLarge => "too large",
            ErrorClass::NoBuffer => "no buffer",
            ErrorClass::Denied => "denied",
            ErrorClass::AddressInUse => "address in use",
            ErrorClass::AddressNotAvailable => "address not available",
            ErrorClass::Invalid => "invalid",
            ErrorClass::Exhausted => "no descriptor left",
            ErrorClass::Other => "other",
        }
    }
}

/// Whether a call failed because this kernel has it not, or a seccomp filter forbids it (old kernels,
/// WSL1, containers), as far as the number tells: ICMP errors have some of these, too.
#[cfg(target_os = "linux")]
pub(crate) fn is_refused(error: &io::Error) -> bool {
    let refusals = [libc::ENOSYS, libc::EPERM, libc::EACCES, libc::EOPNOTSUPP, libc::EINVAL];
    error.raw_os_error().is_some_and(|number| refusals.contains(&number))
}

/// Error numbers of `errno(3)`.
#[cfg(unix)]
use libc as number;
/// The same of Windows Sockets.
#[cfg(not(unix))]
mod number {
    pub(super) const EMSGSIZE: i32 = 10040;
    pub(super) const ENOBUFS: i32 = 10055;
    pub(super) const EHOSTDOWN: i32 = 10064;
}

/// The reason alone, as our messages put it: lower case, without the error number.
///
/// ```
/// let error = std::io::Error::from_raw_os_error(98);
/// # #[cfg(target_os = "linux")]
/// assert_eq!(udp_core::error::describe(&error), "address already in use");
/// ```
pub fn describe(error: &io::Error) -> String {
    let text = error.to_string();
    let text = match text.rfind(" (os error ") {
        Some(end) => &text[..end],
        None => &text,
    };
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::from("unknown error"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_operation_address_and_reason() {
        let cases = [
            (
                Operation::Bind,
                Some("0.0.0.0:7000"),
                io::ErrorKind::AddrInUse,
                "cannot bind 0.0.0.0:7000: address in use",
            ),
            (
                Operation::Open,
                None,
                io::ErrorKind::PermissionDenied,
                "cannot open a socket: permission denied",
            ),
            (
                Operation::Configure("IP_TTL"),
                Some("[::1]:1"),
                io::ErrorKind::InvalidInput,
                "cannot set IP_TTL on [::1]:1: invalid input parameter",
            ),
        ];
        for (operation, address, kind, expected) in cases {
            let error =
                Error { operation, address: address.map(String::from), source: kind.into() };
            assert_eq!(error.to_string(), expected);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn error_numbers_fall_into_their_class() {
        let cases = [
            (1, ErrorClass::Denied),
            (4, ErrorClass::Interrupted),
            (11, ErrorClass::NotReady),
            (12, ErrorClass::NoBuffer),
            (13, ErrorClass::Denied),
            (22, ErrorClass::Invalid),
            (64, ErrorClass::Unreachable),
            (90, ErrorClass::TooLarge),
            (98, ErrorClass::AddressInUse),
            (99, ErrorClass::AddressNotAvailable),
            (100, ErrorClass::Unreachable),
            (101, ErrorClass::Unreachable),
            (105, ErrorClass::NoBuffer),
            (111, ErrorClass::Refused),
            (112, ErrorClass::Unreachable),
            (113, ErrorClass::Unreachable),
            (5, ErrorClass::Other),
        ];
        for (number, class) in cases {
            assert_eq!(ErrorClass::of(&io::Error::from_raw_os_error(number)), class, "{number}");
        }
    }

    #[test]
    fn a_reason_is_lower_case_and_has_no_number() {
        assert_eq!(describe(&io::Error::other("No such thing (os error 2)")), "no such thing");
        assert_eq!(describe(&io::Error::other("")), "unknown error");
    }
}
