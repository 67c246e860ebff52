//! Letting others go first: what a commit does that lost to other tabs, and what this engine does for theirs.
//!
//! A commit that was not first three times appends a plea (`lsm/plea.rs`). Others that read it hold back what they
//! would append until the commit is there, or until they have looked for it a few times. So a plea of a tab that died
//! costs every other tab one short wait.

use std::rc::Rc;

use super::Core;
use super::job::Pleading;
use crate::error::{Error, ErrorCode, Result};
use crate::lsm::{Installation, Swapped};

/// A commit pleads after so many losses, and again after as many more: others may have given up its plea, or have
/// trimmed it before they read it.
const PATIENCE: u32 = 3;
/// A commit gives up after so many losses: each time another tab was first, or had pleaded before. Beside three tabs
/// that live it loses six times at most. The rest is for tabs that died, trims and freezes.
const LATE: u32 = 24;
/// A tab that holds back looks so often for the other tab's commit, and sleeps 1, 2, 4, ... milliseconds before each
/// look.
const LOOKS: u32 = 8;
/// So often may other tabs commit before a swap of the manifest that would end history, before it leaves history as it
/// is: the log must be trimmed all the same.
const LATE_SWAP: u32 = 8;

impl Core {
    pub fn pleading(self: &Rc<Core>) -> Rc<Pleading> {
        let id = self.platform.random();
        self.lsm.with_mut(|state| state.pleas.begin_own(id));
        Rc::new(Pleading { lsm: self.lsm.clone(), id })
    }

    /// A commit has come to be late for the so-many-th time. Nothing may be staged.
    pub async fn after_loss(self: &Rc<Core>, late: u32, plea: &mut Option<Rc<Pleading>>) -> Result<()> {
        if late >= LATE {
            let message = format!("other tabs were first every time. tries={late}");
            return Err(Error::new(ErrorCode::Timeout, message));
        }
        if late.is_multiple_of(PATIENCE) {
            let id = plea.get_or_insert_with(|| self.pleading()).id;
            self.plead(id).await?;
        }
        Ok(())
    }

    /// Appends a plea. A storage that has no room for it has none for the commit.
    pub async fn plead(&self, id: u64) -> Result<()> {
        let pleaded = self.lsm.plead(id).await;
        self.note_damage(pleaded)
    }

    /// Holds back for the plea that goes first. A commit that did so is late, as if another one had been first.
    pub async fn let_plea_first(self: &Rc<Core>, late: u32, plea: &mut Option<Rc<Pleading>>) -> Result<()> {
        self.heed().await?;
        self.after_loss(late, plea).await
    }

    /// Holds back for the plea that goes first, if there is one. Nothing may be staged.
    pub async fn heed(&self) -> Result<bool> {
        let Some(id) = self.lsm.with(|state| state.pleas.to_heed()) else { return Ok(false) };
        for look in 0..LOOKS {
            self.take_nap(1 << look).await;
            self.look_at_log().await?;
            if !self.lsm.with(|state| state.pleas.stands(id)) {
                return Ok(true);
            }
        }
        self.lsm.with_mut(|state| state.pleas.forget(id));
        Ok(true)
    }

    /// Swaps the manifest. It would refuse others' large commits, so it lets one plea go first, and no more: what swaps
    /// it must come to an end too. One that ends history appends a commit, and pleads for it as any other that lost.
    /// False: another tab changed the same thing.
    pub async fn swap(self: &Rc<Core>, mut installation: Installation) -> Result<bool> {
        let mut plea = None;
        for late in 1..=LATE_SWAP + 1 {
            self.heed().await?;
            match self.lsm.install(&mut installation).await? {
                Swapped::Late => self.after_loss(late, &mut plea).await?,
                swapped => return Ok(swapped == Swapped::Done),
            }
            plea.iter().for_each(|plea| installation.close_as(plea.id));
            if late == LATE_SWAP {
                installation.leave_floor();
            }
        }
        Ok(false)
    }
}
