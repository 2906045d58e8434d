//! Incremental backups of real volumes: what the metadata of a thin pool says is enough to make one
//! snapshot into the next, byte for byte, and nothing else is read.

use super::{Node, Outcome, asked_for, pool, target};
use crate::bed::request::{GIB, block, create, key};
use ingot_csi_proto::v1;
use ingot_csi_proto::v1::snapshot_metadata_client::SnapshotMetadataClient;
use ingot_harness::guest::GuestSpec;
use std::time::{Duration, Instant};

const MIB: i64 = 1 << 20;

fn pools(disks: &[String]) -> String {
    pool(
        "thin",
        disks,
        "    thin: { pool: pool, size: 8GiB, guard: { ratio: 20 } }\n",
    )
}

/// Where each range begins and ends, in bytes.
type Ranges = Vec<(i64, i64)>;

fn ranges(metadata: &[v1::BlockMetadata]) -> impl Iterator<Item = (i64, i64)> {
    let range =
        |block: &v1::BlockMetadata| (block.byte_offset, block.byte_offset + block.size_bytes);
    metadata.iter().map(range)
}

impl Node {
    async fn allocated(&self, id: &str) -> Outcome<Ranges> {
        let mut client = SnapshotMetadataClient::new(self.channel("node").await?);
        let request = v1::GetMetadataAllocatedRequest {
            snapshot_id: id.into(),
            ..v1::GetMetadataAllocatedRequest::default()
        };
        let mut stream = client.get_metadata_allocated(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(part) = stream.message().await? {
            all.extend(ranges(&part.block_metadata));
        }
        Ok(all)
    }

    async fn delta(&self, base: &str, target: &str) -> Outcome<Ranges> {
        let mut client = SnapshotMetadataClient::new(self.channel("node").await?);
        let request = v1::GetMetadataDeltaRequest {
            base_snapshot_id: base.into(),
            target_snapshot_id: target.into(),
            ..v1::GetMetadataDeltaRequest::default()
        };
        let mut stream = client.get_metadata_delta(request).await?.into_inner();
        let mut all = Vec::new();
        while let Some(part) = stream.message().await? {
            all.extend(ranges(&part.block_metadata));
        }
        Ok(all)
    }

    /// Brings a raw volume to a pod.
    async fn have(&self, id: &str, name: &str) -> Outcome {
        self.pod(name)?;
        self.stage(id, name, &block()).await?;
        Ok(self.publish(id, name, &block()).await?)
    }

    async fn give_up(&self, id: &str, name: &str) -> Outcome {
        self.unpublish(id, name).await?;
        self.unstage(id, name).await?;
        Ok(self.delete(id).await?)
    }

    /// Copies those ranges from a volume to a file of the same size, and compares the two whole.
    fn carry_over(&self, from: &str, to: &str, ranges: &Ranges) -> Outcome {
        let list: String = ranges
            .iter()
            .map(|(from, to)| format!("{from} {}\n", to - from))
            .collect();
        self.put("/root/ranges", &list)?;
        let script = format!(
            "while read from length; do
                dd if={from} of={to} bs=1M iflag=skip_bytes,count_bytes,fullblock oflag=seek_bytes conv=notrunc \
                    skip=$from seek=$from count=$length status=none
            done </root/ranges
            cmp {from} {to}"
        );
        self.sh(&script).map(drop)
    }

    /// A full and two incremental backups of one volume, as a program for backups makes them.
    async fn backed_up(&self, what: &str, parameters: &[(&str, &str)]) -> Outcome {
        let made = || {
            let mut request = create(&format!("{what}-source"), 64 * MIB, parameters);
            request.secrets = key("correct horse");
            request.volume_capabilities = vec![block()];
            request
        };
        let source = self.create(made()).await?;
        self.have(&source, what).await?;
        let device = target(what);
        let random = |place: u32, count: u32| {
            format!(
                "dd if=/dev/urandom of={device} bs=64k seek={place} count={count} oflag=direct conv=notrunc status=none; "
            )
        };
        // In the middle, at odd places, and the very end.
        let size: i64 = self
            .sh(&format!("blockdev --getsize64 {device}"))?
            .parse()?;
        let end = u32::try_from(size / (64 << 10))? - 1;
        let encrypted = parameters.contains(&("encrypted", "true"));
        let (whole, discard) = match encrypted {
            // What was never written reads as noise there, and discards do not come through.
            true => (random(0, end), String::new()),
            false => {
                let (from, length) = (8 << 16, 4 << 16);
                let discard = format!("blkdiscard --offset {from} --length {length} {device}");
                (random(0, 17) + &random(100, 1), discard)
            }
        };
        let steps = [
            whole + &random(end, 1),
            random(3, 1) + &random(101, 5) + &random(400, 2) + &discard,
            random(end, 1)
                + &format!(
                    "printf changed | dd of={device} bs=1 seek=12345 conv=notrunc status=none; sync {device}"
                ),
        ];
        let backup = format!("/root/{what}-backup");
        self.sh(&format!("truncate -s {size} {backup}"))?;
        let mut before: Option<String> = None;
        for (number, step) in steps.iter().enumerate() {
            self.sh(step)?;
            let snapshot = self.snapshot(&format!("{what}-{number}"), &source).await?;
            // Meanwhile the pod writes on, and the pool with it.
            self.sh(&random(600, 3))?;
            let found = match &before {
                None => self.allocated(&snapshot).await?,
                Some(before) => self.delta(before, &snapshot).await?,
            };
            let told: i64 = found.iter().map(|(from, to)| to - from).sum();
            println!(
                "  {what} {number}: {} ranges, {} KiB of {} KiB",
                found.len(),
                told / 1024,
                size / 1024
            );
            let all = encrypted && number == 0;
            assert!(
                told > 0 && (all || told < 4 * MIB),
                "{what} {number}: {found:?}"
            );
            let restored = format!("{what}-restored-{number}");
            let mut request = made();
            request.name.clone_from(&restored);
            let copy = self.copy(request, &snapshot).await?;
            self.have(&copy, &restored).await?;
            self.carry_over(&target(&restored), &backup, &found)?;
            self.give_up(&copy, &restored).await?;
            before = Some(snapshot);
        }
        self.give_up(&source, what).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_brought_up_to_date_by_the_blocks_that_changed() -> Outcome {
    if !asked_for() {
        return Ok(());
    }
    let node = Node::boot(
        GuestSpec::new("csi-changed").with_disks(1, 12 << 30),
        pools,
        &[],
    )
    .await?;
    let first = || create("first", GIB, &[("pool", "thin")]);
    let id = node
        .until("there is a pool", async || node.create(first()).await)
        .await?;
    node.backed_up("plain", &[("pool", "thin")]).await?;
    node.backed_up("encrypted", &[("pool", "thin"), ("encrypted", "true")])
        .await?;

    // Every second chunk of a GiB: as bad as it gets.
    node.have(&id, "many").await?;
    let device = target("many");
    node.sh(&format!(
        "fio --name=holes --filename={device} --rw=write:64k --bs=64k --size=1g --io_size=512m --direct=1 --ioengine=psync >/dev/null"
    ))?;
    let many = node.snapshot("many", &id).await?;
    let begin = Instant::now();
    let found = node.allocated(&many).await?;
    println!(
        "  {} ranges after {:.1} s",
        found.len(),
        begin.elapsed().as_secs_f64()
    );
    assert!(found.len() > 4000, "{} ranges", found.len());

    // An agent that dies while it reads leaves the kernel's picture of the metadata; the next one lets go of it.
    node.sh("dmsetup message ingot--thin-pool-tpool 0 reserve_metadata_snap; systemctl kill --signal=KILL csi-agent")?;
    let held = "dmsetup status --noflush ingot--thin-pool-tpool | awk '{ print $7 }'";
    let end = Instant::now() + Duration::from_secs(120);
    while node.sh(held)? != "-" {
        assert!(
            Instant::now() < end,
            "the metadata is still held: {}",
            node.sh(held)?
        );
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    println!(
        "  let go after {:.0} s",
        120.0 - (end - Instant::now()).as_secs_f64()
    );
    assert_eq!(node.allocated(&many).await?, found);
    assert_eq!(node.sh(held)?, "-", "nothing is held after a look");
    node.give_up(&id, "many").await
}
