//! Sleeping to the point. `clock_gettime(2)`, `clock_nanosleep(2)`, `prctl(2)`.

use std::cell::Cell;
use std::io;
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// Sleeps for `span`, late by what the scheduler adds and nothing else; signals do not end it.
///
/// It sleeps until a moment and not for a time, so that being interrupted costs nothing, and lets
/// timed waits of the calling thread end no later than they should: by default the kernel may let
/// them end 50 microseconds late in order to join wake-ups.
pub(crate) fn sleep(span: Duration) -> io::Result<()> {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let until = monotonic().saturating_add(nanos);
    sharpen();
    let until = libc::timespec {
        // What 32 bits do not hold, on a system that has no more, is refused by the call.
        tv_sec: (until / SECOND) as _,
        tv_nsec: (until % SECOND) as _,
    };
    loop {
        // SAFETY: the time is live and readable, and no remaining time is asked for.
        let result = unsafe {
            libc::clock_nanosleep(
                libc::CLOCK_MONOTONIC,
                libc::TIMER_ABSTIME,
                &raw const until,
                std::ptr::null_mut(),
            )
        };
        match result {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Sets the timer slack of the calling thread to the least there is, once.
fn sharpen() {
    thread_local!(static SHARP: Cell<bool> = const { Cell::new(false) });
    if !SHARP.replace(true) {
        let least: libc::c_ulong = 1;
        // SAFETY: this operation takes one integer and no pointer. If it is refused, sleeps stay
        // as they are for everyone.
        let _refused = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, least) };
    }
}

/// CLOCK_MONOTONIC now, in nanoseconds.
fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is live and writable; this clock exists on every Linux.
    let _always_zero = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * SECOND + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lasts_at_least_as_long_as_told() {
        for span in [Duration::ZERO, Duration::from_micros(300), Duration::from_millis(30)] {
            let before = monotonic();
            sleep(span).expect("sleep");
            assert!(Duration::from_nanos(monotonic() - before) >= span, "{span:?}");
        }
    }
}
