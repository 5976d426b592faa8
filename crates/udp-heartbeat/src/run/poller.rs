//! Waits for a moment, for datagrams on any of several sockets, or for another thread's call.
//!
//! `poll(2)` on the sockets and a pipe. On Linux the wait is exact to the nanosecond (`ppoll(2)`),
//! timers of this thread are not joined with others' (PR_SET_TIMERSLACK, `prctl(2)`), and many
//! sockets are one descriptor (`epoll(7)`), so that a wait costs the same however many they are.
//! The kernel allows itself a thousandth of a poll's time; so a long wait is cut in two, and what is
//! left for the second is short.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

#[cfg(target_os = "linux")]
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use udp_core::clock::{self, Mono};

/// Up to so many sockets it is cheaper to name each, or to read each, than to ask which has something.
pub(super) const FEW: usize = 4;

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
    #[cfg(unix)]
    events: Events,
}

#[cfg(target_os = "linux")]
type Events = Vec<EpollEvent>;
#[cfg(all(unix, not(target_os = "linux")))]
type Events = ();

/// Which of the sockets, by their places, have something.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// They were asked, so that those which are not named have nothing.
    pub(crate) asked: bool,
    pub(crate) places: Vec<usize>,
}

impl Ready {
    /// Nothing is known.
    pub(crate) fn clear(&mut self) {
        self.asked = false;
        self.places.clear();
    }
}

/// Sockets that are waited for together, each at a place of its own.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// None until there is a socket, and where the kernel refuses it.
    #[cfg(target_os = "linux")]
    epoll: Option<Epoll>,
    #[cfg(target_os = "linux")]
    refused: bool,
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
        Ok((Poller { line, events: Events::default() }, Waker { line: std::sync::Arc::new(far) }))
    }

    /// Makes this thread's waits as exact as the system can.
    pub(crate) fn be_exact() {
        #[cfg(target_os = "linux")]
        if let Err(error) = nix::sys::prctl::set_timerslack(1) {
            log::debug!("timers stay coarse: {error}");
        }
    }

    /// Waits until `until` at most (for ever without it), or until one of `sockets`, which `watch`
    /// has too, has something, or the bell rings.
    pub(super) fn wait<'a>(
        &mut self,
        (sockets, watch): (impl ExactSizeIterator<Item = &'a UdpSocket>, &Watch),
        until: Option<Mono>,
        ready: &mut Ready,
    ) {
        use nix::poll::{PollFd, PollFlags};
        use std::os::fd::AsFd;

        ready.clear();
        ready.asked = true;
        let count = sockets.len();
        let together = watch.descriptor().filter(|_| count > FEW);
        let mut fds = vec![PollFd::new(self.line.as_fd(), PollFlags::POLLIN)];
        match together {
            Some(watch) => fds.push(PollFd::new(watch, PollFlags::POLLIN)),
            None => fds.extend(sockets.map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN))),
        }
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
                    ready.places.extend(0..count);
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
        let has = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        match together {
            Some(_) if has(&fds[1]) => watch.ready(count, &mut self.events, &mut ready.places),
            Some(_) => {}
            None => ready.places.extend((0..count).filter(|place| has(&fds[1 + place]))),
        }
        if has(&fds[0]) {
            let mut calls = [0; 64];
            while io::Read::read(&mut &self.line, &mut calls).is_ok_and(|n| n == calls.len()) {}
        }
    }
}

#[cfg(target_os = "linux")]
impl Watch {
    /// Watches a socket, until it is closed.
    pub(super) fn add(&mut self, socket: &UdpSocket, place: usize) {
        if self.epoll.is_none() && !self.refused {
            match Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC) {
                Ok(epoll) => self.epoll = Some(epoll),
                // One made later would not have this socket.
                Err(error) => return self.refuse(error),
            }
        }
        let Some(epoll) = &self.epoll else { return };
        if let Err(error) = epoll.add(socket, event(place)) {
            self.refuse(error);
        }
    }

    /// A socket that is watched has another place now.
    pub(super) fn moved(&mut self, socket: &UdpSocket, place: usize) {
        let Some(epoll) = &self.epoll else { return };
        if let Err(error) = epoll.modify(socket, &mut event(place)) {
            self.refuse(error);
        }
    }

    /// From now on each socket is asked for by itself.
    fn refuse(&mut self, error: nix::errno::Errno) {
        log::debug!("epoll: {error}");
        (self.epoll, self.refused) = (None, true);
    }

    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.epoll.as_ref().map(|epoll| std::os::fd::AsFd::as_fd(&epoll.0))
    }

    /// The places of those of `count` sockets that have something.
    fn ready(&self, count: usize, events: &mut Events, places: &mut Vec<usize>) {
        events.resize(count, EpollEvent::empty());
        let found = self.epoll.as_ref().map(|it| it.wait(events, EpollTimeout::ZERO));
        match found {
            Some(Ok(found)) => places.extend(events[..found].iter().map(|it| it.data() as usize)),
            _ => places.extend(0..count),
        }
    }
}

#[cfg(target_os = "linux")]
fn event(place: usize) -> EpollEvent {
    EpollEvent::new(EpollFlags::EPOLLIN, place as u64)
}

/// Where each socket is asked for by itself.
#[cfg(not(target_os = "linux"))]
impl Watch {
    pub(super) fn add(&mut self, _: &UdpSocket, _: usize) {}

    pub(super) fn moved(&mut self, _: &UdpSocket, _: usize) {}

    #[cfg(unix)]
    fn descriptor(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    #[cfg(unix)]
    fn ready(&self, _: usize, _: &mut Events, _: &mut Vec<usize>) {}
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

    pub(super) fn wait<'a>(
        &mut self,
        (sockets, _): (impl ExactSizeIterator<Item = &'a UdpSocket>, &Watch),
        until: Option<Mono>,
        ready: &mut Ready,
    ) {
        let left = until.map_or(LONG, |until| until.saturating_since(clock::mono()));
        clock::sleep(left.min(LONG / 2));
        ready.clear();
        ready.asked = true;
        ready.places.extend(0..sockets.len());
    }
}

impl Poller {
    /// Waits for the moment or the bell alone.
    pub(super) fn rest(&mut self, until: Option<Mono>) {
        self.wait(([].iter(), &Watch::default()), until, &mut Ready::default());
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
            waiter.rest(Some(until));
            assert!(clock::mono() >= until);
        }
    }

    #[test]
    fn a_ring_before_or_during_a_wait_ends_it_once() {
        let (mut waiter, bell) = Poller::new().unwrap();
        bell.ring();
        bell.ring();
        waiter.rest(None);
        let far = std::thread::spawn(move || bell.ring());
        waiter.rest(None);
        far.join().unwrap();
    }

    /// Few or many, one by one or together, and wherever a socket stands after others were closed.
    #[test]
    fn it_says_which_sockets_have_something() {
        for (count, refused) in [(1, false), (FEW, false), (3 * FEW, false), (3 * FEW, true)] {
            let mut watch = Watch::default();
            #[cfg(target_os = "linux")]
            {
                watch.refused = refused;
            }
            let mut sockets: Vec<UdpSocket> =
                (0..count).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            sockets.iter().enumerate().for_each(|(place, it)| watch.add(it, place));
            if count > 1 {
                drop(sockets.swap_remove(0));
                watch.moved(&sockets[0], 0);
            }
            let (mut waiter, bell) = Poller::new().unwrap();
            let mut ready = Ready::default();
            let mut ask = |sockets: &[UdpSocket]| {
                waiter.wait((sockets.iter(), &watch), None, &mut ready);
                assert!(ready.asked);
                let mut places = ready.places.clone();
                places.sort_unstable();
                places
            };
            let last = sockets.len() - 1;
            sockets[0].send_to(b"", sockets[last].local_addr().unwrap()).unwrap();
            assert_eq!(ask(&sockets), [last], "{count} sockets, refused {refused}");
            sockets[last].send_to(b"", sockets[0].local_addr().unwrap()).unwrap();
            let all = if last == 0 { vec![0] } else { vec![0, last] };
            assert_eq!(ask(&sockets), all, "{count} sockets, refused {refused}");
            for place in all {
                while sockets[place].set_nonblocking(true).is_ok()
                    && sockets[place].recv(&mut []).is_ok()
                {}
            }
            bell.ring();
            assert_eq!(ask(&sockets), [0; 0], "{count} sockets, refused {refused}");
        }
    }
}
