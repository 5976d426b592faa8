//! The services: echo and STAMP. Pure: a request in, a reply or a cause out; no socket, no clock.

pub mod echo;
pub mod stamp;

pub use echo::Echo;
pub use stamp::Reflector;
