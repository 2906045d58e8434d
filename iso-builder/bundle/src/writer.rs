//! Lays a bundle out as a directory, ready to become an ISO image.
//!
//! The only place that writes `index.json` and `bundle.json`. Never signs by itself: the
//! caller hands in how, so that no secret key comes near this crate.

use crate::artifact::artifact_type;
use crate::digest::{Digest, Hasher};
use crate::manifest::{Component, Descriptor, FileEntry, Manifest};
use crate::oci::{ImageIndex, IndexEntry, media_type};
use crate::{MANIFEST_FILE, SIGNATURE_FILE};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Gets the bytes of `bundle.json` and returns the text of the signature file.
pub type Sign<'a> = dyn Fn(&[u8]) -> Result<String, Box<dyn Error + Send + Sync>> + 'a;

/// Writes one bundle into a directory.
#[derive(Debug)]
pub struct BundleWriter {
    root: PathBuf,
    manifest: Manifest,
}

/// Why a bundle could not be laid out.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The system refused.
    #[error("cannot write {path}: check that the disk has room and the directory is yours")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A blob is not what its descriptor says.
    #[error("{path} has the digest {actual}, expected {expected}; remove it and build again")]
    Blob {
        /// The file that was to be placed.
        path: PathBuf,
        /// Digest of its descriptor.
        expected: Digest,
        /// Digest of its bytes.
        actual: Digest,
    },
    /// A component refers to a blob that was never placed.
    #[error("component {component} needs the blob {digest}, which was not placed")]
    Unplaced {
        /// The component.
        component: String,
        /// The missing blob.
        digest: Digest,
    },
    /// JSON could not be produced.
    #[error("cannot write {MANIFEST_FILE}")]
    Json(#[source] serde_json::Error),
    /// The caller's signer failed.
    #[error("cannot sign {MANIFEST_FILE}")]
    Sign(#[source] Box<dyn Error + Send + Sync>),
}

impl BundleWriter {
    /// Begins in an empty or absent directory. `head` gives product, versions, architecture
    /// and date; its lists are filled by this writer.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn create(root: &Path, head: Manifest) -> Result<Self, WriteError> {
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(|source| WriteError::Write {
            path: blobs,
            source,
        })?;
        Ok(Self {
            root: root.to_owned(),
            manifest: head,
        })
    }

    /// Stores bytes as a blob. Storing the same bytes again is no error.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add_blob(&mut self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, WriteError> {
        let descriptor = Descriptor::of(media_type, bytes);
        let path = self.root.join(descriptor.digest.blob_path());
        if !path.exists() {
            write(&path, bytes, 0o644)?;
        }
        Ok(descriptor)
    }

    /// Places a file as a blob, as a hard link if the file systems allow it. The caller has
    /// checked its digest; this only checks the size.
    ///
    /// # Errors
    /// When it cannot be linked or copied, or has another size.
    pub fn place_blob(&mut self, blob: &Descriptor, from: &Path) -> Result<(), WriteError> {
        let path = self.root.join(blob.digest.blob_path());
        if path.exists() {
            return Ok(());
        }
        let failed = |source| WriteError::Write {
            path: path.clone(),
            source,
        };
        if fs::hard_link(from, &path).is_err() {
            fs::copy(from, &path).map_err(failed)?;
        }
        if fs::metadata(&path).map_err(failed)?.len() != blob.size {
            let actual = digest_of_file(from)?.0;
            return Err(WriteError::Blob {
                path: from.to_owned(),
                expected: blob.digest,
                actual,
            });
        }
        Ok(())
    }

    /// Adds a component whose blobs are placed already.
    ///
    /// # Errors
    /// Names the first blob that is not there.
    pub fn add_component(&mut self, component: Component) -> Result<(), WriteError> {
        for blob in component.all_blobs() {
            if !self.root.join(blob.digest.blob_path()).exists() {
                let component = component.name.clone();
                return Err(WriteError::Unplaced {
                    component,
                    digest: blob.digest,
                });
            }
        }
        self.manifest.components.push(component);
        Ok(())
    }

    /// Writes a file at the root of the bundle. `mode` is a Unix mode such as `0o644`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add_file(&mut self, path: &str, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
        write(&self.root.join(path), bytes, mode)?;
        self.manifest.files.push(FileEntry {
            path: path.to_owned(),
            sha256: Digest::of(bytes),
            size: bytes.len() as u64,
        });
        Ok(())
    }

    /// Writes the index and the table of contents, has the latter signed, and returns it.
    ///
    /// # Errors
    /// When a file cannot be written or `sign` fails.
    pub fn finish(mut self, sign: &Sign<'_>) -> Result<Manifest, WriteError> {
        self.manifest.components.sort_by(|a, b| a.name.cmp(&b.name));
        let index = index(&self.manifest.components);
        let index = serde_json::to_vec(&index).map_err(WriteError::Json)?;
        self.add_file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#, 0o644)?;
        self.add_file("index.json", &index, 0o644)?;
        self.manifest.files.sort_by(|a, b| a.path.cmp(&b.path));

        let mut bytes = serde_json::to_vec_pretty(&self.manifest).map_err(WriteError::Json)?;
        bytes.push(b'\n');
        let signature = sign(&bytes).map_err(WriteError::Sign)?;
        write(&self.root.join(MANIFEST_FILE), &bytes, 0o644)?;
        write(&self.root.join(SIGNATURE_FILE), signature.as_bytes(), 0o644)?;
        Ok(self.manifest)
    }
}

fn index(components: &[Component]) -> ImageIndex {
    let mut manifests = Vec::new();
    for component in components {
        let named = BTreeMap::from([(
            "org.opencontainers.image.ref.name".to_owned(),
            component.reference(),
        )]);
        manifests.push(entry(
            &component.manifest,
            artifact_type(component.kind),
            named,
        ));
        manifests.push(entry(
            &component.sbom_manifest,
            Some(media_type::SPDX),
            BTreeMap::new(),
        ));
    }
    ImageIndex {
        schema_version: 2,
        media_type: media_type::INDEX.to_owned(),
        manifests,
    }
}

fn entry(
    blob: &Descriptor,
    artifact_type: Option<&str>,
    annotations: BTreeMap<String, String>,
) -> IndexEntry {
    IndexEntry {
        media_type: blob.media_type.clone(),
        digest: blob.digest,
        size: blob.size,
        artifact_type: artifact_type.map(str::to_owned),
        annotations,
    }
}

/// Digest and size of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest_of_file(path: &Path) -> Result<(Digest, u64), WriteError> {
    let failed = |source| WriteError::Write {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::File::open(path).map_err(failed)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            return Ok((hasher.finish(), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let failed = |source| WriteError::Write {
        path: path.to_owned(),
        source,
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    fs::write(path, bytes).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
}
