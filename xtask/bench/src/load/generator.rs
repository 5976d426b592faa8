//! The loop: pause, look at the clock, take replies, send what there is room for.

use std::time::Duration;

use anyhow::{Context as _, Result};
use hdrhistogram::Histogram;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use udp_core::batch::{SLOT, Slots, Wait};
use udp_core::clock::{self, Mono};

use super::flow::Flow;
use super::payload::Payload;
use super::post::Post;
use super::{Load, Outcome, Pace, Sending, Span, Tally, Target, Waiting};

/// Between two looks for what is lost. Given up is what was outstanding through two such spans.
const SCAN: Duration = Duration::from_millis(25);
/// The longest sleep, after which the clock is looked at again.
const NAP: Duration = Duration::from_millis(10);
/// Outstanding datagrams of each flow of an open loop.
const OPEN_PLACES: u32 = 1 << 17;
/// Receives in a row from one flow of an open loop.
const TAKES: usize = 64;
/// An open loop that fell behind makes up for so much at most.
const ARREARS: f64 = 0.001;
/// Merged runs that one receive takes, and plain datagrams.
const RUNS: usize = 16;
const PLAIN: usize = 64;
/// Round-trip times up to ten seconds in nanoseconds, to three significant figures.
const RTT_MOST: u64 = 10_000_000_000;
const RTT_FIGURES: u8 = 3;

pub(super) struct Generator {
    load: Load,
    payload: Payload,
    post: Post,
    slots: Slots,
    flows: Vec<Flow>,
    epoll: Option<Epoll>,
    /// The number of the next datagram.
    next: u64,
    tally: Tally,
    rtt: Option<Histogram<u64>>,
}

/// An open loop's debt.
struct Debt {
    datagrams: f64,
    at: Mono,
    flow: usize,
}

/// How things stood when the slice began.
#[derive(Clone, Copy)]
struct Mark {
    at: Mono,
    tally: Tally,
    meter: Option<u64>,
}

impl Generator {
    pub(super) fn new(load: &Load, target: &Target) -> Result<Self> {
        let payload = Payload::new(load.size, &target.prefix, target.framing)
            .context("the size has no room for a datagram's name")?;
        let post = match load.sending {
            Sending::Single => Post::single(&payload),
            Sending::Segmented => Post::segmented(&payload),
            Sending::Sources(count) => Post::sources(&payload, target.address, count),
        };
        let slots = match load.sending {
            Sending::Segmented => Slots::new(RUNS, SLOT, 0),
            Sending::Single | Sending::Sources(_) => Slots::new(PLAIN, payload.longest_reply(), 0),
        };
        let places = match load.pace {
            Pace::Closed => load.window,
            Pace::Open(_) => OPEN_PLACES,
        };
        let flows: Vec<Flow> = (0..load.flows)
            .map(|id| Flow::open(load, target, u32::from(id), places))
            .collect::<Result<_>>()?;
        let epoll = if flows.len() > 1 { Some(watch(&flows)?) } else { None };
        let rtt = load.is_timed().then(|| Histogram::new_with_max(RTT_MOST, RTT_FIGURES));
        let rtt = rtt.transpose().context("cannot make a histogram")?;
        Ok(Self {
            load: *load,
            payload,
            post,
            slots,
            flows,
            epoll,
            next: 0,
            tally: Tally::default(),
            rtt,
        })
    }

    pub(super) fn run(
        mut self,
        span: Span,
        meter: &mut dyn FnMut() -> Option<u64>,
    ) -> Result<Outcome> {
        let start = clock::mono();
        let begin = start + span.warm_up;
        let mut scan = start + SCAN;
        let mut mark: Option<Mark> = None;
        let mut debt = Debt { datagrams: 0.0, at: start, flow: 0 };
        self.fill(start)?;
        let (mark, now) = loop {
            let now = self.pause();
            match mark {
                Some(mark) if now >= mark.at + span.slice => break (mark, clock::mono()),
                Some(_) => {}
                None if now >= begin => {
                    if let Some(rtt) = &mut self.rtt {
                        rtt.reset();
                    }
                    mark = Some(Mark { at: now, tally: self.tally, meter: meter() });
                }
                None => {}
            }
            if now >= scan {
                self.give_up_old(now)?;
                scan = now + SCAN;
            }
            match self.load.pace {
                Pace::Closed => self.turn(now)?,
                Pace::Open(rate) => self.offer(rate, now, &mut debt)?,
            }
        };
        let metered = meter().zip(mark.meter).map(|(after, before)| after.saturating_sub(before));
        Ok(Outcome {
            seconds: now.saturating_since(mark.at).as_secs_f64(),
            tally: self.tally.since(mark.tally),
            metered,
            rtt: self.rtt,
        })
    }

    /// Waits as the load says before looking again; the time after that.
    fn pause(&self) -> Mono {
        let mut now = clock::mono();
        if let Waiting::Spinning(gap) = self.load.waiting {
            let until = now + gap;
            while now < until {
                std::hint::spin_loop();
                now = clock::mono();
            }
        }
        now
    }

    /// One round of a closed loop.
    fn turn(&mut self, now: Mono) -> Result<()> {
        let awake = matches!(self.load.waiting, Waiting::Spinning(_));
        let Some(epoll) = &self.epoll else {
            let wait = if awake { Wait::Now } else { Wait::Block(Some(NAP)) };
            self.refill(0, now)?;
            self.take(0, wait)?;
            // The reply's time ends the round trip; the next one starts before its own send.
            return if self.rtt.is_some() { Ok(()) } else { self.refill(0, now) };
        };
        let mut ready = [EpollEvent::empty(); 256];
        let timeout = if awake { EpollTimeout::ZERO } else { EpollTimeout::from(10u8) };
        let count = epoll.wait(&mut ready, timeout).unwrap_or(0);
        for event in &ready[..count] {
            let flow = usize::try_from(event.data()).unwrap_or(0);
            self.take(flow, Wait::Now)?;
            self.refill(flow, now)?;
        }
        Ok(())
    }

    /// Gives up what is lost, so that others can go in its place.
    fn give_up_old(&mut self, now: Mono) -> Result<()> {
        let lost: u64 = self.flows.iter_mut().map(|flow| flow.outstanding.give_up_old()).sum();
        self.tally.lost += lost;
        if lost > 0 { self.fill(now) } else { Ok(()) }
    }

    /// Sends what the windows of a closed loop have room for.
    fn fill(&mut self, now: Mono) -> Result<()> {
        if self.load.pace == Pace::Closed {
            for flow in 0..self.flows.len() {
                self.refill(flow, now)?;
            }
        }
        Ok(())
    }

    /// One round of an open loop.
    fn offer(&mut self, rate: f64, now: Mono, debt: &mut Debt) -> Result<()> {
        debt.datagrams += now.saturating_since(debt.at).as_secs_f64() * rate;
        debt.datagrams = debt.datagrams.min((rate * ARREARS).max(256.0));
        debt.at = now;
        let chunk = self.post.most().min(256).min(1 + (rate / 2000.0) as usize);
        while debt.datagrams >= chunk as f64 {
            debt.flow = (debt.flow + 1) % self.flows.len();
            debt.datagrams -= chunk as f64;
            let flow = &mut self.flows[debt.flow];
            let post = (&mut self.post, &self.payload);
            let sent = flow.refill(post, &mut self.next, chunk, 0, &mut self.tally)?;
            if sent < chunk {
                break;
            }
        }
        for flow in 0..self.flows.len() {
            for _ in 0..TAKES {
                if self.take(flow, Wait::Now)? == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn refill(&mut self, flow: usize, now: Mono) -> Result<()> {
        let flow = &mut self.flows[flow];
        let room = flow.outstanding.room();
        if room == 0 {
            return Ok(());
        }
        let now = if self.rtt.is_some() { clock::mono() } else { now };
        let post = (&mut self.post, &self.payload);
        flow.refill(post, &mut self.next, room, now.as_nanos(), &mut self.tally).map(drop)
    }

    fn take(&mut self, flow: usize, wait: Wait) -> Result<usize> {
        let flow = &mut self.flows[flow];
        let taken = flow.take(&mut self.slots, wait)?;
        let now = if self.rtt.is_some() { clock::mono().as_nanos() } else { 0 };
        flow.judge(&self.slots, &self.payload, now, &mut self.tally, self.rtt.as_mut());
        Ok(taken)
    }
}

/// Tells which of the flows has replies.
fn watch(flows: &[Flow]) -> Result<Epoll> {
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).context("cannot make an epoll")?;
    for (i, flow) in flows.iter().enumerate() {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, i as u64);
        epoll.add(&flow.socket, event).context("cannot watch a flow")?;
    }
    Ok(epoll)
}
