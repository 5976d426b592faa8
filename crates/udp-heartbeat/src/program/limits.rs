//! Raises the limit of open descriptors (`setrlimit(2)`) for many targets and probes.

/// Descriptors that a run may make use of.
#[cfg(unix)]
const DESCRIPTORS: u64 = 2048;
/// The same where there are probes.
#[cfg(unix)]
const OF_PROBES: u64 = 8192;

/// Asks the system for as many descriptors as many targets may need.
pub(super) fn raise_descriptors(probes: bool) {
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
            && let wanted = hard.min(if probes { OF_PROBES } else { DESCRIPTORS })
            && soft < wanted
        {
            // What is refused is done without.
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
    #[cfg(not(unix))]
    let _ = probes;
}
