//! Layers that several components have in common: written once.

use super::ComponentError;
use crate::catalog::GoBinary;
use crate::source::go;
use ingot_bundle::Layer;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Layers of Go programs that were written in this build, so that components with the same
/// programs compress them once.
#[derive(Default)]
pub struct SharedLayers {
    layers: Mutex<BTreeMap<String, Arc<Mutex<Option<Layer>>>>>,
}

impl SharedLayers {
    /// The layer of those programs, written by whoever asks first.
    pub(super) fn layer(
        &self,
        group: &go::Group,
        binaries: &[GoBinary],
        write: impl FnOnce() -> Result<Layer, ComponentError>,
    ) -> Result<Layer, ComponentError> {
        let name = format!("{} {binaries:?}", group.identity());
        let slot = {
            let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(layers.entry(name).or_default())
        };
        // Whoever comes second waits here for the first.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(layer) = &*slot {
            return Ok(layer.clone());
        }
        let layer = write()?;
        *slot = Some(layer.clone());
        Ok(layer)
    }
}
