//! Builds one component: its sources become layers, layers an OCI artifact, parts an SBOM.
//!
//! Never decides whether to build; see `build`.

mod error;
mod image;
mod shared;
mod sources;
mod version;

pub use self::error::ComponentError;
pub use self::shared::SharedLayers;

use self::image::{runtime, skeleton};
use crate::cache::Cache;
use crate::catalog::{ComponentPlan, GoSpec, Plan, SourceSpec};
use crate::inputs::Inputs;
use crate::layer::{self, Entry, Tree};
use crate::programs::Programs;
use crate::progress::Step;
use crate::sbom::{self, Part};
use crate::source::cargo::{self, CargoError, made_of};
use crate::source::deb;
use crate::source::go;
use crate::source::oci;
use ingot_bundle::{Artifact, Component, Ingredients, Kind, Layer, Origin, RuntimeConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What a component is built with.
pub struct Workshop<'a> {
    /// What to build.
    pub plan: &'a Plan,
    /// What decides how.
    pub inputs: &'a Inputs,
    /// Where blobs go.
    pub cache: &'a Cache,
    /// Compiled Go programs.
    pub programs: &'a Programs,
    /// Layers that several components have in common.
    pub shared: &'a SharedLayers,
}

/// What the sources of a component gave.
#[derive(Default)]
struct Material {
    layers: Vec<Layer>,
    runtime: RuntimeConfig,
    parts: Vec<Part>,
    origins: BTreeSet<Origin>,
}

impl Workshop<'_> {
    /// Builds the component; its blobs are in the cache afterwards.
    ///
    /// # Errors
    /// Whatever stopped it.
    pub fn build(
        &self,
        component: &ComponentPlan,
        step: &Step<'_>,
    ) -> Result<Component, ComponentError> {
        let spec = &component.spec;
        let scratch = self.cache.scratch()?;
        let mut material = Material::default();
        let vendor = spec
            .sources
            .iter()
            .any(|source| matches!(source, SourceSpec::Oci(_)));
        if spec.kind == Kind::Image && !vendor {
            material
                .layers
                .push(self.layer(&skeleton(), scratch.path())?);
        }
        for (number, source) in spec.sources.iter().enumerate() {
            match source {
                SourceSpec::Go(go) => {
                    self.go(component, go, step, scratch.path(), &mut material)?;
                }
                SourceSpec::Deb(_) => {
                    self.deb(component, number, step, scratch.path(), &mut material)?;
                }
                SourceSpec::Cargo(cargo) => {
                    self.cargo(cargo, step, scratch.path(), &mut material)?;
                }
                SourceSpec::Links(links) => {
                    let tree = links
                        .iter()
                        .map(|(path, target)| (path.clone(), Entry::Symlink(target.clone())))
                        .collect();
                    material.layers.push(self.layer(&tree, scratch.path())?);
                }
                // Read with the catalogue.
                SourceSpec::LinksOf(_) => {}
                SourceSpec::Files(files) => {
                    let tree = files
                        .iter()
                        .map(|(path, text)| {
                            (path.clone(), Entry::Bytes(text.clone().into_bytes(), 0o644))
                        })
                        .collect();
                    material.layers.push(self.layer(&tree, scratch.path())?);
                }
                SourceSpec::Oci(image) => {
                    step.doing("pulling");
                    let pulled = oci::pull(image, &self.plan.catalog.architecture, self.cache)?;
                    material.layers = pulled.layers;
                    material.runtime = pulled.runtime;
                    material.origins.insert(pulled.origin);
                    material.parts.push(pulled.part);
                }
            }
        }
        self.still_the_same(component)?;
        step.doing("describing");
        self.compose(component, material)
    }

    fn go(
        &self,
        component: &ComponentPlan,
        spec: &GoSpec,
        step: &Step<'_>,
        scratch: &Path,
        material: &mut Material,
    ) -> Result<(), ComponentError> {
        step.doing(&format!("compiling the train {}", spec.train));
        let train = &self.inputs.trains[&spec.train];
        let programs = self.programs.of(train, &go::Group::of(spec))?;
        let mut tree = Tree::new();
        for binary in &spec.binaries {
            let program = &programs[&binary.package];
            let mode = if binary.setuid { 0o4755 } else { 0o755 };
            tree.insert(binary.path.clone(), Entry::File(program.clone(), mode));
            material
                .parts
                .extend(sbom::go_parts(&go::build_info(program)?));
            let module = train.module_of(&binary.package)?;
            // A program of ours has no checksum of its own; what it is made of has.
            let module = match component.spec.version.strip_prefix("go:") {
                Some(upstream) if train.is_local(module) => upstream,
                _ => module,
            };
            material.origins.insert(Origin::Go {
                module: module.to_owned(),
                version: train.version(module)?.to_owned(),
                sum: train.sum(module)?.to_owned(),
            });
        }
        step.doing("compressing");
        let layer = self
            .shared
            .layer(&go::Group::of(spec), &spec.binaries, || {
                self.layer(&tree, scratch)
            })?;
        material.layers.push(layer);
        Ok(())
    }

    fn deb(
        &self,
        component: &ComponentPlan,
        number: usize,
        step: &Step<'_>,
        scratch: &Path,
        material: &mut Material,
    ) -> Result<(), ComponentError> {
        let packages = self.inputs.packages_of(component, number)?;
        let first = !component.spec.sources[..number]
            .iter()
            .any(|source| matches!(source, SourceSpec::Deb(_)));
        let mut tree = Tree::new();
        if first {
            for folder in deb::MERGED {
                tree.insert(folder.to_owned(), Entry::Symlink(format!("usr/{folder}")));
            }
        }
        step.doing(&format!("fetching {} packages", packages.len()));
        let files = deb::fetch(&packages, &self.cache.folder("debs"), scratch)?;
        step.doing("unpacking");
        for (package, file) in packages.iter().zip(&files) {
            deb::unpack(package, file, scratch, &mut tree)?;
            material.origins.insert(Origin::Deb {
                package: package.name.clone(),
                version: package.version.clone(),
                sha256: package.sha256.clone(),
            });
            material.parts.push(deb_part(package));
        }
        step.doing("compressing");
        material.layers.push(self.layer(&tree, scratch)?);
        Ok(())
    }

    fn cargo(
        &self,
        spec: &crate::catalog::CargoSpec,
        step: &Step<'_>,
        scratch: &Path,
        material: &mut Material,
    ) -> Result<(), ComponentError> {
        step.doing(&format!("compiling {}", spec.package));
        let workspace = &self.plan.workspace;
        let target = self.cache.folder("cargo-target");
        let programs = cargo::build(workspace, spec, &target)?;
        made_of::check(workspace, spec, &target)?;
        let mut tree = Tree::new();
        for binary in &spec.binaries {
            tree.insert(
                binary.path.clone(),
                Entry::File(programs.join(&binary.name), 0o755),
            );
        }
        let lock = std::fs::read_to_string(workspace.join("Cargo.lock")).map_err(|source| {
            CargoError::Read {
                path: workspace.join("Cargo.lock"),
                source,
            }
        })?;
        let listing = cargo::dependencies(workspace, &spec.package)?;
        material.parts.extend(sbom::cargo_parts(&listing, &lock));
        material.origins.insert(Origin::Cargo {
            package: spec.package.clone(),
            version: self.plan.catalog.version.clone(),
            source_digest: self.inputs.cargo_sources[&spec.package],
        });
        step.doing("compressing");
        material.layers.push(self.layer(&tree, scratch)?);
        Ok(())
    }

    fn layer(&self, tree: &Tree, scratch: &Path) -> Result<Layer, ComponentError> {
        let file = scratch.join("layer");
        let layer = layer::write(tree, &file)?;
        self.cache.adopt(&layer.descriptor.digest, &file)?;
        Ok(layer)
    }

    fn compose(
        &self,
        component: &ComponentPlan,
        material: Material,
    ) -> Result<Component, ComponentError> {
        let spec = &component.spec;
        let catalog = &self.plan.catalog;
        let version = self.version(component)?;
        let subject = sbom::Subject {
            name: &component.name,
            version: &version,
            licence: &spec.licence,
            created: &catalog.created,
        };
        let artifact = Artifact::compose(Ingredients {
            kind: spec.kind,
            runtime: runtime(component, material.runtime),
            layers: &material.layers,
            sbom: sbom::write(&subject, &material.parts)?,
            architecture: &catalog.architecture,
            created: &catalog.created,
            annotations: BTreeMap::from([
                (
                    "org.opencontainers.image.created".to_owned(),
                    catalog.created.clone(),
                ),
                (
                    "org.opencontainers.image.description".to_owned(),
                    spec.description.clone(),
                ),
                (
                    "org.opencontainers.image.licenses".to_owned(),
                    spec.licence.clone(),
                ),
                (
                    "org.opencontainers.image.title".to_owned(),
                    component.name.clone(),
                ),
                (
                    "org.opencontainers.image.version".to_owned(),
                    version.clone(),
                ),
            ]),
        })?;
        for document in artifact.documents() {
            self.cache.store(&document.descriptor, &document.bytes)?;
        }
        let blobs = [artifact.config.descriptor.clone()]
            .into_iter()
            .chain(material.layers.into_iter().map(|layer| layer.descriptor))
            .collect();
        Ok(Component {
            name: component.name.clone(),
            version,
            kind: spec.kind,
            description: spec.description.clone(),
            licence: spec.licence.clone(),
            origins: material.origins.into_iter().collect(),
            manifest: artifact.manifest.descriptor,
            blobs,
            sbom: artifact.sbom.descriptor,
            sbom_manifest: artifact.sbom_manifest.descriptor,
        })
    }
}

fn deb_part(package: &deb::Package) -> Part {
    let (name, version) = (&package.name, &package.version);
    let arch = &package.architecture;
    Part {
        name: name.clone(),
        version: version.clone(),
        purl: format!(
            "pkg:deb/debian/{name}@{}?arch={arch}&distro=debian-12",
            version.replace('+', "%2B").replace(':', "%3A")
        ),
        licence: None,
        sha256: Some(package.sha256.clone()),
        note: Some("its licence is in /usr/share/doc of the image".to_owned()),
    }
}
