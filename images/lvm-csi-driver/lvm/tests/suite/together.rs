//! Copies that are of one instant, and what an agent that died in their midst leaves.

use crate::bench::{Bench, SMALL, tags, thin};
use ingot_lvm::{Command, Device, Filesystem, Kind, NewCopy, Reply};
use ingot_volume_brain::{LvName, VolumeUid};
use std::collections::BTreeSet;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Child;

const POD: &str = "0f5a1c3e-9b1d-4c7e-8a64-2f0f6f1f6a11";

/// Writes the same growing number to one file after the other, in place, each safe before the next.
const COUNT: &str = r#"echo $$ >"$1/cgroup.procs"; n=0
while :; do
  n=$((n + 1))
  for file in "$2" "$3"; do printf %020d $n | dd of="$file" conv=notrunc,fsync status=none; done
done"#;

/// A pod that counts, in a control group as the kubelet makes it.
struct Pod {
    child: Child,
    group: PathBuf,
}

impl Pod {
    fn start(files: &[PathBuf; 2]) -> Self {
        let group = PathBuf::from(format!("/sys/fs/cgroup/kubepods/pod{POD}"));
        std::fs::create_dir_all(&group).expect("a control group");
        let zero = format!("{:020}", 0);
        for file in files {
            std::fs::write(file, &zero).expect("written");
        }
        let child = std::process::Command::new("bash")
            .args(["-c", COUNT, "count"])
            .arg(&group)
            .args(files)
            .spawn()
            .expect("started");
        let pod = Self { child, group };
        pod.goes_on(&files[1]);
        pod
    }

    /// Waits until it has written again.
    fn goes_on(&self, file: &PathBuf) {
        let read = || std::fs::read_to_string(file).expect("read");
        let before = read();
        while read() == before {
            std::thread::yield_now();
        }
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = std::fs::write(self.group.join("cgroup.kill"), "1");
        let _ = self.child.wait();
        // A group is removed when its processes have ended.
        while std::fs::remove_dir(&self.group).is_err() && self.group.exists() {
            std::thread::yield_now();
        }
        let _ = std::fs::remove_dir("/sys/fs/cgroup/kubepods");
    }
}

fn snapshot(uid: u128) -> LvName {
    LvName::snapshot(VolumeUid(uid))
}

fn new(source: u128, uid: u128) -> NewCopy {
    NewCopy {
        source: LvName::volume(VolumeUid(source)),
        lv: snapshot(uid),
        tags: tags(uid, Kind::Snapshot),
    }
}

fn copy(bench: &Bench<'_>, copies: Vec<NewCopy>) -> Command {
    Command::CopyTogether {
        vg: bench.vg.clone(),
        copies,
        pods: BTreeSet::from([POD.to_owned()]),
    }
}

/// The number that a snapshot shows.
fn shown(bench: &Bench<'_>, uid: u128) -> u64 {
    let device = Device::lv(&bench.vg, &snapshot(uid));
    bench.done(Command::Activate {
        vg: bench.vg.clone(),
        lv: snapshot(uid),
    });
    let place = format!("m{uid}");
    bench.done(bench.mount(&device, &place, true, true));
    let file = bench.folder.join(&place).join("number");
    let text = std::fs::read_to_string(file).expect("read");
    bench.unmount(&place);
    text.parse().expect("a number")
}

pub fn copies(bench: &Bench<'_>) {
    let filesystem = Filesystem::Ext4;
    for uid in [50, 51] {
        bench.done(bench.new_lv(uid, SMALL, thin()));
        let device = bench.device(uid);
        bench.done(Command::MakeFilesystem {
            device: device.clone(),
            filesystem,
        });
        bench.done(bench.mount(&device, &format!("m{uid}"), false, false));
    }
    let files = [50, 51].map(|uid| bench.folder.join(format!("m{uid}")).join("number"));
    let pod = bench.physical.then(|| Pod::start(&files));
    // In either order: the one that is taken later must not show more, nor less.
    for (first, second) in [(50, 51), (51, 50)] {
        let of = |source: u128| new(source, source + 2);
        let made = bench.run(copy(bench, vec![of(first), of(second)]));
        assert_eq!(made, Ok(Reply::Done));
        let group = bench.group();
        for uid in [52, 53] {
            let found = group.lv(&snapshot(uid)).expect("the copy");
            assert_eq!(found.tags, Some(tags(uid, Kind::Snapshot)));
        }
        if let Some(pod) = &pod {
            pod.goes_on(&files[1]);
            let (one, other) = (shown(bench, 52), shown(bench, 53));
            println!("  copied at {one} and {other}");
            assert!(
                one > 0 && (other == one || other + 1 == one),
                "{one} and {other}"
            );
        }
        for uid in [52, 53] {
            bench.done(bench.remove(snapshot(uid)));
        }
    }
    // One that cannot be copied: none is, and nobody stands still for it.
    let none = bench.run(copy(bench, vec![new(50, 54), new(99, 55)]));
    assert!(none.is_err(), "{none:?}");
    assert!(bench.group().lv(&snapshot(54)).is_none(), "half of a group");
    if let Some(pod) = &pod {
        pod.goes_on(&files[1]);
    }
    drop(pod);
    for uid in [50, 51] {
        bench.unmount(&format!("m{uid}"));
        bench.done(bench.remove(LvName::volume(VolumeUid(uid))));
    }
}

pub fn resumed(bench: &Bench<'_>) {
    bench.done(bench.new_lv(56, SMALL, thin()));
    let device = bench.device(56);
    let path = device.path();
    if bench.physical {
        let suspend = std::process::Command::new("dmsetup")
            .arg("suspend")
            .arg(&path)
            .status();
        assert!(suspend.expect("dmsetup runs").success());
    }
    bench.done(Command::Resume(bench.vg.clone()));
    if bench.physical {
        let file = std::fs::OpenOptions::new().write(true).open(&path);
        let file = file.expect("opened");
        file.write_all_at(&[7; 512], 0).expect("written");
        file.sync_all().expect("it goes on");
    }
    bench.done(Command::Resume(bench.vg.clone()));
    bench.done(bench.remove(device.lv));
}
