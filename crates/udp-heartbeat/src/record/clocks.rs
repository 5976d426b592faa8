//! Converts moments of the monotonic clock to times of day.

use udp_core::clock::{Mono, Wall};

/// One offset, so that differences stay exact, until the
/// time of day is set.
#[derive(Debug, Default)]
pub(super) struct Clocks {
    offset: Option<i128>,
}

/// By so much the two clocks may differ for want of reading them at once.
const STEP: i128 = 1_000_000;

impl Clocks {
    pub(super) fn refresh(&mut self, mono: Mono, wall: Wall) {
        let offset = i128::from(wall.as_nanos()) - i128::from(mono.as_nanos());
        if self.offset.is_none_or(|known| (known - offset).abs() > STEP) {
            self.offset = Some(offset);
        }
    }

    pub(super) fn wall(&self, moment: Mono) -> Wall {
        let nanos = i128::from(moment.as_nanos()) + self.offset.unwrap_or_default();
        Wall::from_nanos(u64::try_from(nanos).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_kept_until_the_time_of_day_is_set() {
        let mut clocks = Clocks::default();
        let cases = [(1_000, 5_000_000_000), (2_000, 5_000_900_000), (3_000, 9_000_000_000)];
        let walls = cases.map(|(mono, wall)| {
            clocks.refresh(Mono::from_nanos(mono), Wall::from_nanos(wall));
            clocks.wall(Mono::from_nanos(mono)).as_nanos()
        });
        assert_eq!(walls, [5_000_000_000, 5_000_001_000, 9_000_000_000]);
    }
}
