//! The host's store of blobs by digest: written once, verified before use.

use crate::paths;
use ingot_bundle::Digest;
use ingot_engine::BlobSource;
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

/// A directory of blobs, `sha256/<hex>`.
#[derive(Debug, Clone)]
pub struct BlobStore {
    directory: PathBuf,
}

impl BlobStore {
    /// The store of this host.
    pub fn of_host() -> Self {
        Self::at(Path::new(paths::BLOBS))
    }

    /// The store in `directory`.
    pub fn at(directory: &Path) -> Self {
        Self {
            directory: directory.join("sha256"),
        }
    }

    /// Where the blob lies, or would.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(digest.hex())
    }

    /// Whether the blob is there. It was verified when it was stored.
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).exists()
    }

    /// Stores `size` bytes of `stream` as the blob `digest`. All bytes are taken from the stream
    /// whatever happens, so that the protocol stays in step.
    ///
    /// # Errors
    /// When the bytes do not have the digest, the stream breaks, or the disk refuses.
    pub async fn put(
        &self,
        digest: &Digest,
        size: u64,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<()> {
        let partial = self.directory.join(format!(".{}.part", digest.hex()));
        let mut limited = stream.take(size);
        let stored = async {
            tokio::fs::create_dir_all(&self.directory).await?;
            let mut file = tokio::fs::File::create(&partial).await?;
            let mut hasher = Sha256::new();
            let mut buffer = vec![0; 256 << 10];
            loop {
                let count = limited.read(&mut buffer).await?;
                if count == 0 {
                    break;
                }
                hasher.update(&buffer[..count]);
                file.write_all(&buffer[..count]).await?;
            }
            file.flush().await?;
            let hex: String = hasher
                .finalize()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            if hex != digest.hex() {
                return Err(io::Error::other(format!(
                    "blob {digest} arrived damaged (its SHA-256 is {hex})"
                )));
            }
            file.sync_data().await?;
            tokio::fs::rename(&partial, self.path(digest)).await
        }
        .await;
        if stored.is_err() {
            tokio::io::copy(&mut limited, &mut tokio::io::sink()).await?;
            let _ = tokio::fs::remove_file(&partial).await;
        }
        stored
    }
}

impl BlobSource for BlobStore {
    fn open(&self, digest: &str) -> io::Result<Box<dyn Read>> {
        let digest: Digest = digest.parse().map_err(io::Error::other)?;
        let path = self.path(&digest);
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        // A disk may lose bits between storing and using: the digest is checked again.
        let mut hasher = Sha256::new();
        io::copy(
            &mut std::fs::File::open(&path).map_err(named)?,
            &mut HashWriter(&mut hasher),
        )
        .map_err(named)?;
        let hex: String = hasher
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        if hex != digest.hex() {
            return Err(io::Error::other(format!(
                "{} is damaged on disk; remove it and run again",
                path.display()
            )));
        }
        Ok(Box::new(std::fs::File::open(&path).map_err(named)?))
    }
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_bytes_with_the_right_digest_are_stored() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::at(dir.path());
        let digest = Digest::of(b"content");
        let mut stream = &b"c0ntentNEXT"[..];
        let error = store.put(&digest, 7, &mut stream).await.unwrap_err();
        assert!(error.to_string().contains("arrived damaged"), "{error}");
        assert_eq!(stream, b"NEXT");
        assert!(!store.has(&digest));
        store.put(&digest, 7, &mut &b"content"[..]).await.unwrap();
        let mut text = String::new();
        store
            .open(&digest.to_string())
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "content");
        std::fs::write(store.path(&digest), "rotten").unwrap();
        let error = store.open(&digest.to_string()).err().unwrap();
        assert!(error.to_string().contains("is damaged on disk"), "{error}");
    }
}
