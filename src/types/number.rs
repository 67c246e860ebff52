//! Numbers as JavaScript has them, for `$inc`: doubles that are written as integers where they are safe ones, and
//! bigints.

use super::pack::{self, Reader, Shape};
use crate::error::{Error, ErrorCode, Result};

/// 2^53 - 1: up to here a double holds every integer exactly.
const SAFE: f64 = 9_007_199_254_740_991.0;

#[derive(Clone, PartialEq, Debug)]
pub enum Number {
    Double(f64),
    /// Two's complement, big endian, as short as it can be.
    Big(Vec<u8>),
}

impl Number {
    /// The number that `value` encodes; `None` when it is something else.
    pub fn read(value: &[u8]) -> Result<Option<Number>> {
        let mut reader = Reader::new(value);
        Ok(match reader.shape()? {
            Shape::Integer => Some(Number::Double(reader.integer()? as f64)),
            Shape::Float => Some(Number::Double(reader.float()?)),
            Shape::Ext => match reader.ext()? {
                (pack::EXT_BIGINT, bytes) if !bytes.is_empty() => Some(Number::Big(shortened(bytes.to_vec()))),
                _ => None,
            },
            _ => None,
        })
    }

    /// Appends the one encoding of this number.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Number::Double(double) => {
                let whole = double.trunc() == *double && double.abs() <= SAFE;
                if whole && !(*double == 0.0 && double.is_sign_negative()) {
                    pack::write_integer(out, *double as i64);
                } else {
                    pack::write_float(out, *double);
                }
            }
            Number::Big(bytes) => pack::write_ext(out, pack::EXT_BIGINT, bytes),
        }
    }

    /// The sum. A number and a bigint do not mix (NOT_A_NUMBER); whole numbers that leave the safe range are OVERFLOW.
    pub fn plus(&self, other: &Number) -> Result<Number> {
        match (self, other) {
            (Number::Double(a), Number::Double(b)) => {
                let sum = a + b;
                let safe = |n: f64| n.trunc() == n && n.abs() <= SAFE;
                if safe(*a) && safe(*b) && !safe(sum) || !sum.is_finite() && a.is_finite() && b.is_finite() {
                    return Err(Error::new(ErrorCode::Overflow, inexact(safe(*a) && safe(*b), *a, *b)));
                }
                Ok(Number::Double(sum))
            }
            (Number::Big(a), Number::Big(b)) => Ok(Number::Big(add(a, b))),
            _ => Err(Error::new(ErrorCode::NotANumber, "a number and a bigint cannot be added")),
        }
    }

    /// The number that gives 0 with this one.
    pub fn negated(&self) -> Number {
        match self {
            Number::Double(double) => Number::Double(-double),
            Number::Big(bytes) => {
                let flipped: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
                Number::Big(add(&flipped, &[1]))
            }
        }
    }
}

/// Numbers with a fraction, and those out of the safe range, are not shown: the code that writes them in decimal is
/// large.
fn inexact(are_safe: bool, a: f64, b: f64) -> String {
    let message = "the sum is no exact number any more; use a bigint";
    if are_safe { format!("{message}. a={}, b={}", a as i64, b as i64) } else { message.into() }
}

fn add(a: &[u8], b: &[u8]) -> Vec<u8> {
    let width = a.len().max(b.len()) + 1;
    let mut sum = vec![0; width];
    let mut carry = 0u16;
    for place in 0..width {
        let total = u16::from(digit(a, place)) + u16::from(digit(b, place)) + carry;
        sum[width - 1 - place] = total as u8;
        carry = total >> 8;
    }
    shortened(sum)
}

/// The byte at `place` from the right, sign-extended.
fn digit(bytes: &[u8], place: usize) -> u8 {
    match bytes.len().checked_sub(place + 1) {
        Some(index) => bytes[index],
        None if bytes[0] & 0x80 != 0 => 0xff,
        None => 0,
    }
}

fn shortened(mut bytes: Vec<u8>) -> Vec<u8> {
    let spare = bytes.windows(2).take_while(|w| w[0] == 0 && w[1] < 0x80 || w[0] == 0xff && w[1] >= 0x80).count();
    bytes.drain(..spare);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn big(n: i128) -> Number {
        Number::Big(shortened(n.to_be_bytes().to_vec()))
    }

    proptest! {
        #[test]
        fn bigints_add_as_integers_do(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(big(a.into()).plus(&big(b.into())).unwrap(), big(i128::from(a) + i128::from(b)));
            prop_assert_eq!(big(a.into()).negated(), big(-i128::from(a)));
        }

        #[test]
        fn a_number_is_written_in_the_one_form_that_reads_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            let mut out = Vec::new();
            Number::Double(number).write(&mut out);
            let Some(Number::Double(read)) = Number::read(&out).unwrap() else { panic!("no double") };
            prop_assert_eq!(read.to_bits(), number.to_bits());
        }
    }

    #[test]
    fn sums_that_would_lose_digits_are_refused() {
        let sum = |a: f64, b: f64| Number::Double(a).plus(&Number::Double(b));
        assert_eq!(sum(SAFE, 1.0).unwrap_err().code(), ErrorCode::Overflow);
        assert_eq!(sum(f64::MAX, f64::MAX).unwrap_err().code(), ErrorCode::Overflow);
        assert_eq!(sum(0.1, 0.2).unwrap(), Number::Double(0.1 + 0.2));
        assert_eq!(big(1).plus(&Number::Double(1.0)).unwrap_err().code(), ErrorCode::NotANumber);
    }

    #[test]
    fn minus_zero_stays_minus_zero() {
        let mut out = Vec::new();
        Number::Double(-0.0).write(&mut out);
        assert_eq!(out[0], 0xcb);
    }
}
