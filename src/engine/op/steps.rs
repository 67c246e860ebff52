//! The steps of a call that only reads, taken on what is in memory. A call that needs storage, or examines more than
//! `STEP_ROWS`, is not answered at once: it goes on from where it stood, and others have their turn between its steps.
//! Without the bound a count of a million documents would block a page for a second.

use super::context::{Context, STEP_ROWS};
use super::known::Known;
use super::{Answer, MakeId, Op, Step};
use crate::lsm::{Attempt, Fault};

/// True if a call names more rows than one step may examine.
pub fn names_many(op: &Op) -> bool {
    op.named() as u64 > STEP_ROWS
}

/// Takes steps of a call that only reads, until it is answered or has examined as much as one step may. Then `rest` is
/// what is left of the call.
pub fn at_once(context: Context<'_>, op: &Op, ids: &dyn MakeId, rest: &mut Option<Op>) -> Attempt<Answer> {
    let (mut context, mut known) = (context.in_steps(), Known::default());
    loop {
        match rest.as_ref().unwrap_or(op).apply(&mut context, ids, &mut known)? {
            Step::Done(answer) => return Ok(answer),
            Step::More(next) => *rest = Some(next),
        }
        if context.is_over() {
            return Err(Fault::Pause);
        }
    }
}
