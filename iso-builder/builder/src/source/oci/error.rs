//! Why an image was not pulled.

use crate::cache::CacheError;
use ingot_bundle::Digest;
use thiserror::Error;

/// Why an image was not pulled.
#[derive(Debug, Error)]
pub enum OciError {
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The reference is not of the form that is pulled.
    #[error(
        "`{reference}` is no image reference; write registry/repository:tag, for instance \
         registry.example.org/app:1.0"
    )]
    Reference {
        /// The reference.
        reference: String,
    },
    /// The registry cannot be reached or its answer was cut off.
    #[error("cannot get {what} from {url}; check the network and the registry")]
    Request {
        /// What was asked for.
        what: String,
        /// Where.
        url: String,
        /// What went wrong.
        source: reqwest::Error,
    },
    /// The registry refused.
    #[error("{url} answered {status} for {what}; is the image there, and open to everyone?")]
    Status {
        /// What was asked for.
        what: String,
        /// Where.
        url: String,
        /// The answer.
        status: u16,
    },
    /// The answer could not be stored.
    #[error("cannot store {what}; check the disk of the cache")]
    Store {
        /// What was being stored.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The answer has another digest.
    #[error("{url} gave other bytes for {what}: they have the digest {actual}; do not use them")]
    Digest {
        /// What was asked for.
        what: Digest,
        /// Where.
        url: String,
        /// Digest of the answer.
        actual: Digest,
    },
    /// A document has another shape.
    #[error("{what} of {reference} is not understood")]
    Parse {
        /// The document.
        what: &'static str,
        /// The image.
        reference: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The index has no image for the architecture.
    #[error("{reference} has no image for linux/{architecture}; name a digest that has")]
    Architecture {
        /// The image.
        reference: String,
        /// In Go spelling.
        architecture: String,
    },
}
