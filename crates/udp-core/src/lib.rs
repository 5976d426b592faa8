//! The UDP toolkit's library: sockets, batched I/O, and text and packet encodings.
//!
//! # A request and its reply
//!
//! What most callers want, with a time-out, retries, and no reply taken for another's:
//!
//! ```no_run
//! use std::time::Duration;
//! use udp_core::{Endpoint, Family, endpoint::Role, exchange::Exchange};
//!
//! let server: Endpoint = "time.example:7000".parse()?;
//! let address = server.resolve(Role::Ask, Family::Any, 7000)?[0];
//! let mut exchange = Exchange::new(address).timeout(Duration::from_millis(300)).retries(1);
//! let reply = exchange.request(b"hello")?;
//! println!("{} in {:?}", String::from_utf8_lossy(&reply.bytes), reply.rtt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The tutorial's four steps
//!
//! **socket** and **bind**: say what is wanted, open it. Port 0 lets the kernel choose.
//!
//! ```
//! use udp_core::socket::SocketConfig;
//!
//! let config = SocketConfig { bind: Some("127.0.0.1:0".parse()?), ..SocketConfig::default() };
//! let server = config.open()?.socket;
//! let address = server.local_addr()?;
//!
//! // A client does not bind: the kernel gives it an address at its first send.
//! let client = SocketConfig::default().open()?.socket;
//!
//! // send_to: one call, one datagram.
//! client.send_to(b"hello", address)?;
//!
//! // recv_from: one call, one datagram, and who sent it.
//! let mut buffer = [0; 1024];
//! let (length, peer) = server.recv_from(&mut buffer)?;
//! assert_eq!(&buffer[..length], b"hello");
//!
//! // The server answers to where the datagram came from.
//! server.send_to(&[b"echo ", &buffer[..length]].concat(), peer)?;
//! let (length, from) = client.recv_from(&mut buffer)?;
//! assert_eq!((&buffer[..length], from), (b"echo hello".as_slice(), address));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is longer than the buffer loses its end: [`batch::SLOT`] bytes hold any datagram. A server does
//! the last two steps in a loop that no failed receive or send ends, as `examples/echo_server.rs` does:
//! each fails for one datagram, and [`ErrorClass`] tells why.
//!
//! # Why a receive blocks, and the ways out
//!
//! A datagram may be lost, and then a blocking receive waits for ever. So there are three modes,
//! and a socket may be switched between them at any time:
//!
//! ```
//! use std::time::Duration;
//! use udp_core::ErrorClass;
//! use udp_core::socket::{ReceiveMode, SocketConfig, set_mode};
//!
//! let bind = Some("127.0.0.1:0".parse()?);
//! let socket = SocketConfig { bind, ..SocketConfig::default() }.open()?.socket;
//! let mut buffer = [0; 1024];
//!
//! // Non-blocking: nothing there is an answer, at once.
//! set_mode(&socket, ReceiveMode::NonBlocking)?;
//! let nothing = socket.recv_from(&mut buffer).unwrap_err();
//! assert_eq!(ErrorClass::of(&nothing), ErrorClass::NotReady);
//!
//! // With a time-out: nothing came within it.
//! set_mode(&socket, ReceiveMode::Timeout(Duration::from_millis(20)))?;
//! let nothing = socket.recv_from(&mut buffer).unwrap_err();
//! assert_eq!(ErrorClass::of(&nothing), ErrorClass::NotReady);
//!
//! // Blocking: as long as it takes. Usually on a thread of its own, so that the rest goes on.
//! set_mode(&socket, ReceiveMode::Blocking)?;
//! let address = socket.local_addr()?;
//! let receiver = std::thread::spawn(move || socket.recv_from(&mut buffer).map(|(n, _)| n));
//! let sender = SocketConfig::default().open()?.socket;
//! sender.send_to(b"", address)?; // an empty datagram is a datagram
//! assert_eq!(receiver.join().expect("the receiver does not panic")?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Text and bytes
//!
//! A datagram is bytes. Shown as text it stays on one line, steers no terminal, and nothing is
//! lost: the escape form turns back into the same bytes.
//!
//! ```
//! use udp_core::text::{escape, hex};
//!
//! assert_eq!(escape::escape("grüße\n".as_bytes()), "grüße\\n");
//! assert_eq!(escape::escape(b"\x1b[2J\xff"), "\\x1b[2J\\xff");
//! assert_eq!(escape::unescape("\\x1b[2J\\xff").unwrap(), b"\x1b[2J\xff");
//! assert_eq!(hex::decode("de ad").unwrap(), [0xde, 0xad]);
//! ```
//!
//! # What else is here
//!
//! | module | for |
//! |---|---|
//! | [`exchange`] | a request and its reply, with a time-out and retries |
//! | [`endpoint`] | `host:port` in every form, resolution, how an address is shown |
//! | [`socket`] | opening a socket, what the kernel granted it, and what ICMP says of what was sent |
//! | [`batch`] | receiving and sending many datagrams with one system call |
//! | [`source_port`] | which reply answers which request, when replies carry no identity |
//! | [`stamp`] | the packets of the Simple Two-way Active Measurement Protocol, RFC 8762 |
//! | [`clock`] | the one reader of time |
//! | [`error`] | what went wrong, in words and in the few cases that matter |
//! | `expect` (feature) | what a reply must be, with regular expressions |
//! | `service` (feature) | what a UDP service is asked, and what its reply says |
//! | `cli` (feature) | what the programs' command lines share; with `web`, HTTP for who watches them |

pub mod batch;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
pub mod endpoint;
pub mod error;
pub mod exchange;
#[cfg(feature = "expect")]
pub mod expect;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(feature = "service")]
pub mod service;
pub mod socket;
pub mod source_port;
pub mod stamp;
mod sys;
pub mod text;
mod zone;

pub use endpoint::{Endpoint, Family, Shown};
pub use error::{Error, ErrorClass, Operation};
