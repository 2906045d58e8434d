//! Finding a bundle and proving who signed it.
//!
//! A [`Bundle`] knows where bytes lie and can only check the signature; what passes becomes a
//! [`VerifiedBundle`]. Never parses a byte of `bundle.json` before its signature holds.

use crate::digest::Digest;
use crate::iso9660::IsoError;
use crate::keys::{KeyId, SignatureError, TrustedKeys};
use crate::manifest::Manifest;
use crate::source::Source;
use crate::verified::{BlobFacts, Inner, VerifiedBundle};
use crate::{FORMAT_VERSION, MANIFEST_FILE, SIGNATURE_FILE};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;

/// `bundle.json` of ten thousand components is 20 MB; more is not ours.
const MAX_MANIFEST: u64 = 64 << 20;
/// A minisign signature is about 300 bytes.
const MAX_SIGNATURE: u64 = 16 << 10;

/// A bundle that was found, but not yet proved to be anyone's.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    source: Source,
}

/// Why a path is no bundle.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Nothing is there.
    #[error(
        "there is no bundle at {path}: name an Ingot ISO file, or the directory it is mounted on"
    )]
    NotFound {
        /// The path as given.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot read the bundle {path}: check that the file is readable and its disk is sound")]
    Read {
        /// The path as given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Some other file.
    #[error(
        "{path} is not an Ingot bundle: {reason}; name the ISO file made by `iso-builder build`"
    )]
    NotABundle {
        /// The path as given.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// Bytes that come once, in order.
    #[error(
        "{path} is {what}, and a bundle is read at many places: name a file, a directory or a block device"
    )]
    NotSeekable {
        /// The path as given.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A copy that was interrupted.
    #[error(
        "the bundle {path} is cut off: it has {actual} bytes and should have {expected}; \
         copy it again and compare the sizes"
    )]
    Truncated {
        /// The path as given.
        path: PathBuf,
        /// Bytes it declares.
        expected: u64,
        /// Bytes there are.
        actual: u64,
    },
}

/// Why the table of contents of a bundle is not trusted or not understood.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// No signature file.
    #[error(
        "the bundle {path} is not signed: {SIGNATURE_FILE} is missing; \
         get the bundle again, or build it with a key (`iso-builder build --key`)"
    )]
    Unsigned {
        /// The bundle.
        path: PathBuf,
    },
    /// The signature file is damaged.
    #[error(
        "the signature of the bundle {path} cannot be read: {SIGNATURE_FILE} is damaged; \
         copy the bundle again"
    )]
    UnreadableSignature {
        /// The bundle.
        path: PathBuf,
    },
    /// Signed by a stranger.
    #[error(
        "the bundle {path} is signed with key {signed_by}, which is not trusted here \
         (trusted: {trusted}); trust its public key if you know it is your supplier's, \
         otherwise do not use this bundle"
    )]
    UnknownKey {
        /// The bundle.
        path: PathBuf,
        /// The key that signed.
        signed_by: KeyId,
        /// The keys that are trusted, joined with commas.
        trusted: String,
    },
    /// Changed after signing.
    #[error(
        "{MANIFEST_FILE} of the bundle {path} is not what key {signed_by} signed: it or its \
         signature was changed; copy the bundle again, and if that does not help do not use it"
    )]
    Mismatch {
        /// The bundle.
        path: PathBuf,
        /// The key that signed.
        signed_by: KeyId,
    },
    /// Made by a newer Ingot.
    #[error(
        "the bundle {path} has format version {found} and this program reads up to \
         {FORMAT_VERSION}; use the `ingot` program that is on the bundle itself"
    )]
    NewerFormat {
        /// The bundle.
        path: PathBuf,
        /// Its format version.
        found: u64,
    },
    /// Signed, yet not a table of contents.
    #[error(
        "{MANIFEST_FILE} of the bundle {path} is signed but malformed; \
         report this to whoever built the bundle"
    )]
    Malformed {
        /// The bundle.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// Signed, yet contradicting itself.
    #[error(
        "{MANIFEST_FILE} of the bundle {path} is signed but contradicts itself: {what}; \
         report this to whoever built the bundle"
    )]
    Inconsistent {
        /// The bundle.
        path: PathBuf,
        /// The contradiction.
        what: String,
    },
    /// The system refused.
    #[error("cannot read {file} of the bundle {path}: check that its disk is sound")]
    Read {
        /// The bundle.
        path: PathBuf,
        /// The file in it.
        file: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl Bundle {
    /// Finds the files of a bundle: in an ISO image (a file, a stick, a disc), or in a directory that it is
    /// mounted on.
    ///
    /// # Errors
    /// When there is nothing, something else, or only a part of a bundle.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let at = || path.to_owned();
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::NotFound { path: at() },
            _ => OpenError::Read { path: at(), source },
        })?;
        // Opening a pipe waits for somebody who writes into it, and for ever if nobody does.
        let kind = metadata.file_type();
        let what = match () {
            () if kind.is_fifo() => Some("a pipe"),
            () if kind.is_socket() => Some("a socket"),
            () if kind.is_char_device() => Some("a character device"),
            () => None,
        };
        if let Some(what) = what {
            return Err(OpenError::NotSeekable { path: at(), what });
        }
        let source = if metadata.is_dir() {
            Source::Directory { root: at() }
        } else {
            Source::open_iso(path).map_err(|error| match error {
                IsoError::NotIso | IsoError::Damaged { .. } => OpenError::NotABundle {
                    path: at(),
                    reason: error.to_string(),
                },
                IsoError::Truncated { expected, actual } => OpenError::Truncated {
                    path: at(),
                    expected,
                    actual,
                },
                IsoError::Io(source) => OpenError::Read { path: at(), source },
            })?
        };
        match source.open(MANIFEST_FILE) {
            Ok(Some(_)) => Ok(Self { path: at(), source }),
            Ok(None) => Err(OpenError::NotABundle {
                path: at(),
                reason: format!("it has no {MANIFEST_FILE}"),
            }),
            Err(source) => Err(OpenError::Read { path: at(), source }),
        }
    }

    /// Checks the signature over the table of contents, and only then reads it.
    ///
    /// # Errors
    /// When it is unsigned, signed by a stranger, changed, of a newer format, or malformed.
    pub fn verify_signature(self, keys: &TrustedKeys) -> Result<VerifiedBundle, VerifyError> {
        let path = self.path;
        let signature = read_file(&self.source, &path, SIGNATURE_FILE, MAX_SIGNATURE)?
            .ok_or_else(|| VerifyError::Unsigned { path: path.clone() })?;
        let bytes =
            read_file(&self.source, &path, MANIFEST_FILE, MAX_MANIFEST)?.unwrap_or_default();
        let signature = String::from_utf8_lossy(&signature);
        let signed_by = keys
            .check(&bytes, &signature)
            .map_err(|error| match error {
                SignatureError::Unreadable => {
                    VerifyError::UnreadableSignature { path: path.clone() }
                }
                SignatureError::UnknownKey(signed_by) => VerifyError::UnknownKey {
                    path: path.clone(),
                    signed_by,
                    trusted: join(keys.ids()),
                },
                SignatureError::Mismatch(signed_by) => VerifyError::Mismatch {
                    path: path.clone(),
                    signed_by,
                },
            })?;
        let manifest = parse(&bytes, &path)?;
        let blobs = blob_facts(&manifest).map_err(|what| VerifyError::Inconsistent {
            path: path.clone(),
            what,
        })?;
        let inner = Inner {
            path,
            source: self.source,
            manifest,
            signed_by,
            blobs,
        };
        Ok(VerifiedBundle {
            inner: Arc::new(inner),
        })
    }
}

fn read_file(
    source: &Source,
    path: &Path,
    file: &'static str,
    limit: u64,
) -> Result<Option<Vec<u8>>, VerifyError> {
    let failed = |source| VerifyError::Read {
        path: path.to_owned(),
        file,
        source,
    };
    match source.open(file).map_err(failed)? {
        None => Ok(None),
        Some(open) if open.size() > limit => Err(failed(io::Error::other("it is far too large"))),
        Some(open) => open.read_all().map(Some).map_err(failed),
    }
}

fn parse(bytes: &[u8], path: &Path) -> Result<Manifest, VerifyError> {
    /// The one field that every version has; read first, since the rest may have changed.
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        format_version: u64,
    }
    let malformed = |source| VerifyError::Malformed {
        path: path.to_owned(),
        source,
    };
    let version: Version = serde_json::from_slice(bytes).map_err(malformed)?;
    if version.format_version > u64::from(FORMAT_VERSION) {
        let found = version.format_version;
        return Err(VerifyError::NewerFormat {
            path: path.to_owned(),
            found,
        });
    }
    serde_json::from_slice(bytes).map_err(malformed)
}

fn blob_facts(manifest: &Manifest) -> Result<BTreeMap<Digest, BlobFacts>, String> {
    let mut blobs: BTreeMap<Digest, BlobFacts> = BTreeMap::new();
    let mut names = std::collections::BTreeSet::new();
    for component in &manifest.components {
        if !names.insert(&component.name) {
            return Err(format!("it has two components named `{}`", component.name));
        }
        for blob in component.all_blobs() {
            let facts = blobs.entry(blob.digest).or_insert_with(|| BlobFacts {
                size: blob.size,
                components: Vec::new(),
            });
            if facts.size != blob.size {
                return Err(format!("it gives two sizes for {}", blob.digest));
            }
            if facts.components.last() != Some(&component.name) {
                facts.components.push(component.name.clone());
            }
        }
    }
    for file in &manifest.files {
        // Readers join these with directories of their own; nothing may point outside.
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        if !file.path.split('/').all(plain) {
            return Err(format!("it lists a file with the path `{}`", file.path));
        }
    }
    Ok(blobs)
}

fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items
        .into_iter()
        .map(|item| item.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}
