//! Counts CSI requests by method and gRPC code.

use super::Metrics;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tower_layer::Layer;
use tower_service::Service;

/// What all methods of CSI begin with; others are not counted, or anybody could make up metrics.
const PREFIX: &str = "/csi.v1.";

/// Goes around the services of a server.
#[derive(Clone)]
pub struct RequestLayer(pub Option<Metrics>);

impl<S> Layer<S> for RequestLayer {
    type Service = Requests<S>;

    fn layer(&self, inner: S) -> Requests<S> {
        Requests {
            inner,
            metrics: self.0.clone(),
        }
    }
}

/// Services whose requests are counted.
#[derive(Clone)]
pub struct Requests<S> {
    inner: S,
    metrics: Option<Metrics>,
}

impl<S, B, R> Service<http::Request<B>> for Requests<S>
where
    S: Service<http::Request<B>, Response = http::Response<R>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let method = method(request.uri().path()).map(str::to_owned);
        let counted = self.metrics.clone().zip(method);
        let begin = Instant::now();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await;
            if let (Ok(answer), Some((metrics, method))) = (&answer, counted) {
                // An answer without message has its code at the beginning; others are good.
                let code = answer.headers().get("grpc-status");
                let code = code.and_then(|code| code.to_str().ok()).unwrap_or("0");
                metrics.request(&method, code, begin.elapsed());
            }
            answer
        })
    }
}

fn method(path: &str) -> Option<&str> {
    path.strip_prefix(PREFIX)?
        .split_once('/')
        .map(|(_, method)| method)
}

#[cfg(test)]
mod tests {
    use super::method;

    #[test]
    fn only_methods_of_csi_are_counted() {
        assert_eq!(method("/csi.v1.Node/NodeGetInfo"), Some("NodeGetInfo"));
        assert_eq!(method("/grpc.health.v1.Health/Check"), None);
        assert_eq!(method("/csi.v1.Node"), None);
    }
}
