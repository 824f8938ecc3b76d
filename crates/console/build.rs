//! Makes the table of the page's files, so that they are part of the program.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = |name| {
        let folder = env::var_os(name).map(PathBuf::from);
        folder.ok_or_else(|| io::Error::other(format!("cargo has not set {name}")))
    };
    let web = folder("CARGO_MANIFEST_DIR")?.join("web");
    println!("cargo::rerun-if-changed={}", web.display());
    let mut files = Vec::new();
    collect(&web, &mut files)?;
    files.sort();
    let mut table = String::from("&[\n");
    for file in files {
        let name = file.strip_prefix(&web).map_err(io::Error::other)?;
        let name = name.to_string_lossy().replace('\\', "/");
        let line = writeln!(
            table,
            "    ({name:?}, include_bytes!({:?})),",
            file.display().to_string()
        );
        line.map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    fs::write(folder("OUT_DIR")?.join("web.rs"), table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
