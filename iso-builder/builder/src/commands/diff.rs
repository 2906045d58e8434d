//! `iso-builder diff`.

use super::Outcome;
use super::inspect::Format;
use ingot_bundle::{Bundle, Change, Changes, TrustedKeys, changes};
use std::path::PathBuf;

/// Show what changed from one bundle to another, and how many bytes of it are new.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The older bundle.
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The newer bundle.
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Public key of whoever may have signed them; may be given several times.
    #[arg(long, value_name = "FILE", required = true)]
    trust: Vec<PathBuf>,
    /// How to print.
    #[arg(long, short, value_enum, default_value = "table")]
    output: Format,
}

pub fn run(args: &Args) -> Outcome {
    let keys = TrustedKeys::from_files(&args.trust)?;
    let old = Bundle::open(&args.old)?.verify_signature(&keys)?;
    let new = Bundle::open(&args.new)?.verify_signature(&keys)?;
    let changes = changes(old.manifest(), new.manifest());
    match args.output {
        Format::Table => print!("{}", text(&changes)),
        Format::Json => println!("{}", serde_json::to_string_pretty(&changes)?),
    }
    Ok(())
}

fn text(changes: &Changes) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let mut text = String::new();
    for change in &changes.components {
        text.push_str(&match change {
            Change::Added {
                name,
                version,
                new_bytes,
            } => {
                format!("+ {name} {version} ({})\n", megabytes(*new_bytes))
            }
            Change::Removed { name, version } => format!("- {name} {version}\n"),
            Change::Changed {
                name,
                from,
                to,
                new_bytes,
            } if from == to => {
                format!(
                    "~ {name} {from}, built differently ({})\n",
                    megabytes(*new_bytes)
                )
            }
            Change::Changed {
                name,
                from,
                to,
                new_bytes,
            } => {
                format!("~ {name} {from} -> {to} ({})\n", megabytes(*new_bytes))
            }
        });
    }
    text.push_str(&format!(
        "{} changed, {} unchanged; {} of {} are new\n",
        changes.components.len(),
        changes.unchanged,
        megabytes(changes.new_bytes),
        megabytes(changes.total_bytes)
    ));
    text
}

#[cfg(test)]
mod tests {
    use ingot_bundle::testing::{TestBundle, TestKey};
    use ingot_bundle::{Kind, changes};
    use std::error::Error;

    #[test]
    fn added_removed_and_changed_components_are_told() -> Result<(), Box<dyn Error + Send + Sync>> {
        let key = TestKey::generate()?;
        let folder = tempfile::tempdir()?;
        let old = TestBundle::default();
        let mut new = old.clone();
        new.components[0].2 = vec![vec![1; 3_000_000]];
        new.components[1] = (
            "runc".to_owned(),
            Kind::HostBinaries,
            vec![vec![2; 1_000_000]],
        );
        let old = old.write(&folder.path().join("old"), &key)?;
        let mut new = new.write(&folder.path().join("new"), &key)?;
        assert_eq!(
            super::text(&changes(&old, &new)),
            "~ etcd 1.0.0, built differently (3.0 MB)\n\
             - kubelet 1.0.0\n\
             + runc 1.0.0 (1.0 MB)\n\
             3 changed, 1 unchanged; 4.0 MB of 4.0 MB are new\n"
        );
        new.components[0].version = "2.0.0".to_owned();
        let told = super::text(&changes(&old, &new));
        assert!(
            told.starts_with("~ etcd 1.0.0 -> 2.0.0 (3.0 MB)\n"),
            "{told}"
        );
        assert_eq!(super::text(&changes(&old, &old)).lines().count(), 1);
        Ok(())
    }
}
