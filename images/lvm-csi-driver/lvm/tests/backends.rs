//! One suite for all back ends: what the simulator promises, LVM must keep, and the other way round.
//!
//! On the node's own LVM only with `INGOT_LVM_TESTS=1` and the disks named in `INGOT_LVM_DISKS`
//! (four, comma-separated, of 3 GiB or more; the third joins later, then the fourth). **They are overwritten.** Needs
//! root.

#[path = "suite/bench.rs"]
mod bench;
#[path = "suite/cases.rs"]
mod cases;
#[path = "suite/integrity.rs"]
mod integrity;
#[path = "suite/disks.rs"]
mod newcomers;
#[path = "suite/raw.rs"]
mod raw;
#[path = "suite/together.rs"]
mod together;
#[path = "suite/wide.rs"]
mod wide;

use bench::Bench;
use ingot_harness::guest::{DiskSpec, Guest, GuestSpec};
use ingot_lvm::{
    Backend, Command, Layout, LvmError, Real, RealGroup, Recording, Reply, Sim, SimDisk, SimGroup,
    disks,
};
use ingot_volume_brain::{Bytes, VgName};
use newcomers::Newcomer;

fn vg() -> VgName {
    VgName::new("ingot-suite").expect("a name")
}

fn sim() -> Sim {
    Sim::new([SimGroup::disks(vg(), [Bytes::gib(2), Bytes::gib(2)])])
}

fn program(words: &[&str]) {
    let status = std::process::Command::new(words[0])
        .args(&words[1..])
        .status();
    assert!(status.expect("it runs").success(), "{words:?}");
}

/// A disk that is not empty is refused with what is on it, and emptied when its serial number is named.
fn disks_are_emptied_by_their_serial_number_only(devices: &[String]) {
    let node = std::fs::canonicalize(&devices[0]).expect("a disk");
    let name = node
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let found = disks::scan(std::path::Path::new("/"));
    let disk = found
        .iter()
        .find(|disk| disk.kernel_name == name)
        .expect("found");
    let serial = disk.serial.clone().expect("a serial number");
    program(&["mkfs.ext4", "-F", "-q", &devices[0]]);
    let real = || {
        let devices = devices[1..].to_vec();
        Real::new([RealGroup { vg: vg(), devices }])
            .with_serials(&vg(), std::slice::from_ref(&serial))
    };
    let create = Command::CreateGroup {
        vg: vg(),
        tag: "ingot1.pool=suite".into(),
    };
    let error = real()
        .run(&create)
        .expect_err("it is not empty")
        .to_string();
    let remedy = format!("or name its serial number {serial} under `wipe`");
    assert!(
        error.contains("it holds ext4") && error.contains(&remedy),
        "{error}"
    );
    let made = real().with_wipe([serial.clone()]).run(&create);
    assert_eq!(made, Ok(Reply::Done));
    let group = real().run(&Command::Scan(vg()));
    let Ok(Reply::Group(group)) = group else {
        panic!("{group:?}")
    };
    assert_eq!(group.pvs.len(), devices.len());
    let names = devices.join(",");
    program(&["vgremove", "--devices", &names, vg().as_str()]);
    for device in devices {
        program(&["pvremove", "--devices", device, device]);
    }
}

fn run_all(backend: &dyn Backend, physical: bool) {
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(backend, vg(), folder.path(), physical);
    for (name, case) in cases::ALL {
        println!("{name}");
        case(&bench);
    }
}

/// A disk that appears when the group has been made, and the cases about it.
fn run_joining(backend: &dyn Backend, sim: &Sim) {
    let name = "/dev/disk/by-id/newcomer".to_owned();
    sim.plug(&vg(), SimDisk::new(name.clone(), Bytes::gib(2)));
    let hold = |holds: bool| sim.put_on_disk(&vg(), &name, holds.then_some("ext4"));
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(backend, vg(), folder.path(), false);
    let disk = Newcomer {
        name: name.clone(),
        hold: &hold,
    };
    newcomers::run(&bench, &disk);
}

/// The same with the last of these disks.
fn run_joining_real(devices: &[String]) {
    let (name, first) = devices.split_last().expect("disks");
    let hold = |holds: bool| {
        if holds {
            program(&["mkfs.ext4", "-F", "-q", name]);
        } else {
            program(&["wipefs", "--quiet", "--all", name]);
        }
        program(&["udevadm", "settle"]);
    };
    let real = |devices: &[String]| {
        let devices = devices.to_vec();
        Real::new([RealGroup { vg: vg(), devices }])
    };
    let all = real(devices);
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(&all, vg(), folder.path(), true);
    let disk = Newcomer {
        name: name.clone(),
        hold: &hold,
    };
    newcomers::run(&bench, &disk);
    drop(all);
    println!("a disk that is not configured any more stays in use");
    program(&["udevadm", "settle"]);
    let Ok(Reply::Group(group)) = real(first).run(&Command::Scan(vg())) else {
        panic!("no report");
    };
    assert_eq!(group.pvs.len(), devices.len());
    assert!(group.pvs.iter().all(|pv| !pv.missing), "{:?}", group.pvs);
    assert!(group.pv(name).is_some(), "{:?}", group.pvs);
    println!("a physical volume of no group joins: nothing lies on it");
    program(&[
        "vgreduce",
        "--devices",
        &devices.join(","),
        vg().as_str(),
        name,
    ]);
    let again = real(devices).run(&Command::ExtendGroup {
        vg: vg(),
        disk: name.clone(),
    });
    assert_eq!(again, Ok(Reply::Done));
}

/// One disk more joins, and all four are made use of.
fn run_wide_real(devices: &[String], fourth: &str) {
    let mut devices = devices.to_vec();
    devices.push(fourth.to_owned());
    let real = Real::new([RealGroup { vg: vg(), devices }]);
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(&real, vg(), folder.path(), true);
    bench.done(Command::ExtendGroup {
        vg: vg(),
        disk: fourth.to_owned(),
    });
    wide::run(&bench);
}

#[test]
fn the_simulator() {
    let sim = sim();
    run_all(&sim, false);
    run_joining(&sim, &sim);
}

#[test]
fn the_simulator_over_four_disks() {
    let sim = Sim::new([SimGroup::disks(vg(), [Bytes::gib(3); 4])]);
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(&sim, vg(), folder.path(), false);
    bench.done(Command::CreateGroup {
        vg: vg(),
        tag: "ingot1.pool=suite".into(),
    });
    wide::run(&bench);
}

/// As LVM does: "Cannot change VG while PVs are missing".
#[test]
fn the_simulator_makes_nothing_in_a_group_of_which_a_disk_is_missing() {
    let sim = Sim::new([SimGroup::disks(vg(), [Bytes::gib(2), Bytes::gib(2)])]);
    let folder = tempfile::tempdir().expect("a directory");
    let bench = Bench::new(&sim, vg(), folder.path(), false);
    bench.done(Command::CreateGroup {
        vg: vg(),
        tag: "ingot1.pool=suite".into(),
    });
    bench.done(Command::CreatePool {
        vg: vg(),
        pool: bench::pool(),
        size: Bytes::mib(512),
        metadata: Bytes::mib(8),
        chunk: Bytes(64 << 10),
    });
    bench.done(bench.new_lv(1, bench::SMALL, bench::thin()));
    bench.done(bench.new_lv(2, bench::SMALL, Layout::Linear));
    sim.unplug(&vg(), 1, true);
    let extend = |uid| Command::Extend {
        vg: vg(),
        lv: bench.device(uid).lv,
        size: Bytes::mib(128),
    };
    let refused = [
        bench.new_lv(3, bench::SMALL, Layout::Linear),
        bench.new_lv(3, bench::SMALL, bench::thin()),
        extend(1),
        extend(2),
        Command::ExtendMetadata {
            vg: vg(),
            pool: bench::pool(),
            size: Bytes::mib(12),
        },
    ];
    for command in refused {
        let name = command.name();
        let answer = bench.run(command);
        assert!(
            matches!(answer, Err(LvmError::Invalid { .. })),
            "{name}: {answer:?}"
        );
    }
    bench.done(bench.remove(bench.device(2).lv));
    let pv = &bench.group().pvs[1];
    assert!(pv.missing && pv.names.is_empty(), "{pv:?}");
    sim.unplug(&vg(), 1, false);
    // The group has changed without it.
    let pv = bench.group().pvs[1].clone();
    assert!(pv.missing && pv.is_back(), "{pv:?}");
    let refused = bench.run(bench.new_lv(3, bench::SMALL, Layout::Linear));
    assert!(
        matches!(refused, Err(LvmError::Invalid { .. })),
        "{refused:?}"
    );
    bench.done(Command::RestoreDisk {
        vg: vg(),
        device: pv.device,
    });
    bench.done(bench.new_lv(3, bench::SMALL, Layout::Linear));
}

#[test]
fn recording_changes_nothing_and_forgets_nothing() {
    let recording = Recording::new(sim());
    run_all(&recording, false);
    run_joining(&recording, recording.inner());
    let commands = recording.take();
    assert!(commands.len() > 60, "{} commands", commands.len());
    assert!(recording.take().is_empty(), "taken is taken");
    // The record is enough to do it again, here up to the first place in a directory of its own.
    let again = sim();
    let placed =
        |command: &&ingot_lvm::Command| matches!(command, ingot_lvm::Command::Mount { .. });
    let first = commands.iter().take_while(|command| !placed(command));
    let done = first
        .filter(|command| command.changes() && again.run(command).is_ok())
        .count();
    assert!(done >= 5, "only {done} commands worked again");
}

#[test]
fn the_nodes_own_lvm() {
    if std::env::var_os("INGOT_LVM_TESTS").is_none_or(|value| value != "1") {
        eprintln!(
            "skipped: set INGOT_LVM_TESTS=1 and INGOT_LVM_DISKS to run it; the disks are overwritten"
        );
        return;
    }
    let disks = std::env::var("INGOT_LVM_DISKS").expect("INGOT_LVM_DISKS names the disks");
    let devices: Vec<String> = disks.split(',').map(str::to_owned).collect();
    assert_eq!(devices.len(), 4, "four disks are needed");
    let (fourth, devices) = devices.split_last().expect("disks");
    disks_are_emptied_by_their_serial_number_only(devices);
    let first = devices[..devices.len() - 1].to_vec();
    let group = RealGroup {
        vg: vg(),
        devices: first,
    };
    // What the driver's own program does.
    let script = r#"s=$1; shift; timeout $s cat; for g; do echo 0 >"$g/cgroup.freeze"; done"#;
    let guardian = ["sh", "-c", script, "guardian"].map(str::to_owned);
    run_all(&Real::new([group]).with_guardian(guardian), true);
    run_joining_real(devices);
    run_wide_real(devices, fourth);
}

/// The same on a virtual machine, whose disks nobody misses: with `INGOT_GUEST_TESTS=1`, as root.
#[test]
fn real_lvm_on_a_guest() {
    if std::env::var_os("INGOT_GUEST_TESTS").is_none() {
        eprintln!("skipped: set INGOT_GUEST_TESTS=1 to run it on a virtual machine");
        return;
    }
    let spec = GuestSpec::new("lvm-suite").with_disks(4, 3 << 30);
    let disks: Vec<String> = spec.disks.iter().map(DiskSpec::path).collect();
    let guest = Guest::create(spec, &|line| println!("  {line}")).expect("a guest");
    let own = std::env::current_exe().expect("this program");
    let status = guest
        .run_program(
            &own,
            &["the_nodes_own_lvm", "--exact", "--nocapture"],
            &[
                ("INGOT_LVM_TESTS", "1"),
                ("INGOT_LVM_DISKS", &disks.join(",")),
            ],
        )
        .expect("the suite ran");
    assert!(status.success(), "the suite on the guest: {status}");
}
