//! Whether the sources are still those that the cache key was computed from.

use super::{ComponentError, Workshop};
use crate::catalog::{ComponentPlan, SourceSpec};
use crate::source::cargo;
use crate::train::Train;

impl Workshop<'_> {
    /// Compilers read sources long after the cache key was computed from them. What changed in
    /// between would be found in the cache later, under the key of what it was not made from.
    pub(super) fn still_the_same(&self, component: &ComponentPlan) -> Result<(), ComponentError> {
        let catalog = &self.plan.catalog;
        for source in &component.spec.sources {
            let (same, what) = match source {
                SourceSpec::Cargo(spec) => {
                    let now = cargo::source_digest(&self.plan.workspace, spec)?;
                    let same = now == self.inputs.cargo_sources[&spec.package];
                    (same, &spec.package)
                }
                SourceSpec::Go(spec) => {
                    let train = &self.inputs.trains[&spec.train];
                    let now = Train::load(&train.folder, &catalog.kubernetes, &catalog.created)?;
                    (now.inputs == train.inputs, &spec.train)
                }
                // Pinned by a digest, or part of the catalogue that was read once.
                SourceSpec::Deb(_)
                | SourceSpec::Oci(_)
                | SourceSpec::Links(_)
                | SourceSpec::LinksOf(_)
                | SourceSpec::Files(_) => continue,
            };
            if !same {
                let what = what.clone();
                return Err(ComponentError::Changed { what });
            }
        }
        Ok(())
    }
}
