//! Waiting for a moment, for datagrams on any of several sockets, or for another thread's call.
//!
//! `poll(2)` on many sockets and a pipe. On Linux the time is told to the nanosecond (`ppoll(2)`)
//! and timers of this thread are not joined with others' (PR_SET_TIMERSLACK, `prctl(2)`). The
//! kernel allows itself a thousandth of a poll's time; so a long wait is cut in two, and what is
//! left for the second is short.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use udp_core::clock::{self, Mono};

/// Calls a waiting thread.
#[derive(Debug, Clone)]
pub(crate) struct Waker {
    #[cfg(unix)]
    line: std::sync::Arc<std::os::unix::net::UnixStream>,
}

impl Waker {
    /// Ends the wait that is going on, or the next one.
    pub(crate) fn ring(&self) {
        // A pipe that is full rings already.
        #[cfg(unix)]
        let _ = io::Write::write(&mut &*self.line, &[0]);
    }
}

/// The one who waits.
#[derive(Debug)]
pub(crate) struct Poller {
    #[cfg(unix)]
    line: std::os::unix::net::UnixStream,
}

/// Of a wait longer than this, the first part ends early.
const LONG: Duration = Duration::from_millis(2);
/// How early: this part of the time, and more than the kernel's thousandth.
const EARLY: u32 = 256;

#[cfg(unix)]
impl Poller {
    /// A waiter and its bell.
    ///
    /// # Errors
    /// When the system has no descriptor for it.
    pub(crate) fn new() -> io::Result<(Poller, Waker)> {
        let (line, far) = std::os::unix::net::UnixStream::pair()?;
        line.set_nonblocking(true)?;
        far.set_nonblocking(true)?;
        Ok((Poller { line }, Waker { line: std::sync::Arc::new(far) }))
    }

    /// Makes this thread's waits as exact as the system can.
    pub(crate) fn be_exact() {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::sys::prctl::set_timerslack(1) {
            log::debug!("timers stay coarse: {error}");
        }
    }

    /// Waits until `until` at most (for ever without it), or until one of `sockets` has something,
    /// or the bell rings. Which of the sockets have something.
    pub(crate) fn wait<'a>(
        &mut self,
        sockets: impl Iterator<Item = &'a UdpSocket>,
        until: Option<Mono>,
        ready: &mut Vec<bool>,
    ) {
        use nix::poll::{PollFd, PollFlags};
        use std::os::fd::AsFd;

        let mut fds = vec![PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
        fds.extend(sockets.map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN)));
        ready.clear();
        ready.resize(fds.len() - 1, false);
        loop {
            let left = until.map(|until| until.saturating_since(clock::mono()));
            let long = left.is_some_and(|left| left > LONG);
            let span = left.map(|left| if long { left - left / EARLY } else { left });
            let found = match poll(&mut fds, span) {
                Ok(found) => found,
                Err(nix::errno::Errno::EINTR) => 0,
                // The sockets are read anyway; do not spin on an error that stays.
                Err(_) => {
                    clock::sleep(Duration::from_millis(1));
                    ready.fill(true);
                    return;
                }
            };
            if found > 0 {
                break;
            }
            if !long && until.is_some_and(|until| clock::mono() >= until) {
                return;
            }
        }
        let rang = fds[0].any().unwrap_or(true);
        for (flag, fd) in ready.iter_mut().zip(&fds[1..]) {
            *flag = fd.any().unwrap_or(true);
        }
        if rang {
            let mut calls = [0; 64];
            while io::Read::read(&mut &self.line, &mut calls).is_ok_and(|n| n == calls.len()) {}
        }
    }
}

#[cfg(target_os = "linux")]
fn poll(fds: &mut [nix::poll::PollFd<'_>], span: Option<Duration>) -> nix::Result<i32> {
    nix::poll::ppoll(fds, span.map(nix::sys::time::TimeSpec::from_duration), None)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn poll(fds: &mut [nix::poll::PollFd<'_>], span: Option<Duration>) -> nix::Result<i32> {
    use nix::poll::PollTimeout;
    let timeout = span.map_or(PollTimeout::NONE, |span| {
        // Up to the next millisecond, so that it does not come back too early over and over.
        let up = span + Duration::from_nanos(999_999);
        PollTimeout::try_from(up).unwrap_or(PollTimeout::MAX)
    });
    nix::poll::poll(fds, timeout)
}

/// Where there is no poll: short sleeps, and every socket is looked at.
#[cfg(not(unix))]
impl Poller {
    pub(crate) fn new() -> io::Result<(Poller, Waker)> {
        Ok((Poller {}, Waker {}))
    }

    pub(crate) fn be_exact() {}

    pub(crate) fn wait<'a>(
        &mut self,
        sockets: impl Iterator<Item = &'a UdpSocket>,
        until: Option<Mono>,
        ready: &mut Vec<bool>,
    ) {
        let left = until.map_or(LONG, |until| until.saturating_since(clock::mono()));
        clock::sleep(left.min(LONG / 2));
        ready.clear();
        ready.extend(sockets.map(|_| true));
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_not_before_its_time() {
        let (mut waiter, _bell) = Poller::new().unwrap();
        for micros in [0, 100, 3_000, 20_000] {
            let until = clock::mono() + Duration::from_micros(micros);
            waiter.wait(std::iter::empty(), Some(until), &mut Vec::new());
            assert!(clock::mono() >= until);
        }
    }

    #[test]
    fn a_ring_before_or_during_a_wait_ends_it_once() {
        let (mut waiter, bell) = Poller::new().unwrap();
        bell.ring();
        bell.ring();
        waiter.wait(std::iter::empty(), None, &mut Vec::new());
        let far = std::thread::spawn(move || bell.ring());
        waiter.wait(std::iter::empty(), None, &mut Vec::new());
        far.join().unwrap();
    }

    #[test]
    fn it_says_which_socket_has_something() {
        let sockets: Vec<UdpSocket> =
            (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let (mut waiter, _bell) = Poller::new().unwrap();
        sockets[0].send_to(b"", sockets[2].local_addr().unwrap()).unwrap();
        let mut ready = Vec::new();
        waiter.wait(sockets.iter(), None, &mut ready);
        assert_eq!(ready, [false, false, true]);
    }
}
