//! `iso-builder lock`.

use super::Outcome;
use crate::cache::Cache;
use crate::catalog::Plan;
use crate::lock::{self, Lock};
use std::path::{Path, PathBuf};

/// Pin the newest Debian packages that the components ask for.
///
/// Go modules are pinned by go.mod and go.sum of each train (`go get` there), crates by
/// Cargo.lock; this verb is for the rest. Run `apt-get update` first. All catalogues of a folder
/// (`catalog*.yaml`) share its lock file, so what any of them asks for is pinned.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The catalogue whose folder it is.
    #[arg(long, value_name = "FILE", default_value = "images/catalog.yaml")]
    catalog: PathBuf,
}

pub fn run(args: &Args) -> Outcome {
    let plan = Plan::load(&args.catalog)?;
    let scratch = Cache::open()?.scratch()?;
    let path = plan.trains.with_file_name(lock::FILE);
    let before = Lock::load(&path)?;
    let mut components = plan.components;
    for other in beside(&args.catalog)? {
        components.extend(Plan::load(&other)?.components);
    }
    let lock = Lock::resolve(&components, scratch.path())?;
    for package in &lock.packages {
        let old = before.packages.iter().find(|old| old.name == package.name);
        match old {
            Some(old) if old == package => {}
            Some(old) => println!("{} {} -> {}", package.name, old.version, package.version),
            None => println!("{} {} (new)", package.name, package.version),
        }
    }
    for old in &before.packages {
        if !lock.packages.iter().any(|package| package.name == old.name) {
            println!("{} {} (gone)", old.name, old.version);
        }
    }
    lock.save(&path)?;
    eprintln!("{}: {} packages", path.display(), lock.packages.len());
    Ok(())
}

/// The other catalogues of the folder.
fn beside(catalog: &Path) -> std::io::Result<Vec<PathBuf>> {
    let folder = match catalog.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut others = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let one = name.starts_with("catalog") && name.ends_with(".yaml");
        if one && path.file_name() != catalog.file_name() {
            others.push(path);
        }
    }
    others.sort();
    Ok(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogues_of_a_folder_share_its_lock_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for name in [
            "catalog.yaml",
            "catalog-storage.yaml",
            "packages.lock.yaml",
            "catalog.md",
        ] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        let found = |name: &str| -> Vec<String> {
            let others = beside(&folder.path().join(name)).expect("read");
            let name = |path: &PathBuf| {
                path.file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            };
            others.iter().map(name).collect()
        };
        assert_eq!(found("catalog.yaml"), ["catalog-storage.yaml"]);
        assert_eq!(found("mine.yaml"), ["catalog-storage.yaml", "catalog.yaml"]);
    }
}
