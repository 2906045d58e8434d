//! Builds a bundle: what is cached is taken, the rest is built two at a time, then signed and
//! written as an ISO image.

use crate::cache;
use crate::cache::{Cache, CacheError};
use crate::catalog::{ComponentPlan, Plan, SourceSpec};
use crate::component::{ComponentError, SharedLayers, Workshop};
use crate::inputs::{Inputs, InputsError};
use crate::iso::{self, IsoError};
use crate::layer;
use crate::programs::Programs;
use crate::progress::Reporter;
use crate::sign::Signer;
use crate::source::go::Group;
use ingot_bundle::{BundleWriter, Component, Digest, FORMAT_VERSION, Kind, Manifest, WriteError};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use thiserror::Error;

/// Components that are built at the same time: compilers use all cores by themselves, so this
/// only overlaps compressing with compiling.
const AT_ONCE: usize = 2;

/// Why there is no bundle.
#[derive(Debug, Error)]
pub enum BuildError {
    /// What to build from is not known.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The cache.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A component was not built.
    #[error("cannot build the component {name}")]
    Component {
        /// The component.
        name: String,
        /// Why.
        source: Box<ComponentError>,
    },
    /// The bundle was not laid out.
    #[error("cannot lay out the bundle")]
    Write(#[from] WriteError),
    /// The installer cannot be taken from its layer.
    #[error("cannot read the installer from its layer {path}; remove it and build again")]
    Installer {
        /// The layer in the cache.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The image was not made.
    #[error(transparent)]
    Iso(#[from] IsoError),
}

/// What a build did.
#[derive(Debug)]
pub struct Report {
    /// Size of the ISO image in bytes.
    pub size: u64,
    /// Digest of the ISO image.
    pub digest: Digest,
    /// Number of components that were built; the rest was cached.
    pub built: usize,
    /// Whether the image was there already.
    pub up_to_date: bool,
}

/// What an image at some place was made from.
#[derive(Debug, Serialize, Deserialize)]
struct Output {
    inputs: Digest,
    image: Digest,
    size: u64,
}

/// Builds the bundle of `plan` into `output`.
///
/// # Errors
/// Whatever stopped it; what was built until then is in the cache.
pub fn build(
    plan: &Plan,
    cache: &Cache,
    signer: &Signer,
    output: &Path,
    reporter: &Reporter,
) -> Result<Report, BuildError> {
    let inputs = Inputs::read(plan)?;
    let whole = inputs_of_image(plan, &inputs, signer);
    let place = std::path::absolute(output).unwrap_or_else(|_| output.to_owned());
    let name = cache::key(&[&place.to_string_lossy()]).hex();
    if let Some(known) = cache.record::<Output>("outputs", &name)
        && known.inputs == whole
        && ingot_bundle::digest_of_file(output)
            .is_ok_and(|(digest, size)| digest == known.image && size == known.size)
    {
        let Output { image, size, .. } = known;
        return Ok(Report {
            size,
            digest: image,
            built: 0,
            up_to_date: true,
        });
    }

    let (components, built) = components(plan, &inputs, cache, reporter)?;
    reporter.say("writing the ISO image");
    let scratch = cache.scratch()?;
    let root = scratch.path().join("bundle");
    lay_out(plan, cache, signer, &components, &root)?;
    iso::write(&root, output, &plan.catalog.created)?;
    let (digest, size) = ingot_bundle::digest_of_file(output)?;
    cache.write(
        "outputs",
        &name,
        &Output {
            inputs: whole,
            image: digest,
            size,
        },
    )?;
    Ok(Report {
        size,
        digest,
        built,
        up_to_date: false,
    })
}

fn inputs_of_image(plan: &Plan, inputs: &Inputs, signer: &Signer) -> Digest {
    let catalog = &plan.catalog;
    let mut parts = vec![
        cache::RECIPE.to_owned(),
        FORMAT_VERSION.to_string(),
        catalog.product.clone(),
        catalog.version.clone(),
        catalog.created.clone(),
        catalog.architecture.clone(),
        catalog.kubernetes.clone(),
        signer.identity.to_string(),
        readme(plan),
    ];
    parts.extend(inputs.keys.iter().map(Digest::to_string));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    cache::key(&parts)
}

/// Gives every component, from the cache or built, and how many were built.
fn components(
    plan: &Plan,
    inputs: &Inputs,
    cache: &Cache,
    reporter: &Reporter,
) -> Result<(Vec<Component>, usize), BuildError> {
    let mut found: Vec<Option<Component>> =
        inputs.keys.iter().map(|key| cache.component(key)).collect();
    let missing: Vec<usize> = (0..found.len()).filter(|at| found[*at].is_none()).collect();
    let cached = found.len() - missing.len();
    if cached > 0 {
        reporter.say(&format!(
            "{cached} of {} components are cached",
            found.len()
        ));
    }
    let scratch = cache.scratch()?;
    let wanted = wanted(missing.iter().map(|at| &plan.components[*at]));
    let programs = Programs::new(wanted, scratch.path().to_owned());
    let shared = SharedLayers::default();
    let workshop = Workshop {
        shared: &shared,
        plan,
        inputs,
        cache,
        programs: &programs,
    };

    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(cached);
    let stop = AtomicBool::new(false);
    let results: Mutex<Vec<(usize, Result<Component, BuildError>)>> = Mutex::new(Vec::new());
    let work = || {
        while let Some(at) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let component = &plan.components[*at];
            let step = reporter.begin(&component.name);
            let result = workshop.build(component, &step).and_then(|built| {
                cache.remember(&inputs.keys[*at], &built)?;
                Ok(built)
            });
            let number = done.fetch_add(1, Ordering::Relaxed) + 1;
            let result = match result {
                Ok(built) => {
                    let size = built.size() as f64 / 1e6;
                    step.done(number, &format!("{} {size:.1} MB", built.version));
                    Ok(built)
                }
                Err(source) => {
                    stop.store(true, Ordering::Relaxed);
                    step.done(number, "FAILED");
                    let name = component.name.clone();
                    Err(BuildError::Component {
                        name,
                        source: Box::new(source),
                    })
                }
            };
            let mut results = results
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            results.push((*at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(missing.len()) {
            scope.spawn(work);
        }
    });
    let results = results
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    for (at, result) in results {
        found[at] = Some(result?);
    }
    Ok((found.into_iter().flatten().collect(), missing.len()))
}

/// The Go packages to compile, by group.
fn wanted<'a>(
    components: impl Iterator<Item = &'a ComponentPlan>,
) -> BTreeMap<Group, BTreeSet<String>> {
    let mut wanted: BTreeMap<Group, BTreeSet<String>> = BTreeMap::new();
    for component in components {
        for source in &component.spec.sources {
            if let SourceSpec::Go(spec) = source {
                let packages = wanted.entry(Group::of(spec)).or_default();
                packages.extend(spec.binaries.iter().map(|binary| binary.package.clone()));
            }
        }
    }
    wanted
}

fn lay_out(
    plan: &Plan,
    cache: &Cache,
    signer: &Signer,
    components: &[Component],
    root: &Path,
) -> Result<(), BuildError> {
    let catalog = &plan.catalog;
    let head = Manifest {
        format_version: FORMAT_VERSION,
        product: catalog.product.clone(),
        version: catalog.version.clone(),
        created: catalog.created.clone(),
        architecture: catalog.architecture.clone(),
        kubernetes_version: catalog.kubernetes.clone(),
        components: Vec::new(),
        files: Vec::new(),
    };
    let mut writer = BundleWriter::create(root, head)?;
    for component in components {
        for blob in component.all_blobs() {
            writer.place_blob(blob, &cache.blob(&blob.digest))?;
        }
        writer.add_component(component.clone())?;
        if component.kind == Kind::Installer {
            for (name, bytes) in programs_of(component, cache)? {
                writer.add_file(&name, &bytes, 0o755)?;
            }
        }
    }
    writer.add_file("README.txt", readme(plan).as_bytes(), 0o644)?;
    writer.finish(&|bytes| Ok(signer.sign(bytes)))?;
    Ok(())
}

fn programs_of(component: &Component, cache: &Cache) -> Result<Vec<(String, Vec<u8>)>, BuildError> {
    let mut found = Vec::new();
    for blob in component.layers() {
        let path = cache.blob(&blob.digest);
        std::fs::File::open(&path)
            .and_then(|file| {
                layer::read_files(file, &mut |name, _, content: &mut dyn Read| {
                    let mut bytes = Vec::new();
                    content.read_to_end(&mut bytes)?;
                    found.push((name.to_string_lossy().into_owned(), bytes));
                    Ok(())
                })
            })
            .map_err(|source| BuildError::Installer { path, source })?;
    }
    Ok(found)
}

/// What the disc says about itself. The commands in it are tried by the tests of `ingot`.
fn readme(plan: &Plan) -> String {
    let catalog = &plan.catalog;
    include_str!("build/README.txt")
        .replace("VERSION", &catalog.version)
        .replace("KUBERNETES", &catalog.kubernetes)
        .replace("ARCHITECTURE", &catalog.architecture)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_readme_says_once_what_it_is() {
        let text = include_str!("build/README.txt");
        for word in ["VERSION", "KUBERNETES", "ARCHITECTURE"] {
            assert_eq!(text.matches(word).count(), 1, "{word}");
        }
        assert!(text.lines().all(|line| line.len() <= 80));
    }
}
