//! A pod does not wait for the tag that says that its volume is formatted; a record is ahead of it.

use crate::bed::request::{GIB, create, key, mount};
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Backend, Command, Device, Fuse, Kind, LvmError, Reply, Sim};
use ingot_lvm_csi::agent::FormatRecords;
use ingot_lvm_csi::object::{VolumeId, lv_name};
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::{Bytes, FilesystemTag, VgName};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tonic::Code;

/// A node whose driver can begin anew.
struct Site {
    sim: Arc<Sim>,
    store: Arc<MemoryStore>,
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        Self {
            sim: Arc::new(Sim::new(disks())),
            store: Arc::new(MemoryStore::default()),
            folder: tempfile::tempdir().expect("a directory"),
        }
    }

    fn records(&self) -> std::path::PathBuf {
        self.folder.path().join("records")
    }

    fn start(&self) -> Bed {
        let formats = FormatRecords::within(&self.records()).expect("read");
        let (sim, store) = (Arc::clone(&self.sim), self.store.clone());
        Bed::with_records(config("node-1"), sim, store, Fuse::default(), formats)
    }

    /// A volume that a pod has. The agent does nothing by itself any more.
    async fn volume(&self, bed: &mut Bed, parameters: &[(&str, &str)]) -> (String, Device) {
        bed.agent.prepare_pools().await;
        let made = bed.create(create("v", GIB, parameters)).await;
        let id = made.expect("created").volume_id;
        bed.kill().await;
        let (folder, secrets) = (self.folder.path(), key("correct horse"));
        let staged = bed.stage_with(&id, folder, &mount("ext4"), secrets).await;
        staged.expect("staged");
        let published = bed.publish(&id, folder, "target", &mount("ext4")).await;
        published.expect("published");
        let parsed = VolumeId::parse(Kind::Volume, &id).expect("an id");
        let vg = VgName::new("ingot-thin").expect("a name");
        (id, Device::lv(&vg, &lv_name(parsed.kind, parsed.uid)))
    }

    fn tag(&self, device: &Device) -> FilesystemTag {
        let Ok(Reply::Group(group)) = self.sim.run(&Command::Scan(device.vg.clone())) else {
            panic!("{}", device.vg)
        };
        let lv = group.lv(&device.lv).expect("there");
        lv.tags.as_ref().expect("ours").filesystem
    }

    fn records_kept(&self) -> usize {
        count(&self.records())
    }
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a directory").count()
}

/// The disk takes no tag that says what is formatted.
fn no_format_tag(command: &Command) -> Option<LvmError> {
    let Command::Tag(change) = command else {
        return None;
    };
    (change.from.filesystem != change.to.filesystem).then(|| LvmError::Failed {
        command: "lvchange".into(),
        reason: "the disk is busy".into(),
    })
}

const THIN: [(&str, &str); 1] = [("pool", "thin")];

#[tokio::test]
async fn the_tag_follows_and_the_record_goes() {
    let site = Site::new();
    let mut bed = site.start();
    let (_, device) = site.volume(&mut bed, &THIN).await;
    assert_eq!(site.records_kept(), 1);
    assert_eq!(site.tag(&device), FilesystemTag::Unformatted);
    bed.agent.tag_formatted().await;
    assert_eq!(site.tag(&device), FilesystemTag::Formatted);
    assert_eq!(site.records_kept(), 0);
}

#[tokio::test]
async fn a_tag_that_cannot_be_written_is_written_later() {
    let site = Site::new();
    let mut bed = site.start();
    let (_, device) = site.volume(&mut bed, &THIN).await;
    bed.faulty.fail(no_format_tag);
    bed.agent.tag_formatted().await;
    assert_eq!(site.records_kept(), 1);
    bed.faulty.fail(|_| None);
    bed.agent.tag_formatted().await;
    assert_eq!(site.tag(&device), FilesystemTag::Formatted);
    assert_eq!(site.records_kept(), 0);
}

#[tokio::test]
async fn a_volume_that_lost_its_filesystem_before_the_tag_came_is_not_formatted_again() {
    let site = Site::new();
    let mut bed = site.start();
    let (id, device) = site.volume(&mut bed, &THIN).await;
    site.sim.reboot();
    let activate = Command::Activate {
        vg: device.vg.clone(),
        lv: device.lv.clone(),
    };
    site.sim.run(&activate).expect("there");
    let erase = Command::Erase {
        device: device.clone(),
        from: Bytes::ZERO,
        length: Bytes::gib(1),
    };
    site.sim.run(&erase).expect("damaged");
    let bed = site.start();
    let again = bed.stage(&id, site.folder.path(), &mount("ext4")).await;
    let refused = again.expect_err("its data is gone");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().contains("is not formatted again"),
        "{refused}"
    );
    assert_eq!(site.sim.formatted(&device.vg, &device.lv), 1);
}

#[tokio::test]
async fn a_volume_that_is_deleted_takes_its_record_along() {
    let site = Site::new();
    let mut bed = site.start();
    let (id, _) = site.volume(&mut bed, &THIN).await;
    let bed = site.start();
    bed.faulty.fail(no_format_tag);
    let folder = site.folder.path();
    bed.unpublish(&id, folder, "target")
        .await
        .expect("unpublished");
    bed.unstage(&id, folder).await.expect("unstaged");
    assert_eq!(site.records_kept(), 1);
    bed.delete(&id).await.expect("deleted");
    assert_eq!(site.records_kept(), 0);
}

#[tokio::test]
async fn an_encrypted_volume_has_its_tag_before_any_pod() {
    let site = Site::new();
    let mut bed = site.start();
    let (_, device) = site
        .volume(&mut bed, &[("pool", "thin"), ("encrypted", "true")])
        .await;
    assert_eq!(site.tag(&device), FilesystemTag::Formatted);
    assert_eq!(site.records_kept(), 0);
}
