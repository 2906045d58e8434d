//! What to build: the catalogue, and the description of each component.
//!
//! Files in, checked values out. Never looks at a source of a component.

mod spec;

pub use spec::{CargoSpec, Cgo, ComponentSpec, DebSpec, GoBinary, GoSpec, OciSpec, SourceSpec};

use ingot_bundle::Kind;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// `catalog.yaml`: the contents of one bundle.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Catalog {
    /// 1.
    pub format_version: u32,
    /// Name of the product.
    pub product: String,
    /// Version of the product.
    pub version: String,
    /// The one date of everything inside, RFC 3339 in UTC.
    pub created: String,
    /// In Go spelling; only `amd64` can be built so far.
    pub architecture: String,
    /// The Kubernetes release, without `v`. Selects the release train.
    pub kubernetes: String,
    /// Folders of components relative to the catalogue, in the order of building.
    pub components: Vec<PathBuf>,
}

/// A component as described, with its name and place.
#[derive(Clone, Debug)]
pub struct ComponentPlan {
    /// Name of its folder.
    pub name: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// The text, after variables were filled in, and that of the files it names; part of the cache key.
    pub text: String,
    /// The same, parsed.
    pub spec: ComponentSpec,
}

/// A catalogue with all its components.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Folder of the release trains.
    pub trains: PathBuf,
    /// Root of the cargo workspace.
    pub workspace: PathBuf,
    /// The catalogue.
    pub catalog: Catalog,
    /// Its components, in the order of building.
    pub components: Vec<ComponentPlan>,
}

/// Why a catalogue cannot be used.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// A file cannot be read.
    #[error("cannot read {path}: {purpose}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What it is for.
        purpose: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file has another shape.
    #[error("{path} is not understood; correct it at the place named below")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser said, with line and column.
        source: serde_yaml::Error,
    },
    /// A value makes no sense.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to write instead.
        what: String,
    },
}

impl Plan {
    /// Reads a catalogue and the components it names.
    ///
    /// # Errors
    /// Names the first file that is absent, malformed or contradictory.
    pub fn load(path: &Path) -> Result<Self, CatalogError> {
        let path = &absolute(path);
        let text = read(path, "name a catalogue, for instance images/catalog.yaml")?;
        let catalog: Catalog = parse(&text, path)?;
        check(&catalog).map_err(|what| CatalogError::Invalid {
            path: path.clone(),
            what,
        })?;
        let images = path.parent().unwrap_or(Path::new("/")).to_owned();
        let up = |name: &str| {
            images
                .ancestors()
                .map(|above| above.join(name))
                .find(|place| place.exists())
        };
        let missing = |what: &str| CatalogError::Invalid {
            path: path.clone(),
            what: format!("no {what} beside it or above; keep catalogues in images/"),
        };
        let trains = up("trains").ok_or_else(|| missing("folder `trains`"))?;
        let lock = up("Cargo.lock").ok_or_else(|| missing("Cargo.lock"))?;
        let workspace = lock.parent().unwrap_or(Path::new("/")).to_owned();
        let components = catalog
            .components
            .iter()
            .map(|folder| component(&images, folder, &catalog))
            .collect::<Result<Vec<_>, _>>()?;
        let mut names: Vec<&str> = components.iter().map(|part| part.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let what = format!("component `{}` is listed twice; remove one", pair[0]);
            return Err(CatalogError::Invalid {
                path: path.clone(),
                what,
            });
        }
        Ok(Self {
            trains,
            workspace,
            catalog,
            components,
        })
    }
}

fn check(catalog: &Catalog) -> Result<(), String> {
    if catalog.format_version != 1 {
        return Err(format!(
            "formatVersion is {}; write 1",
            catalog.format_version
        ));
    }
    if catalog.architecture != "amd64" {
        return Err(format!(
            "architecture is `{}`; only amd64 can be built",
            catalog.architecture
        ));
    }
    let numbers: Vec<_> = catalog
        .kubernetes
        .split('.')
        .map(str::parse::<u32>)
        .collect();
    if numbers.len() != 3 || numbers.iter().any(Result::is_err) {
        return Err(format!(
            "kubernetes is `{}`; write it like 1.36.3",
            catalog.kubernetes
        ));
    }
    let date = catalog.created.as_bytes();
    let shape = b"0000-00-00T00:00:00Z";
    let fits = date.len() == shape.len()
        && date.iter().zip(shape).all(|(got, want)| match want {
            b'0' => got.is_ascii_digit(),
            _ => got == want,
        });
    if !fits {
        return Err(format!(
            "created is `{}`; write it like 2026-11-01T00:00:00Z",
            catalog.created
        ));
    }
    Ok(())
}

fn component(
    images: &Path,
    folder: &Path,
    catalog: &Catalog,
) -> Result<ComponentPlan, CatalogError> {
    let file = images.join(folder).join("component.yaml");
    let text = read(
        &file,
        "each component of the catalogue is a folder with this file",
    )?;
    let mut text = text.replace("${kubernetes}", &catalog.kubernetes);
    let mut spec: ComponentSpec = parse(&text, &file)?;
    for source in &mut spec.sources {
        if let SourceSpec::LinksOf(path) = source {
            let path = file.with_file_name(path);
            let links = read(&path, "component.yaml takes its links from it")?;
            *source = SourceSpec::Links(parse(&links, &path)?);
            text += &links;
        }
    }
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let invalid = |what: &str| {
        Err(CatalogError::Invalid {
            path: file.clone(),
            what: what.to_owned(),
        })
    };
    if spec.sources.is_empty() {
        return invalid("it has no sources; name at least one");
    }
    let vendor = spec
        .sources
        .iter()
        .any(|source| matches!(source, SourceSpec::Oci(_)));
    if vendor && spec.sources.len() > 1 {
        return invalid("an oci source is a whole image; it cannot be mixed with others");
    }
    let starts = !spec.image.entrypoint.is_empty() || !spec.image.cmd.is_empty();
    if spec.kind == Kind::Image && !starts && !vendor {
        return invalid("an image needs image.entrypoint or image.cmd");
    }
    Ok(ComponentPlan {
        name,
        file,
        text,
        spec,
    })
}

fn absolute(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path, purpose: &'static str) -> Result<String, CatalogError> {
    std::fs::read_to_string(path).map_err(|source| CatalogError::Read {
        path: path.to_owned(),
        purpose,
        source,
    })
}

fn parse<T: serde::de::DeserializeOwned>(text: &str, path: &Path) -> Result<T, CatalogError> {
    serde_yaml::from_str(text).map_err(|source| CatalogError::Parse {
        path: path.to_owned(),
        source,
    })
}
