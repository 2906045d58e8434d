//! `iso-builder extract`.

use super::Outcome;
use crate::layer;
use ingot_bundle::{Bundle, Kind, TrustedKeys};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Take the files of a component that is no image out of a bundle.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ISO file, or the directory it is mounted on.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// The component, for instance kubelet.
    #[arg(value_name = "COMPONENT")]
    component: String,
    /// The directory to put the files into.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Public key of whoever may have signed it; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
}

pub fn run(args: &Args) -> Outcome {
    let keys = TrustedKeys::from_files(&args.trust)?;
    let bundle = Bundle::open(&args.bundle)?.verify_signature(&keys)?;
    bundle.require_components(&[&args.component])?;
    let Some(component) = bundle.component(&args.component) else {
        return Ok(());
    };
    if component.kind == Kind::Image {
        return Err(format!(
            "{} is a container image; copy it with skopeo from the mounted bundle",
            component.name
        )
        .into());
    }
    fs::create_dir_all(&args.to)?;
    for blob in component.layers() {
        layer::read_files(bundle.blob(&blob.digest)?, &mut |path, mode, content| {
            let name = path.file_name().unwrap_or_default();
            let place = args.to.join(name);
            let mut file = fs::File::create(&place)?;
            io::copy(content, &mut file)?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            println!("{}", place.display());
            Ok(())
        })?;
    }
    Ok(())
}
