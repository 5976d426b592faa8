//! Numbers that nobody can guess and that give the beat's number back, without a table.
//!
//! A keyed permutation (a Feistel network of four rounds over SipHash-2-4, Luby and Rackoff 1988)
//! turns a beat's number into a nonce and back. A stranger's bytes give a number that no beat had, and
//! a reply from last week its own beat's, however many came between. Narrow fields hold less: there it
//! is the latest beat that had this value.

use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher24;

/// The nonces of one target.
#[derive(Clone)]
pub struct Nonces {
    key: [u8; 16],
}

impl Nonces {
    /// A secret that nobody can guess: the standard library's hashers get their keys from the system's
    /// randomness.
    pub fn secret() -> [u8; 16] {
        let random = RandomState::new();
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&random.hash_one(0).to_be_bytes());
        secret[8..].copy_from_slice(&random.hash_one(1).to_be_bytes());
        secret
    }

    /// Those of the `target`-th target of a run with this secret.
    pub fn new(secret: [u8; 16], target: u64) -> Self {
        let of = |half: u64| keyed(&secret, &[target, half]).to_be_bytes();
        let mut key = [0; 16];
        key[..8].copy_from_slice(&of(0));
        key[8..].copy_from_slice(&of(1));
        Nonces { key }
    }

    /// 64 bits, for any number of beats in flight.
    pub fn long(&self, number: u64) -> [u8; 8] {
        self.mix(64, number, true).to_be_bytes()
    }

    /// The beat that has these 64 bits, if it is one up to `last`.
    pub fn of_long(&self, bytes: [u8; 8], last: u64) -> Option<u64> {
        let number = self.mix(64, u64::from_be_bytes(bytes), false);
        (1..=last).contains(&number).then_some(number)
    }

    /// 96 bits, of which the first 64 are [`Nonces::long`].
    pub fn wide(&self, number: u64) -> [u8; 12] {
        let mut bytes = [0; 12];
        bytes[..8].copy_from_slice(&self.long(number));
        bytes[8..].copy_from_slice(&self.more(number, 0)[..4]);
        bytes
    }

    /// The beat that has these 96 bits, if it is one up to `last`.
    pub fn of_wide(&self, bytes: [u8; 12], last: u64) -> Option<u64> {
        let (first, _) = bytes.split_first_chunk()?;
        self.of_long(*first, last).filter(|number| self.wide(*number) == bytes)
    }

    /// 30 bits behind `01`: four bytes, positive and never shortened where numbers are signed.
    pub fn word(&self, number: u64) -> u32 {
        self.mix(30, number % (1 << 30), true) as u32 | 1 << 30
    }

    /// The latest beat up to `last` that has this word.
    pub fn of_word(&self, word: u32, last: u64) -> Option<u64> {
        (word >> 30 == 1).then(|| self.latest(30, u64::from(word & 0x3fff_ffff), last)).flatten()
    }

    /// 16 bits, for 65,536 beats in flight.
    pub fn short(&self, number: u64) -> u16 {
        self.mix(16, number % (1 << 16), true) as u16
    }

    /// The latest beat up to `last` that has these 16 bits.
    pub fn of_short(&self, short: u16, last: u64) -> Option<u64> {
        self.latest(16, u64::from(short), last)
    }

    /// 8 bits, for 256 beats in flight.
    pub fn byte(&self, number: u64) -> u8 {
        self.mix(8, number % (1 << 8), true) as u8
    }

    /// The beats up to `last` that have these 8 bits, the latest first.
    pub fn of_byte(&self, byte: u8, last: u64) -> impl Iterator<Item = u64> + use<> {
        let latest = self.latest(8, u64::from(byte), last);
        std::iter::successors(latest, |number| number.checked_sub(256).filter(|it| *it > 0))
    }

    /// 64 bits more about a beat that nobody can guess, others for each `purpose`: a second
    /// identity, an authenticator. 0 is taken.
    pub fn more(&self, number: u64, purpose: u64) -> [u8; 8] {
        keyed(&self.key, &[number, !purpose]).to_be_bytes()
    }

    /// 64 bits that are the target's and stay the same for each beat, such as a DNS client cookie.
    pub fn constant(&self) -> [u8; 8] {
        self.more(0, 1)
    }

    fn latest(&self, bits: u32, value: u64, last: u64) -> Option<u64> {
        let modulus = 1 << bits;
        let back = (last % modulus).wrapping_sub(self.mix(bits, value, false)) % modulus;
        last.checked_sub(back).filter(|number| *number > 0)
    }

    /// The permutation of `bits` (even) bits, or the way back.
    fn mix(&self, bits: u32, value: u64, forward: bool) -> u64 {
        let half = bits / 2;
        let mask = (1 << half) - 1;
        let (mut left, mut right) = (value >> half & mask, value & mask);
        for step in 0..4_u64 {
            let round = if forward { step } else { 3 - step };
            let tweak = u64::from(bits) << 8 | round;
            if forward {
                (left, right) = (right, left ^ keyed(&self.key, &[tweak, right]) & mask);
            } else {
                (left, right) = (right ^ keyed(&self.key, &[tweak, left]) & mask, left);
            }
        }
        left << half | right
    }
}

/// What keeps its key to itself.
impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonces")
    }
}

fn keyed(key: &[u8; 16], words: &[u64; 2]) -> u64 {
    let mut hasher = SipHasher24::new_with_key(key);
    words.iter().for_each(|word| hasher.write_u64(*word));
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonces() -> Nonces {
        Nonces::new([7; 16], 3)
    }

    #[test]
    fn each_target_and_run_has_its_own() {
        let of = |secret, target| Nonces::new([secret; 16], target).wide(1);
        let all = [of(1, 1), of(1, 2), of(2, 1)];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
        assert_ne!(nonces().more(1, 1), nonces().more(1, 2));
        assert_ne!(nonces().more(1, 1), nonces().more(2, 1));
        assert_eq!(nonces().constant(), nonces().constant());
    }

    #[test]
    fn narrow_ones_are_different_for_as_long_as_they_can_be() {
        let it = nonces();
        let shorts: std::collections::HashSet<u16> = (1..=65_536).map(|n| it.short(n)).collect();
        assert_eq!(shorts.len(), 65_536);
        let bytes: std::collections::HashSet<u8> = (300..556).map(|n| it.byte(n)).collect();
        assert_eq!(bytes.len(), 256);
    }

    #[test]
    fn what_nobody_sent_is_nobodys() {
        let it = nonces();
        assert_eq!(it.of_long(it.long(8), 7), None);
        assert_eq!(it.of_long([0; 8], 1 << 40), None);
        let mut wide = it.wide(5);
        wide[11] ^= 1;
        assert_eq!(it.of_wide(wide, 7), None);
        assert_eq!(it.of_short(it.short(9), 3), None);
        assert_eq!(it.of_word(0, 1 << 40), None);
        assert_eq!(it.of_byte(it.byte(900), 1000).collect::<Vec<_>>(), [900, 644, 388, 132]);
        assert_eq!(it.of_byte(it.byte(256), 255).count(), 0);
    }

    proptest! {
        #[test]
        fn each_gives_its_number_back(key: [u8; 16], number in 1..u64::MAX, later in 0..1_000_u64) {
            let it = Nonces::new(key, 1);
            let last = number.saturating_add(later);
            prop_assert_eq!(it.of_long(it.long(number), last), Some(number));
            prop_assert_eq!(it.of_wide(it.wide(number), last), Some(number));
            prop_assert_eq!(it.of_word(it.word(number), last), Some(number));
            prop_assert_eq!(it.of_short(it.short(number), last), Some(number));
            prop_assert!(it.of_byte(it.byte(number), last).take(8).any(|it| it == number));
        }
    }
}
