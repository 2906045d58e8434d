//! The driver dies before, during and after each thing it does: every command to LVM and every write
//! to the object store in the life of volumes, snapshots, clones and groups.
//!
//! The points are found by a first run in which nothing dies. After each death a new driver begins
//! on what is there, and the caller asks again for what it was asking for, as kubelet and the
//! sidecars do. In the end everything was made once, every file was there, and nothing is left.

mod life;

use self::life::{Ask, Caller, LIFE};
use crate::bed::store::FusedStore;
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Backend, Command, Fuse, Passage, Reply, Sim};
use ingot_lvm_csi::agent::FormatRecords;
use ingot_lvm_csi::object::ObjectKind;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{LvName, VgName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What can be half done, by the begin of its name.
const IN_PARTS: [&str; 3] = ["mkfs", "copies of", "creation of ingot-thick/"];

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
    for ask in LIFE.iter().copied() {
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
