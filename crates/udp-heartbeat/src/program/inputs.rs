//! Reads the files that the options name: targets, modules, key.

use std::path::Path;

use udp_core::cli::{self, Failure};

use crate::args::Args;
use crate::config::Files;
use crate::modules::{self, Modules};

/// Bytes of a file of targets.
const LONGEST_LIST: u64 = 64 << 20;
/// Bytes of a file of modules.
const LONGEST_MODULES: u64 = 1 << 20;

/// All that the command line names.
pub(super) fn read_files(args: &Args) -> Result<Files, Failure> {
    if args.modules.is_some() && args.metrics.is_none() {
        let failure = Failure::usage("--modules is for --metrics, which serves /probe");
        return Err(failure.with_hint("add --metrics ENDPOINT, such as --metrics :17007"));
    }
    let targets = args.targets_file.as_deref().map(read_list).transpose()?;
    let key = args.stamp_key_file.as_deref().map(cli::files::stamp_key).transpose()?;
    let modules = args.modules.as_deref().map(read_modules).transpose()?;
    Ok(Files { targets, key, modules })
}

/// Says which targets stand there more than once.
pub(super) fn say_twice(twice: &[String]) {
    twice.iter().for_each(|target| log::warn!("{target} stands twice and is one target"));
}

/// A list of targets (`-` is stdin), with its name.
pub(super) fn read_list(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let content = match path.as_os_str() == "-" {
        true => cli::files::read_stdin(LONGEST_LIST)?,
        false => cli::files::read(path, LONGEST_LIST)?,
    };
    Ok((path.display().to_string(), content))
}

/// The modules in a file.
pub(super) fn read_modules(path: &Path) -> Result<Modules, Failure> {
    let content = cli::files::read(path, LONGEST_MODULES)?;
    modules::parse(&path.display().to_string(), &content).map_err(Failure::in_file)
}
