//! The TLVs behind a packet (RFC 8972 section 4): a walk over them, and what a reflector makes of
//! them that knows the padding TLV and, with a key, the HMAC TLV.
//!
//! With a key, the TLVs must be followed by an HMAC TLV, unless the only one is padding, and behind
//! it only padding may stand (section 4.8). Where that fails, each TLV comes back with I set.
//!
//! Zero bytes where a TLV would begin are padding to the end: TWAMP-Light pads like that, and
//! the TLV that they would be does not exist (a sender sets U in each of its own).

use super::Key;
use super::key::DIGEST_LEN;

/// Bytes before a TLV's value: flags, type, length of the value.
pub const HEADER_LEN: usize = 4;

/// The TLV is not recognised. A sender sets it in each TLV; a reflector clears it in those that it
/// knows.
pub const UNRECOGNISED: u8 = 0x80;

/// The TLV is malformed, and what follows was not looked at. A reflector sets it.
pub const MALFORMED: u8 = 0x40;

/// The TLVs failed their own HMAC. A reflector sets it.
pub const INTEGRITY: u8 = 0x20;

/// The type of the padding TLV, whose value says nothing.
pub const PADDING: u8 = 1;

/// The type of the HMAC TLV: the HMAC of the packet's sequence number and of all TLVs before it.
pub const HMAC: u8 = 8;

/// The longest value.
const LONGEST: usize = u16::MAX as usize;

/// A TLV as it stands in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// [`UNRECOGNISED`], [`MALFORMED`], [`INTEGRITY`]; other bits have no meaning.
    pub flags: u8,
    /// What it is.
    pub kind: u8,
    /// Its value.
    pub value: &'a [u8],
}

/// Where the walk came upon bytes that are no whole TLV: the packet ends before it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Malformed {
    /// Offset of those bytes from where the walk began.
    pub position: usize,
}

/// The TLVs in `bytes`, which are what follows a packet. Ends at padding of zero bytes, or after
/// the first that is malformed.
///
/// ```
/// use udp_core::stamp::tlv::{PADDING, Tlv, walk};
///
/// let mut tlvs = walk(b"\x80\x01\x00\x02ab\0\0\0\0");
/// assert_eq!(tlvs.next(), Some(Ok(Tlv { flags: 0x80, kind: PADDING, value: b"ab" })));
/// assert_eq!(tlvs.next(), None);
/// ```
#[must_use]
pub fn walk(bytes: &[u8]) -> Walk<'_> {
    Walk { bytes, position: 0 }
}

/// See [`walk`].
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Iterator for Walk<'a> {
    type Item = Result<Tlv<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..)?;
        let header = rest.get(..HEADER_LEN).unwrap_or(rest);
        if header.iter().all(|byte| *byte == 0) {
            self.position = self.bytes.len();
            return None;
        }
        let tlv = rest.split_first_chunk().and_then(|(&[flags, kind, high, low], rest)| {
            let value = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
            Some(Tlv { flags, kind, value })
        });
        let Some(tlv) = tlv else {
            let position = self.position;
            self.position = self.bytes.len();
            return Some(Err(Malformed { position }));
        };
        self.position += HEADER_LEN + tlv.value.len();
        Some(Ok(tlv))
    }
}

/// Whether the TLVs in `bytes`, behind a packet numbered `sequence`, are the key's: what a sender
/// or a reflector must know before it uses what they say.
#[must_use]
pub fn is_authentic(bytes: &[u8], sequence: u32, key: &Key) -> bool {
    let (mut position, mut only_padding, mut count) = (0, true, 0);
    let mut tlvs = walk(bytes);
    while let Some(tlv) = tlvs.next() {
        match tlv {
            Ok(Tlv { kind: HMAC, value, .. }) => {
                let covered = bytes.get(..position).unwrap_or(&[]);
                return <&[u8; DIGEST_LEN]>::try_from(value)
                    .is_ok_and(|digest| key.verify(&[&sequence.to_be_bytes(), covered], digest))
                    && tlvs.all(|tlv| tlv.is_ok_and(|tlv| tlv.kind == PADDING));
            }
            Ok(tlv) => only_padding &= tlv.kind == PADDING,
            Err(_) => return false,
        }
        count += 1;
        position = tlvs.position;
    }
    only_padding && count <= 1
}

/// Makes of the TLVs in `bytes`, as they came in a request, those of the answer: U in those that
/// are not known, M in one that is malformed, which ends it, I in each if they are not the key's,
/// and no other flag. Values stay as they are, but for the HMAC of what was authentic. The
/// sequence numbers are the request's and the answer's.
pub fn reflect(bytes: &mut [u8], key: Option<&Key>, asked: u32, answered: u32) {
    let authentic = key.is_none_or(|key| is_authentic(bytes, asked, key));
    let integrity = if authentic { 0 } else { INTEGRITY };
    let mut position = 0;
    while let Some(tlv) = walk(bytes.get(position..).unwrap_or(&[])).next() {
        let kind = bytes.get(position + 1).copied();
        let hmac = key.filter(|_| kind == Some(HMAC));
        let recognised = kind == Some(PADDING) || hmac.is_some();
        let (malformed, next) = match tlv {
            Ok(tlv) if hmac.is_some() && tlv.value.len() != DIGEST_LEN => (true, bytes.len()),
            Ok(tlv) => (false, position + HEADER_LEN + tlv.value.len()),
            Err(_) => (true, bytes.len()),
        };
        let (before, rest) = bytes.split_at_mut(position);
        if let Some(place) = rest.first_mut() {
            *place = integrity
                | if recognised { 0 } else { UNRECOGNISED }
                | if malformed { MALFORMED } else { 0 };
        }
        if let (Some(key), true) = (hmac, authentic)
            && let Some(place) = rest.get_mut(HEADER_LEN..HEADER_LEN + DIGEST_LEN)
        {
            place.copy_from_slice(&key.sign(&[&answered.to_be_bytes(), before]));
        }
        position = next;
    }
}

/// Fills `out` with padding TLVs of zero bytes, as a sender sends them.
pub(super) fn fill_with_padding(out: &mut [u8]) {
    out.fill(0);
    for run in out.chunks_mut(HEADER_LEN + LONGEST) {
        let length = run.len().saturating_sub(HEADER_LEN);
        if let Some((header, _)) = run.split_first_chunk_mut() {
            let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
            *header = [UNRECOGNISED, PADDING, high, low];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(bytes: &[u8]) -> Vec<Result<(u8, usize), usize>> {
        walk(bytes)
            .map(|tlv| tlv.map(|t| (t.kind, t.value.len())).map_err(|e| e.position))
            .collect()
    }

    #[test]
    fn the_walk_ends_at_the_end_at_zero_bytes_or_at_a_tlv_cut_short() {
        type Found = Vec<Result<(u8, usize), usize>>;
        let table: &[(&[u8], Found)] = &[
            (b"", vec![]),
            (b"\x80\x01\x00\x00", vec![Ok((1, 0))]),
            (b"\x80\x01\x00\x01a\x80\x02\x00\x02bc", vec![Ok((1, 1)), Ok((2, 2))]),
            (b"\0", vec![]),
            (b"\0\0\0\0\x80\x01", vec![]),
            (b"\x80\x01\x00\x00\0\0", vec![Ok((1, 0))]),
            // A reserved type is a TLV all the same if its header is not all zero.
            (b"\x80\x00\x00\x00", vec![Ok((0, 0))]),
            (b"\0\0\0\x01a", vec![Ok((0, 1))]),
            (b"\x80", vec![Err(0)]),
            (b"\x80\x01\x00", vec![Err(0)]),
            (b"\x80\x01\x00\x01", vec![Err(0)]),
            (b"\x80\x01\x00\x00\x80\x01\xff\xff ", vec![Ok((1, 0)), Err(4)]),
        ];
        for (bytes, found) in table {
            assert_eq!(kinds(bytes), *found, "{bytes:x?}");
        }
    }

    #[test]
    fn a_reflector_marks_what_it_does_not_know_and_what_is_malformed() {
        let table: &[(&[u8], &[u8])] = &[
            (b"", b""),
            // Padding is known, whatever flags it came with.
            (b"\x80\x01\x00\x01a", b"\x00\x01\x00\x01a"),
            (b"\xff\x01\x00\x01a", b"\x00\x01\x00\x01a"),
            (b"\x00\x08\x00\x01a", b"\x80\x08\x00\x01a"),
            (b"\x7f\x03\x00\x00\x80\x01\x00\x00", b"\x80\x03\x00\x00\x00\x01\x00\x00"),
            // What follows a malformed one is not touched.
            (b"\x80\x01\x00\x05\x80\x04\x00\x00", b"\x40\x01\x00\x05\x80\x04\x00\x00"),
            (b"\x80\x04\x00\x05\x80\x04\x00\x00", b"\xc0\x04\x00\x05\x80\x04\x00\x00"),
            (b"\x01\x01", b"\x40\x01"),
            (b"\x01", b"\xc0"),
            (b"\0\0\0\0\0", b"\0\0\0\0\0"),
        ];
        for (asked, answered) in table {
            let mut bytes = asked.to_vec();
            reflect(&mut bytes, None, 1, 2);
            assert_eq!(bytes, *answered, "{asked:x?}");
        }
    }

    #[test]
    fn padding_fills_any_length_and_is_recognised() {
        for length in [0, 1, 3, 4, 5, 100, 65_539, 65_540, 65_543, 140_000] {
            let mut bytes = vec![b'x'; length];
            fill_with_padding(&mut bytes);
            let covered: usize = walk(&bytes)
                .map(|tlv| {
                    let tlv = tlv.unwrap();
                    assert_eq!((tlv.flags, tlv.kind), (UNRECOGNISED, PADDING));
                    assert!(tlv.value.iter().all(|byte| *byte == 0));
                    HEADER_LEN + tlv.value.len()
                })
                .sum();
            assert!(length - covered < HEADER_LEN, "{length}: {covered} covered");
            reflect(&mut bytes, None, 1, 2);
            assert!(walk(&bytes).all(|tlv| tlv.unwrap().flags == 0), "{length}");
        }
    }

    #[test]
    fn with_a_key_tlvs_need_its_hmac_and_come_back_with_one() {
        let key = Key::from_file_bytes(b"secret").unwrap();
        let hmac = |sequence: u32, covered: &[u8]| {
            let digest = key.sign(&[&sequence.to_be_bytes(), covered]);
            [&[UNRECOGNISED, HMAC, 0, 16], &digest[..]].concat()
        };
        let location = b"\x80\x02\x00\x01a";
        let padding = b"\x80\x01\x00\x00";
        let good = hmac(7, location);
        // The flags of what comes back, in order.
        type Row<'a> = (&'a str, Vec<&'a [u8]>, &'a [u8]);
        let cut = &good[..good.len() - 1];
        let (other, early, twice) = (hmac(8, location), hmac(7, b""), hmac(7, &good));
        let short = [&[0x80, HMAC, 0, 4][..], &good[4..8]].concat();
        let table: [Row<'_>; 12] = [
            ("nothing", vec![], &[]),
            ("padding alone", vec![padding], &[0]),
            ("zeros", vec![&[0; 9]], &[]),
            ("its HMAC", vec![location, &good], &[0x80, 0]),
            ("padding behind it", vec![location, &good, padding], &[0x80, 0, 0]),
            ("none", vec![location], &[0xa0]),
            ("padding twice", vec![padding, padding], &[0x20, 0x20]),
            ("of another number", vec![location, &other], &[0xa0, 0x20]),
            ("not behind all", vec![&early, location], &[0x20, 0xa0]),
            ("two of them", vec![&early, &twice], &[0x20, 0x20]),
            ("cut short", vec![location, cut], &[0xa0, 0x60]),
            ("too short", vec![location, &short, location], &[0xa0, 0x60, 0x80]),
        ];
        for (name, tlvs, flags) in table {
            let mut bytes = tlvs.concat();
            let asked = bytes.clone();
            reflect(&mut bytes, Some(&key), 7, 9);
            let mut position = 0;
            let got: Vec<u8> = tlvs
                .iter()
                .filter(|tlv| tlv.iter().any(|byte| *byte != 0))
                .map(|tlv| (position, position += tlv.len()).0)
                .map(|at| bytes[at])
                .collect();
            assert_eq!(got, flags, "{name}");
            let authentic = flags.iter().all(|flags| flags & INTEGRITY == 0);
            assert_eq!(is_authentic(&asked, 7, &key), authentic, "{name}");
            assert_eq!(is_authentic(&bytes, 9, &key), authentic, "{name}: the answer");
        }
    }

    proptest! {
        #[test]
        fn marking_any_bytes_changes_flags_alone(
            bytes in prop::collection::vec(prop_oneof![Just(0), Just(1), Just(0x80), any::<u8>()], 0..64),
        ) {
            let mut marked = bytes.clone();
            reflect(&mut marked, None, 1, 2);
            prop_assert_eq!(kinds(&bytes).len(), kinds(&marked).len());
            let mut places = 0;
            for tlv in walk(&bytes) {
                let at = places;
                places += tlv.map_or(bytes.len(), |t| HEADER_LEN + t.value.len());
                marked[at] = bytes[at];
            }
            prop_assert_eq!(marked, bytes);
        }
    }
}
