//! Whether stdout was closed when the process was started: before `main`, Rust's start-up code
//! opens /dev/null in the place of a standard stream that is closed, and nothing tells it from a
//! /dev/null that was asked for. So it is looked at earlier, by a function in `.init_array` (ELF).

use std::sync::atomic::{AtomicBool, Ordering};

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[used]
// SAFETY: the C library calls what this section lists, once each, before `main`; the function
// makes one system call and stores a flag, and relies on nothing that start-up code sets up.
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: F_GETFD takes no pointer, and any descriptor number may be asked about.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    WAS_CLOSED.store(flags == -1, Ordering::Relaxed);
}

/// Whether it was.
pub(crate) fn stdout_was_closed() -> bool {
    WAS_CLOSED.load(Ordering::Relaxed)
}
