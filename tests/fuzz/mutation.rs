//! Bytes that were changed a little, the same ones for the same seed.

/// Bytes that mean something in one of the formats: lengths at their limits, and heads of long values.
const TELLING: [u8; 16] = [0, 1, 2, 0x7f, 0x80, 0x90, 0xa0, 0xc0, 0xc1, 0xc4, 0xc6, 0xca, 0xdb, 0xdd, 0xdf, 0xff];

pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Draw {
        Draw(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    /// `bytes` with one to four changes.
    pub fn mutated(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut mutated = bytes.to_vec();
        for _ in 0..1 + self.below(4) {
            self.mutate(&mut mutated);
        }
        mutated
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(12)).min(bytes.len());
        match self.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] = TELLING[self.below(TELLING.len())],
            2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, again));
            }
            5 => drop(bytes.splice(at..end, [TELLING[self.below(TELLING.len())], 0xff, 0xff, 0xff, 0xff])),
            6 => drop(bytes.splice(at..at, (0..self.below(6)).map(|_| 0xc0).collect::<Vec<_>>())),
            _ => bytes.truncate(at.max(bytes.len() / 2)),
        }
    }
}
