//! Images of vendors, pulled by digest from any registry (OCI distribution-spec 1.1, section
//! "Pull").
//!
//! Only by digest, so a registry can withhold an image but never change it. Layers are kept as
//! the vendor made them. Never sends credentials; registries that want an anonymous token
//! get one.

mod error;
mod registry;

pub use error::OciError;

use crate::cache::Cache;
use crate::catalog::OciSpec;
use crate::sbom::Part;
use ingot_bundle::{Descriptor, Digest, ImageConfig, Layer, Origin, RuntimeConfig};
use registry::Registry;
use serde::Deserialize;

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
