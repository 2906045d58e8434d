//! Every way a bundle can be wrong, with the exact words it is refused with.
//!
//! The words are in `tests/refusals/<case>.txt`. To accept new words run the tests with
//! `INGOT_UPDATE_GOLDEN=1` and read the difference. Digests that depend on the throw-away key
//! and the directory of a run are replaced by fixed words first.

use ingot_bundle::testing::{TestBundle, TestKey};
use ingot_bundle::{Bundle, Digest, Kind, Manifest, TrustedKeys, VerifiedBundle, VerifyError};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Picks one blob of a component.
type Pick = fn(&ingot_bundle::Component) -> Digest;

/// A bundle on disk, its key, and the place it lies in.
struct Case {
    folder: tempfile::TempDir,
    key: TestKey,
    manifest: Manifest,
}

impl Case {
    fn new() -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::of(&TestBundle::default())
    }

    fn of(bundle: &TestBundle) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let folder = tempfile::tempdir()?;
        let key = TestKey::generate()?;
        let manifest = bundle.write(&folder.path().join("bundle"), &key)?;
        Ok(Self {
            folder,
            key,
            manifest,
        })
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("bundle")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn verified(&self) -> Result<VerifiedBundle, Box<dyn Error + Send + Sync>> {
        Ok(Bundle::open(&self.root())?.verify_signature(&self.key.trusted()?)?)
    }

    fn refused(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        match Bundle::open(&self.root())?.verify_signature(&self.key.trusted()?) {
            Ok(_) => Err("it was accepted".into()),
            Err(error) => Ok(self.words(&error)),
        }
    }

    /// All findings, one per line.
    fn findings(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        match self.verified()?.verify_contents(2, &|_| {}) {
            Ok(_) => Err("it was accepted".into()),
            Err(findings) => {
                let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
                Ok(self.plain(&lines.join("\n")))
            }
        }
    }

    fn words(&self, error: &dyn Error) -> String {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(&format!("\n  because: {error}"));
            cause = error.source();
        }
        self.plain(&text)
    }

    fn plain(&self, text: &str) -> String {
        let mut text = text.replace(&*self.folder.path().to_string_lossy(), "/disc");
        if let Ok(keys) = self.key.trusted() {
            text = text.replace(&keys.ids()[0].to_string(), "KEY");
        }
        text
    }

    /// Rewrites bundle.json and signs it again, as a builder gone wrong would.
    fn resign(&self, change: impl FnOnce(&mut serde_json::Value)) -> Outcome {
        let path = self.file("bundle.json");
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
        change(&mut value);
        let bytes = serde_json::to_vec(&value)?;
        fs::write(self.file("bundle.json.minisig"), self.key.sign(&bytes)?)?;
        Ok(fs::write(path, bytes)?)
    }

    fn component(&self, name: &str) -> &ingot_bundle::Component {
        self.manifest
            .components
            .iter()
            .find(|part| part.name == name)
            .expect("in the fixture")
    }

    fn flip(&self, digest: &Digest) -> Outcome {
        flip(&self.file(&digest.blob_path()))
    }
}

/// Changes one byte in the middle of a file.
fn flip(path: &Path) -> Outcome {
    let mut bytes = fs::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    Ok(fs::write(path, bytes)?)
}

fn golden(case: &str, words: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/refusals/{case}.txt"));
    let words = format!("{words}\n");
    if std::env::var_os("INGOT_UPDATE_GOLDEN").is_some() {
        fs::write(&path, &words).expect("golden files can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        words,
        expected,
        "the words of `{case}` changed, see {}",
        path.display()
    );
}

#[test]
fn a_good_bundle_is_accepted_and_readable() -> Outcome {
    let case = Case::new()?;
    let bundle = case.verified()?;
    let summary = bundle
        .verify_contents(2, &|_| {})
        .map_err(|findings| findings[0].to_string())?;
    assert_eq!(summary.components, 3);
    let etcd = bundle.component("etcd").ok_or("etcd is there")?;
    let layer = bundle.read_blob(&etcd.layers()[0].digest)?;
    assert_eq!(layer, b"the layer of etcd\n");
    bundle.check_architecture("amd64")?;
    bundle.require_components(&["etcd", "kubelet"])?;
    Ok(())
}

#[test]
fn nothing_there() -> Outcome {
    let case = Case::new()?;
    let error = Bundle::open(&case.folder.path().join("absent.iso")).unwrap_err();
    golden("nothing-there", &case.words(&error));
    Ok(())
}

#[test]
fn some_other_file() -> Outcome {
    let case = Case::new()?;
    let path = case.folder.path().join("notes.txt");
    fs::write(&path, "not an image")?;
    golden(
        "some-other-file",
        &case.words(&Bundle::open(&path).unwrap_err()),
    );
    Ok(())
}

#[test]
fn some_other_directory() -> Outcome {
    let case = Case::new()?;
    fs::remove_file(case.file("bundle.json"))?;
    golden(
        "some-other-directory",
        &case.words(&Bundle::open(&case.root()).unwrap_err()),
    );
    Ok(())
}

#[test]
fn unsigned() -> Outcome {
    let case = Case::new()?;
    fs::remove_file(case.file("bundle.json.minisig"))?;
    golden("unsigned", &case.refused()?);
    Ok(())
}

#[test]
fn signature_is_garbage() -> Outcome {
    let case = Case::new()?;
    fs::write(
        case.file("bundle.json.minisig"),
        "untrusted comment: x\n!!!!\n",
    )?;
    golden("signature-is-garbage", &case.refused()?);
    Ok(())
}

#[test]
fn signed_with_another_key() -> Outcome {
    let case = Case::new()?;
    let bytes = fs::read(case.file("bundle.json"))?;
    let stranger = TestKey::generate()?;
    fs::write(case.file("bundle.json.minisig"), stranger.sign(&bytes)?)?;
    let id = stranger.trusted()?.ids()[0].to_string();
    golden(
        "signed-with-another-key",
        &case.refused()?.replace(&id, "STRANGER"),
    );
    Ok(())
}

#[test]
fn one_byte_of_the_table_of_contents() -> Outcome {
    let case = Case::new()?;
    flip(&case.file("bundle.json"))?;
    golden("one-byte-of-bundle-json", &case.refused()?);
    Ok(())
}

#[test]
fn one_byte_anywhere_in_the_signature() -> Outcome {
    let case = Case::new()?;
    let path = case.file("bundle.json.minisig");
    let good = fs::read(&path)?;
    let comment = good
        .iter()
        .position(|byte| *byte == b'\n')
        .ok_or("it has lines")?;
    // The first line is an untrusted comment: nobody signs it, nobody relies on it.
    for at in comment + 1..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes)?;
        let line_end = good[at] == b'\n';
        let words = case.refused();
        assert!(
            words.is_ok() || line_end,
            "byte {at} may be changed unnoticed"
        );
    }
    // One that stays Base64: other characters are refused in other words, and the signature is a new one
    // in every run.
    let stays = |at: &usize| {
        [good[*at], good[*at] ^ 1]
            .iter()
            .all(u8::is_ascii_alphanumeric)
    };
    let at = (comment + 40..good.len()).find(stays);
    let mut bytes = good.clone();
    bytes[at.ok_or("it has letters")?] ^= 1;
    fs::write(&path, &bytes)?;
    golden("one-byte-of-the-signature", &case.refused()?);
    Ok(())
}

#[test]
fn one_byte_of_each_kind_of_blob() -> Outcome {
    let kinds: [(&str, Pick); 5] = [
        ("manifest", |part| part.manifest.digest),
        ("config", |part| part.blobs[0].digest),
        ("layer", |part| part.layers()[0].digest),
        ("sbom", |part| part.sbom.digest),
        ("sbom-manifest", |part| part.sbom_manifest.digest),
    ];
    for (kind, digest) in kinds {
        let case = Case::new()?;
        let digest = digest(case.component("etcd"));
        case.flip(&digest)?;
        golden(&format!("one-byte-of-a-{kind}"), &case.findings()?);
        let bundle = case.verified()?;
        let read = bundle.read_blob(&digest).unwrap_err();
        golden(&format!("reading-a-damaged-{kind}"), &case.words(&read));
        let streamed = std::io::copy(&mut bundle.blob(&digest)?, &mut std::io::sink()).unwrap_err();
        assert_eq!(streamed.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(case.plain(&streamed.to_string()), case.words(&read));
    }
    Ok(())
}

#[test]
fn one_byte_of_each_other_file() -> Outcome {
    for file in ["index.json", "oci-layout", "ingot", "README.txt"] {
        let case = Case::new()?;
        flip(&case.file(file))?;
        golden(
            &format!("one-byte-of-{}", file.replace('.', "-")),
            &case.findings()?,
        );
    }
    Ok(())
}

#[test]
fn everything_wrong_is_reported_together() -> Outcome {
    let case = Case::new()?;
    let etcd = case.component("etcd").layers()[0].digest;
    let kubelet = case.component("kubelet").layers()[0].digest;
    let ingot = case.component("ingot").layers()[0].digest;
    fs::remove_file(case.file(&etcd.blob_path()))?;
    fs::write(case.file(&kubelet.blob_path()), "short")?;
    case.flip(&ingot)?;
    fs::write(case.file("extra.bin"), "a stranger")?;
    flip(&case.file("index.json"))?;
    golden("everything-wrong", &case.findings()?);
    let bundle = case.verified()?;
    golden(
        "opening-a-missing-blob",
        &case.words(&bundle.blob(&etcd).unwrap_err()),
    );
    golden(
        "opening-a-cut-blob",
        &case.words(&bundle.blob(&kubelet).unwrap_err()),
    );
    let stranger = Digest::of(b"stranger");
    golden(
        "opening-an-unlisted-blob",
        &case.words(&bundle.blob(&stranger).unwrap_err()),
    );
    Ok(())
}

#[test]
fn newer_format() -> Outcome {
    let case = Case::new()?;
    case.resign(|value| {
        value["formatVersion"] = 2.into();
        value["aFieldOfTheFuture"] = true.into();
    })?;
    golden("newer-format", &case.refused()?);
    Ok(())
}

#[test]
fn signed_but_malformed() -> Outcome {
    let case = Case::new()?;
    case.resign(|value| value["surprise"] = 1.into())?;
    golden("signed-but-malformed", &case.refused()?);
    Ok(())
}

#[test]
fn signed_but_contradictory() -> Outcome {
    let case = Case::new()?;
    case.resign(|value| {
        let twin = value["components"][0].clone();
        if let Some(list) = value["components"].as_array_mut() {
            list.push(twin);
        }
    })?;
    golden("two-components-of-one-name", &case.refused()?);

    let case = Case::new()?;
    case.resign(|value| value["files"][0]["path"] = "../../etc/passwd".into())?;
    golden("file-outside", &case.refused()?);
    Ok(())
}

#[test]
fn wrong_architecture() -> Outcome {
    let bundle = TestBundle {
        architecture: "arm64".to_owned(),
        ..TestBundle::default()
    };
    let case = Case::of(&bundle)?;
    let error = case.verified()?.check_architecture("amd64").unwrap_err();
    golden("wrong-architecture", &case.words(&error));
    Ok(())
}

#[test]
fn components_missing() -> Outcome {
    let bundle = TestBundle {
        components: vec![("etcd".to_owned(), Kind::Image, vec![b"layer".to_vec()])],
        ..TestBundle::default()
    };
    let case = Case::of(&bundle)?;
    let wanted = ["etcd", "kube-apiserver", "kubelet"];
    let error = case.verified()?.require_components(&wanted).unwrap_err();
    golden("components-missing", &case.words(&error));
    Ok(())
}

#[test]
fn keys_that_are_none() -> Outcome {
    let case = Case::new()?;
    let path = case.folder.path().join("ingot.pub");
    let error = TrustedKeys::from_file(&path).unwrap_err();
    golden("key-absent", &case.words(&error));
    fs::write(&path, "untrusted comment: nothing\nAAAA\n")?;
    golden(
        "key-malformed",
        &case.words(&TrustedKeys::from_file(&path).unwrap_err()),
    );
    golden(
        "key-none",
        &case.words(&TrustedKeys::from_files(&[]).unwrap_err()),
    );
    Ok(())
}

#[test]
fn a_secret_key_is_no_public_key() -> Outcome {
    let case = Case::new()?;
    let path = case.folder.path().join("ingot.key");
    let pair = minisign::KeyPair::generate_unencrypted_keypair()?;
    fs::write(&path, pair.sk.to_box(None)?.into_string())?;
    let error = TrustedKeys::from_file(&path).unwrap_err();
    assert!(!error.to_string().contains("RWQ"), "{error}");
    golden("key-secret", &case.words(&error));
    Ok(())
}

#[test]
fn an_unsigned_bundle_is_not_parsed() -> Outcome {
    let case = Case::new()?;
    fs::write(case.file("bundle.json"), "not even JSON")?;
    let error = Bundle::open(&case.root())?
        .verify_signature(&case.key.trusted()?)
        .unwrap_err();
    assert!(matches!(error, VerifyError::Mismatch { .. }), "{error}");
    Ok(())
}
