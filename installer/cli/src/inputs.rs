//! What commands are given: cluster.yaml, the bundle, the keys that may have signed it.

use ingot_bundle::{Bundle, TrustedKeys, VerifiedBundle};
use ingot_cluster::{Cluster, Places};
use ingot_lifecycle::error::chain;
use ingot_lifecycle::{Failure, FailureKind};
use std::path::PathBuf;

/// Where a cluster is described.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterInput {
    /// The description of the cluster
    #[arg(
        short,
        long = "config",
        value_name = "FILE",
        default_value = "cluster.yaml"
    )]
    pub config: PathBuf,
}

/// Where a bundle is, and who may have signed it.
#[derive(Debug, Clone, clap::Args)]
pub struct BundleInput {
    /// The bundle: an ISO file, a stick or disc it was written to, or a directory it is mounted on
    #[arg(short, long, value_name = "PATH", env = "INGOT_BUNDLE")]
    pub bundle: PathBuf,
    /// A public key that may have signed it; besides those in /etc/ingot/trusted-keys
    #[arg(short, long = "key", value_name = "FILE", env = "INGOT_TRUSTED_KEY")]
    pub keys: Vec<PathBuf>,
}

fn input(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::new(FailureKind::Input, error)
}

impl ClusterInput {
    /// Reads and validates the description, and tells where its fields stand; warnings go to standard error.
    ///
    /// # Errors
    /// Everything that is wrong with it, at once.
    pub fn load(&self) -> Result<(Cluster, Places), Failure> {
        let name = self.config.display().to_string();
        let text = std::fs::read(&self.config).map_err(|error| {
            Failure::text(FailureKind::Input, format!("cannot read {name}: {error}"))
                .hint("name the description of the cluster with -c FILE")
        })?;
        let loaded = ingot_cluster::load_bytes(&name, &text, &ingot_cluster::RealFiles)
            .map_err(|findings| Failure::text(FailureKind::Input, findings.to_string()))?;
        for warning in &loaded.warnings {
            crate::talk!("{warning}");
        }
        let mut cluster = loaded.cluster;
        cluster.read_authorities().map_err(|wrong| {
            Failure::text(FailureKind::Input, format!("{name}: {}", wrong.join("\n")))
        })?;
        Ok((cluster, loaded.places))
    }
}

impl BundleInput {
    /// The keys that are trusted.
    ///
    /// # Errors
    /// When there is none, or one cannot be read.
    pub fn trusted(&self) -> Result<TrustedKeys, Failure> {
        let mut files = self.keys.clone();
        for entry in std::fs::read_dir("/etc/ingot/trusted-keys")
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry
                .path()
                .extension()
                .is_some_and(|suffix| suffix == "pub")
            {
                files.push(entry.path());
            }
        }
        if files.is_empty() {
            return Err(Failure::text(FailureKind::Input, "no key is trusted, so the bundle cannot be verified")
                .hint("pass the vendor's public key with --key FILE, or put it into /etc/ingot/trusted-keys/NAME.pub"));
        }
        TrustedKeys::from_files(&files).map_err(|error| input(&error))
    }

    /// Opens the bundle and checks its signature and architecture.
    ///
    /// # Errors
    /// When it is not a bundle, not signed by a trusted key, or not for this machine.
    pub fn open(&self) -> Result<VerifiedBundle, Failure> {
        let keys = self.trusted()?;
        let bundle = Bundle::open(&self.bundle).map_err(|error| input(&error))?;
        let bundle = bundle
            .verify_signature(&keys)
            .map_err(|error| input(&error))?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        bundle
            .check_architecture(architecture)
            .map_err(|error| input(&error))?;
        Ok(bundle)
    }
}

/// This program's own bytes and their SHA-256: what becomes the agent on hosts.
///
/// # Errors
/// When the program cannot read itself.
pub fn own_program() -> Result<(Vec<u8>, String), Failure> {
    let bytes = std::fs::read("/proc/self/exe").map_err(|error| {
        Failure::bug(format!("cannot read the program itself: {}", chain(&error)))
    })?;
    let digest = ingot_bundle::Digest::of(&bytes).hex();
    Ok((bytes, digest))
}
