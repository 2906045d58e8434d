//! The ISO reader against images made by xorriso, whole and damaged.
//!
//! Skipped, with a word, where xorriso is not installed.

use ingot_bundle::testing::{TestBundle, TestKey};
use ingot_bundle::{Bundle, Kind, OpenError};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn image(root: &Path, to: &Path, options: &[&str]) -> Result<bool, Box<dyn Error + Send + Sync>> {
    let mut command = Command::new("xorriso");
    command
        .args(["-as", "mkisofs", "-quiet", "-V", "TEST", "-iso-level", "3"])
        .args(options);
    match command.arg("-o").arg(to).arg(root).output() {
        Ok(output) if output.status.success() => Ok(true),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into()),
        Err(_) => {
            eprintln!("skipped: xorriso is not installed");
            Ok(false)
        }
    }
}

struct Disc {
    folder: tempfile::TempDir,
    key: TestKey,
    iso: PathBuf,
}

fn disc() -> Result<Option<Disc>, Box<dyn Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let key = TestKey::generate()?;
    // Enough blobs that a directory takes more than one sector.
    let components = (0..60)
        .map(|number| {
            let name = format!("part-{number}");
            let layers = vec![vec![number; 5000 + usize::from(number)], Vec::new()];
            (name, Kind::Image, layers)
        })
        .collect();
    let bundle = TestBundle {
        components,
        ..TestBundle::default()
    };
    let root = folder.path().join("root");
    bundle.write(&root, &key)?;
    let iso = folder.path().join("bundle.iso");
    Ok(image(&root, &iso, &["-r"])?.then_some(Disc { folder, key, iso }))
}

#[test]
fn an_image_reads_as_its_directory() -> Outcome {
    let Some(disc) = disc()? else { return Ok(()) };
    let keys = disc.key.trusted()?;
    let from_iso = Bundle::open(&disc.iso)?.verify_signature(&keys)?;
    let from_directory = Bundle::open(&disc.folder.path().join("root"))?.verify_signature(&keys)?;
    assert_eq!(from_iso.manifest(), from_directory.manifest());
    let one = from_iso
        .verify_contents(1, &|_| {})
        .map_err(|f| f[0].to_string())?;
    let two = from_directory
        .verify_contents(2, &|_| {})
        .map_err(|f| f[0].to_string())?;
    assert_eq!(one, two);
    for blob in from_iso
        .manifest()
        .components
        .iter()
        .flat_map(|part| part.all_blobs())
    {
        assert_eq!(
            from_iso.read_blob(&blob.digest)?,
            from_directory.read_blob(&blob.digest)?
        );
    }
    let layer = &from_iso.manifest().components[7].layers()[0];
    let mut buffer = [9; 100];
    let count = from_iso.read_blob_at(&layer.digest, layer.size - 10, &mut buffer)?;
    assert_eq!(count, 10);
    Ok(())
}

#[test]
fn an_image_cut_anywhere_is_refused() -> Outcome {
    let Some(disc) = disc()? else { return Ok(()) };
    let whole = fs::read(&disc.iso)?;
    let cut = disc.folder.path().join("cut.iso");
    for length in [
        0,
        100,
        32_768,
        34_000,
        40_000,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        fs::write(&cut, &whole[..length])?;
        match Bundle::open(&cut) {
            Err(OpenError::Truncated { actual, .. }) => assert_eq!(actual, length as u64),
            Err(OpenError::NotABundle { .. }) => assert!(length < 40_000, "{length}"),
            other => return Err(format!("cut to {length}: {other:?}").into()),
        }
    }
    Ok(())
}

#[test]
fn damage_anywhere_is_refused_or_harmless_and_never_a_panic() -> Outcome {
    let Some(disc) = disc()? else { return Ok(()) };
    let whole = fs::read(&disc.iso)?;
    let keys = disc.key.trusted()?;
    let manifest = Bundle::open(&disc.iso)?
        .verify_signature(&keys)?
        .manifest()
        .clone();
    let damaged = disc.folder.path().join("damaged.iso");
    // A fixed walk over the image with a step that is prime, so that all structures are hit.
    for at in (32_768..whole.len()).step_by(997) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0xff;
        fs::write(&damaged, &bytes)?;
        let Ok(bundle) = Bundle::open(&damaged) else {
            continue;
        };
        let Ok(bundle) = bundle.verify_signature(&keys) else {
            continue;
        };
        assert_eq!(*bundle.manifest(), manifest, "byte {at}");
        for blob in manifest.components.iter().flat_map(|part| part.all_blobs()) {
            // Whatever is read is right or an error.
            let _ = bundle.read_blob(&blob.digest);
        }
    }
    Ok(())
}

#[test]
fn an_image_of_something_else_is_refused() -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    fs::create_dir(&root)?;
    fs::write(root.join("hello.txt"), "hello")?;
    let iso = folder.path().join("other.iso");
    for options in [&["-r"][..], &[], &["-J"]] {
        let _ = fs::remove_file(&iso);
        if !image(&root, &iso, options)? {
            return Ok(());
        }
        let error = Bundle::open(&iso).unwrap_err();
        assert!(matches!(error, OpenError::NotABundle { .. }), "{error}");
    }
    Ok(())
}
