//! Disks that are added to a pool's configuration and taken out of it, also such as nobody can use.

use crate::bed::request::{GIB, create};
use crate::bed::{Bed, config, disks};
use ingot_lvm::{Backend, Command, Fuse, Group, Passage, Reply, Sim, SimDisk};
use ingot_lvm_csi::config::NodeConfig;
use ingot_lvm_csi::disks::DiskReporter;
use ingot_lvm_csi::object::ObjectKind;
use ingot_lvm_csi::store::{MemoryStore, Store};
use ingot_volume_brain::{Bytes, VgName};
use std::sync::Arc;

const NEW: &str = "/dev/disk/by-id/thick-4";
const OTHER: &str = "/dev/disk/by-id/thick-5";
const THICK: [(&str, &str); 1] = [("pool", "thick")];

fn vg() -> VgName {
    VgName::new("ingot-thick").expect("a name")
}

fn group(sim: &Sim) -> Group {
    match sim.run(&Command::Scan(vg())) {
        Ok(Reply::Group(group)) => *group,
        other => panic!("{other:?}"),
    }
}

fn fresh(name: &str) -> SimDisk {
    SimDisk {
        erased: true,
        ..SimDisk::new(name, Bytes::gib(10))
    }
}

/// A node whose pool has been made, and its agent has ended.
async fn node() -> (Arc<Sim>, Arc<MemoryStore>) {
    let (sim, store) = (
        Arc::new(Sim::new(disks())),
        Arc::new(MemoryStore::default()),
    );
    let bed = bed(config("node-1"), &sim, &store);
    assert!(bed.agent.prepare_pools().await.is_empty());
    (sim, store)
}

fn with(disks: &[&str]) -> NodeConfig {
    let mut config = config("node-1");
    let more = disks.iter().map(ToString::to_string);
    config.pools[1].devices.extend(more);
    config
}

fn bed(config: NodeConfig, sim: &Arc<Sim>, store: &Arc<MemoryStore>) -> Bed {
    Bed::with(config, Arc::clone(sim), store.clone(), Fuse::default())
}

async fn notes(bed: &Bed) -> Vec<String> {
    let notes = bed.agent.disk_notes().await.into_iter();
    notes
        .map(|note| format!("{}: {}", note.names.join(" "), note.text))
        .collect()
}

#[tokio::test]
async fn a_disk_that_is_added_joins_and_its_room_is_offered() {
    let (sim, store) = node().await;
    let first = bed(config("node-1"), &sim, &store);
    let (_, before) = first.capacity(&THICK).await.expect("capacity");
    drop(first);
    sim.plug(&vg(), fresh(NEW));
    let bed = bed(with(&[NEW]), &sim, &store);
    assert!(bed.agent.prepare_pools().await.is_empty());
    assert!(group(&sim).pv(NEW).is_some());
    let (_, after) = bed.capacity(&THICK).await.expect("capacity");
    assert!(after > before + 9 * GIB, "{before} and then {after}");
    assert_eq!(notes(&bed).await, Vec::<String>::new());
    // Once more: nothing is left to do.
    bed.agent.guard_pools().await;
    assert_eq!(group(&sim).pvs.len(), 5);
}

#[tokio::test]
async fn a_disk_that_cannot_join_is_told_and_stops_nobody_else() {
    let (sim, store) = node().await;
    sim.plug(&vg(), fresh(NEW));
    sim.put_on_disk(&vg(), NEW, Some("xfs"));
    sim.plug(&vg(), fresh(OTHER));
    let bed = bed(with(&[NEW, OTHER]), &sim, &store);
    let troubles = bed.agent.prepare_pools().await;
    assert!(
        troubles.is_empty(),
        "it is no trouble of the pool: {troubles:?}"
    );
    let now = group(&sim);
    assert!(now.pv(NEW).is_none() && now.pv(OTHER).is_some());
    bed.create(create("v", GIB, &THICK)).await.expect("created");
    let said = notes(&bed).await;
    assert_eq!(said.len(), 1, "{said:?}");
    let words = format!("{NEW}: {NEW} is not empty, it holds xfs; nothing was changed");
    assert!(said[0].starts_with(&words), "{said:?}");
    // Somebody empties it, and nobody need start the agent again.
    sim.put_on_disk(&vg(), NEW, None);
    bed.agent.guard_pools().await;
    assert!(group(&sim).pv(NEW).is_some());
    assert_eq!(notes(&bed).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_disk_that_is_named_for_it_is_emptied_and_joins() {
    let sim = Sim::new(disks()).with_wipe([NEW.to_owned()]);
    let (sim, store) = (Arc::new(sim), Arc::new(MemoryStore::default()));
    bed(config("node-1"), &sim, &store)
        .agent
        .prepare_pools()
        .await;
    sim.plug(&vg(), fresh(NEW));
    sim.put_on_disk(&vg(), NEW, Some("xfs"));
    let bed = bed(with(&[NEW]), &sim, &store);
    assert!(bed.agent.prepare_pools().await.is_empty());
    assert!(group(&sim).pv(NEW).is_some());
}

#[tokio::test]
async fn a_disk_that_comes_after_the_agent_joins() {
    let (sim, store) = node().await;
    let bed = bed(with(&[NEW]), &sim, &store);
    assert!(bed.agent.prepare_pools().await.is_empty());
    let said = notes(&bed).await;
    assert_eq!(said, [format!("{NEW}: disk {NEW} does not exist")]);
    sim.plug(&vg(), fresh(NEW));
    bed.agent.guard_pools().await;
    assert!(group(&sim).pv(NEW).is_some());
}

#[tokio::test]
async fn a_disk_that_is_taken_out_stays_in_use_and_is_told() {
    let (sim, store) = node().await;
    let first = bed(config("node-1"), &sim, &store);
    // Larger than three of the four disks.
    let volume = first.create(create("v", 35 * GIB, &THICK)).await;
    let volume = volume.expect("created");
    drop(first);
    let mut less = config("node-1");
    let gone = less.pools[1].devices.remove(0);
    let bed = bed(less, &sim, &store);
    assert!(bed.agent.prepare_pools().await.is_empty());
    assert!(
        group(&sim).pv(&gone).is_some(),
        "nothing is taken out of a group"
    );
    let said = notes(&bed).await;
    assert!(
        said.len() == 1
            && said[0].contains(&gone)
            && said[0].contains("pool thick does not name it any more, but volume group ingot-thick has it and uses it; name it again, or take it out with `pvmove "),
        "{said:?}"
    );
    bed.delete(&volume.volume_id)
        .await
        .expect("the pool goes on");
}

#[tokio::test]
async fn what_the_agent_knows_of_a_disk_stands_on_its_object() {
    let (sim, store) = node().await;
    let bed = bed(with(&["S9"]), &sim, &store);
    sim.plug(&vg(), fresh("S9"));
    sim.put_on_disk(&vg(), "S9", Some("ext4"));
    bed.agent.prepare_pools().await;
    let folder = tempfile::tempdir().expect("a directory");
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    put("sys/block/sdx/size", "4096\n");
    put("sys/block/sdx/dev", "8:32\n");
    put("run/udev/data/b8:32", "E:ID_SERIAL_SHORT=S9\n");
    let reporter = DiskReporter::new(with(&["S9"]), store.clone(), folder.path().into());
    let reporter = reporter.beside(Arc::clone(&bed.agent));
    let unused = async || {
        reporter.report().await.expect("reported");
        let all = store.list(ObjectKind::Disk).await.expect("in memory");
        let disks = all.iter().filter_map(|(_, stored)| stored.object.disk());
        let mut ours = disks.filter(|disk| disk.serial.as_deref() == Some("S9"));
        ours.next().expect("reported").unused.clone()
    };
    let text = unused().await.expect("it is not used");
    assert!(text.starts_with("S9 is not empty, it holds ext4"), "{text}");
    sim.put_on_disk(&vg(), "S9", None);
    bed.agent.guard_pools().await;
    let text = unused().await;
    assert!(text.is_none_or(|text| !text.contains("ext4")));
}

#[tokio::test]
async fn an_agent_that_dies_while_a_disk_joins_leaves_one_that_the_next_can_use() {
    for (begin, passage) in [
        ("addition of", Passage::Before),
        ("addition of", Passage::After),
    ] {
        let (sim, store) = node().await;
        sim.plug(&vg(), fresh(NEW));
        let fuse = Fuse::armed_at(begin, passage);
        let dying = Bed::with(with(&[NEW]), Arc::clone(&sim), store.clone(), fuse.clone());
        dying.agent.prepare_pools().await;
        assert!(fuse.blown(), "{begin}");
        drop(dying);
        let bed = bed(with(&[NEW]), &sim, &store);
        assert!(bed.agent.prepare_pools().await.is_empty());
        assert!(group(&sim).pv(NEW).is_some());
        assert_eq!(notes(&bed).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_group_of_which_volumes_are_on_record_is_not_made_anew() {
    let (sim, store) = node().await;
    let first = bed(config("node-1"), &sim, &store);
    first
        .create(create("v", GIB, &THICK))
        .await
        .expect("created");
    drop(first);
    // The same name, on other disks: somebody has replaced all of them in the configuration.
    let other = Arc::new(Sim::new(disks()));
    let bed = bed(config("node-1"), &other, &store);
    let troubles = bed.agent.prepare_pools().await;
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    let text = troubles[0].1.to_string();
    assert!(
        text.contains("is on none of the disks of pool thick, and 1 volumes of it are on record; it was not made anew; name its own disks again"),
        "{text}"
    );
    // Who asks for a volume there is told the same, not that a disk may be missing.
    let error = bed
        .create(create("w", GIB, &THICK))
        .await
        .expect_err("not made");
    assert!(error.message().contains("it was not made anew"), "{error}");
    assert!(other.run(&Command::Scan(vg())).is_err(), "it was made");
}
