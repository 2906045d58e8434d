//! `iso-builder build`.

use super::Outcome;
use crate::build;
use crate::cache::Cache;
use crate::catalog::Plan;
use crate::progress::Reporter;
use crate::sign::Signer;
use std::path::PathBuf;
use std::time::Instant;

/// Build a signed bundle from a catalogue.
///
/// Only what changed since the last build is built; everything else comes from the cache
/// ($INGOT_CACHE, default ~/.cache/ingot). The same inputs and key give the same bytes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The catalogue that lists the components.
    #[arg(long, value_name = "FILE", default_value = "images/catalog.yaml")]
    catalog: PathBuf,
    /// The secret key to sign with, see `iso-builder keygen`.
    #[arg(long, value_name = "FILE", env = "INGOT_SIGNING_KEY")]
    key: PathBuf,
    /// Where to write the ISO image.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(args: &Args) -> Outcome {
    let begun = Instant::now();
    let plan = Plan::load(&args.catalog)?;
    let signer = Signer::load(&args.key)?;
    let cache = Cache::open()?;
    let reporter = Reporter::new(plan.components.len());
    let report = build::build(&plan, &cache, &signer, &args.output, &reporter)?;
    let state = if report.up_to_date {
        "is up to date".to_owned()
    } else {
        format!(
            "was written, {} of {} components built",
            report.built,
            plan.components.len()
        )
    };
    eprintln!(
        "{} {state}: {:.1} MB, {:.1} s",
        args.output.display(),
        report.size as f64 / 1e6,
        begun.elapsed().as_secs_f64()
    );
    println!("{}  {}", report.digest.hex(), args.output.display());
    Ok(())
}
