//! The UDP toolkit's library: sockets, batched I/O, and text and packet encodings.

pub mod batch;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod endpoint;
pub mod error;
pub mod lane;
pub mod socket;
pub mod stamp;
mod sys;
pub mod text;

pub use endpoint::{Endpoint, Family, Shown};
pub use error::{Error, ErrorClass, Operation};
