//! One row of three sides into one, and what a clone keeps of it, in the plain model.

use crate::call::Content;
use crate::history::{Pick, Winner};
use crate::model::{Mark, Row};

/// One row of three sides into one.
pub struct Merged {
    pub value: Option<Content>,
    pub conflicts: u64,
    pub is_sum: bool,
    /// The origin's value, but at each clash that of the base.
    pub ancestor: Option<Content>,
}

/// Base, clone, origin; `adds`: whether their counts add up.
pub fn merge(sides: [Option<Content>; 3], winner: Winner, adds: bool) -> Merged {
    let [base, clone, origin] = sides;
    let (Some(of_clone), Some(of_origin)) = (clone, origin) else {
        let (value, is_conflict) = settle(sides, winner);
        let ancestor = if is_conflict { base } else { origin };
        return Merged { value, conflicts: u64::from(is_conflict), is_sum: false, ancestor };
    };
    let of_base = base.unwrap_or_default();
    let (mut conflicts, mut ancestor) = (0, of_origin);
    let number = |content: Content| content.n.unwrap_or(0);
    let sum = number(of_origin) + number(of_clone) - number(of_base);
    let n = if adds && of_clone.n.is_some() && of_origin.n.is_some() {
        Some(sum)
    } else {
        let (n, is_conflict) = settle([of_base.n, of_clone.n, of_origin.n], winner);
        if is_conflict {
            (conflicts, ancestor.n) = (conflicts + 1, of_base.n);
        }
        n
    };
    let (by, is_conflict) = settle([of_base.by, of_clone.by, of_origin.by], winner);
    if is_conflict {
        (conflicts, ancestor.by) = (conflicts + 1, of_base.by);
    }
    let padding = |content: Content| Some(content.padding).filter(|padding| *padding > 0);
    let (padding, is_conflict) = settle([padding(of_base), padding(of_clone), padding(of_origin)], winner);
    if is_conflict {
        (conflicts, ancestor.padding) = (conflicts + 1, of_base.padding);
    }
    let value = Some(Content { n, by, padding: padding.unwrap_or(0) });
    Merged { value, conflicts, is_sum: adds && n == Some(sum), ancestor: Some(ancestor) }
}

fn settle<T: Copy + PartialEq>([base, clone, origin]: [Option<T>; 3], winner: Winner) -> (Option<T>, bool) {
    if clone == origin || clone == base {
        return (origin, false);
    }
    if origin == base {
        return (clone, false);
    }
    (if winner == Winner::Origin { origin } else { clone }, true)
}

pub fn n_of(row: Option<&Row>) -> Option<i64> {
    row.and_then(|row| row.value).and_then(|value| value.n)
}

/// True if a side's count is the base's plus increments.
pub fn counts(side: Option<&Row>, base: Option<&Row>) -> bool {
    let (Some(side), Some(of_base)) = (side, base) else { return false };
    let (start, from) = (side.mark.start, n_of(base));
    let is_zero = side.mark.is_counted && start.unwrap_or(0) == from.unwrap_or(0);
    side.mark.id == of_base.mark.id || start == from || is_zero
}

/// As `counts`, of a parked row of a clone: its base is not the row below. So the last set of the count decides, also
/// where it set the value that is below.
pub fn counts_since(side: Option<&Row>, base: Option<&Row>) -> bool {
    let last_set = side.map(|row| Row { mark: Mark { start: row.mark.set, ..row.mark }, ..*row });
    counts(last_set.as_ref(), base)
}

/// True if the count is the origin's plus what the clone's differs from the base's.
pub fn adds_up(merged: &Merged, sides: [Option<Content>; 3]) -> bool {
    let n = |side: Option<Content>| side.and_then(|content| content.n).unwrap_or(0);
    let [base, clone, origin] = sides;
    let is_counted = clone.is_some() && origin.is_some();
    is_counted && merged.value.and_then(|value| value.n) == Some(n(origin) + n(clone) - n(base))
}

/// True if the count of a clone's row is that of an earlier version of it, of the same layer, plus increments.
pub fn counts_between(now: Option<&Row>, then: Option<&Row>) -> bool {
    let (Some(now), Some(then)) = (now, then) else { return false };
    let (set, from) = (now.mark.set, n_of(Some(then)));
    let is_counted = n_of(Some(now)) != set;
    now.mark.set_at == then.mark.set_at || set == from || is_counted && set.unwrap_or(0) == from.unwrap_or(0)
}

/// The mark of a row that was merged into `over`.
pub fn landed(merged: &Merged, over: Option<&Row>, added: Option<&Row>, below: Option<&Row>, lsn: u64) -> Mark {
    let n = merged.value.and_then(|value| value.n);
    match over {
        Some(over) if merged.is_sum => {
            let is_counted = over.mark.is_counted || added.is_some_and(|added| added.mark.is_counted);
            Mark { is_counted, ..over.mark }
        }
        Some(over) if n == n_of(Some(over)) => over.mark,
        _ => Mark::set(lsn, n, below),
    }
}

/// A clone's row with that part of its change alone which is merged.
pub fn chosen(pick: Pick, base: Option<&Row>, of_clone: Option<&Row>) -> Option<Row> {
    let (Pick::Field(name), Some(row)) = (pick, of_clone) else {
        return if pick == Pick::Nothing { base } else { of_clone }.copied();
    };
    let (of_base, now) = (base.and_then(|row| row.value).unwrap_or_default(), row.value?);
    let (value, counted) = match name {
        "n" => (Content { n: now.n, ..of_base }, of_clone),
        _ => (Content { by: now.by, ..of_base }, base),
    };
    Some(Row { value: Some(value), mark: counted.unwrap_or(row).mark, ..*row })
}

/// The row that a clone has over its origin's row, on which it comes to stand: base, clone, origin.
pub fn kept(merged: &Merged, [_, of_clone, of_origin]: [Option<&Row>; 3], lsn: u64) -> Row {
    let is_as_below = of_origin.is_some() && merged.value.and_then(|value| value.n) == n_of(of_origin);
    let mark = match (of_clone, of_origin) {
        (_, Some(_)) if merged.is_sum || is_as_below => landed(merged, of_origin, of_clone, None, lsn),
        (Some(row), Some(below)) if row.mark.id == below.mark.id => Mark { id: lsn, start: row.mark.set, ..row.mark },
        (Some(row), _) => row.mark,
        (None, _) => Mark::set(lsn, None, None),
    };
    let base = of_origin.map(|row| row.lsn);
    Row { value: merged.value, lsn, base, own: true, mark }
}

/// A row that clashes with the origin's and was not selected, and its ancestor: the row that both sides are compared
/// with from now on. `has_counted`: the clone only incremented its count since the base.
pub fn parked(merged: &Merged, sides: [Option<&Row>; 3], has_counted: bool, lsn: u64) -> (Row, Option<Row>) {
    let [base, of_clone, of_origin] = sides;
    let row = kept(merged, sides, lsn);
    let n = merged.ancestor.and_then(|ancestor| ancestor.n);
    let as_below = of_origin.filter(|below| below.value.is_some_and(|value| value.n == n));
    // The count of the ancestor, where it is not the origin's, is nobody's: no mark has its id.
    let mark = as_below.map_or(Mark::set(!lsn, n, None), |below| below.mark);
    let ancestor = merged.ancestor.map(|value| Row { value: Some(value), lsn, base: None, own: false, mark });
    let (None, Some(of_clone)) = (as_below, of_clone) else { return (row, ancestor) };
    let start = if has_counted { n_of(base) } else { of_clone.mark.set };
    (Row { mark: Mark { start, set: start, ..row.mark }, ..row }, ancestor)
}

/// The part of a clone's row over `below` that stays where another part of it is reset, and its ancestor if it waits;
/// `None`: nothing of it stays.
pub fn not_reset(
    pick: Pick,
    (row, below): (&Row, Option<&Row>),
    ancestor: Option<&Option<Row>>,
    lsn: u64,
) -> Option<(Row, Option<Option<Row>>)> {
    let of_below = below.and_then(|below| below.value);
    let forget = |content: Content| match (pick, of_below) {
        (Pick::Field("n"), Some(below)) => Content { n: below.n, ..content },
        (Pick::Field(_), Some(below)) => Content { by: below.by, ..content },
        _ => content,
    };
    let value = row.value.map(forget);
    if pick == Pick::All || value == of_below {
        return None;
    }
    let n = value.and_then(|value| value.n);
    let is_as_it_was = n == n_of(Some(row));
    let Some(ancestor) = ancestor else {
        let is_sum = value.is_some() && is_as_it_was && counts(Some(row), below);
        let merged = Merged { value, conflicts: 0, is_sum, ancestor: None };
        let visible = Some(row).filter(|row| row.value.is_some());
        return Some((Row { base: row.base, ..kept(&merged, [below, visible, below], lsn) }, None));
    };
    let of_base = ancestor.as_ref().and_then(|ancestor| ancestor.value);
    let of_base = if pick == Pick::Nothing { of_base } else { Some(forget(of_base.unwrap_or_default())) };
    let base = of_base.map(|value| {
        let mark = match (below, ancestor) {
            (Some(below), _) if n_of(Some(below)) == value.n => below.mark,
            (_, Some(ancestor)) if n_of(Some(ancestor)) == value.n => ancestor.mark,
            _ => Mark::set(!lsn, value.n, None),
        };
        Row { value: Some(value), lsn, base: None, own: false, mark }
    });
    let mark = if is_as_it_was { row.mark } else { Mark::set(lsn, n, below) };
    Some((Row { value, lsn, mark, ..*row }, Some(base)))
}
