//! Tokio on one thread: one task, one datagram at a time.

use std::error::Error;

use tokio::net::UdpSocket;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let socket = UdpSocket::bind(peers::address()?).await?;
    let mut buffer = vec![0; peers::LARGEST];
    loop {
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let _ = socket.send_to(&buffer[..length], peer).await;
    }
}
