//! A volume with two copies when the disk of one goes: the pod writes on, it is said what is wrong and what to
//! do, and what is deleted meanwhile shows on neither disk.

use super::{Node, Outcome, SOON, asked_for, pool, target};
use crate::bed::request::{create, mount};
use ingot_csi_proto::v1;
use ingot_harness::guest::{Access, DiskSpec, GuestSpec};
use std::time::{Duration, Instant};

const MIB: i64 = 1 << 20;
/// What a disk must not show when the volume that held it is deleted.
const SECRET: &str = "fifty-thousand-patients";

fn pools(disks: &[String]) -> String {
    pool("raid", disks, "")
}

impl Node {
    /// A volume with two copies, in a pod of the same name.
    async fn mirrored(&self, name: &str) -> Outcome<String> {
        let class = [("pool", "raid"), ("layout", "raid1")];
        let request = create(name, 128 * MIB, &class);
        let ask = async || self.create(request.clone()).await;
        let id = self.until(&format!("creation of {name}"), ask).await?;
        self.pod(name)?;
        self.stage(&id, name, &mount("ext4")).await?;
        self.publish(&id, name, &mount("ext4")).await?;
        Ok(id)
    }

    async fn ended(&self, id: &str, name: &str) -> Outcome {
        self.unpublish(id, name).await?;
        Ok(self.unstage(id, name).await?)
    }

    /// Waits until a volume's health is this: words of its only entry, or nothing.
    async fn health_is(&self, id: &str, words: Option<&str>) -> Outcome {
        let (begin, request) = (Instant::now(), || v1::NodeGetVolumeHealthRequest {
            volume_id: id.into(),
            ..v1::NodeGetVolumeHealthRequest::default()
        });
        loop {
            let mut node = self.node().await?;
            let told = node.node_get_volume_health(request()).await?.into_inner();
            let told = told.volume_health.unwrap_or_default().health_statuses;
            let entry = |one: &v1::volume_health::VolumeHealthEntry| {
                format!("{:?} {}: {}", one.status(), one.reason, one.message)
            };
            let told: Vec<String> = told.iter().map(entry).collect();
            let same = match words {
                None => told.is_empty(),
                Some(words) => told.len() == 1 && told[0].contains(words),
            };
            if same {
                println!("  {:.1} s: {told:?}", begin.elapsed().as_secs_f64());
                return Ok(());
            }
            if begin.elapsed() > SOON {
                return Err(format!("its health is {told:?}, not {words:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Whether a disk shows the secret anywhere.
    fn shows(&self, disk: &str) -> Outcome<bool> {
        let path = DiskSpec::empty(disk, 0).path();
        // Not from the page cache, which the device-mapper's writes to the same disk pass by.
        self.succeeds(&format!(
            "test $(dd if={path} bs=1M iflag=direct status=none | grep -c {SECRET}) -gt 0"
        ))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_volume_with_two_copies_outlives_a_disk_and_its_secrets_do_not() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let mut spec = GuestSpec::new("csi-raid");
    spec.disks = ["left", "right"]
        .map(|name| DiskSpec::empty(name, 1 << 30))
        .to_vec();
    let node = Node::boot(spec, pools, &[]).await?;
    let kept = node.mirrored("kept").await?;
    let deleted = node.mirrored("deleted").await?;
    node.overwritten().await?;
    let (file, secret) = (
        format!("{}/file", target("kept")),
        format!("{}/file", target("deleted")),
    );
    node.sh(&format!(
        "echo before >{file}; sync {file}; yes {SECRET} | head -n 10000 >{secret}; sync {secret}"
    ))?;
    node.ended(&deleted, "deleted").await?;
    assert!(
        node.shows("left")? && node.shows("right")?,
        "each disk has a copy"
    );

    node.guest.detach("left")?;
    node.sh(&format!("echo without >>{file}; sync {file}"))?;
    node.health_is(&kept, Some("Degraded LogicalVolume: LVM reports partial: a disk of it is missing, and its other copies"))
        .await?;
    let gone = async || node.delete(&deleted).await;
    node.until("deletion without one of its disks", gone)
        .await?;
    assert!(!node.shows("right")?, "what can be reached is overwritten");

    node.guest.attach("left", Access::ReadWrite)?;
    // LVM counts it as missing, since the group has changed without it; nobody has to know that.
    node.health_is(&kept, None).await?;
    node.overwritten().await?;
    let end = Instant::now() + SOON;
    while node.shows("left")? {
        assert!(
            Instant::now() < end,
            "the disk that was away still shows it"
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(node.sh(&format!("cat {file}"))?, "before\nwithout");
    node.ended(&kept, "kept").await?;
    Ok(node.delete(&kept).await?)
}
