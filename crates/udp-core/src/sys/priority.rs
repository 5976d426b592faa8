//! How much of a busy processor the calling thread gets. `setpriority(2)`.

use std::io;

use super::counted;

/// Sets the nice value of the calling thread alone, from -20 to 19; raising it needs no right.
pub(crate) fn set_nice(nice: libc::c_int) -> io::Result<()> {
    // SAFETY: takes integers only. Zero means the caller, which for the kernel is the thread.
    let result = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
    counted(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_concerns_the_calling_thread_alone() {
        // The 19th field of stat, after the name in parentheses (proc_pid_stat(5)).
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let (_, fields) = stat.rsplit_once(')').unwrap();
            fields.split_ascii_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = nice();
        let other = std::thread::spawn(move || {
            set_nice(before + 1).unwrap();
            nice()
        });
        assert_eq!(other.join().unwrap(), (before + 1).min(19));
        assert_eq!(nice(), before);
    }
}
