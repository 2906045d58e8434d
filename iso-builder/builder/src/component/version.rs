//! The version of a component, from where its description says.

use super::{ComponentError, Workshop};
use crate::catalog::{ComponentPlan, SourceSpec};

impl Workshop<'_> {
    pub(super) fn version(&self, component: &ComponentPlan) -> Result<String, ComponentError> {
        let spec = &component.spec;
        let unknown = || ComponentError::Version {
            file: component.file.display().to_string(),
            version: spec.version.clone(),
        };
        let (kind, name) = spec.version.split_once(':').unwrap_or((&spec.version, ""));
        match kind {
            "catalog" => Ok(self.plan.catalog.version.clone()),
            "oci" => Ok(name.to_owned()),
            "go" => {
                let train = spec.sources.iter().find_map(|source| match source {
                    SourceSpec::Go(go) => Some(&self.inputs.trains[&go.train]),
                    _ => None,
                });
                let version = train.ok_or_else(unknown)?.version(name)?;
                Ok(version.trim_start_matches('v').to_owned())
            }
            "deb" => {
                let packages = &self.inputs.lock.packages;
                let package = packages.iter().find(|package| package.name == name);
                Ok(upstream_version(&package.ok_or_else(unknown)?.version).to_owned())
            }
            _ => Err(unknown()),
        }
    }
}

/// Without epoch and Debian revision, neither of which fits an image tag.
fn upstream_version(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    version
        .rsplit_once('-')
        .map_or(version, |(upstream, _)| upstream)
}
