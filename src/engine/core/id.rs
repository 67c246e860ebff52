//! UUIDv7 ids: of one engine, each sorts after the one before, also within a millisecond.

use std::cell::Cell;
use std::rc::Rc;

use crate::engine::op::MakeId;
use crate::platform::Platform;

pub struct IdMaker {
    platform: Rc<dyn Platform>,
    /// The time of the last id, and a counter that begins at random in each millisecond and leaves room to count.
    last: Cell<(u64, u64)>,
}

const COUNTER_BITS: u32 = 42;

impl IdMaker {
    pub fn new(platform: Rc<dyn Platform>) -> IdMaker {
        IdMaker { platform, last: Cell::new((0, 0)) }
    }
}

impl MakeId for IdMaker {
    fn make_id(&self) -> String {
        let (last_time, last_count) = self.last.get();
        let now = self.platform.now().max(last_time);
        let count = if now > last_time { self.platform.random() >> (65 - COUNTER_BITS) } else { last_count + 1 };
        self.last.set((now, count));
        // The counter fills the first bits after the time, past the version and the variant; the rest is random.
        let mut random = [0u8; 10];
        random[2..].copy_from_slice(&self.platform.random().to_be_bytes());
        random[0] = (count >> 38) as u8 & 0x0f;
        random[1] = (count >> 30) as u8;
        random[2] = (count >> 24) as u8 & 0x3f;
        random[3] = (count >> 16) as u8;
        random[4] = (count >> 8) as u8;
        random[5] = count as u8;
        uuid::Builder::from_unix_timestamp_millis(now, &random).into_uuid().hyphenated().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalFuture;
    use crate::types::Lsn;

    struct Stopped(Cell<u64>);

    impl Platform for Stopped {
        fn now(&self) -> u64 {
            1_700_000_000_000
        }
        fn random(&self) -> u64 {
            let next = self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            self.0.set(next);
            next
        }
        fn spawn(&self, _: LocalFuture<'static, ()>) {}
        fn sleep(&self, _: u64) -> LocalFuture<'static, ()> {
            Box::pin(async {})
        }
        fn announce(&self, _: Lsn) {}
    }

    #[test]
    fn ids_of_one_millisecond_sort_as_they_were_made() {
        for seed in 0..200 {
            let ids = IdMaker::new(Rc::new(Stopped(Cell::new(seed))));
            let made: Vec<String> = (0..2000).map(|_| ids.make_id()).collect();
            assert!(made.windows(2).all(|pair| pair[0] < pair[1]));
            assert!(made.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'), "{}", made[0]);
        }
    }
}
