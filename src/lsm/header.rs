//! The beginning of a record of the log and of the manifest: two letters, the format, and the format with all of its
//! bits turned.
//!
//! A format is no damage, and a store of another one is left as it is. So a flipped bit in the byte of the format must
//! not pass for another format: a repair would not look for the copy of the manifest.

pub const BYTES: usize = 4;

pub fn write(bytes: &mut Vec<u8>, letters: [u8; 2], format: u8) {
    bytes.extend_from_slice(&letters);
    bytes.extend_from_slice(&[format, !format]);
}

/// The format. `None`: the bytes do not begin with a whole header of these letters.
pub fn read(bytes: &[u8], letters: [u8; 2]) -> Option<u8> {
    let [one, two, format, turned] = *bytes.first_chunk()?;
    ([one, two] == letters && turned == !format).then_some(format)
}
