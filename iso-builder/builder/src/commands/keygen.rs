//! `iso-builder keygen`.

use super::Outcome;
use crate::sign;
use std::path::PathBuf;

/// Make a key pair for signing bundles.
///
/// Writes STEM.key (keep it secret, mode 0600) and STEM.pub (give it to every site). The
/// secret key is encrypted if INGOT_KEY_PASSWORD is set. The files are minisign's own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Path of the two files without extension.
    #[arg(value_name = "STEM", default_value = "ingot")]
    stem: PathBuf,
}

pub fn run(args: &Args) -> Outcome {
    let (secret, public) = sign::generate(&args.stem)?;
    eprintln!("secret key: {} (keep it safe)", secret.display());
    eprintln!("public key: {}", public.display());
    Ok(())
}
