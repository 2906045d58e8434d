//! Reading blobs of a verified bundle, each checked against its digest while it is read.
//!
//! Never gives out the end of a blob (an end of file) before its digest held.

use crate::MANIFEST_FILE;
use crate::digest::{Digest, Hasher};
use crate::source::SourceFile;
use crate::verified::{BlobFacts, VerifiedBundle};
use std::io::{self, Read};
use std::path::PathBuf;
use thiserror::Error;

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

impl VerifiedBundle {
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
