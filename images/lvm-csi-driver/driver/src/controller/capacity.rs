//! GetCapacity: what the pools' own accounting says can be made.

use super::{ControllerService, number};
use crate::capability::Capability;
use crate::parameters::ClassParameters;
use crate::problem::Problem;
use ingot_csi_proto::v1;
use ingot_volume_brain::Bytes;

impl ControllerService {
    pub(super) async fn capacity(
        &self,
        request: v1::GetCapacityRequest,
    ) -> Result<v1::GetCapacityResponse, Problem> {
        for capability in &request.volume_capabilities {
            Capability::parse(capability)?;
        }
        let class = ClassParameters::parse(&request.parameters)?;
        let mut candidates = self.candidates(&class).await?;
        if let Some(topology) = &request.accessible_topology {
            candidates.retain(|c| super::placement::on(&c.pool, &topology.segments));
        }
        let all = Bytes(candidates.iter().map(|c| c.largest.0).sum());
        let largest = candidates
            .iter()
            .map(|c| c.largest)
            .max()
            .unwrap_or(Bytes::ZERO);
        let extents = candidates.iter().map(|c| c.size(Bytes(1)));
        Ok(v1::GetCapacityResponse {
            available_capacity: number(all),
            maximum_volume_size: Some(number(largest)),
            minimum_volume_size: extents.min().map(number),
        })
    }
}
