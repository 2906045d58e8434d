//! Pools that are full, disks that fail, refuse writes or vanish, commands that hang: answers come in
//! bounded time, the trouble is in the pool's status, in the metrics and in CSI's health, pods in other
//! pools write on, and when the cause is gone, all is well without anybody's doing.

use super::story::{MIB, Story, told};
use super::{Outcome, SOON, asked_for, target};
use crate::bed::request::{GIB, block, create, mount};
use ingot_harness::guest::{Access, DiskSpec, Fault};
use tonic::Code;

impl Story {
    async fn full_data(&self) -> Outcome {
        let id = self.pod("full-data", GIB, &mount("ext4")).await?;
        let fill = format!(
            "dd if=/dev/zero of={}/hog bs=1M conv=fsync",
            target("full-data")
        );
        self.write_fails("full data", &fill)?;
        self.said("full", "full data", "PoolFull").await?;
        self.measured("pool_data_ratio{pool=\"full\"}", 0.8).await?;
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
        self.measured("pool_metadata_ratio{pool=\"meta\"}", 0.8)
            .await?;
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
        self.troubled(pool).await?;
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
        self.troubled("bad").await?;
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
        self.measured("pool_blocked{pool=\"bad\"}", 1.0).await?;
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
        self.measured("blocked_queues", 1.0).await?;
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
