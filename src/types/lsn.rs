//! The number of a commit in its store.

use std::fmt;

/// Log sequence number. 0 is before the first commit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

/// Digits of an LSN as text: fixed, so that texts compare as the numbers do.
const DIGITS: usize = 14;

impl Lsn {
    pub const ZERO: Lsn = Lsn(0);
    pub const MAX: Lsn = Lsn((1 << (4 * DIGITS)) - 1);
    /// A read at this LSN sees the newest versions, also those of commits that are being written.
    pub const NEWEST: Lsn = Lsn::MAX;

    pub fn next(self) -> Lsn {
        self.plus(1)
    }

    pub fn plus(self, count: u64) -> Lsn {
        Lsn(self.0 + count)
    }

    /// The opaque `Version` of the public API.
    pub fn to_text(self) -> String {
        format!("{:0width$x}", self.0, width = DIGITS)
    }

    pub fn from_text(text: &str) -> Option<Lsn> {
        let plain = text.len() == DIGITS && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if plain { u64::from_str_radix(text, 16).ok().map(Lsn) } else { None }
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_compare_as_the_numbers_do() {
        let lsns = [0, 1, 9, 10, 255, 256, 1 << 40, Lsn::MAX.0];
        for pair in lsns.windows(2) {
            assert!(Lsn(pair[0]).to_text() < Lsn(pair[1]).to_text());
        }
        for n in lsns {
            assert_eq!(Lsn::from_text(&Lsn(n).to_text()), Some(Lsn(n)));
        }
    }

    #[test]
    fn a_text_that_is_no_version_is_refused() {
        for text in ["", "1", "+0000000000001", "0000000000000G", "000000000000000", "2026-01-01T00:00"] {
            assert_eq!(Lsn::from_text(text), None, "{text}");
        }
    }
}
