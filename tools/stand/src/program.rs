//! Where the project's programs are: all of them are built into one folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, bail};

/// The path of the program that runs, as it was at the first call: a build may replace the file later.
///
/// # Errors
///
/// If the system does not tell.
pub fn own_program() -> anyhow::Result<&'static Path> {
    static OWN: OnceLock<PathBuf> = OnceLock::new();
    if let Some(own) = OWN.get() {
        return Ok(own);
    }
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    Ok(OWN.get_or_init(|| own))
}

/// The path of the program of that name beside the one that runs.
///
/// # Errors
///
/// If it is missing; the error says how to build it.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let own = own_program()?;
    let path = own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !path.is_file() {
        let release = match own.parent().and_then(Path::file_name) {
            Some(profile) if profile == "release" => " --release",
            _ => "",
        };
        bail!(
            "`{}` is missing: build it with `cargo build --workspace --bins{release}`",
            path.display()
        );
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_missing_says_how_to_build_it() {
        let error = program("no-such-service").unwrap_err().to_string();
        assert!(error.contains("cargo build --workspace --bins"), "{error}");
    }
}
