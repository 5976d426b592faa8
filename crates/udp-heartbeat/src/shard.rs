//! One of several equal parts of all targets, so that processes that read one file share it.
//!
//! A target's part depends on its name alone, never on the others, the file's order or the machine: the
//! hash is FNV-1a, so the same in every build.

use std::str::FromStr;

/// The I-th of N parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    part: u64,
    parts: u64,
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
        let numbers = text.split_once('/').and_then(|(i, n)| Some((number(i)?, number(n)?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Shard { part, parts }),
            _ => Err("not I/N, such as 1/3: I from 1 to N".into()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.part, self.parts)
    }
}

impl Shard {
    /// Whether the target of this name is of this part.
    pub(crate) fn holds(self, name: &str) -> bool {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
        // The high bits depend on all bytes, the low ones do less.
        (hash ^ (hash >> 32)) % self.parts == self.part - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_of_one_part_and_parts_are_equal() {
        for parts in [1, 2, 3, 7] {
            let shards: Vec<Shard> =
                (1..=parts).map(|part| format!("{part}/{parts}").parse().unwrap()).collect();
            let mut sizes = vec![0usize; shards.len()];
            for number in 0..10_000 {
                let name = format!("10.0.{}.{}:7000", number / 256, number % 256);
                let holding: Vec<usize> =
                    (0..shards.len()).filter(|part| shards[*part].holds(&name)).collect();
                assert_eq!(holding.len(), 1, "{name}");
                sizes[holding[0]] += 1;
            }
            let equal = 10_000 / shards.len();
            assert!(sizes.iter().all(|size| size.abs_diff(equal) < equal / 10), "{sizes:?}");
        }
    }

    #[test]
    fn what_is_a_part() {
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/3/4", "+1/3", "-1/3", " 1/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}
