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

#[test]
fn what_cannot_be_read_at_many_places_is_refused_without_waiting() -> Outcome {
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status()?;
    assert!(made.success());
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket)?;
    for (path, what) in [
        (pipe.as_path(), "a pipe"),
        (&socket, "a socket"),
        (Path::new("/dev/null"), "a character device"),
    ] {
        let error = Bundle::open(path).err().ok_or("it is no bundle")?;
        assert_eq!(
            error.to_string(),
            format!(
                "{} is {what}, and a bundle is read at many places: name a file, a directory or a block device",
                path.display()
            )
        );
    }
    Ok(())
}

/// A loop device, detached at the end.
struct Loop(PathBuf);

impl Loop {
    fn of(file: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let output = Command::new("losetup")
            .args(["--find", "--show", "--read-only"])
            .arg(file)
            .output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        Ok(Self(String::from_utf8(output.stdout)?.trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

#[test]
fn an_image_on_a_block_device_reads_as_its_file() -> Outcome {
    if std::env::var_os("INGOT_HOST_TESTS").is_none() {
        eprintln!("not run: it attaches a loop device; set INGOT_HOST_TESTS=1 and run it as root");
        return Ok(());
    }
    let Some(disc) = disc()? else { return Ok(()) };
    let keys = disc.key.trusted()?;
    let whole = fs::read(&disc.iso)?;
    let from_file = Bundle::open(&disc.iso)?.verify_signature(&keys)?;
    // A stick is larger than what was written to it.
    let stick = disc.folder.path().join("stick");
    fs::write(&stick, [whole.as_slice(), &vec![0xff; 1 << 20]].concat())?;
    let device = Loop::of(&stick)?;
    let from_stick = Bundle::open(&device.0)?.verify_signature(&keys)?;
    assert_eq!(from_stick.manifest(), from_file.manifest());
    let one = from_file
        .verify_contents(1, &|_| {})
        .map_err(|f| f[0].to_string())?;
    let two = from_stick
        .verify_contents(2, &|_| {})
        .map_err(|f| f[0].to_string())?;
    assert_eq!(one, two);
    // One that was too small for it.
    let half = whole.len() / 2 / 512 * 512;
    let small = disc.folder.path().join("small");
    fs::write(&small, &whole[..half])?;
    let device = Loop::of(&small)?;
    match Bundle::open(&device.0) {
        Err(OpenError::Truncated { actual, .. }) => assert_eq!(actual, half as u64),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}
