//! Catalogues and keys that are wrong, with the exact words they are refused with.
//!
//! The words are in `tests/golden/<case>.txt`; `INGOT_UPDATE_GOLDEN=1` writes them anew. Nothing
//! is compiled or fetched here.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

type Outcome = Result<(), Box<dyn Error>>;

const CATALOG: &str = "formatVersion: 1\nproduct: test\nversion: 0.0.1\n\
    created: 2026-11-01T00:00:00Z\narchitecture: amd64\nkubernetes: 1.36.3\ncomponents: [part]\n";
const COMPONENT: &str = "description: A part.\nlicence: Apache-2.0\nkind: image\n\
    version: go:example.org/part\nsources:\n  - go:\n      train: main\n      binaries:\n      \
    - {package: example.org/part, path: part}\nimage: {entrypoint: [/part]}\n";
const MODULE: &str = "module m\n\nrequire example.org/part v1.0.0\n";
const SUMS: &str = "example.org/part v1.0.0 h1:AAAA=\n";

/// Builds with one file of a good catalogue replaced; returns exit code and words.
fn refused(file: &str, content: Option<&str>) -> Result<(i32, String), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    for (name, text) in [
        ("Cargo.lock", ""),
        ("catalog.yaml", CATALOG),
        ("part/component.yaml", COMPONENT),
        ("trains/main/go.mod", MODULE),
        ("trains/main/go.sum", SUMS),
    ] {
        fs::create_dir_all(at(name).parent().unwrap_or(Path::new(".")))?;
        fs::write(at(name), text)?;
    }
    let program = env!("CARGO_BIN_EXE_iso-builder");
    Command::new(program)
        .arg("keygen")
        .arg(at("test"))
        .output()?;
    match content {
        Some(text) => fs::write(at(file), text)?,
        None => fs::remove_file(at(file))?,
    }
    let output = Command::new(program)
        .env("INGOT_CACHE", at("cache"))
        .args(["build", "--catalog"])
        .arg(at("catalog.yaml"))
        .arg("--key")
        .arg(at("test.key"))
        .arg("--output")
        .arg(at("out.iso"))
        .output()?;
    assert!(output.stdout.is_empty(), "stdout is for data");
    assert!(!at("out.iso").exists(), "no image after a refusal");
    let words = String::from_utf8_lossy(&output.stderr)
        .replace(&*folder.path().to_string_lossy(), "/images");
    Ok((output.status.code().unwrap_or(-1), words))
}

fn golden(case: &str, file: &str, content: Option<&str>) -> Outcome {
    let (code, words) = refused(file, content)?;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{case}.txt"));
    let words = format!("exit {code}\n{words}");
    if std::env::var_os("INGOT_UPDATE_GOLDEN").is_some() {
        fs::write(&path, &words)?;
    }
    assert_eq!(
        words,
        fs::read_to_string(&path).unwrap_or_default(),
        "{}",
        path.display()
    );
    Ok(())
}

#[test]
fn catalogues() -> Outcome {
    let with = |from: &str, to: &str| CATALOG.replace(from, to);
    golden("catalog-absent", "catalog.yaml", None)?;
    golden(
        "catalog-unknown-field",
        "catalog.yaml",
        Some(&with("product:", "prodct:")),
    )?;
    golden(
        "catalog-newer",
        "catalog.yaml",
        Some(&with("formatVersion: 1", "formatVersion: 2")),
    )?;
    golden(
        "catalog-architecture",
        "catalog.yaml",
        Some(&with("amd64", "riscv64")),
    )?;
    golden(
        "catalog-kubernetes",
        "catalog.yaml",
        Some(&with("1.36.3", "v1.36")),
    )?;
    golden(
        "catalog-date",
        "catalog.yaml",
        Some(&with("2026-11-01T00:00:00Z", "yesterday")),
    )?;
    golden(
        "catalog-twice",
        "catalog.yaml",
        Some(&with("[part]", "[part, part]")),
    )?;
    golden(
        "catalog-no-such-part",
        "catalog.yaml",
        Some(&with("[part]", "[other]")),
    )
}

#[test]
fn components() -> Outcome {
    let with = |from: &str, to: &str| COMPONENT.replace(from, to);
    let file = "part/component.yaml";
    golden(
        "component-unknown-field",
        file,
        Some(&with("licence:", "license:")),
    )?;
    golden(
        "component-kind",
        file,
        Some(&with("kind: image", "kind: picture")),
    )?;
    golden("component-source", file, Some(&with("- go:", "- npm:")))?;
    golden(
        "component-no-sources",
        file,
        Some("description: x\nlicence: x\nkind: image\nversion: catalog\nsources: []\n"),
    )?;
    golden(
        "component-no-entrypoint",
        file,
        Some(&with("image: {entrypoint: [/part]}\n", "")),
    )?;
    golden(
        "component-no-train",
        file,
        Some(&with("train: main", "train: other")),
    )?;
    golden(
        "component-no-links",
        file,
        Some(&with(
            "sources:\n",
            "sources:\n  - links-of: ../links.yaml\n",
        )),
    )
}

#[test]
fn pins() -> Outcome {
    golden("train-no-sums", "trains/main/go.sum", None)?;
    golden(
        "train-variable",
        "trains/main/train.yaml",
        Some("ldflags: ['-X a=${moon}']\n"),
    )?;
    golden(
        "train-not-pinned",
        "trains/main/train.yaml",
        Some("ldflags: ['${version:a.b/c}']\n"),
    )?;
    let deb = "description: x\nlicence: x\nkind: os-package\nversion: deb:zstd\n\
               sources:\n  - deb: {packages: [zstd]}\n";
    golden("packages-not-locked", "part/component.yaml", Some(deb))?;
    golden("lock-malformed", "packages.lock.yaml", Some("what\n"))
}

#[test]
fn keys() -> Outcome {
    golden("key-absent", "test.key", None)?;
    golden("key-malformed", "test.key", Some("not a key\n"))
}

#[test]
fn a_key_pair_is_never_overwritten_and_never_readable_by_others() -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir()?;
    let stem = folder.path().join("site");
    let keygen = || {
        Command::new(env!("CARGO_BIN_EXE_iso-builder"))
            .arg("keygen")
            .arg(&stem)
            .output()
    };
    assert!(keygen()?.status.success());
    let secret = folder.path().join("site.key");
    assert_eq!(fs::metadata(&secret)?.permissions().mode() & 0o777, 0o600);
    let before = fs::read(&secret)?;
    let again = keygen()?;
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists; name another place"));
    assert_eq!(fs::read(&secret)?, before);
    Ok(())
}
