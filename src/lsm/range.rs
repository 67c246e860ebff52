//! A range of rows.

/// Rows from `from` (included) to `before` (not included).
#[derive(Clone, Debug)]
pub struct RowRange {
    pub from: Vec<u8>,
    pub before: Vec<u8>,
}
