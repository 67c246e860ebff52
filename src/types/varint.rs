//! Unsigned integers in as few bytes as they need, seven bits a byte, low bits first.

pub fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The length of the encoded number, in bytes.
pub fn varint_bytes(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Reads at `*position` and moves it on; `None` when the bytes end or the number does not fit.
pub fn read_varint(bytes: &[u8], position: &mut usize) -> Option<u64> {
    // Nearly all are of one byte.
    if let Some(byte) = bytes.get(*position).filter(|byte| **byte < 0x80) {
        *position += 1;
        return Some(u64::from(*byte));
    }
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*position)?;
        *position += 1;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_survives_the_round_trip() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                write_varint(&mut bytes, value);
                let mut position = 0;
                assert_eq!(read_varint(&bytes, &mut position), Some(value));
                assert_eq!(position, bytes.len());
                assert_eq!(read_varint(&bytes[..bytes.len() - 1], &mut 0), None);
            }
        }
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        assert_eq!(read_varint(&[0xff; 11], &mut 0), None);
        assert_eq!(read_varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &mut 0), None);
    }
}
