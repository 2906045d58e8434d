//! Sources that change under a build: what came of them must not be taken from the cache later.
//!
//! Compiles a crate without dependencies, so it needs cargo and seconds, and no network.

use std::error::Error;
use std::fs;
use std::process::{Command, Output};

type Outcome = Result<(), Box<dyn Error>>;

const CATALOG: &str = "formatVersion: 1\nproduct: test\nversion: 0.0.1\n\
    created: 2026-11-01T00:00:00Z\narchitecture: amd64\nkubernetes: 1.36.3\ncomponents: [part]\n";
const COMPONENT: &str = "description: A part.\nlicence: Apache-2.0\nkind: host-binaries\n\
    version: catalog\nsources:\n  - cargo:\n      package: part\n      inputs: [src]\n      \
    binaries:\n        - {name: part, path: part}\n";
const MANIFEST: &str = "[package]\nname = \"part\"\nversion = \"0.0.1\"\nedition = \"2024\"\n";
const LOCK: &str = "version = 4\n\n[[package]]\nname = \"part\"\nversion = \"0.0.1\"\n";
/// Somebody who saves a file while the compiler runs, at a moment that does not depend on luck.
const SAVES_A_FILE: &str =
    "fn main() {\n    std::fs::write(\"src/note.txt\", \"new\").unwrap();\n}\n";

#[test]
fn sources_that_change_while_they_are_compiled_are_refused_and_built_again() -> Outcome {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("src"))?;
    fs::create_dir_all(at("images/part"))?;
    fs::create_dir_all(at("images/trains"))?;
    for (name, text) in [
        ("Cargo.toml", MANIFEST),
        ("Cargo.lock", LOCK),
        ("build.rs", SAVES_A_FILE),
        ("src/main.rs", "fn main() {}\n"),
        ("src/note.txt", "old"),
        ("images/catalog.yaml", CATALOG),
        ("images/part/component.yaml", COMPONENT),
    ] {
        fs::write(at(name), text)?;
    }
    let program = env!("CARGO_BIN_EXE_iso-builder");
    let run = |words: &[&str]| -> Result<Output, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.env("INGOT_CACHE", at("cache"));
        Ok(command.current_dir(folder.path()).args(words).output()?)
    };
    run(&["keygen", "test"])?;
    let build = || {
        run(&[
            "build",
            "--catalog",
            "images/catalog.yaml",
            "--key",
            "test.key",
            "--output",
            "out.iso",
        ])
    };

    let refused = build()?;
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{words}");
    assert!(
        words.contains(
            "cannot build the component part\n  because: the sources of part changed while it \
             was built, so nothing of it was kept; build again when nobody writes them"
        ),
        "{words}"
    );
    assert!(!at("out.iso").exists(), "no image of something else");

    // As the message says; and now the part is made from what is there, and kept.
    let built = build()?;
    let words = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{words}");
    fs::remove_file(at("out.iso"))?;
    let again = String::from_utf8_lossy(&build()?.stderr).into_owned();
    assert!(again.contains("1 of 1 components are cached"), "{again}");
    Ok(())
}
