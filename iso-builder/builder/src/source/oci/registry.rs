//! What is asked of a registry: documents and layers by digest, with an anonymous token where it wants one.

use super::{OciError, Remote};
use crate::cache::Cache;
use ingot_bundle::{Digest, Hasher, media_type};
use reqwest::blocking::{Client, Response};
use reqwest::header;
use serde::Deserialize;
use std::io::{Read, Write};
use std::time::Duration;

/// Manifests and configurations are small; a larger answer is no manifest.
const MAX_DOCUMENT: u64 = 4 << 20;

/// Docker's names for what OCI standardized later, still common in registries.
const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// One repository of a registry.
pub(super) struct Registry {
    client: Client,
    /// `https://registry/v2/repository`.
    base: String,
    pub(super) repository: String,
    token: std::cell::RefCell<Option<String>>,
}

impl Registry {
    pub(super) fn of(reference: &str) -> Result<Self, OciError> {
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

    pub(super) fn blob_url(&self, digest: &Digest) -> String {
        format!("{}/blobs/{digest}", self.base)
    }

    pub(super) fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, OciError> {
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

    pub(super) fn document(
        &self,
        url: &str,
        digest: &Digest,
        accept: &str,
    ) -> Result<Vec<u8>, OciError> {
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

    pub(super) fn layer(&self, remote: &Remote, cache: &Cache) -> Result<(), OciError> {
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
