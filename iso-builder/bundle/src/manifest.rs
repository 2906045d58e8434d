//! `bundle.json`: the table of contents of a bundle, as plain data.
//!
//! No I/O here, and no opinion about what a bundle ought to hold.

use crate::digest::Digest;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The whole of `bundle.json`, format version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`crate::FORMAT_VERSION`] of the writer.
    pub format_version: u32,
    /// What is shipped, for instance `ingot`.
    pub product: String,
    /// Version of the product, not of any component.
    pub version: String,
    /// The one date of everything in the bundle, RFC 3339 in UTC. It is chosen by the
    /// catalogue, not by the clock, so that building again gives the same bytes.
    pub created: String,
    /// CPU architecture in OCI (Go) spelling: `amd64`, `arm64`.
    pub architecture: String,
    /// The Kubernetes release without a leading `v`, for instance `1.36.3`.
    pub kubernetes_version: String,
    /// Everything shipped, sorted by name.
    pub components: Vec<Component>,
    /// Every file that is not a blob, but for this one and its signature; sorted by path.
    pub files: Vec<FileEntry>,
}

/// One part of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Component {
    /// Unique in the bundle, for instance `kube-apiserver`.
    pub name: String,
    /// Upstream version without a leading `v`.
    pub version: String,
    /// What it is for a host.
    pub kind: Kind,
    /// One sentence for people.
    pub description: String,
    /// SPDX licence expression (SPDX 2.3, annex D).
    pub licence: String,
    /// Where its bytes come from, all of them pinned.
    pub origins: Vec<Origin>,
    /// The OCI image manifest; what image references and the registry name.
    pub manifest: Descriptor,
    /// Its configuration, then its layers, in the order of the manifest.
    pub blobs: Vec<Descriptor>,
    /// The SPDX 2.3 JSON document that lists what it is made of.
    pub sbom: Descriptor,
    /// The OCI manifest that attaches the SBOM to `manifest` (its `subject`).
    pub sbom_manifest: Descriptor,
}

impl Component {
    /// Layers only, without the configuration.
    pub fn layers(&self) -> &[Descriptor] {
        self.blobs.get(1..).unwrap_or_default()
    }

    /// All blobs that must be present for the component to be whole: manifest,
    /// configuration, layers and SBOM.
    pub fn all_blobs(&self) -> impl Iterator<Item = &Descriptor> {
        [&self.manifest]
            .into_iter()
            .chain(&self.blobs)
            .chain([&self.sbom, &self.sbom_manifest])
    }

    /// Bytes of what a host needs (manifest, configuration, layers), compressed.
    pub fn size(&self) -> u64 {
        self.manifest.size + self.blobs.iter().map(|blob| blob.size).sum::<u64>()
    }

    /// The name other tools know it by in the layout: `<name>:<version>`.
    pub fn reference(&self) -> String {
        format!("{}:{}", self.name, self.version)
    }
}

/// What a component is for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A container image.
    Image,
    /// Programs that are put on the host itself.
    HostBinaries,
    /// Packages of the host's operating system.
    OsPackage,
    /// The `ingot` program.
    Installer,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Image => "image",
            Self::HostBinaries => "host-binaries",
            Self::OsPackage => "os-package",
            Self::Installer => "installer",
        })
    }
}

/// An OCI content descriptor (image-spec 1.1, descriptor.md), reduced to what identifies.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Descriptor {
    /// What the bytes are.
    pub media_type: String,
    /// SHA-256 of the bytes as stored.
    pub digest: Digest,
    /// Number of bytes as stored.
    pub size: u64,
}

impl Descriptor {
    /// Describes `bytes`.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }
}

/// A pinned source. Each kind carries what its ecosystem uses to prove the bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "source", deny_unknown_fields)]
pub enum Origin {
    /// A Go module, built from source.
    Go {
        /// Module path.
        module: String,
        /// Module version with its leading `v`.
        version: String,
        /// The `h1:` hash of go.sum (golang.org/ref/mod, section "go.sum files").
        sum: String,
    },
    /// A Debian package, unpacked as it is.
    Deb {
        /// Package name.
        package: String,
        /// Full version, with epoch and revision.
        version: String,
        /// SHA-256 of the package file, hexadecimal, as in the archive's index.
        sha256: String,
    },
    /// A crate of this project.
    Cargo {
        /// Package name.
        package: String,
        /// Package version.
        version: String,
        /// Digest over the names and contents of all its source files.
        #[serde(rename = "sourceDigest")]
        source_digest: Digest,
    },
    /// An image of a vendor, by digest.
    Oci {
        /// Registry, repository and, if any, tag.
        reference: String,
        /// Digest of its manifest.
        digest: Digest,
    },
}

/// A file of the bundle that is not a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileEntry {
    /// Path relative to the root of the bundle, with `/`.
    pub path: String,
    /// SHA-256 of its bytes.
    pub sha256: Digest,
    /// Number of bytes.
    pub size: u64,
}
