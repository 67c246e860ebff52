//! From the crate to a folder of `build`: compile, generate the glue, optimize. Does nothing when nothing changed.
//!
//! The glue comes from wasm-bindgen's own library in the exact version that the crate links, because a module and its
//! glue share a private schema, and because a library needs no download of a program.

use crate::steps::{Failure, read, root, run, target_directory};
use crate::{alike, order};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use wasm_bindgen_cli_support::Bindgen;

/// How much time is spent on the module's size.
#[derive(Clone, Copy, Debug, PartialEq, Hash)]
pub enum Variant {
    /// Optimized for size: the module that ships.
    Small,
    /// Compiled fast, several times as large: the module to edit with.
    Quick,
    /// As quick, with the storage suite built in, to hold it against a browser's own storage. In a folder of its own.
    Conformance,
}

impl Variant {
    /// The profile in the root `Cargo.toml`.
    fn profile(self) -> &'static str {
        match self {
            Variant::Small => "release",
            Variant::Quick | Variant::Conformance => "quick",
        }
    }

    fn features(self) -> &'static str {
        match self {
            Variant::Small | Variant::Quick => "",
            Variant::Conformance => "conformance",
        }
    }

    fn folder(self) -> PathBuf {
        let name = match self {
            Variant::Small | Variant::Quick => "wasm",
            Variant::Conformance => "wasm-conformance",
        };
        root().join("build").join(name)
    }
}

/// The first name of all files made here: `offshoot_core.js`, `offshoot_core.d.ts`, `offshoot_core_bg.wasm`.
const NAME: &str = "offshoot_core";

/// Features that rustc switches on for wasm32-unknown-unknown; the optimizer may use these and no others.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// The optimizer may assume that no value lies in the first 1,024 bytes of memory. An instruction that reads or writes
/// can then add a small number to its address by itself. These bytes are the far end of the stack: a stack that came so
/// far would be full a moment later.
const LOW_MEMORY: &str = "--low-memory-unused";

/// The optimizer writes a function with one caller into that caller, which saves the call. Above this size it does not:
/// the locals of both then share one list, are numbered in common, and gzip finds less of either elsewhere.
const ONE_CALLER: &str = "--one-caller-inline-max-function-size=40";

/// Brings the variant's folder up to date.
pub fn build(variant: Variant) -> Result<(), Failure> {
    let compiled = compile(variant)?;
    let folder = variant.folder();
    let stamp = folder.join("stamp.txt");
    let fingerprint = fingerprint(&compiled, variant)?;
    if fs::read_to_string(&stamp).is_ok_and(|old| old == fingerprint) {
        return Ok(());
    }
    // Everything is made beside the folder and moved in at the end: an interrupted build leaves nothing half made.
    let workshop = folder.with_extension("new");
    remove(&workshop)?;
    generate_glue(&compiled, &workshop)?;
    if variant == Variant::Small {
        optimize(&workshop.join(format!("{NAME}_bg.wasm")))?;
    }
    fs::write(workshop.join("stamp.txt"), fingerprint)?;
    remove(&folder)?;
    fs::rename(&workshop, &folder)?;
    let size = fs::metadata(folder.join(format!("{NAME}_bg.wasm")))?.len();
    println!("{}: {size} bytes of WebAssembly ({variant:?})", folder.strip_prefix(root())?.display());
    Ok(())
}

/// Compiles the crate and tells where the module is. Cargo itself knows whether anything changed.
fn compile(variant: Variant) -> Result<PathBuf, Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .current_dir(root())
        .env("CARGO_ENCODED_RUSTFLAGS", path_flags().join("\u{1f}"))
        // As a cdylib alone: Cargo optimizes nothing at link time in a library that is also an rlib.
        .args(["rustc", "--quiet", "--package", "offshoot", "--lib", "--crate-type", "cdylib"])
        .args(["--target", "wasm32-unknown-unknown"])
        .args(["--profile", variant.profile(), "--features", variant.features(), "--target-dir"])
        .arg(target_directory()))?;
    Ok(target_directory().join("wasm32-unknown-unknown").join(variant.profile()).join("offshoot.wasm"))
}

/// Panic messages name source files. These flags shorten the names to what is equal on every machine, so that the
/// module tells nothing of the one that built it, and equal sources give equal bytes.
fn path_flags() -> Vec<String> {
    let mut flags = vec![format!("--remap-path-prefix={}=offshoot", root().display())];
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    if let Some(home) = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))) {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
        // Below it the sources of each registry stand in a folder that bears the registry's name.
        for registry in fs::read_dir(home.join("registry/src")).into_iter().flatten().flatten() {
            flags.push(format!("--remap-path-prefix={}=crates", registry.path().display()));
        }
    }
    // The standard library's own sources lie there, once somebody has asked rustup for them.
    if let Ok(sysroot) = Command::new("rustc").args(["--print", "sysroot"]).output() {
        let sysroot = String::from_utf8_lossy(&sysroot.stdout);
        flags.push(format!("--remap-path-prefix={}/lib/rustlib/src/rust=rust", sysroot.trim()));
    }
    flags
}

/// Names the input of the later steps: equal fingerprints give equal output.
fn fingerprint(compiled: &Path, variant: Variant) -> Result<String, Failure> {
    let mut hasher = DefaultHasher::new();
    variant.hash(&mut hasher);
    read(compiled)?.hash(&mut hasher);
    // This program's own source, and the lock files, which hold the versions of both tools.
    include_bytes!("wasm.rs").hash(&mut hasher);
    include_bytes!("module.rs").hash(&mut hasher);
    include_bytes!("order.rs").hash(&mut hasher);
    include_bytes!("alike.rs").hash(&mut hasher);
    read(&root().join("Cargo.lock"))?.hash(&mut hasher);
    read(&root().join("tests/package-lock.json"))?.hash(&mut hasher);
    Ok(format!("{:016x}\n", hasher.finish()))
}

/// Writes the module with its imports bound, the JavaScript that calls it, and that JavaScript's declarations.
fn generate_glue(compiled: &Path, folder: &Path) -> Result<(), Failure> {
    Bindgen::new()
        .input_path(compiled)
        .out_name(NAME)
        .web(true)?
        .typescript(true)
        // The entry points know where the module lies. A second guess in the glue would make bundlers copy it twice.
        .omit_default_module_path(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(folder)
        .map_err(|error| format!("the JavaScript glue could not be generated: {error:#}").into())
}

/// Makes the module smaller in place, with the optimizer that npm brings as JavaScript. The optimizer is run twice,
/// because the order of functions is found in what it has made of them; the second run makes them a little smaller too.
/// The first run begins with the blocks and jumps of each function, which it takes apart and builds again.
fn optimize(module: &Path) -> Result<(), Failure> {
    let optimizer = root().join("tests/node_modules/binaryen/bin/wasm-opt");
    if !optimizer.exists() {
        return Err("the optimizer is not installed: run `make setup`".into());
    }
    let optimize = |passes: &[&str]| {
        let mut command = Command::new("node");
        command.arg(&optimizer).args(passes).args(FEATURES).arg(LOW_MEMORY);
        run(command.arg(module).arg("-o").arg(module))
    };
    optimize(&["--flatten", "--rereloop", "-Oz", "-Oz", ONE_CALLER])?;
    fs::write(module, order::name_in_order(&read(module)?)?)?;
    // The module is written without names and without a list of features: engines ask for neither.
    optimize(&["-Oz", ONE_CALLER, "--reorder-functions-by-name", "--strip-target-features"])?;
    fs::write(module, alike::write_alike(read(module)?)?)?;
    Ok(())
}

/// Removes a folder with all that is in it; one that is not there is no error.
fn remove(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
