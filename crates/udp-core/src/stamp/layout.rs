//! The offsets of a packet's fields, and access to them that never reads beyond the end (RFC 8762
//! figures 2, 4, 5 and 6; SSID by RFC 8972 figures 1 to 4).

/// Offsets in bytes. The first six fields are in the sender's and the reflector's packets.
pub(super) struct Layout {
    /// Bytes of the packet without anything behind it.
    pub(super) len: usize,
    /// The fewest bytes of a request: TWAMP-Light's end with the error estimate.
    pub(super) shortest_request: usize,
    /// The fewest bytes of an answer: TWAMP-Light's end with the TTL.
    pub(super) shortest_reply: usize,
    pub(super) sequence: usize,
    pub(super) timestamp: usize,
    pub(super) error: usize,
    pub(super) ssid: usize,
    pub(super) receive_timestamp: usize,
    pub(super) sender_sequence: usize,
    pub(super) sender_timestamp: usize,
    pub(super) sender_error: usize,
    pub(super) sender_ttl: usize,
}

pub(super) const PLAIN: Layout = Layout {
    len: super::PLAIN_LEN,
    shortest_request: 14,
    shortest_reply: 41,
    sequence: 0,
    timestamp: 4,
    error: 12,
    ssid: 14,
    receive_timestamp: 16,
    sender_sequence: 24,
    sender_timestamp: 28,
    sender_error: 36,
    sender_ttl: 40,
};

pub(super) const AUTHENTICATED: Layout = Layout {
    len: super::AUTHENTICATED_LEN,
    shortest_request: super::AUTHENTICATED_LEN,
    shortest_reply: super::AUTHENTICATED_LEN,
    sequence: 0,
    timestamp: 16,
    error: 24,
    ssid: 26,
    receive_timestamp: 32,
    sender_sequence: 48,
    sender_timestamp: 64,
    sender_error: 72,
    sender_ttl: 80,
};

/// Where the HMAC of an authenticated packet stands; it covers all bytes before it.
pub(super) const HMAC: usize = 96;

/// A packet being written: the longer form's size, of which [`Layout::len`] bytes count.
pub(super) type Base = [u8; super::AUTHENTICATED_LEN];

/// The `N` bytes at `at`; what is not there reads as zero.
pub(super) fn read<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes.get(at + i).copied().unwrap_or(0))
}

/// Writes a field at `at`, which is one of the offsets above.
pub(super) fn write(base: &mut Base, at: usize, field: &[u8]) {
    base[at..at + field.len()].copy_from_slice(field);
}
