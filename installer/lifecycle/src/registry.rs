//! The read-only registry every control plane serves from its blob store (OCI distribution spec 1.1,
//! "pull"): by digest only, over TLS. No registry host is special, so containerd may ask any of them.

use crate::agent::blobs::BlobStore;
use crate::paths;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use ingot_bundle::Digest;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, io::Error>;

/// Serves the blob store on `address` until the process ends.
///
/// # Errors
/// When the certificate cannot be read or the address is taken.
pub async fn serve(address: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })?;
    let store = BlobStore::of_host();
    loop {
        let (stream, _) = listener.accept().await?;
        let _ = stream.set_nodelay(true);
        let store = store.clone();
        // Read for every connection: a renewed certificate is served without a restart.
        let tls = match tls() {
            Ok(tls) => tls,
            Err(error) => {
                eprintln!("a client was refused: {error}");
                continue;
            }
        };
        tokio::spawn(async move {
            let Ok(stream) = tokio_rustls::TlsAcceptor::from(tls).accept(stream).await else {
                return;
            };
            let service = hyper::service::service_fn(move |request| {
                let store = store.clone();
                async move { Ok::<_, io::Error>(answer(&store, &request).await) }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn tls() -> io::Result<Arc<ServerConfig>> {
    let file = |suffix: &str| format!("{}/registry.{suffix}", paths::PKI);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file("crt"))
        .map_err(io::Error::other)?
        .collect();
    let key = PrivateKeyDer::from_pem_file(file("key")).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(certificates.map_err(io::Error::other)?, key)
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let body = Full::new(Bytes::from_static(text.as_bytes()))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

/// The digest a path of the distribution API asks for, and whether as a manifest.
fn asked(path: &str) -> Option<(Digest, bool)> {
    let rest = path.strip_prefix("/v2/")?;
    let (rest, reference) = rest.rsplit_once('/')?;
    let manifest = rest.ends_with("/manifests");
    (manifest || rest.ends_with("/blobs")).then_some(())?;
    Some((reference.parse().ok()?, manifest))
}

async fn answer(store: &BlobStore, request: &Request<Incoming>) -> Response<Body> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return plain(
            StatusCode::METHOD_NOT_ALLOWED,
            "this registry is read-only\n",
        );
    }
    let path = request.uri().path();
    if path == "/v2/" || path == "/v2" {
        return plain(StatusCode::OK, "{}");
    }
    let Some((digest, manifest)) = asked(path) else {
        return plain(
            StatusCode::NOT_FOUND,
            "this registry serves content by digest only\n",
        );
    };
    match content(store, &digest, manifest, request.method() == Method::HEAD).await {
        Ok(response) => response,
        Err(error) if error.kind() == io::ErrorKind::NotFound => plain(
            StatusCode::NOT_FOUND,
            "this host does not have that content\n",
        ),
        Err(_) => plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the content cannot be read\n",
        ),
    }
}

async fn content(
    store: &BlobStore,
    digest: &Digest,
    manifest: bool,
    head: bool,
) -> io::Result<Response<Body>> {
    let mut file = tokio::fs::File::open(store.path(digest)).await?;
    let size = file.metadata().await?.len();
    let mut media_type = "application/octet-stream".to_owned();
    let body: Body = if manifest {
        let mut bytes = Vec::new();
        (&mut file).take(4 << 20).read_to_end(&mut bytes).await?;
        let json: serde_json::Value = serde_json::from_slice(&bytes)?;
        media_type = json["mediaType"]
            .as_str()
            .unwrap_or("application/vnd.oci.image.manifest.v1+json")
            .to_owned();
        Full::new(if head { Bytes::new() } else { bytes.into() })
            .map_err(|never| match never {})
            .boxed()
    } else if head {
        Full::new(Bytes::new())
            .map_err(|never| match never {})
            .boxed()
    } else {
        let chunks = futures::stream::try_unfold(file, |mut file| async move {
            let mut buffer = vec![0; 256 << 10];
            let count = file.read(&mut buffer).await?;
            buffer.truncate(count);
            Ok::<_, io::Error>((count > 0).then_some((Bytes::from(buffer), file)))
        });
        BodyExt::boxed(StreamBody::new(chunks.map_ok(Frame::data)))
    };
    Response::builder()
        .header(header::CONTENT_TYPE, media_type)
        .header(header::CONTENT_LENGTH, size)
        .header("docker-content-digest", digest.to_string())
        .body(body)
        .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_are_served() {
        let digest = Digest::of(b"x");
        assert_eq!(
            asked(&format!("/v2/etcd/manifests/{digest}")),
            Some((digest, true))
        );
        assert_eq!(
            asked(&format!("/v2/a/b/blobs/{digest}")),
            Some((digest, false))
        );
        assert_eq!(asked("/v2/etcd/manifests/latest"), None);
        assert_eq!(asked(&format!("/v2/etcd/uploads/{digest}")), None);
    }
}
