//! The terminal while a screen is shown: raw mode and the alternate screen, and its state of before
//! whatever ends the program but SIGKILL.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{cursor, event, execute};
use udp_core::cli::shutdown;
#[cfg(unix)]
use udp_core::clock;

/// Whether a screen is shown now: there is one terminal.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Why there can be no screen, if so.
pub(crate) fn obstacle() -> Option<&'static str> {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let keys = || io::stdin().is_terminal() || File::open("/dev/tty").is_ok();
    match () {
        () if !io::stdout().is_terminal() => Some("--live needs a terminal"),
        () if dumb => Some("--live needs a terminal with a cursor (TERM is dumb)"),
        () if !keys() => Some("--live needs a terminal for its keys"),
        () => None,
    }
}

/// Whether the terminal shows characters beyond ASCII: the locale says so, and it is not the kernel's own
/// console, whose fonts have 256 or 512 signs.
pub(crate) fn has_unicode() -> bool {
    if std::env::var_os("TERM").is_some_and(|term| term == "linux") {
        return false;
    }
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
    let locale = locale.to_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

/// A screen; the terminal is as before when it is dropped.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Screen> {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            usual(panic);
        }));
        shutdown::before_the_end(leave);
        open().map(|terminal| Screen { terminal }).inspect_err(|_| leave())
    }

    /// Draws all of it anew, whatever the terminal shows.
    pub(super) fn again(&mut self) -> io::Result<()> {
        // Crossterm makes nothing raw that it believes to be so, whatever a shell has set meanwhile.
        let _ = disable_raw_mode();
        self.terminal = open()?;
        Ok(())
    }

    /// Gives the terminal to the shell, as Ctrl-Z does where the terminal is not raw, until the job goes on.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        leave();
        stop_job();
        self.again()
    }
}

fn open() -> io::Result<Terminal<CrosstermBackend<BufWriter<Stdout>>>> {
    SHOWN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout());
    execute!(out, EnterAlternateScreen, Clear(ClearType::All), cursor::Hide)?;
    Terminal::new(CrosstermBackend::new(out))
}

/// Stops the processes of this job. A group without a shell that could let it go on is not stopped (POSIX).
#[cfg(unix)]
fn stop_job() {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
    // Another thread may take the signal, and this one stops a moment later.
    clock::sleep(Duration::from_millis(50));
}

/// There is no such thing.
#[cfg(not(unix))]
fn stop_job() {}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// Whether there is a key, which is waited for so long.
///
/// # Errors
/// The terminal is gone. That has to be found out before crossterm 0.29 is asked: it reads the end of a terminal
/// again and again without end.
pub(super) fn has_key(time: Duration) -> io::Result<bool> {
    #[cfg(unix)]
    {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let stdout = io::stdout();
        // What is typed can be read there, too.
        let mut fds = [PollFd::new(stdout.as_fd(), PollFlags::POLLIN)];
        // Crossterm may have read several keys at once: then there is nothing to wait for.
        for time in [Duration::ZERO, time] {
            match poll(&mut fds, PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX)) {
                Err(nix::errno::Errno::EINTR) | Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
            if fds[0].revents().is_some_and(|it| it.intersects(gone)) {
                return Err(io::ErrorKind::NotConnected.into());
            }
            if event::poll(Duration::ZERO)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
    #[cfg(not(unix))]
    event::poll(time)
}

/// Puts the terminal back, once.
pub(super) fn leave() {
    if SHOWN.swap(false, Ordering::SeqCst) {
        // First the line discipline: it asks nothing of a terminal that may take no more.
        let _ = disable_raw_mode();
        let mut out = io::stdout();
        let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
        let _ = out.flush();
    }
}
