//! The entries of index blocks. An entry stands for one block below: its key lies between that block and the next one,
//! and its value is a reference to the block.

use super::fault::{BlockAddress, BlockReference};
use super::figures::Figures;
use crate::error::{Error, Result};
use crate::types::row::split_internal;
use crate::types::{Bytes, Lsn, read_varint, write_varint};

/// A block's reference as an index block keeps it beside the block's last key.
pub fn decode_reference(run: u64, value: &Bytes) -> Result<BlockReference> {
    let mut position = 0;
    let number = read_varint(value, &mut position).and_then(|n| u32::try_from(n).ok());
    let checksum = value.get(position..position + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
    match (number, checksum) {
        (Some(number), checksum @ Some(_)) => Ok(BlockReference { address: BlockAddress { run, number }, checksum }),
        _ => Err(Error::corrupt(format!("an index block holds no reference. run={run:016x}"))),
    }
}

/// The figures that stand behind a block's reference.
pub fn decode_figures(value: &Bytes) -> Result<Figures> {
    let mut position = 0;
    let _ = read_varint(value, &mut position);
    Figures::decode(value.get(position + 8..).unwrap_or_default())
}

/// The value of an entry, and the first of its figures; `decode_reference` and `decode_figures` read it.
pub fn encode_reference(number: u32, checksum: u64, newest: Lsn) -> Vec<u8> {
    let mut value = Vec::with_capacity(32);
    write_varint(&mut value, number.into());
    value.extend_from_slice(&checksum.to_le_bytes());
    write_varint(&mut value, newest.0);
    value
}

/// A short key that is not less than the last one of a block and less than the first one of the next. Versions of one
/// row are told apart by their whole keys.
pub fn separator<'a>(last: &'a [u8], next: &'a [u8]) -> &'a [u8] {
    let ((row, _), (next_row, _)) = (split_internal(last), split_internal(next));
    let alike = row.iter().zip(next_row).take_while(|(a, b)| a == b).count();
    if alike == row.len() || alike == next_row.len() { last } else { &next[..=alike] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::row::push_lsn;

    #[test]
    fn a_separator_is_short_and_stands_between() {
        let key = |row: &str, lsn: u64| {
            let mut key = row.as_bytes().to_vec();
            push_lsn(&mut key, Lsn(lsn));
            key
        };
        for (last, next, length) in [
            (key("documents/0190-aaaa", 3), key("documents/0191-bbbb", 9), 14),
            (key("a", 3), key("b", 9), 1),
            (key("a", 9), key("a", 3), 9),
        ] {
            let found = separator(&last, &next);
            assert!(&last[..] <= found && found < &next[..], "{last:?} {found:?} {next:?}");
            assert_eq!(found.len(), length);
        }
    }
}
