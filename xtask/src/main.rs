//! The build's steps that need Rust, run as `cargo xtask <command>`.
//!
//! `wasm` compiles the crate for the browser, generates its JavaScript glue and makes the module small: `build/wasm`.
//! `package` does that, then makes `pkg/dist` of it and the TypeScript in `pkg/src`.
//! `conformance` makes `build/wasm-conformance`, a module for the tests that holds the storage suite.
//! `--quick` optimizes less: for the seconds between two edits, not for shipping.

mod alike;
mod module;
mod order;
mod package;
mod steps;
#[cfg(test)]
mod tests;
mod wasm;

use std::process::ExitCode;
use wasm::Variant;

const USAGE: &str = "usage: cargo xtask conformance | (wasm|package) [--quick]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = steps::alone().and_then(|_guard| match arguments.as_slice() {
        ["wasm"] => wasm::build(Variant::Small),
        ["wasm", "--quick"] => wasm::build(Variant::Quick),
        ["conformance"] => wasm::build(Variant::Conformance),
        ["package"] => package::build(Variant::Small),
        ["package", "--quick"] => package::build(Variant::Quick),
        _ => Err(USAGE.into()),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
