//! The format of an Ingot bundle: what is in it, how it is read, how it is proved intact.
//!
//! A bundle is everything a site without internet needs to run the platform: one ISO 9660
//! image that holds an OCI image layout, a signed table of contents and the installer. This
//! crate reads it from the ISO file itself (no mount, no root) or from a directory, checks
//! its signature and digests, and writes the directory the ISO is made from.
//!
//! It must never use the network, start a program, or print.
//!
//! # Format, version 1
//!
//! ```text
//! bundle.json            the table of contents, see [`Manifest`]
//! bundle.json.minisig    detached minisign signature (Ed25519, prehashed) over bundle.json
//! oci-layout             OCI image layout marker (image-spec 1.1, image-layout.md)
//! index.json             OCI index: one manifest per component, one per SBOM
//! blobs/sha256/<hex>     every payload, named by its digest
//! ingot                  the installer, a static program
//! README.txt             what this disc is and how to begin
//! ```
//!
//! The signature covers `bundle.json`. That file carries the SHA-256 and size of every other
//! file and blob, so the signature covers all of the bundle. Nothing is parsed from
//! `bundle.json` before its signature holds: a [`Bundle`] can only become a
//! [`VerifiedBundle`], and only the latter gives out content.
//!
//! - A component of kind `image` is an ordinary OCI image. Its layers are tar+zstd.
//! - `host-binaries` is an OCI artifact with one tar+zstd layer: plain file names with mode 0755, or the
//!   files of packages where a program needs more than itself.
//! - `installer` is the same, with the one file `ingot`; that file is also at the root.
//! - `os-package` is the same, with package files as the distribution made them.
//!
//! Readers refuse a `formatVersion` above [`FORMAT_VERSION`]. A reader of version 1 also
//! refuses unknown fields: whoever adds one raises the version.
//!
//! # Example
//!
//! ```no_run
//! use ingot_bundle::{Bundle, TrustedKeys};
//! use std::path::{Path, PathBuf};
//!
//! let keys = TrustedKeys::from_files(&[PathBuf::from("ingot.pub")])?;
//! let bundle = Bundle::open(Path::new("ingot.iso"))?.verify_signature(&keys)?;
//! let etcd = bundle.component("etcd").expect("listed by require_components");
//! let mut layer = bundle.blob(&etcd.blobs[0].digest)?;
//! std::io::copy(&mut layer, &mut std::io::sink())?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod artifact;
mod blob;
mod bundle;
mod changes;
mod contents;
mod digest;
mod iso9660;
mod keys;
mod manifest;
mod oci;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod verified;
mod writer;

pub use artifact::{Artifact, Document, Ingredients, Layer};
pub use blob::{BlobError, BlobReader};
pub use bundle::{Bundle, OpenError, VerifyError};
pub use changes::{Change, Changes, changes};
pub use contents::{Finding, Problem, Progress, Summary};
pub use digest::{Digest, DigestError, Hasher};
pub use keys::{KeyError, KeyId, SignatureError, TrustedKeys};
pub use manifest::{Component, Descriptor, FileEntry, Kind, Manifest, Origin};
pub use oci::{
    ImageConfig, ImageIndex, ImageManifest, IndexEntry, RootFs, RuntimeConfig, media_type,
};
pub use verified::{ArchitectureError, ComponentsError, VerifiedBundle};
pub use writer::{BundleWriter, Sign, WriteError, digest_of_file};

/// The version of the bundle format this crate writes and the highest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Name of the table of contents at the root of a bundle.
pub const MANIFEST_FILE: &str = "bundle.json";
/// Name of the detached signature over [`MANIFEST_FILE`].
pub const SIGNATURE_FILE: &str = "bundle.json.minisig";
