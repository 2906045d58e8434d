//! Where a copy of a volume or of a snapshot lies: beside its source.

use super::{Wanted, template};
use crate::controller::{ControllerService, placement};
use crate::object::{Origin, Volume};
use crate::parameters::{Arrangement, ClassParameters};
use crate::problem::Problem;
use ingot_csi_proto::v1;
use ingot_lvm::Layout;
use ingot_volume_brain::Phase;

impl ControllerService {
    /// A copy is made where its source is.
    pub(super) async fn copy_of(
        &self,
        origin: &Volume,
        wanted: &Wanted,
        request: &v1::CreateVolumeRequest,
    ) -> Result<Volume, Problem> {
        if !matches!(origin.layout, Layout::Thin { .. }) {
            return Err(Problem::Precondition(format!(
                "source {} is {}: only thin volumes can be copied; use a class with layout thin",
                origin.id(),
                origin.layout
            )));
        }
        if origin.report.phase != Phase::Ready {
            return Err(Problem::Busy(format!(
                "source {} is not ready; ask again",
                origin.id()
            )));
        }
        if wanted.range.most < origin.report.size {
            return Err(Problem::OutOfRange(format!(
                "source {} has {}, more than the limit of {}; raise the limit",
                origin.id(),
                origin.report.size,
                wanted.range.most
            )));
        }
        let beside = ClassParameters {
            pool: Some(origin.pool.clone()),
            layout: Some(Arrangement::Thin),
            ..ClassParameters::default()
        };
        let candidates = self.candidates(&beside).await?;
        let home = candidates
            .iter()
            .find(|candidate| candidate.pool.node == origin.node);
        let home = home.ok_or_else(|| {
            Problem::Unavailable(format!(
                "node {} with the source does not report its pool {}; see that its agent runs",
                origin.node, origin.pool
            ))
        })?;
        let class = &wanted.class;
        let asked = Arrangement::layout(class.layout.as_ref(), home.pool.thin.as_ref());
        if asked.as_ref() != Some(&origin.layout)
            || class.pool.as_ref().is_some_and(|pool| *pool != origin.pool)
        {
            return Err(Problem::Invalid(format!(
                "a copy lies beside its source, {} in pool {}; use a class for that pool and layout",
                origin.layout, origin.pool
            )));
        }
        let requisite = request
            .accessibility_requirements
            .as_ref()
            .map(|t| &t.requisite);
        if let Some(requisite) = requisite.filter(|requisite| !requisite.is_empty())
            && !requisite
                .iter()
                .any(|t| placement::on(&home.pool, &t.segments))
        {
            return Err(Problem::NoRoom(format!(
                "the source is on node {}, which is not in the requested topology; let the pod run there",
                origin.node
            )));
        }
        let size = home.size(wanted.range.least.max(origin.report.size));
        if size > home.largest {
            return Err(Problem::NoRoom(format!(
                "pool {} on node {} has room for {}, not {size}; add a disk, or delete volumes",
                origin.pool, origin.node, home.largest
            )));
        }
        let mut volume = template(
            &origin.node,
            &origin.pool,
            &origin.vg,
            origin.layout.clone(),
            size,
        );
        volume.origin = Some(Origin {
            kind: origin.kind,
            uid: origin.uid,
            id: origin.id(),
        });
        Ok(volume)
    }
}
