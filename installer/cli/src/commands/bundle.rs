//! `ingot bundle`: look into bundles where they are used.

use crate::inputs::BundleInput;
use crate::progress::Output;
use ingot_lifecycle::{Failure, FailureKind};
use std::process::ExitCode;

/// Commands on bundles.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check the signature and every byte of a bundle; needs no root, no mount and no network
    Verify(Arguments),
    /// List what a bundle holds
    Inspect(Arguments),
}

/// Arguments of commands on bundles.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    bundle: BundleInput,
    /// How to report: text for people, json for programs
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

impl Command {
    /// How it reports.
    pub fn output(&self) -> Output {
        let (Self::Verify(arguments) | Self::Inspect(arguments)) = self;
        arguments.output
    }
}

/// Runs the command.
///
/// # Errors
/// When the bundle is not whole or not signed by a trusted key.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Verify(arguments) => verify(&arguments),
        Command::Inspect(arguments) => inspect(&arguments),
    }
}

fn verify(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let bundle = arguments.bundle.open()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = bundle
        .verify_contents(threads, &|_| {})
        .map_err(|findings| {
            let lines: Vec<String> = findings.iter().map(|finding| finding.to_string()).collect();
            Failure::text(
                FailureKind::Input,
                format!("the bundle is not whole:\n  {}", lines.join("\n  ")),
            )
            .hint("copy it again from where it came from")
        })?;
    let manifest = bundle.manifest();
    match arguments.output {
        Output::Json => {
            let json = serde_json::json!({
                "product": manifest.product, "version": manifest.version,
                "signedBy": bundle.signed_by().to_string(), "components": summary.components, "files": summary.files, "bytes": summary.bytes,
            });
            crate::say!("{json}");
        }
        Output::Text => crate::say!(
            "{} {} for Kubernetes {} is whole: {} components, {} files, {} MB, signed by key {}",
            manifest.product,
            manifest.version,
            manifest.kubernetes_version,
            summary.components,
            summary.files,
            summary.bytes >> 20,
            bundle.signed_by()
        ),
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let bundle = arguments.bundle.open()?;
    let manifest = bundle.manifest();
    match arguments.output {
        Output::Json => {
            crate::say!(
                "{}",
                serde_json::to_string(manifest).map_err(|error| Failure::bug(error.to_string()))?
            );
        }
        Output::Text => {
            crate::say!(
                "{} {} (Kubernetes {})",
                manifest.product,
                manifest.version,
                manifest.kubernetes_version
            );
            for component in &manifest.components {
                crate::say!(
                    "{:<26} {:<24} {:<14} {:>8.1} MB  {}",
                    component.name,
                    component.version,
                    component.kind.to_string(),
                    component.size() as f64 / 1e6,
                    component.licence
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
