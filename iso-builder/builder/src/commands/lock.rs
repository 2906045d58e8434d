//! `iso-builder lock`.

use super::Outcome;
use crate::cache::Cache;
use crate::catalog::Plan;
use crate::lock::{self, Lock};
use std::path::PathBuf;

/// Pin the newest Debian packages that the components ask for.
///
/// Go modules are pinned by go.mod and go.sum of each train (`go get` there), crates by
/// Cargo.lock; this verb is for the rest. Run `apt-get update` first.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The catalogue that lists the components.
    #[arg(long, value_name = "FILE", default_value = "images/catalog.yaml")]
    catalog: PathBuf,
}

pub fn run(args: &Args) -> Outcome {
    let plan = Plan::load(&args.catalog)?;
    let scratch = Cache::open()?.scratch()?;
    let path = plan.trains.with_file_name(lock::FILE);
    let before = Lock::load(&path)?;
    let lock = Lock::resolve(&plan.components, scratch.path())?;
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
