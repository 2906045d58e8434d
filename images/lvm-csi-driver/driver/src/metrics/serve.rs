//! Serves /metrics and /healthz over HTTP.

use super::Metrics;
use crate::agent::Agent;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// So many may ask at once; more wait.
const MOST: usize = 8;
/// Whoever says nothing for so long is cut off.
const SILENCE: Duration = Duration::from_secs(10);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be served on {address}: {source}; choose another address under `metrics`")]
pub struct MetricsError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Listens on an address.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, MetricsError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| MetricsError { address, source })
}

/// Answers for ever.
pub async fn serve(listener: TcpListener, agent: Arc<Agent>, metrics: Metrics) {
    let places = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // No file is left, most likely: others must end first.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let (agent, metrics) = (Arc::clone(&agent), metrics.clone());
        tokio::spawn(async move {
            let answered = service_fn(|request| answer(request, &agent, &metrics));
            // One that breaks off is no trouble of ours.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(SILENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answered)
                .await;
            drop(place);
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    agent: &Agent,
    metrics: &Metrics,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, kind, text) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            agent.observe(metrics).await;
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (StatusCode::OK, kind, metrics.text())
        }
        (&Method::GET, "/healthz") => match agent.unwell() {
            None => (StatusCode::OK, "text/plain", "ok\n".to_owned()),
            Some(reason) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain",
                format!("{reason}\n"),
            ),
        },
        _ => (
            StatusCode::NOT_FOUND,
            "text/plain",
            "ask for /metrics or /healthz\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
