//! `--stamp`: the reflector of the built program, on both paths.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed test ends by a panic")]

mod common;

use std::time::Duration;

use common::{Server, ask, asker, run};
use nix::sys::signal::Signal;
use udp_core::clock;
use udp_core::stamp::{
    ErrorEstimate, Format, Key, Mode, NtpTimestamp, ReflectorPacket, SenderPacket, Ssid,
};

fn request(sequence: u32, ssid: u16, len: usize, mode: Mode<'_>) -> (SenderPacket, Vec<u8>) {
    let packet = SenderPacket {
        sequence,
        timestamp: NtpTimestamp::from(clock::wall()).into(),
        error: ErrorEstimate::UNSYNCHRONIZED,
        ssid: Ssid(ssid),
    };
    let mut bytes = vec![0; len];
    packet.encode(mode, &mut bytes).unwrap();
    (packet, bytes)
}

#[test]
fn a_session_is_numbered_and_timed() {
    for io in ["auto", "portable"] {
        let server = Server::start(&["--stamp", "127.0.0.1:0", "--io", io]);
        let [echo, stamp] = server.addresses[..] else { panic!("two addresses") };
        assert_eq!(ask(&asker(echo), b"x"), b"echo x", "beside the reflector");
        let client = asker(stamp);
        for sequence in 0..5 {
            let before = clock::wall();
            let (packet, bytes) = request(sequence + 100, 7, 44 + sequence as usize, Mode::Plain);
            let answer = ask(&client, &bytes);
            assert_eq!(answer.len(), bytes.len());
            let answer = ReflectorPacket::decode(&answer, Mode::Plain).unwrap();
            assert!(answer.answers(&packet));
            assert_eq!((answer.sequence, answer.ssid), (sequence, Ssid(7)));
            let came = answer.receive_timestamp.to_wall(Format::Ntp).unwrap();
            let slack = Duration::from_millis(1).as_nanos() as u64;
            assert!(came.as_nanos() + slack >= before.as_nanos());
            assert!(came.as_nanos() <= clock::wall().as_nanos() + slack);
            assert_eq!(answer.sender_ttl, Some(64));
        }
        let ended = server.stop();
        assert_eq!(ended.counts(), [6, 6, 0, 0, 0]);
        assert!(ended.stdout.contains(&format!("--- {echo}, {stamp} server statistics ---")));
    }
}

#[test]
fn with_a_key_nobody_else_is_answered() {
    let file = std::env::temp_dir().join(format!("udp-server-key-{}", std::process::id()));
    std::fs::write(&file, "secret\n").unwrap();
    let options = ["--stamp", "127.0.0.1:0", "--stamp-key-file", file.to_str().unwrap()];
    let mut server = Server::start(&[&["-v"], &options[..]].concat());
    let [_, stamp] = server.addresses[..] else { panic!("two addresses") };
    let key = Key::from_file_bytes(b"secret").unwrap();
    let client = asker(stamp);
    let (packet, bytes) = request(1, 0, 112, Mode::Authenticated(&key));
    let answer = ask(&client, &bytes);
    assert!(ReflectorPacket::decode(&answer, Mode::Authenticated(&key)).unwrap().answers(&packet));

    let guess = Key::from_file_bytes(b"guess").unwrap();
    for (_, forged) in
        [request(1, 0, 112, Mode::Authenticated(&guess)), request(1, 0, 44, Mode::Plain)]
    {
        client.send(&forged).unwrap();
    }
    ask(&client, &request(2, 0, 112, Mode::Authenticated(&key)).1);
    // The key is read again, an empty one is not taken; sessions go on.
    for (content, told) in [("guess", "info: access list and key read again"), ("", "warning: not")]
    {
        std::fs::write(&file, content).unwrap();
        server.signal(Signal::SIGHUP);
        while !server.complaint().starts_with(told) {}
        let mode = Mode::Authenticated(&guess);
        ask(&client, &request(3, 0, 112, mode).1);
    }
    let ended = server.stop();
    assert_eq!(ended.counts()[..3], [6, 4, 2]);
    assert!(ended.drops().contains("access 2"), "{}", ended.drops());
    std::fs::write(&file, "").unwrap();
    assert_eq!(run(&[&["-b", "127.0.0.1:0"], &options[..]].concat()).status.code(), Some(2));
    std::fs::remove_file(&file).unwrap();
}
