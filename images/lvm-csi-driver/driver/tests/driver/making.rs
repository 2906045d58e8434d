//! Pools that cannot be made when the agent starts are made later, without its being started again.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Fuse, Sim};
use ingot_lvm_csi::disks::DiskReporter;
use ingot_lvm_csi::store::MemoryStore;
use ingot_volume_brain::VgName;
use std::sync::Arc;
use std::time::Duration;
use tonic::Code;

const FIRST: &str = "/dev/disk/by-id/thick-0";
const THICK: [(&str, &str); 1] = [("pool", "thick")];

fn vg() -> VgName {
    VgName::new("ingot-thick").expect("a name")
}

/// A node with a disk in the thick pool that somebody else has used.
fn node(fuse: &Fuse) -> Bed {
    let sim = Arc::new(Sim::new(disks()));
    sim.put_on_disk(&vg(), FIRST, Some("ext4"));
    let store = Arc::new(MemoryStore::default());
    Bed::with(config("node-1"), sim, store, fuse.clone())
}

/// The same, and its pool could not be made.
async fn foreign() -> Bed {
    let bed = node(&Fuse::default());
    let troubles = bed.agent.prepare_pools().await;
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    let error = bed.create(create("v", GIB, &THICK)).await;
    let error = error.expect_err("its disk is somebody's");
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().contains("it holds ext4"), "{error}");
    bed
}

#[tokio::test]
async fn a_pool_is_made_once_its_disk_was_emptied() {
    let bed = foreign().await;
    bed.sim.put_on_disk(&vg(), FIRST, None);
    bed.agent.guard_pools().await;
    bed.create(create("v", GIB, &THICK)).await.expect("created");
}

#[tokio::test]
async fn a_pool_is_made_once_its_disk_was_plugged_in() {
    let sim = Arc::new(Sim::new(disks()));
    sim.unplug(&vg(), 0, true);
    let store = Arc::new(MemoryStore::default());
    let bed = Bed::with(config("node-1"), sim, store, Fuse::default());
    assert_eq!(bed.agent.prepare_pools().await.len(), 1);
    bed.sim.unplug(&vg(), 0, false);
    bed.agent.guard_pools().await;
    bed.create(create("v", GIB, &THICK)).await.expect("created");
}

#[tokio::test]
async fn it_is_tried_seldom_while_nothing_changes() {
    let fuse = Fuse::default();
    let mut bed = node(&fuse);
    // Nobody else tries it.
    bed.kill().await;
    assert_eq!(bed.agent.prepare_pools().await.len(), 1);
    let tried = || {
        let steps = fuse.steps();
        let group = "creation of group ingot-thick";
        steps.iter().filter(|step| *step == group).count()
    };
    let before = tried();
    for _ in 0..20 {
        bed.agent.guard_pools().await;
    }
    assert_eq!(tried() - before, 4, "in 20 minutes");
}

/// Nobody waits for the next round of the guard where udev has told of a change.
#[tokio::test]
async fn it_is_tried_at_once_when_disks_change() {
    let bed = foreign().await;
    for _ in 0..7 {
        bed.agent.guard_pools().await;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    put("sys/block/sdx/size", "4096\n");
    put("sys/block/sdx/dev", "8:32\n");
    put(
        "run/udev/data/b8:32",
        "E:ID_SERIAL_SHORT=S9\nE:ID_FS_TYPE=ext4\n",
    );
    let reporter = DiskReporter::new(config("node-1"), bed.store.clone(), folder.path().into());
    let reporter = reporter.beside(Arc::clone(&bed.agent));
    reporter.report().await.expect("reported");
    put("run/udev/data/b8:32", "E:ID_SERIAL_SHORT=S9\n");
    bed.sim.put_on_disk(&vg(), FIRST, None);
    reporter.report().await.expect("reported");
    // The agent looks every five seconds whether it was told something.
    let made = async {
        while bed.create(create("v", GIB, &THICK)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let made = tokio::time::timeout(Duration::from_secs(40), made).await;
    made.expect("it is not made");
}
