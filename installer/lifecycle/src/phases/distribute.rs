//! Sends hosts the content of the bundle they lack, by digest: a control plane everything, since it
//! serves it to the others; a worker the programs that must run before anything can be pulled.

use crate::driver::Driver;
use crate::error::Failure;
use crate::settings::{STORAGE, programs};
use ingot_bundle::{Digest, Kind, VerifiedBundle};
use ingot_cluster::Node;
use std::collections::BTreeMap;
use std::io::Read;
use tokio::sync::mpsc;

const PHASE: &str = "distribute";

/// Runs the phase.
///
/// # Errors
/// Never by itself; hosts that fail drop out.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let bundle = driver.bundle.clone();
    let storage = driver.cluster.has_storage();
    let progress = driver.progress(PHASE);
    driver
        .each(
            PHASE,
            |_| true,
            async |machine| {
                let blobs = wanted(&bundle, &machine.node, storage);
                let missing = machine
                    .session
                    .missing(blobs.keys().copied().collect())
                    .await?;
                let total: u64 = missing.iter().filter_map(|digest| blobs.get(digest)).sum();
                let name = machine.node.name.to_string();
                let (mut before, mut told) = (0, 0);
                for digest in &missing {
                    let size = blobs.get(digest).copied().unwrap_or_default();
                    let reader = stream(&bundle, *digest);
                    let mut report = |sent: u64| {
                        let done = before + sent;
                        // A line a megabyte is plenty.
                        if done - told > 1 << 20 {
                            told = done;
                            let text = format!("{} of {} MB", done >> 20, total >> 20);
                            progress.tell(&name, text, Some(done as f64 / total.max(1) as f64));
                        }
                    };
                    machine
                        .session
                        .put_blob(*digest, size, reader, &mut report)
                        .await?;
                    before += size;
                }
                Ok(missing.len())
            },
        )
        .await;
    Ok(())
}

/// Digest and size of everything the node needs on its own disk.
fn wanted(bundle: &VerifiedBundle, node: &Node, storage: bool) -> BTreeMap<Digest, u64> {
    let own = programs(node);
    let needed = bundle
        .manifest()
        .components
        .iter()
        .filter(|component| storage || !STORAGE.contains(&component.name.as_str()))
        .filter(|component| match component.kind {
            Kind::HostBinaries => own.contains(&component.name.as_str()),
            Kind::Image => node.is_control_plane(),
            Kind::OsPackage | Kind::Installer => false,
        });
    needed
        .flat_map(|component| std::iter::once(&component.manifest).chain(&component.blobs))
        .map(|descriptor| (descriptor.digest, descriptor.size))
        .collect()
}

/// Reads a blob on a thread of its own; its digest is verified on the way, and again by the host.
fn stream(bundle: &VerifiedBundle, digest: Digest) -> impl tokio::io::AsyncRead + Unpin + use<> {
    let (chunks, inbox) = mpsc::channel::<std::io::Result<bytes::Bytes>>(8);
    let bundle = bundle.clone();
    std::thread::spawn(move || {
        let mut reader = match bundle.blob(&digest) {
            Ok(reader) => reader,
            Err(error) => {
                return drop(
                    chunks.blocking_send(Err(std::io::Error::other(crate::error::chain(&error)))),
                );
            }
        };
        loop {
            let mut buffer = vec![0; 256 << 10];
            match reader.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    buffer.truncate(count);
                    if chunks.blocking_send(Ok(buffer.into())).is_err() {
                        return;
                    }
                }
                Err(error) => return drop(chunks.blocking_send(Err(error))),
            }
        }
    });
    let stream = futures::stream::unfold(inbox, |mut inbox| async move {
        Some((inbox.recv().await?, inbox))
    });
    tokio_util::io::StreamReader::new(Box::pin(stream))
}
