//! Which files of the workspace the compiler read.
//!
//! A file that shapes a program and is in no input of its component would change without the program
//! being built again. Compilers know best: cargo writes beside each program what it was made of, also
//! what build scripts and `include_str!` name (The Cargo Book, "Build Cache", section "Dep-info files").

use super::{CargoError, list, programs};
use crate::catalog::CargoSpec;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// So many are named in an error; the others are likely beside them.
const NAMED: usize = 8;

/// Refuses programs, built in that target directory, that are made of more than the inputs of their
/// component.
///
/// # Errors
/// When a file that was read is in none of the inputs, or cargo has not written down what it read.
pub fn check(workspace: &Path, spec: &CargoSpec, target: &Path) -> Result<(), CargoError> {
    let unlisted = unlisted(workspace, spec, target)?;
    if unlisted.is_empty() {
        return Ok(());
    }
    let more = unlisted.len().saturating_sub(NAMED);
    let mut files: Vec<String> = unlisted.into_iter().take(NAMED).collect();
    if more > 0 {
        files.push(format!("{more} more"));
    }
    Err(CargoError::Unlisted {
        package: spec.package.clone(),
        files: files.join(", "),
    })
}

fn unlisted(
    workspace: &Path,
    spec: &CargoSpec,
    target: &Path,
) -> Result<BTreeSet<String>, CargoError> {
    let listed: BTreeSet<PathBuf> = list(workspace, spec)?
        .into_iter()
        .map(PathBuf::from)
        .collect();
    let (workspace, target) = (whole(workspace)?, whole(target)?);
    let mut unlisted = BTreeSet::new();
    for binary in &spec.binaries {
        let file = programs(&target).join(format!("{}.d", binary.name));
        let text = std::fs::read_to_string(&file).map_err(|source| unreadable(&file, source))?;
        for path in dependencies(&text) {
            // What is not there any more was a scratch file of the build.
            let Ok(path) = workspace.join(path).canonicalize() else {
                continue;
            };
            // What was generated comes of files that are named, too.
            if path.starts_with(&target) {
                continue;
            }
            for path in manifest(&path).into_iter().chain([path]) {
                let Ok(name) = path.strip_prefix(&workspace) else {
                    continue;
                };
                // A folder that a build script reads: all of it.
                let named = match path.is_dir() {
                    true => spec.inputs.iter().any(|input| name.starts_with(input)),
                    false => listed.contains(name),
                };
                if !named {
                    unlisted.insert(name.display().to_string());
                }
            }
        }
    }
    Ok(unlisted)
}

/// The manifest of the package that a file belongs to, which cargo does not name.
fn manifest(path: &Path) -> Option<PathBuf> {
    let mut manifests = path.ancestors().map(|folder| folder.join("Cargo.toml"));
    manifests.find(|manifest| manifest.is_file())
}

fn whole(path: &Path) -> Result<PathBuf, CargoError> {
    path.canonicalize()
        .map_err(|source| unreadable(path, source))
}

fn unreadable(path: &Path, source: std::io::Error) -> CargoError {
    CargoError::Read {
        path: path.to_owned(),
        source,
    }
}

/// The right side of a rule of make: names with a space between them; one within a name has a backslash
/// before it.
fn dependencies(rule: &str) -> Vec<PathBuf> {
    let line = rule.lines().next().unwrap_or_default();
    let (_, line) = line.split_once(": ").unwrap_or_default();
    let mut names = vec![String::new()];
    let mut letters = line.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' if letters.peek() == Some(&' ') => {
                letters.next();
                names.last_mut().expect("never empty").push(' ');
            }
            ' ' => names.push(String::new()),
            letter => names.last_mut().expect("never empty").push(letter),
        }
    }
    let names = names.into_iter().filter(|name| !name.is_empty());
    names.map(PathBuf::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_are_read_whole() {
        let rule = "/t/release/part: /w/src/main.rs /w/a\\ b/c.txt /w/d\n\n/w/src/main.rs:\n";
        let names = ["/w/src/main.rs", "/w/a b/c.txt", "/w/d"].map(PathBuf::from);
        assert_eq!(dependencies(rule), names);
        assert_eq!(dependencies("/t/release/part:\n"), Vec::<PathBuf>::new());
    }
}
