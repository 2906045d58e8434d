//! Blobs of the bundle, from the driver to the store of the host.

use super::{Session, unexpected};
use crate::agent::protocol::{Reply, Request, send};
use crate::error::{Failure, FailureKind};
use ingot_bundle::Digest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

impl Session {
    /// Which of these blobs the host lacks.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn missing(&mut self, digests: Vec<Digest>) -> Result<Vec<Digest>, Failure> {
        match self.ask(&Request::MissingBlobs { digests }).await? {
            Reply::Missing { digests } => Ok(digests),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a blob; `progress` is told the bytes sent so far.
    ///
    /// # Errors
    /// When the blob cannot be read, the connection breaks, or the host cannot keep it.
    pub async fn put_blob(
        &mut self,
        digest: Digest,
        size: u64,
        mut blob: impl AsyncRead + Unpin,
        progress: &mut (dyn FnMut(u64) + Send),
    ) -> Result<(), Failure> {
        send(&mut self.process.stdin, &Request::PutBlob { digest, size })
            .await
            .map_err(|e| self.broken(e))?;
        let mut sent = 0;
        let mut buffer = vec![0; 256 << 10];
        while sent < size {
            let count = blob.read(&mut buffer).await.map_err(|error| {
                Failure::text(
                    FailureKind::Input,
                    format!("cannot read blob {digest} of the bundle: {error}"),
                )
            })?;
            if count == 0 {
                return Err(Failure::text(
                    FailureKind::Input,
                    format!(
                        "blob {digest} of the bundle ends after {sent} of {size} bytes; run `ingot bundle verify`"
                    ),
                ));
            }
            self.process
                .stdin
                .write_all(&buffer[..count])
                .await
                .map_err(|error| self.broken(error))?;
            sent += count as u64;
            progress(sent);
        }
        self.process
            .stdin
            .flush()
            .await
            .map_err(|error| self.broken(error))?;
        match self.reply(&mut |_| {}).await? {
            Reply::Done { .. } => Ok(()),
            other => Err(unexpected(&other)),
        }
    }
}
