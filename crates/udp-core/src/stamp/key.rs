//! The key of the authenticated mode: HMAC-SHA-256 truncated to 128 bits (RFC 8762 section 4.4,
//! RFC 2104, RFC 4868).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the HMAC in a packet.
pub(super) const DIGEST_LEN: usize = 16;

/// A shared secret. It is never shown: its `Debug` form is the word alone.
#[derive(Clone)]
pub struct Key {
    /// The hash with the key already taken in.
    keyed: Hmac<Sha256>,
}

impl Key {
    /// The key that a file with this content holds: its bytes less one line end, `\n` or `\r\n`,
    /// at their end, so that a key written by an editor and one written by `printf` are the same.
    ///
    /// # Errors
    /// [`KeyError::Empty`], if nothing is left: anybody could sign with that.
    ///
    /// ```
    /// use udp_core::stamp::Key;
    ///
    /// let key = Key::from_file_bytes(b"secret\n")?;
    /// assert_eq!(format!("{key:?}"), "Key");
    /// assert!(Key::from_file_bytes(b"\n").is_err());
    /// # Ok::<(), udp_core::stamp::KeyError>(())
    /// ```
    pub fn from_file_bytes(content: &[u8]) -> Result<Self, KeyError> {
        let secret = match content {
            [secret @ .., b'\r', b'\n'] | [secret @ .., b'\n'] => secret,
            secret => secret,
        };
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        Hmac::new_from_slice(secret).map(|keyed| Self { keyed }).map_err(|_| KeyError::Unusable)
    }

    /// The HMAC of these bytes, one part after the other.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; DIGEST_LEN] {
        let digest = self.over(parts).finalize().into_bytes();
        std::array::from_fn(|i| digest[i])
    }

    /// Whether `digest` is their HMAC; takes as long for a near miss as for a far one.
    pub(super) fn verify(&self, parts: &[&[u8]], digest: &[u8; DIGEST_LEN]) -> bool {
        self.over(parts).verify_truncated_left(digest).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        parts.iter().fold(self.keyed.clone(), Mac::chain_update)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// Why some bytes are no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// There are none.
    Empty,
    /// The hash does not take them (it takes any number, so this is not seen).
    Unusable,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyError::Empty => "the key is empty",
            KeyError::Unusable => "the key cannot be used",
        })
    }
}

impl std::error::Error for KeyError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 section 4.3 (test case 2), cut to its first 16 bytes.
    const JEFE: [u8; DIGEST_LEN] = [
        0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75,
        0xc7,
    ];

    #[test]
    fn one_line_end_at_the_end_is_no_part_of_the_key() {
        let text = b"what do ya want for nothing?";
        let table: &[(&[u8], bool)] = &[
            (b"Jefe", true),
            (b"Jefe\n", true),
            (b"Jefe\r\n", true),
            (b"Jefe\n\n", false),
            (b"Jefe\r", false),
            (b"Jefe\n\r\n", false),
            (b"\nJefe", false),
            (b"Jefe ", false),
        ];
        for (content, same) in table {
            let key = Key::from_file_bytes(content).unwrap();
            assert_eq!(key.sign(&[text]) == JEFE, *same, "{content:?}");
            assert_eq!(key.verify(&[text], &JEFE), *same, "{content:?}");
        }
    }

    #[test]
    fn an_empty_key_is_refused_and_any_other_length_taken() {
        for content in [&b""[..], b"\n", b"\r\n"] {
            assert_eq!(Key::from_file_bytes(content).unwrap_err(), KeyError::Empty);
        }
        for length in [1, 16, 63, 64, 65, 100_000] {
            assert!(Key::from_file_bytes(&vec![b'k'; length]).is_ok(), "{length}");
        }
        assert!(Key::from_file_bytes(b"\0").is_ok());
    }

    #[test]
    fn every_bit_of_the_digest_counts() {
        let key = Key::from_file_bytes(b"Jefe").unwrap();
        for bit in 0..DIGEST_LEN * 8 {
            let mut digest = JEFE;
            digest[bit / 8] ^= 1 << (bit % 8);
            assert!(!key.verify(&[b"what do ya want for nothing?"], &digest), "bit {bit}");
        }
    }

    #[test]
    fn the_secret_is_not_shown() {
        let key = Key::from_file_bytes(b"Jefe").unwrap();
        assert_eq!(format!("{key:?} {key:#?}"), "Key Key");
    }
}
