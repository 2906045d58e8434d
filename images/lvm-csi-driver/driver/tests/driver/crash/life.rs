//! The life that the deaths are put into: what is asked for, in which order, and by whom.

use crate::bed::Bed;
use crate::bed::request::{CHECKED, GIB, block, create, from_snapshot, from_volume, key, mount};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use ingot_lvm::{Backend, Command, Device, Lv, Reply};
use ingot_lvm_csi::object::{VolumeId, lv_name};
use ingot_volume_brain::VgName;
use std::collections::BTreeMap;
use std::path::Path;
use tonic::{Request, Status};

/// One thing that a caller asks for, about the volume of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    Create(&'static str),
    Stage(&'static str),
    Publish(&'static str),
    Write(&'static str),
    Read(&'static str),
    Expand(&'static str),
    ExpandNode(&'static str),
    Snapshot(&'static str),
    Group,
    Unpublish(&'static str),
    Unstage(&'static str),
    Delete(&'static str),
    DeleteSnapshot,
    DeleteGroup,
    /// What the agent does by itself every few seconds.
    Follow,
}

pub(super) const LIFE: &[Ask] = &[
    Ask::Create("thin"),
    Ask::Stage("thin"),
    Ask::Publish("thin"),
    Ask::Write("thin"),
    Ask::Snapshot("thin"),
    Ask::Follow,
    Ask::Expand("thin"),
    Ask::ExpandNode("thin"),
    Ask::Create("clone"),
    Ask::Create("restored"),
    Ask::Stage("restored"),
    Ask::Publish("restored"),
    Ask::Read("restored"),
    Ask::Group,
    Ask::Create("encrypted"),
    Ask::Stage("encrypted"),
    Ask::Publish("encrypted"),
    Ask::Write("encrypted"),
    Ask::Create("raid"),
    Ask::Stage("raid"),
    Ask::Publish("raid"),
    Ask::Expand("raid"),
    Ask::Follow,
    Ask::Create("block"),
    Ask::Stage("block"),
    Ask::Publish("block"),
    Ask::Read("thin"),
    Ask::Read("encrypted"),
    Ask::Unpublish("thin"),
    Ask::Unstage("thin"),
    Ask::Unpublish("restored"),
    Ask::Unstage("restored"),
    Ask::Unpublish("encrypted"),
    Ask::Unstage("encrypted"),
    Ask::Unpublish("raid"),
    Ask::Unstage("raid"),
    Ask::Unpublish("block"),
    Ask::Unstage("block"),
    Ask::DeleteGroup,
    Ask::DeleteSnapshot,
    Ask::Delete("thin"),
    Ask::Delete("clone"),
    Ask::Delete("restored"),
    Ask::Delete("encrypted"),
    Ask::Delete("raid"),
    Ask::Delete("block"),
];

/// What the caller remembers.
#[derive(Default)]
pub(super) struct Caller {
    pub(super) ids: BTreeMap<&'static str, String>,
    pub(super) in_use: Vec<Ask>,
}

fn capability(name: &str) -> v1::VolumeCapability {
    match name {
        "block" => block(),
        "raid" => mount("xfs"),
        _ => mount("ext4"),
    }
}

impl Caller {
    fn id(&self, name: &str) -> String {
        self.ids.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn device(&self, name: &str) -> Device {
        let id = VolumeId::parse(ingot_lvm::Kind::Volume, &self.id(name)).expect("an id");
        let vg = if name == "raid" {
            "ingot-thick"
        } else {
            "ingot-thin"
        };
        let vg = VgName::new(vg).expect("a name");
        let device = Device::lv(&vg, &lv_name(id.kind, id.uid));
        if name == "encrypted" {
            device.decrypted()
        } else {
            device
        }
    }

    fn new_volume(&self, name: &str) -> v1::CreateVolumeRequest {
        let thin = [("pool", "thin")];
        let mut request = match name {
            "encrypted" => create(name, GIB, &[("pool", "thin"), ("encrypted", "true")]),
            // LVM makes it in several steps.
            "raid" => create(name, GIB, &CHECKED),
            // Larger than its source: a copy, then growth, then ready.
            "restored" => create(name, 3 * GIB, &thin),
            "clone" => create(name, 2 * GIB, &thin),
            _ => create(name, GIB, &thin),
        };
        request.volume_content_source = match name {
            "restored" => from_snapshot(&self.id("snapshot")),
            "clone" => from_volume(&self.id("thin")),
            _ => None,
        };
        request
    }

    pub(super) async fn ask(&mut self, bed: &Bed, folder: &Path, ask: Ask) -> Result<(), Status> {
        let own = |name: &str| {
            let own = folder.join(name);
            std::fs::create_dir_all(&own).expect("made");
            own
        };
        match ask {
            Ask::Create(name) => {
                let made = bed.create(self.new_volume(name)).await?;
                self.ids.insert(name, made.volume_id);
                let found = located(bed, &self.device(name)).expect("it is there");
                let checksums = found.integrity.is_some();
                assert_eq!(checksums, name == "raid", "{name}: {found:?}");
            }
            Ask::Stage(name) => {
                let secrets = key("correct horse");
                bed.stage_with(&self.id(name), &own(name), &capability(name), secrets)
                    .await?;
            }
            Ask::Publish(name) => {
                bed.publish(&self.id(name), &own(name), "target", &capability(name))
                    .await?;
            }
            Ask::Write(name) => {
                bed.sim
                    .write(&self.device(name), "file", name)
                    .expect("written");
            }
            Ask::Read(name) => {
                let origin = if name == "restored" { "thin" } else { name };
                let found = bed.sim.read(&self.device(name), "file");
                assert_eq!(found.as_deref(), Some(origin), "{name} lost its file");
            }
            Ask::Expand(name) => {
                bed.expand(&self.id(name), 2 * GIB).await?;
            }
            Ask::ExpandNode(name) => {
                bed.expand_node(&self.id(name), &own(name).join("target"))
                    .await?;
            }
            Ask::Snapshot(name) => {
                let made = bed.snapshot("snapshot", &self.id(name)).await?;
                self.ids.insert("snapshot", made.snapshot_id);
            }
            Ask::Group => {
                let request = v1::CreateVolumeGroupSnapshotRequest {
                    name: "group".into(),
                    source_volume_ids: vec![self.id("thin"), self.id("clone")],
                    ..v1::CreateVolumeGroupSnapshotRequest::default()
                };
                let answer = bed
                    .controller
                    .create_volume_group_snapshot(Request::new(request))
                    .await?;
                let group = answer.into_inner().group_snapshot.expect("a group");
                assert!(group.ready_to_use && group.snapshots.len() == 2);
                self.ids.insert("group", group.group_snapshot_id);
            }
            Ask::Follow => bed.agent.tag_formatted().await,
            Ask::Unpublish(name) => bed.unpublish(&self.id(name), &own(name), "target").await?,
            Ask::Unstage(name) => bed.unstage(&self.id(name), &own(name)).await?,
            Ask::Delete(name) => bed.delete(&self.id(name)).await?,
            Ask::DeleteSnapshot => bed.delete_snapshot(&self.id("snapshot")).await?,
            Ask::DeleteGroup => {
                let request = v1::DeleteVolumeGroupSnapshotRequest {
                    group_snapshot_id: self.id("group"),
                    ..v1::DeleteVolumeGroupSnapshotRequest::default()
                };
                bed.controller
                    .delete_volume_group_snapshot(Request::new(request))
                    .await?;
            }
        }
        match ask {
            Ask::Stage(_) | Ask::Publish(_) => self.in_use.push(ask),
            Ask::Unstage(name) => self.in_use.retain(|other| *other != Ask::Stage(name)),
            Ask::Unpublish(name) => self.in_use.retain(|other| *other != Ask::Publish(name)),
            _ => {}
        }
        Ok(())
    }
}

/// The volume as LVM reports it.
fn located(bed: &Bed, device: &Device) -> Option<Lv> {
    match bed.sim.run(&Command::Scan(device.vg.clone())) {
        Ok(Reply::Group(group)) => group.lv(&device.lv).cloned(),
        other => panic!("{}: {other:?}", device.vg),
    }
}
