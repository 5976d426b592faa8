//! The generator against servers in this process whose behaviour is known to the datagram.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

/// A server that answers datagram number `n` (from 0) with what `answer` says.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(answer: impl Fn(u64, &[u8]) -> Vec<Vec<u8>> + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let address = socket.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut buffer = vec![0; 65_535];
            let mut count = 0;
            while !stopped.load(Ordering::Relaxed) {
                let Ok((len, peer)) = socket.recv_from(&mut buffer) else { continue };
                for reply in answer(count, &buffer[..len]) {
                    let _ = socket.send_to(&reply, peer);
                }
                count += 1;
            }
        });
        Self { address, stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

const LOADS: [(&str, Load); 6] = [
    ("one at a time", load(1, 1, Size::Fixed(64), Sending::Single)),
    ("a window", load(1, 32, Size::Fixed(64), Sending::Single)),
    ("flows", load(8, 2, Size::Fixed(64), Sending::Single)),
    ("runs", load(1, 128, Size::Fixed(1400), Sending::Segmented)),
    ("sources", load(1, 32, Size::Rising(64), Sending::Sources(1000))),
    ("open", Load { pace: Pace::Open(5000.0), ..load(2, 1, Size::Fixed(64), Sending::Single) }),
];

const fn load(flows: u16, window: u32, size: Size, sending: Sending) -> Load {
    Load { flows, window, size, sending, waiting: Waiting::Sleeping, pace: Pace::Closed }
}

fn offered(load: &Load, server: &Server, prefix: &str) -> Outcome {
    let target =
        Target { address: server.address, prefix: prefix.to_owned(), framing: Framing::Bare };
    let span = Span { warm_up: Duration::ZERO, slice: Duration::from_millis(400) };
    let mut reads = 0;
    let outcome = offer(load, &target, span, &mut || {
        reads += 7;
        Some(reads)
    });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.metered, Some(7), "read at the beginning and at the end");
    outcome
}

#[test]
fn an_honest_server_is_found_honest() {
    let server = Server::start(|_, asked| vec![[b"echo ", asked].concat()]);
    for (name, load) in &LOADS {
        let Outcome { tally, seconds, rtt, .. } = offered(load, &server, "echo ");
        assert!(tally.good > 0, "{name}: {tally:?}");
        assert_eq!(tally.bad, 0, "{name}: {tally:?}");
        // What was outstanding when the slice began is answered in it.
        let before = u64::from(load.flows) * u64::from(load.window);
        assert!(tally.good <= tally.sent + before, "{name}: {tally:?}");
        assert!(seconds >= 0.4, "{name}: {seconds}");
        assert_eq!(rtt.map_or(0, |h| h.len()), if load.is_timed() { tally.good } else { 0 });
    }
}

#[test]
fn what_never_comes_is_lost_and_the_window_recovers() {
    let server = Server::start(|n, asked| if n % 5 == 4 { vec![] } else { vec![asked.to_vec()] });
    let Tally { good, lost, bad, late, .. } = offered(&LOADS[1].1, &server, "").tally;
    // Each window of 32 loses at least 6 a time, and is refilled after each loss.
    assert!(lost >= 32, "{lost} lost of {good}");
    assert_eq!((bad, late), (0, 0));
}

#[test]
fn what_comes_twice_is_late_and_what_is_changed_is_bad() {
    let server = Server::start(|n, asked| match n % 4 {
        0 => vec![asked.to_vec(), asked.to_vec()],
        1 => vec![asked.to_vec(), asked[1..].to_vec()],
        _ => vec![asked.to_vec()],
    });
    let Tally { good, late, bad, .. } = offered(&LOADS[1].1, &server, "").tally;
    assert!(late > 0 && late <= good / 4 + 32, "{late} late of {good}");
    assert!(bad > 0 && bad <= good / 4 + 32, "{bad} bad of {good}");
}

#[test]
fn a_missing_prefix_is_bad() {
    let server = Server::start(|_, asked| vec![asked.to_vec()]);
    let tally = offered(&LOADS[1].1, &server, "echo ").tally;
    assert_eq!(tally.good, 0);
    assert!(tally.bad > 0);
}

#[test]
fn an_open_loop_offers_its_rate() {
    let server = Server::start(|_, _| vec![]);
    let Outcome { tally, seconds, .. } = offered(&LOADS[5].1, &server, "");
    let rate = tally.sent as f64 / seconds;
    // Never more than asked for; on a busy machine less.
    assert!(rate <= 5000.0 * 1.2 + 256.0 / seconds, "{rate}");
    assert!(tally.sent > 0);
}
