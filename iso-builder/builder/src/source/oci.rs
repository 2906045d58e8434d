//! Images of vendors, pulled by digest from any registry (OCI distribution-spec 1.1, section
//! "Pull").
//!
//! Only by digest, so a registry can withhold an image but never change it. Layers are kept as
//! the vendor made them. Never sends credentials; registries that want an anonymous token
//! get one.

use crate::cache::{Cache, CacheError};
use crate::catalog::OciSpec;
use crate::sbom::Part;
use ingot_bundle::{
    Descriptor, Digest, Hasher, ImageConfig, Layer, Origin, RuntimeConfig, media_type,
};
use reqwest::blocking::{Client, Response};
use reqwest::header;
use serde::Deserialize;
use std::io::{Read, Write};
use std::time::Duration;
use thiserror::Error;

/// Manifests and configurations are small; a larger answer is no manifest.
const MAX_DOCUMENT: u64 = 4 << 20;

/// Docker's names for what OCI standardized later, still common in registries.
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a pull gave.
pub struct Pulled {
    /// Its layers, now in the cache.
    pub layers: Vec<Layer>,
    /// How a container of it is started.
    pub runtime: RuntimeConfig,
    /// Where it came from.
    pub origin: Origin,
    /// For the SBOM.
    pub part: Part,
}

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

/// A manifest or an index; which of them is told by what it has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    manifests: Vec<Candidate>,
    config: Option<Remote>,
    #[serde(default)]
    layers: Vec<Remote>,
}

#[derive(Debug, Deserialize)]
struct Candidate {
    digest: Digest,
    platform: Option<Platform>,
}

#[derive(Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// A descriptor as registries write them, with fields that do not matter here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Remote {
    media_type: String,
    digest: Digest,
    size: u64,
}

/// Pulls an image; its layers are in the cache afterwards.
///
/// # Errors
/// When it cannot be had, or is not what its digest says.
pub fn pull(spec: &OciSpec, architecture: &str, cache: &Cache) -> Result<Pulled, OciError> {
    let registry = Registry::of(&spec.reference)?;
    let reference = || spec.reference.clone();
    let parse = |what, bytes: &[u8]| {
        serde_json::from_slice::<Document>(bytes).map_err(|source| OciError::Parse {
            what,
            reference: reference(),
            source,
        })
    };
    let mut document = parse("the manifest", &registry.manifest(&spec.digest)?)?;
    if !document.manifests.is_empty() {
        let fits = |candidate: &&Candidate| {
            candidate.platform.as_ref().is_some_and(|platform| {
                platform.os == "linux" && platform.architecture == architecture
            })
        };
        let chosen =
            document
                .manifests
                .iter()
                .find(fits)
                .ok_or_else(|| OciError::Architecture {
                    reference: reference(),
                    architecture: architecture.to_owned(),
                })?;
        document = parse("the manifest", &registry.manifest(&chosen.digest)?)?;
    }
    let missing = || OciError::Architecture {
        reference: reference(),
        architecture: architecture.to_owned(),
    };
    let config = document.config.ok_or_else(missing)?;
    let bytes = registry.document(&registry.blob_url(&config.digest), &config.digest, "*/*")?;
    let config: ImageConfig = serde_json::from_slice(&bytes).map_err(|source| OciError::Parse {
        what: "the configuration",
        reference: reference(),
        source,
    })?;
    if config.architecture != architecture || config.rootfs.diff_ids.len() != document.layers.len()
    {
        return Err(missing());
    }
    let mut layers = Vec::new();
    for (remote, diff_id) in document.layers.iter().zip(&config.rootfs.diff_ids) {
        registry.layer(remote, cache)?;
        let descriptor = Descriptor {
            media_type: oci_layer_type(&remote.media_type).to_owned(),
            digest: remote.digest,
            size: remote.size,
        };
        layers.push(Layer {
            descriptor,
            diff_id: *diff_id,
        });
    }
    let (name, tag) = spec
        .reference
        .rsplit_once(':')
        .unwrap_or((&spec.reference, ""));
    Ok(Pulled {
        layers,
        runtime: config.config,
        origin: Origin::Oci {
            reference: reference(),
            digest: spec.digest,
        },
        part: Part {
            name: name.to_owned(),
            version: tag.to_owned(),
            purl: format!("pkg:oci/{}@{}", registry.repository, spec.digest),
            licence: None,
            sha256: Some(spec.digest.hex()),
            note: Some("an image of its vendor, taken as it is".to_owned()),
        },
    })
}

fn oci_layer_type(theirs: &str) -> &str {
    match theirs {
        "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            "application/vnd.oci.image.layer.v1.tar+gzip"
        }
        "application/vnd.docker.image.rootfs.diff.tar" => "application/vnd.oci.image.layer.v1.tar",
        other => other,
    }
}

struct Registry {
    client: Client,
    /// `https://registry/v2/repository`.
    base: String,
    repository: String,
    token: std::cell::RefCell<Option<String>>,
}

impl Registry {
    fn of(reference: &str) -> Result<Self, OciError> {
        let refuse = || OciError::Reference {
            reference: reference.to_owned(),
        };
        let (host, rest) = reference.split_once('/').ok_or_else(refuse)?;
        // A tag is for people; the digest decides.
        let repository = rest
            .rsplit_once(':')
            .map_or(rest, |(repository, _)| repository);
        if host.is_empty() || repository.is_empty() {
            return Err(refuse());
        }
        let name = host.split(':').next().unwrap_or_default();
        // As every registry client does: plain HTTP is for this machine only.
        let scheme = if matches!(name, "localhost" | "127.0.0.1") {
            "http"
        } else {
            "https"
        };
        let base = format!("{scheme}://{host}/v2/{repository}");
        // Installing it twice fails harmlessly; there is one provider in this program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(Duration::from_secs(20))
            .timeout(None::<Duration>)
            .user_agent(concat!("iso-builder/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|source| OciError::Request {
                what: "a connection".to_owned(),
                url: base.clone(),
                source,
            })?;
        let token = std::cell::RefCell::new(None);
        Ok(Self {
            client,
            base,
            repository: repository.to_owned(),
            token,
        })
    }

    fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.base)
    }

    fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, OciError> {
        let accept = [
            media_type::INDEX,
            media_type::MANIFEST,
            DOCKER_INDEX,
            DOCKER_MANIFEST,
        ];
        self.document(
            &format!("{}/manifests/{digest}", self.base),
            digest,
            &accept.join(", "),
        )
    }

    fn document(&self, url: &str, digest: &Digest, accept: &str) -> Result<Vec<u8>, OciError> {
        let mut bytes = Vec::new();
        self.get(url, &digest.to_string(), accept)?
            .take(MAX_DOCUMENT)
            .read_to_end(&mut bytes)
            .map_err(|source| OciError::Store {
                what: digest.to_string(),
                source,
            })?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(OciError::Digest {
                what: *digest,
                url: url.to_owned(),
                actual,
            });
        }
        Ok(bytes)
    }

    fn layer(&self, remote: &Remote, cache: &Cache) -> Result<(), OciError> {
        let kept = cache.blob(&remote.digest);
        if ingot_bundle::digest_of_file(&kept).is_ok_and(|(digest, _)| digest == remote.digest) {
            return Ok(());
        }
        let url = self.blob_url(&remote.digest);
        let failed = |source| OciError::Store {
            what: remote.digest.to_string(),
            source,
        };
        let mut answer = self
            .get(&url, &remote.digest.to_string(), "*/*")?
            .take(remote.size + 1);
        let scratch = cache.scratch()?;
        let path = scratch.path().join("layer");
        let mut file = std::fs::File::create(&path).map_err(failed)?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 128 << 10];
        loop {
            let count = answer.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            file.write_all(&buffer[..count]).map_err(failed)?;
        }
        let actual = hasher.finish();
        if actual != remote.digest {
            return Err(OciError::Digest {
                what: remote.digest,
                url,
                actual,
            });
        }
        Ok(cache.adopt(&remote.digest, &path)?)
    }

    fn get(&self, url: &str, what: &str, accept: &str) -> Result<Response, OciError> {
        let send = || {
            let mut request = self.client.get(url).header(header::ACCEPT, accept);
            if let Some(token) = &*self.token.borrow() {
                request = request.bearer_auth(token);
            }
            request.send().map_err(|source| OciError::Request {
                what: what.to_owned(),
                url: url.to_owned(),
                source,
            })
        };
        let mut answer = send()?;
        if answer.status().as_u16() == 401
            && self.token.borrow().is_none()
            && let Some(token) = self.anonymous_token(&answer, what)?
        {
            *self.token.borrow_mut() = Some(token);
            answer = send()?;
        }
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        Err(OciError::Status {
            what: what.to_owned(),
            url: url.to_owned(),
            status,
        })
    }

    /// Asks the token server that a 401 names (distribution-spec leaves this to the scheme
    /// that Docker's registry documents as "Token Authentication").
    fn anonymous_token(&self, answer: &Response, what: &str) -> Result<Option<String>, OciError> {
        #[derive(Deserialize)]
        struct Token {
            #[serde(alias = "access_token")]
            token: String,
        }
        let challenge = answer.headers().get(header::WWW_AUTHENTICATE);
        let Some(challenge) = challenge.and_then(|value| value.to_str().ok()) else {
            return Ok(None);
        };
        let field = |name: &str| {
            let (_, rest) = challenge.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(str::to_owned)
        };
        let Some(realm) = field("realm").filter(|_| challenge.starts_with("Bearer")) else {
            return Ok(None);
        };
        let scope = format!("repository:{}:pull", self.repository);
        let service = field("service").unwrap_or_default();
        let mut url = match reqwest::Url::parse(&realm) {
            Ok(url) => url,
            Err(_) => return Ok(None),
        };
        url.query_pairs_mut()
            .append_pair("service", &service)
            .append_pair("scope", &scope);
        let failed = |source| OciError::Request {
            what: what.to_owned(),
            url: realm.clone(),
            source,
        };
        let answer = self.client.get(url).send().map_err(failed)?;
        if !answer.status().is_success() {
            return Ok(None);
        }
        Ok(Some(answer.json::<Token>().map_err(failed)?.token))
    }
}
