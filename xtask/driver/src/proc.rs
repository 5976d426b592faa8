//! What the kernel says about a process: CPU time and memory. `proc(5)`.

use std::fs;
use std::path::Path;

/// USER_HZ, in which `/proc/PID/stat` counts, on all but the rarest architectures.
const TICK_NANOS: u64 = 10_000_000;

/// CPU nanoseconds that the process has taken, all its threads, and those of its children that
/// have ended. None if it is gone.
pub fn cpu_nanos(pid: u32) -> Option<u64> {
    let home = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(home.join("stat")).ok()?;
    let (own, children) = stat_nanos(&stat)?;
    // Nanoseconds where this kernel keeps them, else ticks.
    Some(threads_nanos(&home).unwrap_or(own) + children)
}

/// The same of its first thread alone, where this kernel keeps nanoseconds.
pub fn thread_nanos(pid: u32) -> Option<u64> {
    schedstat_nanos(&fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).ok()?)
}

/// Resident bytes now, and the most there ever were. None if the process is gone.
pub fn memory(pid: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some((status_bytes(&status, "VmRSS:")?, status_bytes(&status, "VmHWM:")?))
}

fn threads_nanos(home: &Path) -> Option<u64> {
    let mut sum = None;
    for thread in fs::read_dir(home.join("task")).ok()? {
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else { continue };
        sum = Some(sum.unwrap_or(0) + schedstat_nanos(&text)?);
    }
    sum
}

fn schedstat_nanos(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// User and system time of the process and of its children that have ended.
fn stat_nanos(stat: &str) -> Option<(u64, u64)> {
    // The name, in parentheses, may hold blanks and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map_while(|f| f.parse::<u64>().ok());
    let own = ticks.next()? + ticks.next()?;
    let children = ticks.next()? + ticks.next()?;
    Some((own * TICK_NANOS, children * TICK_NANOS))
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_ticks_past_an_odd_name() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 200 0 0 3 4 50 60 20 0 2 0 900 1 2";
        assert_eq!(stat_nanos(stat), Some((7 * TICK_NANOS, 110 * TICK_NANOS)));
        assert_eq!(stat_nanos("42 (cut short) S 1"), None);
    }

    #[test]
    fn reads_memory() {
        let status = "Name:\tx\nVmHWM:\t    3060 kB\nVmRSS:\t    2044 kB\n";
        assert_eq!(status_bytes(status, "VmHWM:"), Some(3060 * 1024));
        assert_eq!(status_bytes(status, "VmRSS:"), Some(2044 * 1024));
        assert_eq!(status_bytes(status, "VmSwap:"), None);
    }

    #[test]
    fn this_process_takes_time_and_memory() {
        let own = std::process::id();
        assert!(cpu_nanos(own).is_some());
        let (now, most) = memory(own).unwrap();
        assert!(now > 0 && most >= now);
        assert_eq!(cpu_nanos(u32::MAX), None);
    }
}
