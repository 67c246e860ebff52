//! Doing what a call asks.

use super::context::Context;
use super::known::Known;
use super::{MakeId, Op, Step, documents, entries};
use crate::lsm::Attempt;

impl Op {
    /// Does it, all or nothing within its transaction's savepoint. What it has found out by then stays in `known`, for
    /// the next try.
    pub fn apply(&self, context: &mut Context<'_>, ids: &dyn MakeId, known: &mut Known) -> Attempt<Step> {
        match self {
            Op::Get { .. }
            | Op::GetMany { .. }
            | Op::Count { .. }
            | Op::Find { .. }
            | Op::Insert { .. }
            | Op::Put { .. }
            | Op::Update { .. }
            | Op::Delete { .. } => documents::apply(self, context, ids, known),
            _ => entries::apply(self, context, known),
        }
    }
}
