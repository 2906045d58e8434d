//! Sources that change under a build, or that nobody named: what came of them must not be taken from the
//! cache later.
//!
//! Compiles a crate without dependencies, so it needs cargo and seconds, and no network.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

type Outcome = Result<(), Box<dyn Error>>;

const CATALOG: &str = "formatVersion: 1\nproduct: test\nversion: 0.0.1\n\
    created: 2026-11-01T00:00:00Z\narchitecture: amd64\nkubernetes: 1.36.3\ncomponents: [part]\n";
const COMPONENT: &str = "description: A part.\nlicence: Apache-2.0\nkind: host-binaries\n\
    version: catalog\nsources:\n  - cargo:\n      package: part\n      inputs: [src, build.rs]\n      \
    binaries:\n        - {name: part, path: part}\n";
const MANIFEST: &str = "[package]\nname = \"part\"\nversion = \"0.0.1\"\nedition = \"2024\"\n";
const LOCK: &str = "version = 4\n\n[[package]]\nname = \"part\"\nversion = \"0.0.1\"\n";
/// Somebody who saves a file while the compiler runs, at a moment that does not depend on luck.
const SAVES_A_FILE: &str =
    "fn main() {\n    std::fs::write(\"src/note.txt\", \"new\").unwrap();\n}\n";

/// A workspace with one package, and a cache of its own.
struct Site(tempfile::TempDir);

impl Site {
    fn new(files: &[(&str, &str)]) -> Result<Self, Box<dyn Error>> {
        let site = Self(tempfile::tempdir()?);
        for folder in ["src", "images/part", "images/trains", "words"] {
            fs::create_dir_all(site.at(folder))?;
        }
        let always = [
            ("Cargo.toml", MANIFEST),
            ("Cargo.lock", LOCK),
            ("images/catalog.yaml", CATALOG),
            ("images/part/component.yaml", COMPONENT),
        ];
        for (name, text) in always.iter().chain(files) {
            fs::write(site.at(name), text)?;
        }
        site.run(&["keygen", "test"])?;
        Ok(site)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, words: &[&str]) -> Result<Output, Box<dyn Error>> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iso-builder"));
        command.env("INGOT_CACHE", self.at("cache"));
        Ok(command.current_dir(self.0.path()).args(words).output()?)
    }

    /// The exit code of a build, and its words.
    fn build(&self) -> Result<(Option<i32>, String), Box<dyn Error>> {
        let catalog = ["build", "--catalog", "images/catalog.yaml"];
        let words = [&catalog[..], &["--key", "test.key", "--output", "out.iso"]].concat();
        let output = self.run(&words)?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((output.status.code(), words))
    }
}

#[test]
fn sources_that_change_while_they_are_compiled_are_refused_and_built_again() -> Outcome {
    let site = Site::new(&[
        ("build.rs", SAVES_A_FILE),
        ("src/main.rs", "fn main() {}\n"),
        ("src/note.txt", "old"),
    ])?;
    let (code, words) = site.build()?;
    assert_eq!(code, Some(2), "{words}");
    assert!(
        words.contains(
            "cannot build the component part\n  because: the sources of part changed while it \
             was built, so nothing of it was kept; build again when nobody writes them"
        ),
        "{words}"
    );
    assert!(!site.at("out.iso").exists(), "no image of something else");

    // As the message says; and now the part is made from what is there, and kept.
    let (code, words) = site.build()?;
    assert_eq!(code, Some(0), "{words}");
    fs::remove_file(site.at("out.iso"))?;
    let (_, words) = site.build()?;
    assert!(words.contains("1 of 1 components are cached"), "{words}");
    Ok(())
}

#[test]
fn a_program_that_is_made_of_more_than_its_inputs_is_refused() -> Outcome {
    let site = Site::new(&[
        (
            "src/main.rs",
            "fn main() {\n    print!(include_str!(\"../words/hello.txt\"));\n}\n",
        ),
        ("words/hello.txt", "hello"),
        ("words/unread.txt", "not a word"),
    ])?;
    let (code, words) = site.build()?;
    assert_eq!(code, Some(2), "{words}");
    assert!(
        words.contains(
            "the programs of part are made of files that their `inputs` do not name, so that a \
             change of them would not be noticed: words/hello.txt; add these, or their folders, \
             to the `inputs` in component.yaml"
        ),
        "{words}"
    );
    assert!(!site.at("out.iso").exists());

    // As the message says; and now a change is noticed.
    let named = COMPONENT.replace("build.rs", "words");
    fs::write(site.at("images/part/component.yaml"), named)?;
    let (code, words) = site.build()?;
    assert_eq!(code, Some(0), "{words}");
    fs::write(site.at("words/hello.txt"), "good morning")?;
    let (code, words) = site.build()?;
    assert_eq!(code, Some(0), "{words}");
    assert!(words.contains("1 of 1 components built"), "{words}");
    Ok(())
}
