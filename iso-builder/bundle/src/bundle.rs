//! Opening a bundle, proving who signed it, and reading what it holds.
//!
//! The order is in the types: [`Bundle`] knows where bytes lie and can only check the
//! signature; [`VerifiedBundle`] gives out content, and checks each blob while it is read.
//! Never gives out a byte of a blob as good (an end of file) before its digest held.

use crate::digest::{Digest, Hasher};
use crate::iso9660::IsoError;
use crate::keys::{KeyId, SignatureError, TrustedKeys};
use crate::manifest::{Component, Manifest};
use crate::source::{Source, SourceFile};
use crate::{FORMAT_VERSION, MANIFEST_FILE, SIGNATURE_FILE};
use std::collections::BTreeMap;
use std::io::{self, Read};
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

/// A bundle whose table of contents was signed by a trusted key. Cheap to clone and shared
/// by threads.
#[derive(Clone, Debug)]
pub struct VerifiedBundle {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) source: Source,
    pub(crate) manifest: Manifest,
    pub(crate) signed_by: KeyId,
    /// Every blob that bundle.json names, with the first component that needs it.
    pub(crate) blobs: BTreeMap<Digest, BlobFacts>,
}

#[derive(Clone, Debug)]
pub(crate) struct BlobFacts {
    pub(crate) size: u64,
    pub(crate) components: Vec<String>,
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

/// The bundle is for other machines.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the bundle {path} is for {found} and these servers are {wanted}; \
     get the {wanted} bundle of the same version"
)]
pub struct ArchitectureError {
    /// The bundle.
    pub path: PathBuf,
    /// Its architecture, in Go spelling.
    pub found: String,
    /// The architecture asked for.
    pub wanted: String,
}

/// The bundle lacks parts that the caller needs.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "the bundle {path} (version {version}) lacks {missing}; \
     build it from a catalogue that lists every one of them, or get a complete bundle"
)]
pub struct ComponentsError {
    /// The bundle.
    pub path: PathBuf,
    /// Its product version.
    pub version: String,
    /// The missing components, joined with commas.
    pub missing: String,
}

/// Why a blob cannot be opened.
#[derive(Debug, Error)]
pub enum BlobError {
    /// The table of contents does not name it.
    #[error("the bundle {path} lists no blob {digest}; use a digest from its {MANIFEST_FILE}")]
    Unknown {
        /// The bundle.
        path: PathBuf,
        /// The digest asked for.
        digest: Digest,
    },
    /// Named, but not there.
    #[error(
        "the bundle {path} lacks the blob {digest} of {components}, which its {MANIFEST_FILE} \
         lists; copy the bundle again"
    )]
    Missing {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The components that need it.
        components: String,
    },
    /// There, but of another size.
    #[error(
        "the blob {digest} of {components} in the bundle {path} has {actual} bytes and should \
         have {expected}; copy the bundle again"
    )]
    Size {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The components that need it.
        components: String,
        /// Bytes listed.
        expected: u64,
        /// Bytes there are.
        actual: u64,
    },
    /// There, but with other content.
    #[error(
        "the blob {digest} of {components} in the bundle {path} is damaged: its content has \
         the digest {actual}; copy the bundle again"
    )]
    Digest {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The components that need it.
        components: String,
        /// Digest of what is there.
        actual: Digest,
    },
    /// The system refused.
    #[error("cannot read the blob {digest} of {components} in the bundle {path}: check its disk")]
    Read {
        /// The bundle.
        path: PathBuf,
        /// The blob.
        digest: Digest,
        /// The components that need it.
        components: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Bundle {
    /// Finds the files of a bundle: in an ISO file, or in a directory that it is mounted on.
    ///
    /// # Errors
    /// When there is nothing, something else, or only a part of a bundle.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let at = || path.to_owned();
        let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => OpenError::NotFound { path: at() },
            _ => OpenError::Read { path: at(), source },
        })?;
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

impl VerifiedBundle {
    /// The signed table of contents.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// Where the bundle lies.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// The key that signed it.
    pub fn signed_by(&self) -> KeyId {
        self.inner.signed_by
    }

    /// The component of this name.
    pub fn component(&self, name: &str) -> Option<&Component> {
        let components = &self.inner.manifest.components;
        components.iter().find(|component| component.name == name)
    }

    /// Refuses a bundle for another CPU architecture.
    ///
    /// # Errors
    /// Names both architectures. `wanted` is in Go spelling (`amd64`).
    pub fn check_architecture(&self, wanted: &str) -> Result<(), ArchitectureError> {
        let found = &self.inner.manifest.architecture;
        if found == wanted {
            return Ok(());
        }
        Err(ArchitectureError {
            path: self.inner.path.clone(),
            found: found.clone(),
            wanted: wanted.to_owned(),
        })
    }

    /// Refuses a bundle that lacks any of the components.
    ///
    /// # Errors
    /// Names all that are missing.
    pub fn require_components(&self, names: &[&str]) -> Result<(), ComponentsError> {
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| self.component(name).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ComponentsError {
            path: self.inner.path.clone(),
            version: self.inner.manifest.version.clone(),
            missing: missing.join(", "),
        })
    }

    /// Size in bytes of a listed blob.
    pub fn blob_size(&self, digest: &Digest) -> Option<u64> {
        self.inner.blobs.get(digest).map(|facts| facts.size)
    }

    /// Opens a blob for reading from its start. The reader checks the digest: it returns the
    /// end of file only if the whole blob was right, and an error otherwise.
    ///
    /// # Errors
    /// When the blob is not listed, missing, or of another size.
    pub fn blob(&self, digest: &Digest) -> Result<BlobReader, BlobError> {
        let (file, facts) = self.open_blob(digest)?;
        Ok(BlobReader {
            bundle: self.clone(),
            digest: *digest,
            size: facts.size,
            file,
            offset: 0,
            hasher: Some(Hasher::new()),
        })
    }

    /// Reads a whole small blob (a manifest, a configuration) and checks it.
    ///
    /// # Errors
    /// As [`Self::blob`], and when the content is damaged.
    pub fn read_blob(&self, digest: &Digest) -> Result<Vec<u8>, BlobError> {
        let (file, _) = self.open_blob(digest)?;
        let bytes = file
            .read_all()
            .map_err(|source| self.read_error(digest, source))?;
        let actual = Digest::of(&bytes);
        if actual == *digest {
            Ok(bytes)
        } else {
            Err(self.damaged(digest, actual))
        }
    }

    /// Reads a part of a blob to continue an interrupted transfer. It is NOT checked: whoever
    /// puts the parts together compares the digest of the whole. Returns how many bytes were
    /// read; less than asked for only at the end.
    ///
    /// # Errors
    /// As [`Self::blob`], and when the system refuses.
    pub fn read_blob_at(
        &self,
        digest: &Digest,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize, BlobError> {
        let (file, _) = self.open_blob(digest)?;
        file.read_at(buffer, offset)
            .map_err(|source| self.read_error(digest, source))
    }

    fn open_blob(&self, digest: &Digest) -> Result<(SourceFile, &BlobFacts), BlobError> {
        let path = || self.inner.path.clone();
        let facts = self
            .inner
            .blobs
            .get(digest)
            .ok_or_else(|| BlobError::Unknown {
                path: path(),
                digest: *digest,
            })?;
        let file = self
            .inner
            .source
            .open(&digest.blob_path())
            .map_err(|source| self.read_error(digest, source))?
            .ok_or_else(|| BlobError::Missing {
                path: path(),
                digest: *digest,
                components: self.needed_by(digest),
            })?;
        if file.size() != facts.size {
            return Err(BlobError::Size {
                path: path(),
                digest: *digest,
                components: self.needed_by(digest),
                expected: facts.size,
                actual: file.size(),
            });
        }
        Ok((file, facts))
    }

    fn needed_by(&self, digest: &Digest) -> String {
        self.inner
            .blobs
            .get(digest)
            .map(|facts| facts.components.join(", "))
            .unwrap_or_default()
    }

    fn read_error(&self, digest: &Digest, source: io::Error) -> BlobError {
        BlobError::Read {
            path: self.inner.path.clone(),
            digest: *digest,
            components: self.needed_by(digest),
            source,
        }
    }

    fn damaged(&self, digest: &Digest, actual: Digest) -> BlobError {
        BlobError::Digest {
            path: self.inner.path.clone(),
            digest: *digest,
            components: self.needed_by(digest),
            actual,
        }
    }
}

/// Reads a blob from start to end and checks its digest at the end.
///
/// A damaged blob gives an [`io::Error`] of kind `InvalidData` whose source is a
/// [`BlobError::Digest`].
#[derive(Debug)]
pub struct BlobReader {
    bundle: VerifiedBundle,
    digest: Digest,
    size: u64,
    file: SourceFile,
    offset: u64,
    /// Taken when the end was reached and the digest compared.
    hasher: Option<Hasher>,
}

impl BlobReader {
    /// Number of bytes of the whole blob.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.file.read_at(buffer, self.offset)?;
        self.offset += count as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..count]);
        }
        if count == 0
            && let Some(hasher) = self.hasher.take()
        {
            let actual = hasher.finish();
            if actual != self.digest {
                // Reading on after this error must not look like a clean end.
                self.hasher = Some(Hasher::new());
                let error = self.bundle.damaged(&self.digest, actual);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
        Ok(count)
    }
}
