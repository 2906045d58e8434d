//! Pools that are full, disks that fail, refuse writes or vanish, commands that hang: answers come in
//! bounded time, the trouble is in the pool's status and in CSI's health, pods in other pools write on,
//! and when the cause is gone, all is well without anybody's doing.

use super::witness::Witness;
use super::{Node, Outcome, SOON, asked_for, pool, target};
use crate::bed::request::{GIB, block, create, mount};
use ingot_csi_proto::v1;
use ingot_harness::guest::{Access, DiskSpec, Fault, GuestSpec};
use ingot_lvm_csi::object::Object;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

const MIB: i64 = 1 << 20;
/// The disks of the pools, in their order.
const DISKS: [(&str, u64); 5] = [
    ("good", 2),
    ("full", 2),
    ("meta", 2),
    ("thin", 2),
    ("bad", 2),
];

/// How long a request may take that cannot succeed: the controller's patience and what is before it.
const BOUND: Duration = Duration::from_secs(120);

struct Story {
    node: Node,
    witness: Witness,
}

impl Story {
    /// A request that is refused, in time.
    async fn refused<T>(
        &self,
        what: &str,
        ask: impl Future<Output = Result<T, Status>>,
    ) -> Outcome<Status> {
        let begin = Instant::now();
        match tokio::time::timeout(BOUND, ask).await {
            Err(_) => Err(format!("{what}: no answer within {BOUND:?}").into()),
            Ok(Ok(_)) => Err(format!("{what}: it was done").into()),
            Ok(Err(status)) => {
                let took = begin.elapsed().as_secs_f64();
                println!(
                    "  {what}: {:?} after {took:.1} s: {}",
                    status.code(),
                    status.message()
                );
                Ok(status)
            }
        }
    }

    /// A volume in a pool, in a pod of the same name.
    async fn pod(&self, name: &str, size: i64, what: &v1::VolumeCapability) -> Outcome<String> {
        let node = &self.node;
        node.pod(name)?;
        let pool = name.split('-').next().unwrap_or_default();
        let request = create(name, size, &[("pool", pool)]);
        let ask = async || node.create(request.clone()).await;
        let id = node.until(&format!("creation of {name}"), ask).await?;
        self.begin(&id, name, what).await?;
        Ok(id)
    }

    async fn begin(&self, id: &str, name: &str, what: &v1::VolumeCapability) -> Outcome {
        let node = &self.node;
        let ask = async || node.stage(id, name, what).await;
        node.until(&format!("stage of {name}"), ask).await?;
        let ask = async || node.publish(id, name, what).await;
        node.until(&format!("publish of {name}"), ask).await
    }

    async fn end(&self, id: &str, name: &str) -> Outcome {
        let node = &self.node;
        let ask = async || node.unpublish(id, name).await;
        node.until(&format!("unpublish of {name}"), ask).await?;
        let ask = async || node.unstage(id, name).await;
        node.until(&format!("unstage of {name}"), ask).await
    }

    async fn delete(&self, id: &str) -> Outcome {
        let ask = async || self.node.delete(id).await;
        self.node.until("deletion", ask).await
    }

    /// What the node says of its pools.
    async fn health(&self) -> Outcome<Vec<String>> {
        let request = v1::NodeGetStorageHealthRequest::default();
        let answer = self
            .node
            .node()
            .await?
            .node_get_storage_health(request)
            .await?;
        let all = answer.into_inner().backend_health.into_iter();
        Ok(all
            .map(|one| format!("{:?} {}: {}", one.status(), one.reason, one.message))
            .collect())
    }

    /// What the node says of a volume.
    async fn volume_health(&self, id: &str) -> Outcome<Vec<String>> {
        let request = v1::NodeGetVolumeHealthRequest {
            volume_id: id.into(),
            ..v1::NodeGetVolumeHealthRequest::default()
        };
        let mut node = self.node.node().await?;
        let answer = node.node_get_volume_health(request).await?.into_inner();
        let all = answer.volume_health.unwrap_or_default().health_statuses;
        let entry = |one: &v1::volume_health::VolumeHealthEntry| {
            format!("{:?} {}: {}", one.status(), one.reason, one.message)
        };
        Ok(all.iter().map(entry).collect())
    }

    /// What the status of a pool says.
    fn trouble(&self, pool: &str) -> Outcome<Option<String>> {
        let text = self.node.sh(&format!(
            "cat /var/lib/ingot/storage/nodepools/{pool}.guest.json"
        ))?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let object: Object = serde_json::from_value(json["object"].clone())?;
        Ok(object.pool().and_then(|pool| pool.trouble.clone()))
    }

    /// Waits for what is said of a pool, and of no other; says how long it took.
    async fn said(&self, pool: &str, what: &str, word: &str) -> Outcome {
        let begin = Instant::now();
        let ours = format!("pool {pool}: ");
        loop {
            let health = self.health().await?;
            if let Some(other) = health.iter().find(|line| !line.contains(&ours)) {
                return Err(format!("{what}: another pool is said to suffer: {other}").into());
            }
            if let Some(line) = health.iter().find(|line| line.contains(word)) {
                let took = begin.elapsed().as_secs_f64();
                println!("  {what}: reported after {took:.1} s: {line}");
                return Ok(());
            }
            if begin.elapsed() > SOON {
                return Err(format!("{what}: not reported within {SOON:?}: {health:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until the status says so too, and a volume in the pool is told to be inaccessible.
    async fn inaccessible(&self, pool: &str, id: &str) -> Outcome {
        let request = v1::ControllerGetVolumeHealthRequest {
            volume_id: id.into(),
            ..v1::ControllerGetVolumeHealthRequest::default()
        };
        let ask = async || {
            let mut controller = self.node.controller().await?;
            let answer = controller
                .controller_get_volume_health(request.clone())
                .await?;
            let health = answer.into_inner().volume_health.unwrap_or_default();
            let inaccessible = v1::VolumeHealthErrorType::Inaccessible;
            let found = health
                .health_statuses
                .iter()
                .find(|e| e.status() == inaccessible);
            found
                .cloned()
                .ok_or_else(|| Status::internal(format!("{health:?}")))
        };
        let entry = self.node.until("the volume's health", ask).await?;
        println!("  volume: {}: {}", entry.reason, entry.message);
        match self.trouble(pool)? {
            Some(_) => Ok(()),
            None => Err(format!("the status of pool {pool} has no trouble").into()),
        }
    }

    /// Waits until nothing is wrong any more.
    async fn well(&self, what: &str) -> Outcome {
        let begin = Instant::now();
        // Everything is read again every five minutes at the latest.
        while begin.elapsed() < 2 * SOON {
            let health = self.health().await?;
            let troubles = DISKS.map(|(pool, _)| self.trouble(pool));
            let troubles: Result<Vec<_>, _> = troubles.into_iter().collect();
            if health.is_empty() && troubles?.iter().all(Option::is_none) {
                println!(
                    "  {what}: well again after {:.1} s",
                    begin.elapsed().as_secs_f64()
                );
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(format!("{what}: still {:?}", self.health().await?).into())
    }

    /// A write that must fail, in time.
    fn write_fails(&self, what: &str, script: &str) -> Outcome {
        let begin = Instant::now();
        let words = ["timeout", "120", "bash", "-euc", script];
        let code = self.node.guest.exec(&words)?.status.code();
        let took = begin.elapsed().as_secs_f64();
        match code {
            Some(0) => Err(format!("{what}: the write succeeded").into()),
            Some(124) | None => Err(format!("{what}: the write hangs").into()),
            Some(_) => {
                println!("  {what}: the write failed after {took:.1} s");
                Ok(())
            }
        }
    }

    async fn full_data(&self) -> Outcome {
        let id = self.pod("full-data", GIB, &mount("ext4")).await?;
        let fill = format!(
            "dd if=/dev/zero of={}/hog bs=1M conv=fsync",
            target("full-data")
        );
        self.write_fails("full data", &fill)?;
        self.said("full", "full data", "PoolFull").await?;
        let request = create("full-more", 64 * MIB, &[("pool", "full")]);
        let status = self
            .refused("full data", self.node.create(request.clone()))
            .await?;
        assert_eq!(status.code(), Code::ResourceExhausted);
        self.witness.goes_on()?;
        self.end(&id, "full-data").await?;
        self.delete(&id).await?;
        self.well("full data").await?;
        let ask = async || self.node.create(request.clone()).await;
        let id = self
            .node
            .until("creation where there is room again", ask)
            .await?;
        self.delete(&id).await
    }

    async fn full_metadata(&self) -> Outcome {
        let id = self.pod("meta-data", GIB, &block()).await?;
        let device = target("meta-data");
        self.node.sh(&format!(
            "lvcreate -qq -y -n filler -l 100%FREE ingot-meta; dd if=/dev/zero of={device} bs=1M count=1024 oflag=direct status=none"
        ))?;
        // Whatever else takes snapshots of our volumes; all of them first, since LVM refuses more where
        // metadata runs short. Then one write a leaf of the map copies the leaves of each.
        self.node.sh(
            "lv=$(lvs --noheadings -o lv_name --select 'lv_tags=ingot1.kind=volume' ingot-meta | tr -d ' ')
            for n in $(seq 12); do
                lvcreate -qq -s -n other-$n ingot-meta/$lv
                lvchange -qq -ay -K ingot-meta/other-$n
            done",
        )?;
        let fill = "for n in $(seq 12); do
                fio --name=touch --filename=/dev/ingot-meta/other-$n --rw=write:4092k --bs=4k --size=1020m --direct=1 --ioengine=psync >/dev/null
            done";
        self.write_fails("full metadata, others", fill)?;
        let write = format!("dd if=/dev/zero of={device} bs=1M count=16 oflag=direct status=none");
        self.write_fails("full metadata", &write)?;
        self.said("meta", "full metadata", "PoolFull").await?;
        let request = create("meta-more", 64 * MIB, &[("pool", "meta")]);
        let status = self
            .refused("full metadata", self.node.create(request.clone()))
            .await?;
        assert_eq!(status.code(), Code::ResourceExhausted);
        self.node.sh(&format!(
            "dd if={device} of=/dev/null bs=1M count=16 iflag=direct status=none"
        ))?;
        self.witness.goes_on()?;
        self.end(&id, "meta-data").await?;
        // What a person does: the kernel takes no changes of such metadata until it was checked, which LVM
        // does when it makes the pool's device anew. With room in the group the metadata can grow then.
        self.node.sh("lvremove -qq -y ingot-meta/filler
            vgchange -qq -an ingot-meta
            lvextend -qq --poolmetadatasize +16M ingot-meta/pool
            vgchange -qq -ay -K ingot-meta
            for n in $(seq 12); do lvremove -qq -y ingot-meta/other-$n; done")?;
        self.well("full metadata").await?;
        self.begin(&id, "meta-data", &block()).await?;
        self.node.sh(&write)?;
        let ask = async || self.node.create(request.clone()).await;
        let more = self
            .node
            .until("creation where there is metadata again", ask)
            .await?;
        self.delete(&more).await?;
        self.end(&id, "meta-data").await?;
        self.delete(&id).await?;
        self.witness.goes_on().map(drop)
    }

    /// The disk under a published volume of a pool fails or goes, and comes back.
    async fn disk_goes(&self, what: &str, pool: &str, fault: Option<Fault>, id: &str) -> Outcome {
        let (guest, name, more) = (
            &self.node.guest,
            &*format!("{pool}-pod"),
            &*format!("{pool}-more"),
        );
        let file = format!("{}/flushed", target(name));
        self.node.sh(&format!("echo {what} >{file}; sync {file}"))?;
        match fault {
            Some(_) => guest.set_fault(pool, fault)?,
            None => guest.detach(pool)?,
        }
        let lost = format!(
            "dd if=/dev/zero of={}/lost bs=1M count=4 conv=fsync",
            target(name)
        );
        self.write_fails(what, &lost)?;
        let request = create(more, 64 * MIB, &[("pool", pool)]);
        self.refused(what, self.node.create(request.clone()))
            .await?;
        self.said(pool, what, &format!("pool {pool}")).await?;
        self.inaccessible(pool, id).await?;
        self.witness.goes_on()?;
        self.end(id, name).await?;
        match fault {
            Some(_) => guest.set_fault(pool, None)?,
            None => guest.attach(pool, Access::ReadWrite)?,
        }
        self.well(what).await?;
        self.begin(id, name, &mount("xfs")).await?;
        self.node.sh(&format!(
            "grep -qx '{what}' {file}; echo again >{file}; sync {file}"
        ))?;
        let ask = async || self.node.create(request.clone()).await;
        let more = self
            .node
            .until("creation on the disk that is back", ask)
            .await?;
        self.delete(&more).await
    }

    /// The disk comes back with its switch at "read only".
    async fn read_only(&self, id: &str) -> Outcome {
        let (guest, name) = (&self.node.guest, "bad-pod");
        self.end(id, name).await?;
        guest.detach("bad")?;
        guest.attach("bad", Access::ReadOnly)?;
        let path = DiskSpec::empty("bad", 0).path();
        guest.wait_until(
            "the disk that cannot be written",
            &["test", "-e", &path],
            SOON,
        )?;
        let request = create("bad-more", 64 * MIB, &[("pool", "bad")]);
        self.refused("read only", self.node.create(request.clone()))
            .await?;
        let what = mount("xfs");
        let staged = self.node.stage(id, name, &what);
        self.refused("read only, stage", staged).await?;
        self.said("bad", "read only", "DiskReadOnly").await?;
        self.inaccessible("bad", id).await?;
        self.witness.goes_on()?;
        guest.detach("bad")?;
        guest.attach("bad", Access::ReadWrite)?;
        self.well("read only").await?;
        self.begin(id, name, &mount("xfs")).await?;
        let ask = async || self.node.create(request.clone()).await;
        let more = self
            .node
            .until("creation on the disk that takes writes again", ask)
            .await?;
        self.delete(&more).await
    }

    /// A command of LVM stops in the middle.
    async fn hung_command(&self) -> Outcome {
        let stop = "agent=$(systemctl show --value -p MainPID csi-agent)
            until pid=$(pgrep -P $agent -f 'lvm lvcreate.*ingot-bad'); do :; done; kill -STOP $pid; echo $pid";
        let mut stopper = self.node.guest.command(&["bash", "-c", stop])?;
        let stopper = stopper.stdout(std::process::Stdio::piped()).spawn()?;
        let request = create("bad-hung", 64 * MIB, &[("pool", "bad")]);
        self.refused("hung command", self.node.create(request.clone()))
            .await?;
        let stopped = stopper.wait_with_output()?.stdout;
        let pid: u32 = String::from_utf8_lossy(&stopped).trim().parse()?;
        self.said("bad", "hung command", "CommandHangs").await?;
        self.witness.goes_on()?;
        let id = self.pod("good-other", 64 * MIB, &mount("ext4")).await?;
        self.end(&id, "good-other").await?;
        self.delete(&id).await?;
        self.node.sh(&format!("kill -CONT {pid}"))?;
        self.well("hung command").await?;
        let ask = async || self.node.create(request.clone()).await;
        let id = self.node.until("creation after the hang", ask).await?;
        self.delete(&id).await
    }

    /// A volume's device is suspended: what touches it hangs, and nothing else does.
    async fn hung_volume(&self, id: &str) -> Outcome {
        let name = "bad-pod";
        self.end(id, name).await?;
        let uid = id.rsplit('-').next().unwrap_or_default();
        self.node
            .sh(&format!("dmsetup suspend ingot--bad-v{uid}"))?;
        let what = mount("xfs");
        let staged = self.node.stage(id, name, &what);
        self.refused("hung volume", staged).await?;
        let told = self.volume_health(id).await?;
        let hangs = |line: &String| line.starts_with("Inaccessible CommandHangs: ");
        if told.iter().filter(|line| hangs(line)).count() != 1 {
            return Err(format!("hung volume: its health is {told:?}").into());
        }
        // Its group and the others are well.
        let health = self.health().await?;
        if !health.is_empty() || self.trouble("bad")?.is_some() {
            return Err(format!("hung volume: the pool is said to suffer: {health:?}").into());
        }
        let other = self.pod("bad-other", 64 * MIB, &mount("ext4")).await?;
        self.end(&other, "bad-other").await?;
        self.delete(&other).await?;
        self.witness.goes_on()?;
        self.node.sh(&format!("dmsetup resume ingot--bad-v{uid}"))?;
        self.begin(id, name, &mount("xfs")).await?;
        match self.volume_health(id).await?.as_slice() {
            [] => Ok(()),
            told => Err(format!("hung volume: still {told:?}").into()),
        }
    }
}

fn pools(disks: &[String]) -> String {
    let thin = |size: &str, more: &str| {
        // It must not grow out of its trouble.
        format!(
            "    thin: {{ pool: pool, size: {size}, {more} guard: {{ ratio: 30, extend: 2 }} }}\n"
        )
    };
    pool("good", &disks[..1], "")
        + &pool("full", &disks[1..2], &thin("512MiB", ""))
        + &pool("meta", &disks[2..3], &thin("1500MiB", "metadata: 4MiB,"))
        + &pool("thin", &disks[3..4], &thin("1500MiB", ""))
        + &pool("bad", &disks[4..], "")
}

/// A machine with a pod that writes all the time, in the pool `good`.
async fn told(name: &str) -> Outcome<Story> {
    let mut spec = GuestSpec::new(name);
    spec.disks = DISKS
        .map(|(serial, gib)| DiskSpec::empty(serial, gib << 30))
        .to_vec();
    let node = Node::boot(spec, pools, &[]).await?;
    node.overwritten().await?;
    node.pod("good-pod")?;
    let witness = create("good-pod", 256 * MIB, &[("pool", "good")]);
    let ask = async || node.create(witness.clone()).await;
    let id = node.until("creation", ask).await?;
    let what = mount("ext4");
    node.until("stage", async || node.stage(&id, "good-pod", &what).await)
        .await?;
    node.until("publish", async || {
        node.publish(&id, "good-pod", &what).await
    })
    .await?;
    let witness = Witness::start(&node, &format!("{}/file", target("good-pod")))?;
    Ok(Story { node, witness })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_a_disk_are_bounded_told_and_kept_to_its_pool() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let story = told("csi-faults").await?;
    let bad = story.pod("bad-pod", 512 * MIB, &mount("xfs")).await?;
    story
        .disk_goes("failed disk", "bad", Some(Fault::All), &bad)
        .await?;
    story.disk_goes("vanished disk", "bad", None, &bad).await?;
    story.read_only(&bad).await?;
    story.hung_command().await?;
    story.hung_volume(&bad).await?;
    story.witness.goes_on()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_the_disk_of_a_thin_pool_are_too() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    // The pool itself is mapped to the disk that goes, not only its volumes.
    let story = told("csi-thin").await?;
    let thin = story.pod("thin-pod", 512 * MIB, &mount("xfs")).await?;
    let failed = "failed disk of a thin pool";
    story
        .disk_goes(failed, "thin", Some(Fault::All), &thin)
        .await?;
    story
        .disk_goes("vanished disk of a thin pool", "thin", None, &thin)
        .await?;
    story.witness.goes_on()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_that_are_full_say_so_and_take_no_others_along() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let story = told("csi-full").await?;
    story.full_data().await?;
    story.full_metadata().await?;
    story.witness.goes_on()?;
    Ok(())
}
