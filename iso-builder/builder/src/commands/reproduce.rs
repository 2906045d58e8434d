//! `iso-builder reproduce`.

use super::Outcome;
use crate::cache::Cache;
use crate::catalog::Plan;
use crate::process;
use ingot_bundle::{Bundle, TrustedKeys, changes};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prove that a bundle can be built again: two builds from nothing, the same bytes.
///
/// Copies the tracked sources to two places of different length, builds each with empty caches
/// (the compilers' too) and compares. Takes as long as two first builds.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The catalogue that lists the components.
    #[arg(long, value_name = "FILE", default_value = "images/catalog.yaml")]
    catalog: PathBuf,
    /// A bundle that was built before; the first build is compared with it instead of with a
    /// second one.
    #[arg(long, value_name = "BUNDLE", requires = "trust")]
    with: Option<PathBuf>,
    /// Public key of that bundle.
    #[arg(long, value_name = "FILE")]
    trust: Vec<PathBuf>,
    /// The key that bundle was signed with. Without it another signs, so that the signatures
    /// differ and only the components can be compared.
    #[arg(long, value_name = "FILE", requires = "with")]
    key: Option<PathBuf>,
}

pub fn run(args: &Args) -> Outcome {
    let plan = Plan::load(&args.catalog)?;
    let catalog = fs::canonicalize(&args.catalog)?;
    let catalog = catalog.strip_prefix(&plan.workspace)?;
    let scratch = Cache::open()?.scratch()?;
    let stem = scratch.path().join("reproduce");
    let (key, keys) = match &args.key {
        Some(key) => (key.canonicalize()?, TrustedKeys::from_files(&args.trust)?),
        None => {
            let (key, public) = crate::sign::generate(&stem)?;
            (key, TrustedKeys::from_file(&public)?)
        }
    };
    let same = |one: &Path, two: &Path| -> Result<bool, Box<dyn std::error::Error>> {
        let [one, two] = [one, two].map(ingot_bundle::digest_of_file);
        Ok(one?.0 == two?.0)
    };

    let first = build(&plan, catalog, &scratch.path().join("a"), &key)?;
    let new = Bundle::open(&first)?.verify_signature(&keys)?;
    let old = match &args.with {
        Some(path) => {
            if args.key.is_some() && same(path, &first)? {
                println!(
                    "reproduced: the image is the same as {}, byte for byte",
                    path.display()
                );
                return Ok(());
            }
            Bundle::open(path)?.verify_signature(&TrustedKeys::from_files(&args.trust)?)?
        }
        None => {
            let place = scratch.path().join("another-place-with-a-longer-name");
            let second = build(&plan, catalog, &place, &key)?;
            if same(&first, &second)? {
                println!("reproduced: both images are the same, byte for byte");
                return Ok(());
            }
            Bundle::open(&second)?.verify_signature(&keys)?
        }
    };
    let changes = changes(old.manifest(), new.manifest());
    if changes.components.is_empty() && args.with.is_some() && args.key.is_none() {
        println!(
            "reproduced: all {} components are the same",
            changes.unchanged
        );
        return Ok(());
    }
    if changes.components.is_empty() {
        return Err(
            "the images differ, though all components are the same: compare their \
                    bundle.json and the output of xorriso"
                .into(),
        );
    }
    println!("{}", serde_json::to_string_pretty(&changes)?);
    Err("the builds differ; the components that do are listed above".into())
}

/// Builds in a copy of the sources at `place`, knowing nothing from before.
fn build(
    plan: &Plan,
    catalog: &Path,
    place: &Path,
    key: &Path,
) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let sources = place.join("sources");
    let listing = process::run(Command::new("git").current_dir(&plan.workspace).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for name in String::from_utf8_lossy(&listing)
        .split('\0')
        .filter(|name| !name.is_empty())
    {
        let (from, to) = (plan.workspace.join(name), sources.join(name));
        if from.exists() {
            fs::create_dir_all(to.parent().unwrap_or(&sources))?;
            fs::copy(&from, &to)?;
        }
    }
    eprintln!("building in {}", sources.display());
    let image = place.join("bundle.iso");
    let mut command = Command::new(std::env::current_exe()?);
    command
        .current_dir(&sources)
        .env("INGOT_CACHE", place.join("cache"))
        .env("GOCACHE", place.join("go-build"))
        .arg("build")
        .arg("--catalog")
        .arg(catalog)
        .arg("--key")
        .arg(key)
        .arg("--output")
        .arg(&image);
    process::run(&mut command)?;
    Ok(image)
}
