//! One worker, one socket, nothing shared: receives and serves until it is woken.
//!
//! It waits for the first datagram and then takes what is there, never for a batch to fill, so a
//! lone datagram is answered at once. No error of a receive or a send ends it.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use crossbeam_channel::Receiver;
use socket2::SockRef;
use udp_core::batch::Wait;
use udp_core::clock::{self, Mono};

use crate::accounting::Counts;
use crate::backoff::BackOff;
use crate::serve::Serve;

/// How long the last records of a batch are held back while the printer is busy, if nothing follows.
const HOLD: Duration = Duration::from_millis(4);
/// How long a stopped worker goes on answering what is queued already.
const DRAIN: Duration = Duration::from_millis(40);

/// A worker, ready to run.
#[derive(Debug)]
pub(crate) struct Worker {
    serve: Serve,
    /// The same socket, to shrink its queue at the end; none if others use it too.
    socket: Option<UdpSocket>,
    /// Closed when the server stops, to end a wait.
    stop: Receiver<()>,
    /// The kernel's drops before the server said that it serves.
    dropped_before: u64,
}

impl Worker {
    /// One that serves with `serve`.
    pub(crate) fn new(mut serve: Serve, socket: Option<UdpSocket>, stop: Receiver<()>) -> Self {
        // Not when the thread begins to run: what is dropped until then belongs in the counts.
        let dropped_before = serve.drops().unwrap_or(0);
        Worker { serve, socket, stop, dropped_before }
    }

    /// Serves until it is woken; answers what is queued then, as far as there is time. Returns the
    /// final counts, and the kernel's drops.
    pub(crate) fn run(mut self) -> (Counts, Option<u64>) {
        let waker = self.serve.waker();
        let mut back_off = BackOff::default();
        let mut end: Option<Mono> = None;
        let mut held_back = false;
        loop {
            match self.serve.receive(Wait::Block(held_back.then_some(HOLD))) {
                Ok(0) if waker.is_woken() => break,
                Ok(0) => {
                    held_back = false;
                    self.serve.hand_over();
                }
                Ok(_) => {
                    back_off.worked();
                    held_back = !self.serve.batch();
                }
                Err(_) if waker.is_woken() => break,
                Err(error) => self.wait_after(&error, &mut back_off),
            }
            if self.serve.is_done() {
                break;
            }
            if waker.is_woken() && clock::mono() >= *end.get_or_insert_with(|| self.drain_until()) {
                break;
            }
        }
        self.serve.hand_over();
        let dropped = self.serve.drops().map(|all| all.saturating_sub(self.dropped_before));
        (self.serve.counts(), dropped)
    }

    /// Says that a receive failed, and waits a little if that goes on.
    fn wait_after(&mut self, error: &io::Error, back_off: &mut BackOff) {
        self.serve.receive_failed(error);
        if let Some(span) = back_off.failed() {
            // Ends early when the server stops.
            let _ = self.stop.recv_timeout(span);
        }
    }

    /// The server stops: until when to answer what is queued. The queue is made as short as it can
    /// be, so that what still comes is not queued behind it but counted by the kernel as dropped.
    /// What is queued in a passed-in socket is left to the next start.
    fn drain_until(&self) -> Mono {
        let Some(socket) = &self.socket else { return Mono::default() };
        // If it cannot be made shorter, the time alone sets the end.
        let _ = SockRef::from(socket).set_recv_buffer_size(0);
        clock::mono() + DRAIN
    }
}
