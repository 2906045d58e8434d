//! `iso-builder verify`.

use super::Outcome;
use ingot_bundle::{Bundle, TrustedKeys};
use std::path::PathBuf;

/// Check the signature and every byte of a bundle.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ISO file, or the directory it is mounted on.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public key of whoever may have signed it; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
    /// Threads to read with; as many as there are CPUs when absent.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub fn run(args: &Args) -> Outcome {
    let keys = TrustedKeys::from_files(&args.trust)?;
    let bundle = Bundle::open(&args.bundle)?.verify_signature(&keys)?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = args.threads.unwrap_or(cpus);
    match bundle.verify_contents(threads, &|_| {}) {
        Ok(summary) => {
            println!(
                "{}: good, signed by {}; {} components, {} files, {:.1} MB",
                args.bundle.display(),
                bundle.signed_by(),
                summary.components,
                summary.files,
                summary.bytes as f64 / 1e6
            );
            Ok(())
        }
        Err(findings) => {
            for finding in &findings {
                println!("{finding}");
            }
            Err(format!(
                "{}: {} files are wrong",
                args.bundle.display(),
                findings.len()
            )
            .into())
        }
    }
}
