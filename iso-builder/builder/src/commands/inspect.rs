//! `iso-builder inspect`.

use super::Outcome;
use ingot_bundle::{Bundle, Manifest, TrustedKeys};
use std::path::PathBuf;

/// List what is in a bundle: components, versions, sizes, licences.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The ISO file, or the directory it is mounted on.
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Public key of whoever may have signed it; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
    /// How to print.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Format,
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// Columns for people.
    Table,
    /// bundle.json itself.
    Json,
}

pub fn run(args: &Args) -> Outcome {
    let keys = TrustedKeys::from_files(&args.trust)?;
    let bundle = Bundle::open(&args.bundle)?.verify_signature(&keys)?;
    match args.output {
        Format::Table => print!("{}", table(bundle.manifest())),
        Format::Json => println!("{}", serde_json::to_string_pretty(bundle.manifest())?),
    }
    Ok(())
}

/// One line per component, columns as wide as needed.
pub fn table(manifest: &Manifest) -> String {
    let mut rows = vec![["COMPONENT", "VERSION", "KIND", "SIZE", "LICENCE"].map(str::to_owned)];
    for component in &manifest.components {
        rows.push([
            component.name.clone(),
            component.version.clone(),
            component.kind.to_string(),
            format!("{:.1} MB", component.size() as f64 / 1e6),
            component.licence.clone(),
        ]);
    }
    let mut text = format!(
        "{} {}, Kubernetes {}, {}, of {}\n\n",
        manifest.product,
        manifest.version,
        manifest.kubernetes_version,
        manifest.architecture,
        manifest.created
    );
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    for [name, version, kind, size, licence] in &rows {
        text.push_str(&format!(
            "{name:<0$}  {version:<1$}  {kind:<2$}  {size:>3$}  {licence}\n",
            widths[0], widths[1], widths[2], widths[3]
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use ingot_bundle::testing::{TestBundle, TestKey};
    use std::error::Error;

    #[test]
    fn the_table_is_aligned() -> Result<(), Box<dyn Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let manifest = TestBundle::default().write(folder.path(), &TestKey::generate()?)?;
        let expected = "\
ingot 0.0.1, Kubernetes 1.36.3, amd64, of 2026-11-01T00:00:00Z

COMPONENT  VERSION  KIND             SIZE  LICENCE
etcd       1.0.0    image          0.0 MB  Apache-2.0
ingot      1.0.0    installer      0.0 MB  Apache-2.0
kubelet    1.0.0    host-binaries  0.0 MB  Apache-2.0
";
        assert_eq!(super::table(&manifest), expected);
        Ok(())
    }
}
