//! Takes the sockets that a service manager passes (`sd_listen_fds(3)`). Without one there are none.

use std::net::UdpSocket;

use udp_core::cli::Failure;

/// A socket that was passed.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// Bound already.
    pub(crate) socket: UdpSocket,
    /// Whether it is the reflector's: `FileDescriptorName=stamp` in its unit.
    pub(crate) stamp: bool,
}

/// The sockets passed in LISTEN_FDS, in their order; none without it.
///
/// # Errors
/// A local failure, if one of them is no UDP socket.
#[cfg(unix)]
pub(crate) fn inherited() -> Result<Vec<Inherited>, Failure> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = listenfd::ListenFd::from_env();
    let mut sockets = Vec::with_capacity(passed.len());
    for index in 0..passed.len() {
        let stamp = names.next() == Some("stamp");
        let socket = passed.take_udp_socket(index).map_err(|error| {
            let reason = udp_core::error::describe(&error);
            Failure::local(format!("cannot serve the socket that was passed: {reason}"))
                .with_hint("the socket unit needs ListenDatagram=")
        })?;
        sockets.extend(socket.map(|socket| Inherited { socket, stamp }));
    }
    Ok(sockets)
}

/// No such thing here.
#[cfg(not(unix))]
pub(crate) fn inherited() -> Result<Vec<Inherited>, Failure> {
    Ok(Vec::new())
}
