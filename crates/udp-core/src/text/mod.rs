//! Bytes as text and back: the [`escape`] form that every program shows received bytes in,
//! and [`hex`]; the text of a [`mod@file`]; figures as text, in [`units`],
//! [`duration`] and [`moments`]; and what messages quote, without its [`credentials`].
//!
//! All are pure and lossless, and none trusts what it is given: encoders take any bytes,
//! decoders return a typed error that names the place.

pub mod credentials;
pub mod duration;
pub mod escape;
pub mod file;
pub mod hex;
pub mod moments;
pub mod units;
