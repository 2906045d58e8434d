//! A machine on which things go wrong: its pools, a pod that writes all the time, and everybody who says
//! what is wrong: CSI's health, the pools' status, the metrics.

use super::witness::Witness;
use super::{Node, Outcome, SOON, pool, target};
use crate::bed::request::{create, mount};
use ingot_csi_proto::v1;
use ingot_harness::guest::{DiskSpec, GuestSpec};
use ingot_lvm_csi::object::Object;
use std::time::{Duration, Instant};
use tonic::Status;

pub const MIB: i64 = 1 << 20;
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

pub struct Story {
    pub node: Node,
    pub witness: Witness,
}

impl Story {
    /// A request that is refused, in time.
    pub async fn refused<T>(
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
    pub async fn pod(&self, name: &str, size: i64, what: &v1::VolumeCapability) -> Outcome<String> {
        let node = &self.node;
        node.pod(name)?;
        let pool = name.split('-').next().unwrap_or_default();
        let request = create(name, size, &[("pool", pool)]);
        let ask = async || node.create(request.clone()).await;
        let id = node.until(&format!("creation of {name}"), ask).await?;
        self.begin(&id, name, what).await?;
        Ok(id)
    }

    pub async fn begin(&self, id: &str, name: &str, what: &v1::VolumeCapability) -> Outcome {
        let node = &self.node;
        let ask = async || node.stage(id, name, what).await;
        node.until(&format!("stage of {name}"), ask).await?;
        let ask = async || node.publish(id, name, what).await;
        node.until(&format!("publish of {name}"), ask).await
    }

    pub async fn end(&self, id: &str, name: &str) -> Outcome {
        let node = &self.node;
        let ask = async || node.unpublish(id, name).await;
        node.until(&format!("unpublish of {name}"), ask).await?;
        let ask = async || node.unstage(id, name).await;
        node.until(&format!("unstage of {name}"), ask).await
    }

    pub async fn delete(&self, id: &str) -> Outcome {
        let ask = async || self.node.delete(id).await;
        self.node.until("deletion", ask).await
    }

    /// What the node says of its pools.
    pub async fn health(&self) -> Outcome<Vec<String>> {
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
    pub async fn volume_health(&self, id: &str) -> Outcome<Vec<String>> {
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
    pub fn trouble(&self, pool: &str) -> Outcome<Option<String>> {
        let text = self.node.sh(&format!(
            "cat /var/lib/ingot/storage/nodepools/{pool}.guest.json"
        ))?;
        let json: serde_json::Value = serde_json::from_str(&text)?;
        let object: Object = serde_json::from_value(json["object"].clone())?;
        Ok(object.pool().and_then(|pool| pool.trouble.clone()))
    }

    /// Waits for what is said of a pool, and of no other; says how long it took.
    pub async fn said(&self, pool: &str, what: &str, word: &str) -> Outcome {
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

    /// Waits until a metric has at least this value.
    pub async fn measured(&self, name: &str, least: f64) -> Outcome {
        let end = Instant::now() + SOON;
        loop {
            let value = self.node.metric(name)?;
            if value >= least {
                println!("  metric {name}: {value:.2}");
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("metric {name} is still {value}, not {least}").into());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The same for the trouble of a pool, which no other pool has.
    pub async fn troubled(&self, pool: &str) -> Outcome {
        let name = |pool: &str| format!("pool_trouble{{pool=\"{pool}\"}}");
        self.measured(&name(pool), 1.0).await?;
        for (other, _) in DISKS.iter().filter(|(other, _)| *other != pool) {
            if self.node.metric(&name(other))? > 0.0 {
                return Err(
                    format!("pool {other} is measured as troubled, not {pool} alone").into(),
                );
            }
        }
        Ok(())
    }

    /// Waits until the status says so too, and a volume in the pool is told to be inaccessible.
    pub async fn inaccessible(&self, pool: &str, id: &str) -> Outcome {
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
    pub async fn well(&self, what: &str) -> Outcome {
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
    pub fn write_fails(&self, what: &str, script: &str) -> Outcome {
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
pub async fn told(name: &str) -> Outcome<Story> {
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
