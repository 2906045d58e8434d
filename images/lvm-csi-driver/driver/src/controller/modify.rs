//! ControllerModifyVolume: other limits for the same volume.

use super::ControllerService;
use crate::parameters;
use crate::problem::Problem;
use crate::store::StoreError;
use ingot_csi_proto::v1::ControllerModifyVolumeRequest;
use ingot_lvm::Kind;

impl ControllerService {
    pub(super) async fn modify(
        &self,
        request: ControllerModifyVolumeRequest,
    ) -> Result<(), Problem> {
        let limits = parameters::limits(&request.mutable_parameters);
        loop {
            let (version, mut volume) = self.existing(Kind::Volume, &request.volume_id).await?;
            let limits = limits.clone()?;
            if volume.limits == limits {
                return Ok(());
            }
            volume.limits = limits;
            match self
                .store
                .update(&volume.key(), version, volume.into())
                .await
            {
                Err(StoreError::Conflict(_)) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}
