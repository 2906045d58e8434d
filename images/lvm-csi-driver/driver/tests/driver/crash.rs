//! The driver dies before, during and after each thing it does: every command to LVM and every write
//! to the object store in the life of volumes, snapshots, clones and groups.
//!
//! The points are found by a first run in which nothing dies. After each death a new driver begins
//! on what is there, and the caller asks again for what it was asking for, as kubelet and the
//! sidecars do. In the end everything was made once, every file was there, and nothing is left.

use crate::bed::request::{CHECKED, GIB, block, create, from_snapshot, from_volume, key, mount};
use crate::bed::store::FusedStore;
use crate::bed::{Bed, config, disks};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::group_controller_server::GroupController;
use ingot_lvm::{Backend, Command, Device, Fuse, Lv, Passage, Reply, Sim};
use ingot_lvm_csi::agent::FormatRecords;
use ingot_lvm_csi::object::{ObjectKind, VolumeId, lv_name};
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Status};

/// One thing that a caller asks for, about the volume of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
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

const LIFE: [Ask; 42] = [
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
];

/// The rest of it, apart because arrays have lengths.
const END: [Ask; 4] = [
    Ask::Delete("restored"),
    Ask::Delete("encrypted"),
    Ask::Delete("raid"),
    Ask::Delete("block"),
];

/// What can be half done, by the begin of its name.
const IN_PARTS: [&str; 3] = ["mkfs", "copies of", "creation of ingot-thick/"];

/// What the caller remembers.
#[derive(Default)]
struct Caller {
    ids: BTreeMap<&'static str, String>,
    in_use: Vec<Ask>,
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

    fn device(&self, name: &str) -> Device {
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

    async fn ask(&mut self, bed: &Bed, folder: &Path, ask: Ask) -> Result<(), Status> {
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

/// What is left of the driver, and what must not be.
async fn leftovers(sim: &Sim, store: &MemoryStore) -> Vec<String> {
    let mut left = Vec::new();
    for kind in [ObjectKind::Volume, ObjectKind::Snapshot, ObjectKind::Group] {
        let all = store.list(kind).await.expect("in memory");
        left.extend(all.into_iter().map(|(key, _)| key.to_string()));
    }
    for vg in ["ingot-thin", "ingot-thick"] {
        let scan = Command::Scan(VgName::new(vg).expect("a name"));
        let Ok(Reply::Group(group)) = sim.run(&scan) else {
            panic!("{vg}")
        };
        let pool = LvName::new("pool").expect("a name");
        left.extend(
            group
                .lvs
                .iter()
                .filter(|lv| lv.lv != pool)
                .map(|lv| format!("{vg}/{}", lv.lv)),
        );
    }
    if let Ok(Reply::Mounts(mounts)) = sim.run(&Command::Mounts) {
        left.extend(
            mounts
                .iter()
                .map(|mount| mount.target.display().to_string()),
        );
    }
    left
}

/// How the driver ends at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    PowerCut,
}

/// When the tag follows the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tagging {
    AtOnce,
    /// A record is ahead of it.
    Later,
}

/// One whole life with one death in it. Gives the steps that were counted.
async fn live(tagging: Tagging, point: Option<(usize, Passage)>, end: End) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a directory");
    let records = folder.path().join("records");
    let sim = Arc::new(Sim::new(disks()));
    let memory = Arc::new(MemoryStore::default());
    let mut fuse = match point {
        Some((step, passage)) => Fuse::armed(step, passage),
        None => Fuse::default(),
    };
    let start = |fuse: &Fuse| {
        let store = FusedStore::new(Arc::clone(&memory), fuse.clone());
        let formats = match tagging {
            Tagging::AtOnce => FormatRecords::default(),
            Tagging::Later => FormatRecords::within(&records).expect("read"),
        };
        let sim = Arc::clone(&sim);
        Bed::with_records(config("node-1"), sim, store, fuse.clone(), formats)
    };
    let mut bed = start(&fuse);
    let mut caller = Caller::default();
    let mut formatted = BTreeMap::new();
    let mut deaths = 0;
    for ask in LIFE.into_iter().chain(END) {
        let mut tries = 0;
        loop {
            let died = async {
                while !fuse.blown() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let answer = tokio::select! {
                answer = caller.ask(&bed, folder.path(), ask) => Some(answer),
                () = died => None,
            };
            if fuse.blown() {
                bed.kill().await;
                deaths += 1;
                fuse = Fuse::default();
                if end == End::PowerCut {
                    sim.reboot();
                }
                bed = start(&fuse);
                if end == End::PowerCut {
                    // Kubelet brings back what its pods had.
                    for again in caller.in_use.clone() {
                        caller.in_use.retain(|other| *other != again);
                        let back = caller.ask(&bed, folder.path(), again).await;
                        back.unwrap_or_else(|e| panic!("{point:?} {end:?}: {again:?}: {e}"));
                    }
                }
                // The answer did not come, or came from somebody who is dead now.
                if !matches!(answer, Some(Ok(()))) {
                    continue;
                }
            }
            match answer {
                Some(Ok(())) => break,
                Some(Err(status)) => {
                    tries += 1;
                    let kind = status.code();
                    assert!(tries < 20, "{point:?} {end:?}: {ask:?}: {kind:?} {status}");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                None => {}
            }
        }
        if let Ask::Publish(name) = ask
            && name != "block"
        {
            let device = caller.device(name);
            formatted.insert(
                name,
                (device.clone(), sim.formatted(&device.vg, &device.lv)),
            );
        }
        if let Ask::Delete(name) = ask
            && let Some((_, times)) = formatted.get(name)
        {
            // A copy is never formatted; one that was interrupted in the middle is once more.
            let most = match (name, point) {
                ("restored" | "clone", _) => 0,
                (_, Some((_, Passage::During))) => 2,
                _ => 1,
            };
            assert!(
                *times <= most,
                "{point:?} {end:?}: {name} was formatted {times} times"
            );
        }
    }
    // Who of a group of snapshots comes first is not settled, nor is the number of steps to a few.
    let came = point.is_some_and(|(step, _)| deaths > 0 || step < fuse.steps().len());
    assert_eq!(deaths, usize::from(came), "{point:?} {end:?}: deaths");
    let left = leftovers(&sim, &memory).await;
    assert!(left.is_empty(), "{point:?} {end:?}: left over: {left:?}");
    let records = std::fs::read_dir(&records).map_or(0, Iterator::count);
    assert_eq!(records, 0, "{point:?} {end:?}: records are left over");
    fuse.steps()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_point_of_death_converges() {
    every_point(Tagging::AtOnce).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_point_of_death_converges_where_tags_follow_later() {
    every_point(Tagging::Later).await;
}

async fn every_point(tagging: Tagging) {
    let begin = std::time::Instant::now();
    let steps = live(tagging, None, End::Killed).await;
    assert!(steps.len() > 100, "the life has only {} steps", steps.len());
    let mut points = Vec::new();
    for (step, name) in steps.iter().enumerate() {
        for end in [End::Killed, End::PowerCut] {
            points.push((step, Passage::Before, end));
            points.push((step, Passage::After, end));
            if IN_PARTS.iter().any(|begin| name.starts_with(begin)) {
                points.push((step, Passage::During, end));
            }
        }
    }
    let count = points.len();
    let queue = Arc::new(std::sync::Mutex::new(points));
    let mut workers = Vec::new();
    for _ in 0..8 {
        let queue = Arc::clone(&queue);
        workers.push(tokio::spawn(async move {
            loop {
                let next = queue.lock().expect("whole").pop();
                let Some((step, passage, end)) = next else {
                    return;
                };
                live(tagging, Some((step, passage)), end).await;
            }
        }));
    }
    for worker in workers {
        worker.await.expect("converges");
    }
    println!(
        "{} steps, {count} points of death, all converged, {:.1} s",
        steps.len(),
        begin.elapsed().as_secs_f64()
    );
}
