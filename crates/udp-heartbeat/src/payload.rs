//! The payload of the run's own beats from the options, and what must answer it.

use std::ffi::OsStr;

use udp_core::batch::MAX_V4;
use udp_core::cli::Failure;
use udp_core::expect::Expectation;
use udp_core::stamp::{Key, Mode};
use udp_core::text::hex;

use crate::args::Args;
use crate::plan::PAYLOAD;
use crate::probe::format::{Format, Padding};

/// What is sent to targets without a service.
///
/// # Errors
/// Bad usage, here and in the following.
pub(crate) fn format(args: &Args, key: Option<&Key>) -> Result<Format, Failure> {
    if args.size.is_some_and(|size| size > MAX_V4) {
        return Err(Failure::usage(format!("--size: a datagram holds at most {MAX_V4} bytes")));
    }
    if args.stamp {
        let key = key.cloned();
        let least = Mode::from(key.as_ref()).packet_len();
        let length = args.size.unwrap_or(least);
        if length < least {
            let text = format!("--size {length}: a STAMP packet takes {least} bytes");
            return Err(Failure::usage(text));
        }
        return Ok(Format::Stamp { key, length });
    }
    let payload = match (&args.payload, &args.payload_hex) {
        (_, Some(text)) => decode("--payload-hex <HEX>", text)?,
        (Some(text), None) => bytes(text).to_vec(),
        (None, None) => PAYLOAD.to_vec(),
    };
    let byte = if args.payload_hex.is_some() { 0 } else { b'.' };
    let padding = Padding { length: args.size.unwrap_or(0), byte };
    let format = match args.number {
        true => Format::Numbered { payload, padding },
        false => Format::Plain { payload, padding },
    };
    let length = format.length();
    match args.size {
        Some(size) if size < length => {
            Err(Failure::usage(format!("--size {size}: the payload takes {length} bytes")))
        }
        _ if length > MAX_V4 => {
            Err(Failure::usage(format!("the payload takes more than {MAX_V4} bytes")))
        }
        _ => Ok(format),
    }
}

/// What every answer must be.
pub(crate) fn expectation(args: &Args) -> Result<Expectation, Failure> {
    Ok(match (&args.expect, &args.expect_hex, &args.expect_regex) {
        (Some(text), ..) => Expectation::Text(bytes(text).to_vec()),
        (_, Some(text), _) => Expectation::Hex(decode("--expect-hex <HEX>", text)?),
        (.., Some(pattern)) => Expectation::Pattern(pattern.clone()),
        (None, None, None) => Expectation::Anything,
    })
}

fn decode(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    hex::decode(text)
        .map_err(|error| Failure::usage(format!("invalid value '{text}' for '{option}': {error}")))
}

/// A text's bytes as they were typed.
fn bytes(text: &OsStr) -> &[u8] {
    text.as_encoded_bytes()
}
