//! Where things lie, and running other programs. Knows nothing of WebAssembly.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a step failed, in words for whoever runs the build.
pub type Failure = Box<dyn Error>;

/// The repository's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("BUG: xtask lies in the root folder")
}

/// Where cargo puts what it compiles. Named to cargo on every call, so that both mean the same folder.
pub fn target_directory() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// Waits until no other build writes into `build`; the file that is returned holds others off for as long as it lives.
pub fn alone() -> Result<File, Failure> {
    let folder = root().join("build");
    std::fs::create_dir_all(&folder)?;
    let file = File::create(folder.join("lock"))?;
    file.lock()?;
    Ok(file)
}

/// Runs a program to its end with this program's own output, and fails as it fails.
pub fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().map_err(|error| format!("{name} could not be started: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{name} failed. {status}").into()) }
}

/// The bytes of a file, or an error that names it.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| format!("cannot read a file. path={path:?}: {error}").into())
}
