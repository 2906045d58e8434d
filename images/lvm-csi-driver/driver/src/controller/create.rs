//! CreateVolume: one object a name, whoever asks and however often.

mod copy;

use super::range::Range;
use super::{ControllerService, name, new_uid, now, number, topology};
use crate::capability::{Access, Capability};
use crate::node::CONTEXT_FILESYSTEM;
use crate::object::{Volume, VolumeId};
use crate::parameters::{self, Arrangement, ClassParameters};
use crate::problem::Problem;
use crate::store::{self, StoreError};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::volume_content_source::{SnapshotSource, Type, VolumeSource};
use ingot_lvm::{Filesystem, Kind, Layout, Limits};
use ingot_volume_brain::{Bytes, NameHash, Report};

/// What is made when no size is asked for.
const DEFAULT_SIZE: Bytes = Bytes::gib(1);

/// A request that was understood.
struct Wanted {
    range: Range,
    class: ClassParameters,
    filesystem: Option<Filesystem>,
    limits: Limits,
    origin: Option<Volume>,
}

impl ControllerService {
    pub(super) async fn create(
        &self,
        request: v1::CreateVolumeRequest,
    ) -> Result<v1::CreateVolumeResponse, Problem> {
        name(&request.name, "volume")?;
        let wanted = self.understand(&request).await?;
        let key = VolumeId {
            kind: Kind::Volume,
            name: NameHash::of(&request.name),
            uid: new_uid(),
        }
        .key();
        // Once for the object that is there, once for one that came between.
        for _ in 0..2 {
            if let Some((_, volume)) = store::volume(&*self.store, &key).await? {
                return self.found(volume, &wanted).await;
            }
            let volume = self.plan(&request, &wanted).await?;
            let id = VolumeId::of(&volume);
            match self.store.create(&key, volume.into()).await {
                Ok(_) => return Ok(answer(&self.until_made(id).await?)),
                Err(StoreError::Exists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::Busy(format!(
            "volume {:?} is being made and deleted; ask again",
            request.name
        )))
    }

    async fn understand(&self, request: &v1::CreateVolumeRequest) -> Result<Wanted, Problem> {
        let range = Range::parse(request.capacity_range)?;
        let capabilities = Capability::parse_all(&request.volume_capabilities)?;
        let class = ClassParameters::parse(&request.parameters)?;
        let limits = parameters::limits(&request.mutable_parameters)?;
        let mut filesystem = class.filesystem;
        for capability in &capabilities {
            if let Access::Mount {
                filesystem: Some(named),
                ..
            } = &capability.access
            {
                filesystem = Some(*named);
            }
        }
        let source = request
            .volume_content_source
            .as_ref()
            .and_then(|s| s.r#type.as_ref());
        let origin = match source {
            None => None,
            Some(Type::Snapshot(SnapshotSource { snapshot_id })) => {
                Some(self.existing(Kind::Snapshot, snapshot_id).await?.1)
            }
            Some(Type::Volume(VolumeSource { volume_id })) => {
                Some(self.existing(Kind::Volume, volume_id).await?.1)
            }
        };
        Ok(Wanted {
            range,
            class,
            filesystem,
            limits,
            origin,
        })
    }

    /// The name is taken: by what was asked for, or by something else.
    async fn found(
        &self,
        volume: Volume,
        wanted: &Wanted,
    ) -> Result<v1::CreateVolumeResponse, Problem> {
        let name = &volume.csi_name;
        if volume.deleting {
            return Err(Problem::Busy(format!(
                "volume {name:?} is being deleted; ask again"
            )));
        }
        let origin = wanted.origin.as_ref().map(|origin| origin.uid);
        let own = volume.origin.as_ref().map(|origin| origin.uid);
        let layout = match (&wanted.class.layout, &volume.layout) {
            (None, _) => true,
            (Some(Arrangement::Thin), Layout::Thin { .. }) => true,
            (Some(Arrangement::Thick(asked)), is) => asked == is,
            (Some(Arrangement::Thin), _) => false,
        };
        let different = [
            (!wanted.range.holds(volume.size), "size"),
            (origin != own, "source"),
            (wanted.class.encrypted && !volume.encrypted, "encryption"),
            (!layout, "layout"),
            // Limits are not compared: they may have been modified since, and whoever asks again is told
            // of the same volume.
            (
                wanted.filesystem.is_some() && wanted.filesystem != volume.filesystem,
                "filesystem",
            ),
            (
                wanted
                    .class
                    .pool
                    .as_ref()
                    .is_some_and(|pool| *pool != volume.pool),
                "pool",
            ),
        ];
        if let Some((_, what)) = different.iter().find(|(different, _)| *different) {
            return Err(Problem::Exists(format!(
                "volume {name:?} exists with another {what} ({}, {}, pool {}); use another name or delete it",
                volume.size, volume.layout, volume.pool
            )));
        }
        Ok(answer(&self.until_made(VolumeId::of(&volume)).await?))
    }

    /// The object to write.
    async fn plan(
        &self,
        request: &v1::CreateVolumeRequest,
        wanted: &Wanted,
    ) -> Result<Volume, Problem> {
        let mut volume = Volume {
            kind: Kind::Volume,
            uid: new_uid(),
            csi_name: request.name.clone(),
            deleting: false,
            encrypted: wanted.class.encrypted,
            filesystem: wanted.filesystem,
            limits: wanted.limits,
            group: None,
            created: now(),
            report: Report::default(),
            message: String::new(),
            ..match &wanted.origin {
                Some(origin) => self.copy_of(origin, wanted, request).await?,
                None => self.fresh(wanted, request).await?,
            }
        };
        if volume.size > wanted.range.most {
            return Err(Problem::OutOfRange(format!(
                "volumes have whole extents: {} becomes {}, above the limit of {} bytes; raise the limit",
                wanted.range.least, volume.size, wanted.range.most.0
            )));
        }
        if let Some(origin) = &wanted.origin {
            volume.encrypted = origin.encrypted;
        }
        if let Some(filesystem) = wanted.filesystem
            && volume.size < filesystem.least()
        {
            return Err(Problem::OutOfRange(format!(
                "{filesystem} needs at least {}, not {}; ask for more, or use ext4",
                filesystem.least(),
                volume.size
            )));
        }
        Ok(volume)
    }

    async fn fresh(
        &self,
        wanted: &Wanted,
        request: &v1::CreateVolumeRequest,
    ) -> Result<Volume, Problem> {
        let least = match wanted.range.least {
            Bytes::ZERO => DEFAULT_SIZE.min(wanted.range.most),
            least => least,
        };
        let topology = request.accessibility_requirements.as_ref();
        let candidate = self.place(&wanted.class, least, topology).await?;
        let mut size = candidate.size(least);
        if size > wanted.range.most && wanted.range.least == Bytes::ZERO {
            size = candidate
                .layout
                .round_down(least, candidate.pool.space.extent);
        }
        Ok(template(
            &candidate.pool.node,
            &candidate.pool.pool,
            &candidate.pool.vg,
            candidate.layout,
            size,
        ))
    }
}

/// An object with its place, and nothing else said yet.
pub(super) fn template(
    node: &ingot_volume_brain::NodeName,
    pool: &str,
    vg: &ingot_volume_brain::VgName,
    layout: Layout,
    size: Bytes,
) -> Volume {
    Volume {
        kind: Kind::Volume,
        uid: new_uid(),
        csi_name: String::new(),
        node: node.clone(),
        pool: pool.to_owned(),
        vg: vg.clone(),
        layout,
        size,
        deleting: false,
        origin: None,
        encrypted: false,
        filesystem: None,
        limits: Limits::default(),
        group: None,
        created: now(),
        report: Report::default(),
        message: String::new(),
        in_use: false,
    }
}

/// A volume as CSI shows it.
pub(super) fn shown(volume: &Volume) -> v1::Volume {
    let context = volume
        .filesystem
        .map(|f| (CONTEXT_FILESYSTEM.to_owned(), f.to_string()));
    let source = volume
        .origin
        .as_ref()
        .map(|origin| v1::VolumeContentSource {
            r#type: Some(match origin.kind {
                Kind::Snapshot => Type::Snapshot(SnapshotSource {
                    snapshot_id: origin.id.clone(),
                }),
                Kind::Volume => Type::Volume(VolumeSource {
                    volume_id: origin.id.clone(),
                }),
            }),
        });
    v1::Volume {
        capacity_bytes: number(volume.report.size),
        volume_id: volume.id(),
        volume_context: context.into_iter().collect(),
        content_source: source,
        accessible_topology: vec![topology(&volume.node)],
    }
}

fn answer(volume: &Volume) -> v1::CreateVolumeResponse {
    v1::CreateVolumeResponse {
        volume: Some(shown(volume)),
    }
}
