//! An echo server on the batch layer, in its shortest form: no access list, no rate limit, no
//! loop guard, so for a trusted network only. It shows what a serving loop looks like, and is what
//! the layer is measured with.
//!
//!     batch_echo [ADDRESS [PREFIX [auto|portable [BUSY_POLL_MICROSECONDS]]]]

use std::error::Error;
use std::net::UdpSocket;
use std::time::Duration;

use udp_core::batch::{Backend, Destination, Io, Options, Outbox, SLOT, Slots, Wait};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:7000".into());
    let prefix = arguments.next().unwrap_or_default();
    let backend = match arguments.next().as_deref() {
        Some("portable") => Backend::Portable,
        _ => Backend::Auto,
    };
    let busy_poll = Duration::from_micros(arguments.next().map_or(Ok(0), |text| text.parse())?);

    let options = Options { busy_poll, ..Options::default() };
    let mut io = Io::new(UdpSocket::bind(&address)?, backend, &options)?;
    let mut slots = Slots::new(32, SLOT, prefix.len());
    assert!(slots.set_prefix(prefix.as_bytes()), "headroom was made for the prefix");
    let mut outbox = Outbox::new(slots.capacity(), 0);
    loop {
        io.receive(&mut slots, Wait::Block(None))?;
        for (i, received) in slots.iter().enumerate() {
            if received.meta.destination == Destination::Unicast && received.meta.peer.port() != 0 {
                outbox.echo(&slots, i, 0..received.meta.datagrams())?;
            }
        }
        // What could not be sent is lost: an asker asks again.
        io.send(&mut outbox, &slots, |_sent| {});
    }
}
