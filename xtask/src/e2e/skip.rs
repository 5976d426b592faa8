//! Skips a scenario that cannot run on this machine, with the reason; where `CI=true` it fails
//! instead.

use anyhow::Result;

/// The reason why a scenario cannot run on this machine.
#[derive(Debug)]
pub(crate) struct Skipped(pub(crate) String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// Ends a scenario that needs what is not here. In continuous integration it fails.
pub(crate) fn skip<T>(reason: &str) -> Result<T> {
    if std::env::var_os("CI").is_some_and(|v| v == "true") {
        anyhow::bail!("must not be skipped in continuous integration: {reason}");
    }
    Err(Skipped(reason.to_owned()).into())
}
