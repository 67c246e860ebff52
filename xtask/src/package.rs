//! From `pkg/src` and `build/wasm` to `pkg/dist`, which is what `npm pack` ships.

use crate::steps::{Failure, root, run};
use crate::wasm::{self, Variant};
use std::process::Command;

/// Brings `build/wasm` and `pkg/dist` up to date.
pub fn build(variant: Variant) -> Result<(), Failure> {
    wasm::build(variant)?;
    // Bundling takes a tenth of a second, less than finding out whether it is needed.
    run(Command::new("node").arg(root().join("tests/tools/build-package.mjs")))
}
