//! The tutorial's programs in Python, written anew for the workspace (`xtask/tutorial`).

use anyhow::Result;

use super::context::Context;
use super::process::Launch;
use super::skip::skip;

/// One of the tutorial's programs, unbuffered, or a skip where there is no python3.
pub(crate) fn program(context: &Context, name: &str) -> Result<Launch> {
    let there = Launch::new("python3").arg("--version").finish();
    if there.and_then(|f| f.exits(0).map(|_| ())).is_err() {
        return skip("python3 is missing");
    }
    let path = context.root.join("xtask/tutorial").join(name);
    Ok(Launch::new("python3").arg("-u").arg(path))
}
