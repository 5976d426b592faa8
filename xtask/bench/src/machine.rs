//! The machine that is measured on: what it is, and which of its cores does what.

use std::fs;

use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// What a reader has to know to judge the figures.
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) kernel: String,
    pub(crate) cores: Cores,
    /// How busy the machine was when the run began: the load average of the last minute.
    pub(crate) load: String,
}

/// Which core does what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// The server's.
    pub(crate) server: usize,
    /// The generator's; the same one where there is no other.
    pub(crate) generator: usize,
    /// How many there are.
    pub(crate) count: usize,
}

impl Machine {
    pub(crate) fn look() -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let first = |text: &str| text.split_whitespace().next().unwrap_or("?").to_owned();
        Ok(Self {
            processor: processor(&read("/proc/cpuinfo")),
            kernel: first(&read("/proc/sys/kernel/osrelease")),
            cores: Cores::look()?,
            load: first(&read("/proc/loadavg")),
        })
    }

    /// One sentence or two.
    pub(crate) fn describe(&self) -> String {
        let Self { processor, kernel, cores, load } = self;
        let count = cores.count;
        let apart = if cores.server == cores.generator {
            "server and generator share the only core".to_owned()
        } else {
            format!("server on core {}, generator on core {}", cores.server, cores.generator)
        };
        format!(
            "{processor}, {count} cores, Linux {kernel}; loopback, {apart}; load {load} before."
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "processor": self.processor,
            "kernel": self.kernel,
            "cores": self.cores.count,
            "server_core": self.cores.server,
            "generator_core": self.cores.generator,
            "load_average": self.load,
        })
    }
}

impl Cores {
    /// The first two cores that this process may use.
    fn look() -> Result<Self> {
        let allowed = sched_getaffinity(this_thread()).context("cannot ask for the cores")?;
        let mut cores = (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false));
        let server = cores.next().context("no core to run on")?;
        let generator = cores.next().unwrap_or(server);
        let count = (0..CpuSet::count()).filter(|c| allowed.is_set(*c).unwrap_or(false)).count();
        Ok(Self { server, generator, count })
    }
}

/// Keeps the calling thread on some cores for as long as this lives. What it starts meanwhile,
/// threads and processes, stays on those cores.
pub(crate) struct Pinned {
    before: CpuSet,
}

impl Pinned {
    pub(crate) fn to(cores: &[usize]) -> Result<Self> {
        let before = sched_getaffinity(this_thread()).context("cannot ask for the cores")?;
        let mut wanted = CpuSet::new();
        for core in cores {
            wanted.set(*core).context("no such core")?;
        }
        sched_setaffinity(this_thread(), &wanted).context("cannot stay on a core")?;
        Ok(Self { before })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // The cores were allowed before.
        let _ = sched_setaffinity(this_thread(), &self.before);
    }
}

fn this_thread() -> Pid {
    Pid::from_raw(0)
}

fn processor(cpuinfo: &str) -> String {
    let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let name = name.and_then(|rest| rest.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_processors_name() {
        let cpuinfo = "processor\t: 0\nvendor_id\t: X\nmodel name\t: Fast CPU 3: turbo\n";
        assert_eq!(processor(cpuinfo), "Fast CPU 3: turbo");
        assert_eq!(processor(""), std::env::consts::ARCH);
    }

    #[test]
    fn a_thread_is_pinned_and_released() {
        let before = sched_getaffinity(this_thread()).unwrap();
        let core = Cores::look().unwrap().generator;
        let pinned = Pinned::to(&[core]).unwrap();
        let now = sched_getaffinity(this_thread()).unwrap();
        assert_eq!(
            (0..CpuSet::count()).filter(|c| now.is_set(*c).unwrap()).collect::<Vec<_>>(),
            [core]
        );
        drop(pinned);
        assert_eq!(sched_getaffinity(this_thread()).unwrap(), before);
    }
}
