//! What `component.yaml` says: the sources of a component and how a container of it is started.

use ingot_bundle::Kind;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `component.yaml`: how one component is made.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentSpec {
    /// One sentence for people.
    pub description: String,
    /// SPDX licence expression.
    pub licence: String,
    /// What it is for a host.
    pub kind: Kind,
    /// Whose version it bears: `go:<module>`, `deb:<package>`, `oci:<version>` or `catalog`.
    pub version: String,
    /// What it is made of; each source becomes a layer, lowest first.
    #[serde(with = "serde_yaml::with::singleton_map_recursive")]
    pub sources: Vec<SourceSpec>,
    /// How a container is started.
    #[serde(default)]
    pub image: ImageSpec,
}

/// One source of a component.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceSpec {
    /// Programs compiled from Go modules.
    Go(GoSpec),
    /// Debian packages, unpacked.
    Deb(DebSpec),
    /// Programs of this workspace.
    Cargo(CargoSpec),
    /// An image of a vendor, by digest.
    Oci(OciSpec),
    /// Symbolic links: path in the layer to target.
    Links(BTreeMap<String, String>),
    /// The same, from a file that several components name, relative to component.yaml.
    LinksOf(PathBuf),
    /// Small text files that everybody may read: path in the layer to content.
    Files(BTreeMap<String, String>),
}

/// Programs compiled from Go modules.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoSpec {
    /// The folder under `trains` whose go.mod pins the modules.
    pub train: String,
    /// What to compile.
    pub binaries: Vec<GoBinary>,
    /// Whether C code is compiled in.
    #[serde(default)]
    pub cgo: Cgo,
    /// Build tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Whether C code is compiled into a Go program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cgo {
    /// No C.
    #[default]
    Off,
    /// With C, all of it linked statically.
    Static,
}

/// One Go program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoBinary {
    /// Import path of its main package.
    pub package: String,
    /// Where it goes in the layer.
    pub path: String,
    /// Whether it runs as its owner, root, whoever starts it.
    #[serde(default)]
    pub setuid: bool,
}

/// Debian packages, unpacked. Their scripts are not run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebSpec {
    /// What is wanted; apt adds what they depend on.
    pub packages: Vec<String>,
    /// Dependencies to leave out, as if they were installed.
    #[serde(default)]
    pub assume: Vec<String>,
}

/// Programs of this workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CargoSpec {
    /// The package.
    pub package: String,
    /// Its programs.
    pub binaries: Vec<CargoBinary>,
    /// Folders and files of which it is made: a change in them builds it again.
    pub inputs: Vec<PathBuf>,
}

/// One program of a crate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CargoBinary {
    /// Name of the program.
    pub name: String,
    /// Where it goes in the layer.
    pub path: String,
}

/// An image of a vendor.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OciSpec {
    /// `registry/repository[:tag]`.
    pub reference: String,
    /// Digest of the image manifest for the architecture, or of an index with one.
    pub digest: ingot_bundle::Digest,
}

/// How a container is started.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageSpec {
    /// Program and first arguments.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Arguments that a pod may replace.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// `NAME=value` pairs.
    #[serde(default)]
    pub env: Vec<String>,
    /// User and group; root when absent.
    #[serde(default)]
    pub user: Option<String>,
    /// Signal that asks it to end; SIGTERM when absent.
    #[serde(default)]
    pub stop_signal: Option<String>,
}
