//! Two hosts on a cable of their own: network namespaces joined by a veth pair, made for one
//! scenario and gone with the value that stands for them (network_namespaces(7), veth(4)).
//!
//! Whatever a scenario breaks, forges or floods in there, nothing of it reaches the machine's own
//! network. Root is needed; where it is missing a scenario is skipped with the reason.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use nix::unistd::geteuid;

use super::IoPath;
use super::context::{Context, Server};
use super::process::Launch;
use super::skip::skip;

/// The server's address on the cable, and a second one of the same network.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const SERVER_TOO: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 3);
/// The asker's address on the cable.
pub(crate) const ASKER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The cable's broadcast address.
pub(crate) const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 255);
/// The same for IPv6.
pub(crate) const SERVER6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const SERVER6_TOO: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 3);
pub(crate) const ASKER6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);
/// The port that is served in there; nobody else can hold it.
pub(crate) const PORT: u16 = 7000;
/// The cable's end, in either namespace.
pub(crate) const CABLE: &str = "v0";

const PREFIX: &str = "udpkit-";
const HOME: &str = "/run/netns";

/// Two hosts and the cable between them.
pub(crate) struct Net {
    pub(crate) server: Host,
    pub(crate) asker: Host,
}

/// One network namespace.
pub(crate) struct Host {
    pub(crate) name: String,
}

impl Net {
    /// Two fresh hosts whose cable is up: `10.77.0.1` and `.3`, `fd77::1` and `::3` for the
    /// server, `10.77.0.2` and `fd77::2` for the asker, whose default route is the server.
    pub(crate) fn new() -> Result<Self> {
        let number = begin()?;
        let net = Self { server: Host::new(number, "s")?, asker: Host::new(number, "a")? };
        net.lay_cable()?;
        Ok(net)
    }

    /// Joins the two, or joins them again after their cable was taken away.
    pub(crate) fn lay_cable(&self) -> Result<()> {
        let (s, a) = (&self.server.name, &self.asker.name);
        shell(&format!(
            "ip -n {s} link add {CABLE} type veth peer name {CABLE} netns {a}
             ip -n {s} link set {CABLE} address 02:77:00:00:00:01
             ip -n {a} link set {CABLE} address 02:77:00:00:00:02"
        ))?;
        for host in [&self.server, &self.asker] {
            // Duplicate address detection would keep the addresses unusable for two seconds.
            host.set(&format!("net/ipv6/conf/{CABLE}/accept_dad"), "0")?;
            host.set("net/ipv6/conf/default/accept_dad", "0")?;
            host.run(&format!("ip link set lo up; ip link set {CABLE} up"))?;
        }
        self.server.run(&format!(
            "ip addr add {SERVER}/24 brd + dev {CABLE}; ip addr add {SERVER_TOO}/24 brd + dev {CABLE}
             ip -6 addr add {SERVER6}/64 dev {CABLE} nodad; ip -6 addr add {SERVER6_TOO}/64 dev {CABLE} nodad
             ip route add default via {ASKER}; ip -6 route add default via {ASKER6}"
        ))?;
        self.asker.run(&format!(
            "ip addr add {ASKER}/24 brd + dev {CABLE}; ip -6 addr add {ASKER6}/64 dev {CABLE} nodad
             ip route add default via {SERVER}; ip -6 route add default via {SERVER6}"
        ))?;
        Ok(())
    }

    /// A ready server on port 7000 of every IPv4 address.
    pub(crate) fn serve(&self, context: &Context, options: &[&str]) -> Result<Server> {
        self.serve_on(context, "0.0.0.0:7000", options)
    }

    /// A ready server on `bind`.
    pub(crate) fn serve_on(
        &self,
        context: &Context,
        bind: &str,
        options: &[&str],
    ) -> Result<Server> {
        Server::start(self.server.server(context).args(["--bind", bind]).args(options))
    }
}

/// The number of a net whose hosts are going to be made; a skip where that cannot be.
pub(crate) fn begin() -> Result<u32> {
    if !geteuid().is_root() {
        return skip("network namespaces need root");
    }
    needs(&["ip", "nsenter", "nft", "tc", "setpriv", "prlimit"])?;
    sweep();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Ok(NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Host {
    /// A host of this net, called so in there.
    pub(crate) fn new(number: u32, side: &str) -> Result<Self> {
        let host = Self { name: format!("{PREFIX}{}-{number}{side}", std::process::id()) };
        shell(&format!("ip netns add {}", host.name))?;
        Ok(host)
    }

    fn path(&self) -> PathBuf {
        Path::new(HOME).join(&self.name)
    }

    /// Runs `work` on a thread that has moved in here; sockets that it opens stay here.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let space = File::open(self.path()).context("cannot open the network namespace")?;
        std::thread::scope(|scope| {
            let moved = scope.spawn(move || {
                setns(&space, CloneFlags::CLONE_NEWNET)
                    .context("cannot enter the network namespace")?;
                work()
            });
            moved.join().map_err(|_| anyhow!("a thread inside the namespace panicked"))?
        })
    }

    /// A socket of this host, bound to `address`.
    pub(crate) fn bind(&self, address: impl Into<SocketAddr>) -> Result<UdpSocket> {
        let address = address.into();
        self.inside(|| {
            UdpSocket::bind(address).with_context(|| format!("cannot bind {address} in there"))
        })
    }

    /// Runs shell commands in here, to be done as a whole.
    pub(crate) fn run(&self, commands: &str) -> Result<String> {
        // Standing inside for the spawn is enough: a child inherits its parent thread's place.
        self.inside(|| shell(commands))
    }

    /// Sets a kernel parameter of this host, named by its path below /proc/sys.
    pub(crate) fn set(&self, parameter: &str, value: &str) -> Result<()> {
        self.inside(|| {
            std::fs::write(Path::new("/proc/sys").join(parameter), value)
                .with_context(|| format!("cannot set {parameter} to {value}"))
        })
    }

    /// The server's program, to be started in here.
    pub(crate) fn server(&self, context: &Context) -> Launch {
        let launch = self.launch(context, &context.programs.server);
        match context.io {
            IoPath::Auto => launch,
            IoPath::Portable => launch.args(["--io", "portable"]),
        }
    }

    /// Any program, to be started in here, with the process id that the launch then has.
    pub(crate) fn launch(&self, context: &Context, program: impl AsRef<Path>) -> Launch {
        let entered = format!("--net={}", self.path().display());
        Launch::new("nsenter")
            .arg(entered)
            .arg("--")
            .arg(program.as_ref())
            .env("HOME", context.home.path())
            .env("XDG_STATE_HOME", context.home.path())
    }

    /// What this host's kernel has counted for UDP, both families together.
    pub(crate) fn kernel(&self) -> Result<Kernel> {
        self.inside(|| {
            let v4 = std::fs::read_to_string("/proc/thread-self/net/snmp")?;
            let v6 = std::fs::read_to_string("/proc/thread-self/net/snmp6")?;
            Kernel::parse(&v4, &v6)
        })
    }

    /// The address of the cable's end that holds on the cable alone, with its scope.
    pub(crate) fn link_local(&self) -> Result<(Ipv6Addr, u32)> {
        let text = self.run(&format!("ip -6 -o addr show dev {CABLE} scope link"))?;
        let index = text.split(':').next().and_then(|n| n.trim().parse().ok());
        let address = text.split_whitespace().find_map(|w| w.split_once('/')?.0.parse().ok());
        index
            .zip(address)
            .map(|(i, a)| (a, i))
            .with_context(|| format!("no link-local address: {text:?}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The cable goes with either end.
        let _ = shell(&format!("ip netns del {}", self.name));
    }
}

/// The kernel's counters of one host (`Udp:` and `Udp6` of /proc/net/snmp and snmp6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// Handed to a socket.
    pub(crate) delivered: u64,
    /// Sent by a socket.
    pub(crate) sent: u64,
    /// Found a receive queue full.
    pub(crate) overflowed: u64,
}

impl Kernel {
    fn parse(v4: &str, v6: &str) -> Result<Self> {
        let mut lines = v4.lines().filter(|l| l.starts_with("Udp:"));
        let (names, values) = lines.next().zip(lines.next()).context("no Udp: in snmp")?;
        let four = |name: &str| {
            let mut pairs = names.split(' ').zip(values.split(' '));
            let value = pairs.find(|(n, _)| *n == name).and_then(|(_, v)| v.parse::<u64>().ok());
            value.with_context(|| format!("no {name} in snmp"))
        };
        let six = |name: &str| {
            let line = v6.lines().find_map(|l| l.strip_prefix(&format!("Udp6{name}")));
            line.and_then(|v| v.trim().parse::<u64>().ok())
                .with_context(|| format!("no {name} in snmp6"))
        };
        let both = |name: &str| Ok::<u64, anyhow::Error>(four(name)? + six(name)?);
        Ok(Self {
            delivered: both("InDatagrams")?,
            sent: both("OutDatagrams")?,
            overflowed: both("RcvbufErrors")?,
        })
    }

    /// What has been counted since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            delivered: self.delivered - earlier.delivered,
            sent: self.sent - earlier.sent,
            overflowed: self.overflowed - earlier.overflowed,
        }
    }
}

/// The server's address as an asker types it.
pub(crate) fn at(ip: impl Into<IpAddr>) -> SocketAddr {
    SocketAddr::new(ip.into(), PORT)
}

/// A skip where one of these programs is not on the path.
pub(crate) fn needs(tools: &[&str]) -> Result<()> {
    match tools.iter().find(|tool| !present(tool)) {
        Some(tool) => skip(&format!("{tool} is missing")),
        None => Ok(()),
    }
}

/// Whether a program is on the path.
pub(crate) fn present(tool: &str) -> bool {
    shell(&format!("command -v {tool}")).is_ok()
}

/// The program to be named next sees `file` in place of `place`; `unshare` starts `unshare(1)`.
pub(crate) fn mounted(unshare: Launch, file: &Path, place: &str) -> Launch {
    let script = format!("mount --bind \"$0\" {place} && exec \"$@\"");
    let private = ["--mount", "--propagation", "private", "sh", "-c", &script];
    unshare.args(private).arg(file)
}

/// Runs shell commands; the first that fails ends them.
pub(crate) fn shell(commands: &str) -> Result<String> {
    let output = Command::new("sh")
        .args(["-ec", commands])
        .env("PATH", path_with_sbin())
        .stdin(Stdio::null())
        .output()
        .context("cannot run sh")?;
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        bail!("{}: {error}", commands.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Takes away what an earlier run left that was killed before it could.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        for entry in std::fs::read_dir(HOME).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                let _ = shell(&format!("ip netns del {name}"));
            }
        }
    });
}
