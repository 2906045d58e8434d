//! The OCI documents of the layout (image-spec 1.1), only the fields that Ingot writes or reads.
//!
//! Maps are sorted, so that the same content always gives the same bytes and digest.

use crate::manifest::Descriptor;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Media types used in bundles.
pub mod media_type {
    /// image-spec, image-index.md.
    pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// image-spec, manifest.md.
    pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// image-spec, config.md.
    pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// image-spec, layer.md, section "zstd Media Types".
    pub const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// image-spec, manifest.md, section "Guidance for an Empty Descriptor".
    pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    /// An SPDX document in JSON, as registered with IANA.
    pub const SPDX: &str = "application/spdx+json";
    /// Artifact type of programs for hosts.
    pub const HOST_BINARIES: &str = "application/vnd.ingot.host-binaries.v1";
    /// Artifact type of packages for hosts.
    pub const OS_PACKAGE: &str = "application/vnd.ingot.os-package.v1";
    /// Artifact type of the installer.
    pub const INSTALLER: &str = "application/vnd.ingot.installer.v1";
}

/// `index.json` of the layout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::INDEX`].
    pub media_type: String,
    /// One entry per image, artifact and SBOM.
    pub manifests: Vec<IndexEntry>,
}

/// A manifest named in the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IndexEntry {
    /// [`media_type::MANIFEST`].
    pub media_type: String,
    /// Digest of the manifest.
    pub digest: crate::Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What kind of artifact, absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// `org.opencontainers.image.ref.name` carries `<name>:<version>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image or artifact manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// [`media_type::MANIFEST`].
    pub media_type: String,
    /// What kind of artifact, absent for images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// What this manifest is attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Facts for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An image configuration (config.md).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// CPU architecture in Go spelling.
    pub architecture: String,
    /// Always `linux`.
    pub os: String,
    /// How a container of it is started.
    pub config: RuntimeConfig,
    /// The uncompressed layers.
    pub rootfs: RootFs,
}

/// How a container is started (config.md, `config`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RuntimeConfig {
    /// User name or number, with optional group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `NAME=value` pairs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// Program and first arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entrypoint: Vec<String>,
    /// Arguments that a pod may replace.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmd: Vec<String>,
    /// Where it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Signal that asks it to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Facts for people and tools.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Digests of the uncompressed layers (config.md, `rootfs`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Digest of each uncompressed layer, lowest first.
    pub diff_ids: Vec<crate::Digest>,
}
