//! What the driver costs on real LVM, beside what a person would type. Called by `tests/bench/storage.py`,
//! which names the file for the figures in `INGOT_STORAGE_BENCH`.

use super::{Node, Outcome, asked_for, pool, publish_request, stage_request, target};
use crate::bed::request::{GIB, block, create, mount};
use ingot_csi_proto::v1;
use ingot_harness::guest::{DiskSpec, GuestSpec};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 9;
/// Volumes that are made at once, and how many in all.
const AT_ONCE: usize = 10;
const TIMED: usize = 100;
const ALL: usize = 200;
/// As often as the agent looks at everything, so that this is in it.
const IDLE: Duration = Duration::from_secs(300);
const MIB: u64 = 256;

/// What the driver does for a volume, as a script; prints its milliseconds.
const BARE: &str = r#"
begin=$(date +%s%N)
lvcreate -q --type thin --thinpool pool --virtualsize 1G --name bare ingot-thin >/dev/null
mkfs.xfs -q /dev/ingot-thin/bare
mkdir -p /root/bare
mount /dev/ingot-thin/bare /root/bare
echo $((($(date +%s%N) - begin) / 1000000))
umount /root/bare
lvremove -qq -y ingot-thin/bare
"#;

/// Writes down each start of LVM's program and of dmsetup from now on. The real ones keep their names, which
/// tell LVM's what to be; and they have to answer, or the agent would be seen looking at a group that it
/// cannot read.
const COUNT: &str = r#"
mkdir -p /usr/local/lib/counted
for name in lvm dmsetup; do
    cp /usr/sbin/$name /usr/local/lib/counted/$name
    printf '#!/bin/sh\necho "$*" >>/run/%s-starts\nexec /usr/local/lib/counted/%s "$@"\n' $name $name >/usr/sbin/$name.new
    chmod 755 /usr/sbin/$name.new
    mv /usr/sbin/$name.new /usr/sbin/$name
done
lvm vgs ingot-thin >/dev/null
dmsetup status ingot--thin-pool-tpool >/dev/null
: >/run/lvm-starts
: >/run/dmsetup-starts
"#;

/// Prints where the time of requests and commands went.
const TIMES: &str = r#"
exec 3<>/dev/tcp/127.0.0.1/9090
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
grep -E '_seconds_(sum|count)' <&3
"#;

/// Writes a device in sequence and reads it back; prints the milliseconds of both.
const STREAM: &str = r#"
echo 3 >/proc/sys/vm/drop_caches
begin=$(date +%s%N)
dd if=/dev/shm/pattern of=$0 bs=1M oflag=direct conv=fsync status=none
middle=$(date +%s%N)
dd if=$0 bs=1M iflag=direct count=$1 status=none | cmp - /dev/shm/pattern
end=$(date +%s%N)
echo $(((middle - begin) / 1000000)) $(((end - middle) / 1000000))
"#;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Node {
    /// From nothing to a volume in a pod, in seconds; then it is taken away.
    async fn provision(&self) -> Outcome<f64> {
        let (pod, what) = ("timed", mount("xfs"));
        // Those of kubelet and of the sidecars last; the first request of one is answered late.
        let (mut controller, mut node) = (self.controller().await?, self.node().await?);
        let all = v1::ControllerGetCapabilitiesRequest::default();
        controller.controller_get_capabilities(all).await?;
        node.node_get_info(v1::NodeGetInfoRequest::default())
            .await?;
        let begin = Instant::now();
        let request = create("timed", GIB, &[("pool", "thin")]);
        let made = controller.create_volume(request).await?.into_inner();
        let id = made.volume.ok_or("an answer without a volume")?.volume_id;
        node.node_stage_volume(stage_request(&id, pod, &what))
            .await?;
        node.node_publish_volume(publish_request(&id, pod, &what))
            .await?;
        let took = begin.elapsed().as_secs_f64();
        self.unpublish(&id, "timed").await?;
        self.unstage(&id, "timed").await?;
        self.delete(&id).await?;
        Ok(took)
    }

    /// Milliseconds of write and of read back.
    fn stream(&self, device: &str) -> Outcome<(f64, f64)> {
        let words = [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            STREAM,
            device,
            &MIB.to_string(),
        ];
        let output = self.guest.run(&words)?.stdout;
        let text = String::from_utf8(output)?;
        let (write, read) = text.trim().split_once(' ').ok_or("two numbers")?;
        Ok((write.parse()?, read.parse()?))
    }
}

fn pools(disks: &[String]) -> String {
    let rest = "    thin: { pool: pool, size: 24GiB, guard: { ratio: 20 } }\n";
    let more = "    thin: { pool: pool, size: 1GiB }\n";
    let (first, others) = disks.split_at(1);
    // As many as servers have: one for each kind of disk.
    let others = others.iter().enumerate().map(|(number, disk)| {
        let name = format!("more-{number}");
        pool(&name, std::slice::from_ref(disk), more)
    });
    pool("thin", first, rest) + &others.collect::<String>()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_the_driver_on_real_lvm() -> Outcome {
    let Some(file) = std::env::var_os("INGOT_STORAGE_BENCH") else {
        eprintln!("skipped: tests/bench/storage.py runs it");
        return Ok(());
    };
    assert!(asked_for(), "set INGOT_GUEST_TESTS=1 as well");
    let mut spec = GuestSpec::new("csi-bench").with_disks(1, 40 << 30);
    for name in ["more-0", "more-1"] {
        spec.disks.push(DiskSpec::empty(name, 2 << 30));
    }
    spec.memory_mib = 2048;
    let node = Node::boot(spec, pools, &[]).await?;
    for pod in ["timed", "stream"] {
        node.pod(pod)?;
    }
    // The pool is made meanwhile; and what is done to new disks would be measured with the volumes.
    let first = || create("first", GIB, &[("pool", "thin")]);
    let id = node.until("there is a pool", async || node.create(first()).await);
    node.delete(&id.await?).await?;
    node.overwritten().await?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    // The first of each fills caches.
    node.provision().await?;
    node.sh(BARE)?;
    for _ in 0..ROUNDS {
        ours.push(node.provision().await?);
        bare.push(node.sh(BARE)?.parse::<f64>()? / 1e3);
    }
    println!("  driver {ours:.2?} s, script {bare:.2?} s");
    println!("{}", node.sh(TIMES)?);

    let id = node
        .create(create("stream", GIB, &[("pool", "thin")]))
        .await?;
    node.stage(&id, "stream", &block()).await?;
    node.publish(&id, "stream", &block()).await?;
    node.sh(&format!(
        "dd if=/dev/urandom of=/dev/shm/pattern bs=1M count={MIB} status=none"
    ))?;
    node.sh("lvcreate -qq --type thin --thinpool pool --virtualsize 1G --name bare ingot-thin")?;
    let (mut volume, mut device) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        volume.push(node.stream(&target("stream"))?);
        device.push(node.stream("/dev/ingot-thin/bare")?);
    }
    println!("  volume {volume:?} ms, bare {device:?} ms (write, read and compare)");
    node.sh("lvremove -qq -y ingot-thin/bare; rm /dev/shm/pattern")?;

    let node = Arc::new(node);
    let mut taken = Vec::new();
    for round in 0..ALL / AT_ONCE {
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|n| {
                let node = Arc::clone(&node);
                tokio::spawn(async move {
                    let begin = Instant::now();
                    let name = format!("many-{round}-{n}");
                    let made = node.create(create(&name, GIB, &[("pool", "thin")])).await;
                    made.map(|_| begin.elapsed().as_secs_f64())
                })
            })
            .collect();
        for task in tasks {
            taken.push(task.await??);
        }
    }
    taken.truncate(TIMED);
    taken.sort_by(f64::total_cmp);
    println!(
        "  {TIMED} volumes, {AT_ONCE} at once: p50 {:.2} s, p99 {:.2} s",
        taken[TIMED / 2],
        taken[TIMED - 2]
    );
    node.sh(COUNT)?;
    // Nothing is waited for: this is how long the agent is watched.
    tokio::time::sleep(IDLE).await;
    let starts = |program: &str| -> Outcome<f64> {
        println!(
            "  {}",
            node.sh(&format!("sort /run/{program}-starts | uniq -c"))?
        );
        Ok(node.sh(&format!("wc -l </run/{program}-starts"))?.parse()?)
    };
    let (lvm, dmsetup) = (starts("lvm")?, starts("dmsetup")?);
    let minutes = IDLE.as_secs_f64() / 60.0;
    let pid = node.sh("systemctl show --value -p MainPID csi-agent")?;
    let resident = format!("sed -n 's/^VmRSS:\\s*\\([0-9]*\\) kB/\\1/p' /proc/{pid}/status");
    let resident: f64 = node.sh(&resident)?.parse()?;
    let rate = |times: &[f64]| MIB as f64 / (median(times.to_vec()) / 1e3);
    let split = |pairs: &[(f64, f64)]| -> (Vec<f64>, Vec<f64>) { pairs.iter().copied().unzip() };
    let ((write, read), (bare_write, bare_read)) = (split(&volume), split(&device));
    let figures = json!({
        "provision_driver_seconds": ours,
        "provision_script_seconds": bare,
        "provision_ratio": median(ours.clone()) / median(bare.clone()),
        "volumes": TIMED,
        "at_once": AT_ONCE,
        "create_p50_seconds": taken[TIMED / 2],
        "create_p99_seconds": taken[TIMED - 2],
        "idle_volumes": ALL,
        "idle_resident_mib": resident / 1024.0,
        "idle_pools": 3,
        "idle_lvm_per_minute": lvm / minutes,
        "idle_dmsetup_per_minute": dmsetup / minutes,
        "write_mib_per_second": rate(&write),
        "write_bare_mib_per_second": rate(&bare_write),
        "verify_mib_per_second": rate(&read),
        "verify_bare_mib_per_second": rate(&bare_read),
    });
    println!("  {figures}");
    std::fs::write(&file, serde_json::to_string_pretty(&figures)?)?;
    Ok(())
}
