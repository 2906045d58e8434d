//! What the agent knows at the moment, for those who look on from outside. Reads no disk.

use super::Agent;
use crate::config::PoolConfig;
use crate::metrics::{Metrics, PoolLabels, VolumeLabels};
use crate::object::{VolumeId, ailment};
use ingot_lvm::{Group, Kind, Lane, Lv};
use ingot_volume_brain::{Bytes, State, VolumeUid};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An agent that has not come round for so long hangs.
const ROUND: Duration = Duration::from_secs(600);

/// States of volumes, as metrics call them. Whether a pod has it is not told: nobody asks the disk.
const STATES: [(&str, &[State]); 7] = [
    ("absent", &[State::Absent]),
    ("creating", &[State::Creating]),
    ("ready", &[State::Ready, State::Published]),
    ("expanding", &[State::Expanding]),
    ("deleting", &[State::Deleting]),
    ("quarantined", &[State::Quarantined]),
    ("lost", &[State::Lost]),
];
const KINDS: [(&str, Kind); 2] = [("volume", Kind::Volume), ("snapshot", Kind::Snapshot)];

/// What was last seen, kept for whoever asks meanwhile.
#[derive(Debug, Default)]
pub(super) struct Seen {
    volumes: Mutex<BTreeMap<VolumeUid, (Kind, State)>>,
    round: Mutex<Option<Instant>>,
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// A volume was brought to rest, or left where it is.
    pub(super) fn volume(&self, id: VolumeId, state: Option<State>) {
        let mut volumes = held(&self.volumes);
        match state {
            None => {}
            Some(State::Absent) => {
                volumes.remove(&id.uid);
            }
            Some(state) => {
                volumes.insert(id.uid, (id.kind, state));
            }
        }
    }

    /// The agent has come round.
    pub(super) fn round(&self) {
        *held(&self.round) = Some(Instant::now());
    }
}

impl Agent {
    /// Why the agent does not do its work, if it does not.
    pub fn unwell(&self) -> Option<String> {
        match held(&self.seen.round).map(|at| at.elapsed()) {
            None => Some("the agent has not looked at its volumes yet".into()),
            Some(age) if age > ROUND => Some(format!(
                "the agent has not looked at its volumes for {} s; see its log and `dmesg`",
                age.as_secs()
            )),
            Some(_) => None,
        }
    }

    /// Brings the metrics up to what is known now.
    pub async fn observe(&self, metrics: &Metrics) {
        for pool in &self.config.pools {
            self.observe_pool(metrics, pool).await;
        }
        let blocked = self.executor.hung();
        metrics
            .blocked
            .set(i64::try_from(blocked).unwrap_or(i64::MAX));
        let volumes = held(&self.seen.volumes);
        for (kind, of) in KINDS {
            for (state, states) in STATES {
                let labels = VolumeLabels { kind, state };
                let count = volumes
                    .values()
                    .filter(|(kind, state)| *kind == of && states.contains(state));
                let count = i64::try_from(count.count()).unwrap_or(i64::MAX);
                metrics.volumes.get_or_create(&labels).set(count);
            }
        }
    }

    async fn observe_pool(&self, metrics: &Metrics, pool: &PoolConfig) {
        let labels = PoolLabels {
            pool: pool.name.clone(),
        };
        let set = |family: &Family<PoolLabels, Gauge>, value: i64| {
            family.get_or_create(&labels).set(value);
        };
        let status = self.pool_status(pool).await;
        set(&metrics.pool_trouble, i64::from(status.trouble.is_some()));
        let lane = Lane::Group(pool.volume_group.clone());
        let blocked = self.executor.blocked(&lane).is_some();
        set(&metrics.pool_blocked, i64::from(blocked));
        let Ok(group) = self.inventory.group(&pool.volume_group).await else {
            return;
        };
        let (size, promised) = sizes(&group, pool);
        set(&metrics.pool_size, number(size));
        set(&metrics.pool_free, number(group.free()));
        set(&metrics.pool_promised, number(promised));
        let all = || group.lvs.iter();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let snapshot = |lv: &&Lv| {
            lv.tags
                .as_ref()
                .is_some_and(|tags| tags.kind == Kind::Snapshot)
        };
        set(
            &metrics.pool_snapshots,
            count(all().filter(snapshot).count()),
        );
        let ailing = |lv: &&Lv| lv.tags.is_some() && ailment(lv).is_some();
        set(&metrics.pool_ailing, count(all().filter(ailing).count()));
        let mismatches = i64::try_from(group.mismatches()).unwrap_or(i64::MAX);
        set(&metrics.pool_mismatches, mismatches);
        let missing = group.pvs.iter().filter(|pv| pv.missing);
        set(&metrics.pool_missing, count(missing.count()));
        // Of the group itself: a pool in trouble has its fill, too.
        let thin = pool
            .thin
            .as_ref()
            .and_then(|thin| group.lv(&thin.pool)?.thin);
        if let Some(thin) = thin {
            set(&metrics.pool_chunk, number(thin.chunk));
            set(&metrics.pool_metadata_size, number(thin.metadata_size));
            metrics.pool_data.get_or_create(&labels).set(thin.data);
            let gauge = metrics.pool_metadata.get_or_create(&labels);
            gauge.set(thin.metadata);
        }
    }
}

fn number(size: Bytes) -> i64 {
    i64::try_from(size.0).unwrap_or(i64::MAX)
}

/// The size of a pool, and of all that was made in it.
fn sizes(group: &Group, pool: &PoolConfig) -> (Bytes, Bytes) {
    let thin = pool.thin.as_ref().and_then(|thin| group.lv(&thin.pool));
    match thin {
        Some(lv) => (lv.size, group.promised(&lv.lv)),
        None => {
            let disks = group.pvs.iter().map(|pv| pv.size.0).sum();
            let volumes = group.lvs.iter().map(|lv| lv.size.0).sum();
            (Bytes(disks), Bytes(volumes))
        }
    }
}
