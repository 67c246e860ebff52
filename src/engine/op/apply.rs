//! Runs the operation that a call asks for.

use super::context::Context;
use super::known::Known;
use super::{MakeId, Op, Step, documents, entries};
use crate::lsm::Attempt;

impl Op {
    /// Runs the operation, all or nothing within its transaction's savepoint. The rows that it has looked up by then
    /// stay in `known`, for the next try.
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
