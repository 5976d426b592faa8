//! What a caller sees in each receive mode: `cargo run -p udp-core --example receive_modes`.

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

use udp_core::clock;
use udp_core::socket::{ReceiveMode, SocketConfig, set_mode};

fn main() -> Result<(), Box<dyn Error>> {
    let bind = Some("127.0.0.1:0".parse()?);
    let socket = SocketConfig { bind, ..SocketConfig::default() }.open()?.socket;
    let address = socket.local_addr()?;
    let mut buffer = [0; 1024];
    let mut out = io::stdout().lock();

    // 1. Non-blocking: the error is the answer, and the caller may do something else meanwhile.
    set_mode(&socket, ReceiveMode::NonBlocking)?;
    match socket.recv_from(&mut buffer) {
        Err(error) => writeln!(out, "non-blocking, nothing there: {error}")?,
        Ok((length, _)) => writeln!(out, "non-blocking: {length} bytes")?,
    }

    // 2. With a time-out: the same error, later.
    let patience = Duration::from_millis(200);
    set_mode(&socket, ReceiveMode::Timeout(patience))?;
    let before = clock::mono();
    if let Err(error) = socket.recv_from(&mut buffer) {
        let waited = clock::mono().saturating_since(before);
        writeln!(out, "time-out, nothing came in {} ms: {error}", waited.as_millis())?;
    }

    // 3. Blocking, on a thread of its own: the main thread stays free to send.
    set_mode(&socket, ReceiveMode::Blocking)?;
    let receiver = std::thread::spawn(move || {
        socket.recv_from(&mut buffer).map(|(length, _)| buffer[..length].to_vec())
    });
    SocketConfig::default().open()?.socket.send_to(b"hello", address)?;
    let received = receiver.join().map_err(|_| "the receiver panicked")??;
    writeln!(out, "blocking, on its own thread: {}", String::from_utf8_lossy(&received))?;
    Ok(())
}
