//! Small made-up bundles with a throw-away key, for tests.
//!
//! Behind the `testing` feature. The bundles are directories; whoever needs an ISO image makes
//! it with xorriso. Layers are not real archives: nothing in a test unpacks them.

use crate::artifact::{Artifact, Ingredients, Layer};
use crate::manifest::{Component, Descriptor, Kind, Manifest, Origin};
use crate::oci::{RuntimeConfig, media_type};
use crate::{BundleWriter, Digest, FORMAT_VERSION, TrustedKeys};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

type Failure = Box<dyn Error + Send + Sync>;

/// A key pair made for one test.
pub struct TestKey {
    pair: minisign::KeyPair,
}

impl TestKey {
    /// Makes a new pair.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, Failure> {
        Ok(Self {
            pair: minisign::KeyPair::generate_unencrypted_keypair()?,
        })
    }

    /// The public half.
    ///
    /// # Errors
    /// Never for a generated pair.
    pub fn trusted(&self) -> Result<TrustedKeys, Failure> {
        Ok(TrustedKeys::from_base64(&[self.pair.pk.to_base64()])?)
    }

    /// The text of a `.pub` file.
    ///
    /// # Errors
    /// Never for a generated pair.
    pub fn public_file(&self) -> Result<String, Failure> {
        Ok(self.pair.pk.to_box()?.into_string())
    }

    /// The text of a `.minisig` file over `bytes`.
    ///
    /// # Errors
    /// Never for a generated pair.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, Failure> {
        let signature = minisign::sign(
            Some(&self.pair.pk),
            &self.pair.sk,
            bytes,
            Some("a bundle made for a test"),
            Some("test"),
        )?;
        Ok(signature.into_string())
    }
}

/// What to put into a test bundle.
#[derive(Clone, Debug)]
pub struct TestBundle {
    /// Architecture in Go spelling.
    pub architecture: String,
    /// Product version.
    pub version: String,
    /// Kubernetes version.
    pub kubernetes_version: String,
    /// Name, kind and the bytes of each layer.
    pub components: Vec<(String, Kind, Vec<Vec<u8>>)>,
}

impl Default for TestBundle {
    fn default() -> Self {
        let part = |name: &str, kind| {
            (
                name.to_owned(),
                kind,
                vec![format!("the layer of {name}\n").into_bytes()],
            )
        };
        Self {
            architecture: "amd64".to_owned(),
            version: "0.0.1".to_owned(),
            kubernetes_version: "1.36.3".to_owned(),
            components: vec![
                part("etcd", Kind::Image),
                part("kubelet", Kind::HostBinaries),
                part("ingot", Kind::Installer),
            ],
        }
    }
}

impl TestBundle {
    /// Writes the bundle into `root` and signs it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, root: &Path, key: &TestKey) -> Result<Manifest, Failure> {
        let head = Manifest {
            format_version: FORMAT_VERSION,
            product: "ingot".to_owned(),
            version: self.version.clone(),
            created: "2026-11-01T00:00:00Z".to_owned(),
            architecture: self.architecture.clone(),
            kubernetes_version: self.kubernetes_version.clone(),
            components: Vec::new(),
            files: Vec::new(),
        };
        let mut writer = BundleWriter::create(root, head)?;
        for (name, kind, layers) in &self.components {
            let component = self.component(&mut writer, name, *kind, layers)?;
            writer.add_component(component)?;
        }
        writer.add_file("ingot", b"#!/bin/true\n", 0o755)?;
        writer.add_file("README.txt", b"A bundle made for a test.\n", 0o644)?;
        Ok(writer.finish(&|bytes| key.sign(bytes))?)
    }

    fn component(
        &self,
        writer: &mut BundleWriter,
        name: &str,
        kind: Kind,
        layers: &[Vec<u8>],
    ) -> Result<Component, Failure> {
        let layers = layers
            .iter()
            .map(|bytes| {
                let descriptor = writer.add_blob(media_type::LAYER_ZSTD, bytes)?;
                Ok(Layer {
                    descriptor,
                    diff_id: Digest::of(bytes),
                })
            })
            .collect::<Result<Vec<_>, Failure>>()?;
        let artifact = Artifact::compose(Ingredients {
            kind,
            runtime: RuntimeConfig {
                entrypoint: vec![format!("/{name}")],
                ..RuntimeConfig::default()
            },
            layers: &layers,
            sbom: format!("{{\"spdxVersion\":\"SPDX-2.3\",\"name\":\"{name}\"}}").into_bytes(),
            architecture: &self.architecture,
            created: "2026-11-01T00:00:00Z",
            annotations: BTreeMap::new(),
        })?;
        for document in artifact.documents() {
            writer.add_blob(&document.descriptor.media_type, &document.bytes)?;
        }
        let blobs: Vec<Descriptor> = [artifact.config.descriptor.clone()]
            .into_iter()
            .chain(layers.iter().map(|layer| layer.descriptor.clone()))
            .collect();
        Ok(Component {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            kind,
            description: format!("Stands for {name} in a test."),
            licence: "Apache-2.0".to_owned(),
            origins: vec![Origin::Go {
                module: format!("example.org/{name}"),
                version: "v1.0.0".to_owned(),
                sum: "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".to_owned(),
            }],
            manifest: artifact.manifest.descriptor.clone(),
            blobs,
            sbom: artifact.sbom.descriptor.clone(),
            sbom_manifest: artifact.sbom_manifest.descriptor.clone(),
        })
    }
}
