//! Composes the OCI documents of a component around its layers. Pure.

use crate::Digest;
use crate::manifest::{Descriptor, Kind};
use crate::oci::{ImageConfig, ImageManifest, RootFs, RuntimeConfig, media_type};
use std::collections::BTreeMap;

/// A layer that lies in a blob store already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The compressed layer.
    pub descriptor: Descriptor,
    /// Digest of the uncompressed tar.
    pub diff_id: Digest,
}

/// A small document that becomes a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Identifies the bytes.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// What a component is made of beside its layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// The image or artifact manifest.
    pub manifest: Document,
    /// The image configuration, or the empty object for artifacts that are no image.
    pub config: Document,
    /// The SPDX document.
    pub sbom: Document,
    /// Attaches `sbom` to `manifest`.
    pub sbom_manifest: Document,
}

/// What [`Artifact::compose`] needs to know.
#[derive(Clone, Debug)]
pub struct Ingredients<'a> {
    /// What the component is for a host.
    pub kind: Kind,
    /// How a container is started; ignored unless `kind` is an image.
    pub runtime: RuntimeConfig,
    /// Lowest first.
    pub layers: &'a [Layer],
    /// SPDX 2.3 in JSON.
    pub sbom: Vec<u8>,
    /// In Go spelling.
    pub architecture: &'a str,
    /// RFC 3339.
    pub created: &'a str,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
}

impl Document {
    fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            descriptor: Descriptor::of(media_type, &bytes),
            bytes,
        }
    }

    fn json<T: serde::Serialize>(media_type: &str, value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::new(media_type, serde_json::to_vec(value)?))
    }
}

impl Artifact {
    /// Writes manifest, configuration and SBOM attachment.
    ///
    /// # Errors
    /// Only if JSON cannot be produced, which no input of this type can cause.
    pub fn compose(parts: Ingredients<'_>) -> Result<Self, serde_json::Error> {
        let config = match parts.kind {
            Kind::Image => Document::json(media_type::CONFIG, &image_config(&parts))?,
            Kind::HostBinaries | Kind::OsPackage | Kind::Installer => {
                Document::new(media_type::EMPTY, b"{}".to_vec())
            }
        };
        let manifest = Document::json(
            media_type::MANIFEST,
            &ImageManifest {
                schema_version: 2,
                media_type: media_type::MANIFEST.to_owned(),
                artifact_type: artifact_type(parts.kind).map(str::to_owned),
                config: config.descriptor.clone(),
                layers: parts
                    .layers
                    .iter()
                    .map(|layer| layer.descriptor.clone())
                    .collect(),
                subject: None,
                annotations: parts.annotations,
            },
        )?;
        let sbom = Document::new(media_type::SPDX, parts.sbom);
        let sbom_manifest = Document::json(
            media_type::MANIFEST,
            &ImageManifest {
                schema_version: 2,
                media_type: media_type::MANIFEST.to_owned(),
                artifact_type: Some(media_type::SPDX.to_owned()),
                config: Descriptor::of(media_type::EMPTY, b"{}"),
                layers: vec![sbom.descriptor.clone()],
                subject: Some(manifest.descriptor.clone()),
                annotations: BTreeMap::new(),
            },
        )?;
        Ok(Self {
            manifest,
            config,
            sbom,
            sbom_manifest,
        })
    }

    /// The four documents.
    pub fn documents(&self) -> [&Document; 4] {
        [
            &self.manifest,
            &self.config,
            &self.sbom,
            &self.sbom_manifest,
        ]
    }
}

/// The OCI artifact type of a kind; images have none.
pub(crate) fn artifact_type(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Image => None,
        Kind::HostBinaries => Some(media_type::HOST_BINARIES),
        Kind::OsPackage => Some(media_type::OS_PACKAGE),
        Kind::Installer => Some(media_type::INSTALLER),
    }
}

fn image_config(parts: &Ingredients<'_>) -> ImageConfig {
    ImageConfig {
        created: Some(parts.created.to_owned()),
        architecture: parts.architecture.to_owned(),
        os: "linux".to_owned(),
        config: parts.runtime.clone(),
        rootfs: RootFs {
            kind: "layers".to_owned(),
            diff_ids: parts.layers.iter().map(|layer| layer.diff_id).collect(),
        },
    }
}
