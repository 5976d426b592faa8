//! What every scenario is given: the built programs, the receive and send path under test, the
//! lock on the default port, and short ways to start each program.

use std::ffi::OsString;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use driver::Server;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::IoPath;
use super::process::{Finished, Launch};
use super::programs::{self, Programs};
use super::skip::skip;
use crate::interop::{self, Tools};

/// The port that the tutorial uses.
pub(crate) const DEFAULT_PORT: u16 = 7000;

pub(crate) struct Context {
    pub(crate) root: PathBuf,
    pub(crate) programs: Programs,
    pub(crate) io: IoPath,
    /// Stands for the user's home, so that nobody's real history is touched.
    pub(crate) home: TempDir,
    default_port: Mutex<()>,
    tools: OnceLock<Result<Tools, String>>,
}

impl Context {
    pub(crate) fn new(root: PathBuf, io: IoPath) -> Result<Self> {
        let programs = programs::build(&root)?;
        let home = tempfile::tempdir().context("no temporary directory")?;
        let (default_port, tools) = (Mutex::new(()), OnceLock::new());
        Ok(Self { root, programs, io, home, default_port, tools })
    }

    /// Takes the default port for one scenario; a skip where something outside holds it.
    pub(crate) fn default_port(&self) -> Result<MutexGuard<'_, ()>> {
        let guard = self.default_port.lock().unwrap_or_else(PoisonError::into_inner);
        match UdpSocket::bind(("0.0.0.0", DEFAULT_PORT)) {
            Ok(_) => Ok(guard),
            Err(error) => skip(&format!("port {DEFAULT_PORT} is needed: {error}")),
        }
    }

    /// The other implementations of STAMP, looked for once; a skip where they are not installed.
    pub(crate) fn tools(&self) -> Result<&Tools> {
        match self.tools.get_or_init(interop::find) {
            Ok(tools) => Ok(tools),
            Err(missing) => skip(missing),
        }
    }

    /// A Python with NumPy and SciPy; a skip where it is not installed.
    pub(crate) fn statistics(&self) -> Result<PathBuf> {
        interop::statistics().or_else(|missing| skip(&missing))
    }

    /// Any program, kept away from the user's home.
    pub(crate) fn launch(&self, program: &PathBuf) -> Launch {
        Launch::new(program).env("HOME", self.home.path()).env("XDG_STATE_HOME", self.home.path())
    }

    /// The server with nothing but what `--io` this run is for.
    pub(crate) fn server(&self) -> Launch {
        let launch = self.launch(&self.programs.server);
        match self.io {
            IoPath::Auto => launch,
            IoPath::Portable => launch.args(["--io", "portable"]),
        }
    }

    pub(crate) fn client(&self) -> Launch {
        self.launch(&self.programs.client)
    }

    pub(crate) fn heartbeat(&self) -> Launch {
        self.launch(&self.programs.heartbeat)
    }

    /// A ready server on a free port of 127.0.0.1.
    pub(crate) fn serve(&self, options: &[&str]) -> Result<Server> {
        self.serve_on("127.0.0.1:0", options)
    }

    /// A ready server on `bind`.
    pub(crate) fn serve_on(&self, bind: &str, options: &[&str]) -> Result<Server> {
        Server::start(self.server().args(["--bind", bind]).args(options))
    }

    /// Runs the client to its end.
    pub(crate) fn ask<I: IntoIterator<Item: Into<OsString>>>(&self, args: I) -> Result<Finished> {
        self.client().args(args).finish()
    }

    /// Runs the heartbeat to its end.
    pub(crate) fn beat<I: IntoIterator<Item: Into<OsString>>>(&self, args: I) -> Result<Finished> {
        self.heartbeat().args(args).finish()
    }
}
