//! What an agent tells Prometheus. Every metric is made here and stands in docs/reference/storage.md.
//!
//! Durations are counted as they happen; the rest is what the agent knows anyway when it is asked, so
//! no scrape starts a program or waits for a disk.

mod measured;
mod process;
mod request;
mod serve;

pub use measured::Measured;
pub use request::RequestLayer;
pub use serve::{MetricsError, listen, serve};

use ingot_lvm::{Command, Lane};
use process::Process;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Metric, Registry};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// Which pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PoolLabels {
    /// Its name.
    pub pool: String,
}

/// Which volumes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct VolumeLabels {
    /// Volume or snapshot.
    pub kind: &'static str,
    /// Where they are in their lives.
    pub state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabels {
    command: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    code: String,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;
type Real = Gauge<f64, AtomicU64>;

/// From a millisecond to half a minute: a request that takes longer is asked again.
fn durations() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

/// All metrics of an agent; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    pub(crate) pool_size: Family<PoolLabels, Gauge>,
    pub(crate) pool_free: Family<PoolLabels, Gauge>,
    pub(crate) pool_promised: Family<PoolLabels, Gauge>,
    pub(crate) pool_data: Family<PoolLabels, Real>,
    pub(crate) pool_metadata: Family<PoolLabels, Real>,
    pub(crate) pool_chunk: Family<PoolLabels, Gauge>,
    pub(crate) pool_metadata_size: Family<PoolLabels, Gauge>,
    pub(crate) pool_snapshots: Family<PoolLabels, Gauge>,
    pub(crate) pool_missing: Family<PoolLabels, Gauge>,
    pub(crate) pool_ailing: Family<PoolLabels, Gauge>,
    pub(crate) pool_mismatches: Family<PoolLabels, Gauge>,
    pub(crate) pool_trouble: Family<PoolLabels, Gauge>,
    pub(crate) pool_blocked: Family<PoolLabels, Gauge>,
    pub(crate) blocked: Gauge,
    pub(crate) volumes: Family<VolumeLabels, Gauge>,
    commands: Durations<CommandLabels>,
    failures: Family<CommandLabels, Counter>,
    lvm: Counter,
    requests: Durations<RequestLabels>,
    process: Process,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let process = Process::register(&mut registry);
        let ours = registry.sub_registry_with_prefix("ingot_storage");
        Self {
            pool_size: put(
                ours,
                "pool_size_bytes",
                "Size of the thin pool, or of all disks of a thick one",
                Family::default(),
            ),
            pool_free: put(
                ours,
                "pool_free_bytes",
                "Space of the volume group that nothing lies on",
                Family::default(),
            ),
            pool_promised: put(
                ours,
                "pool_promised_bytes",
                "Sum of the sizes of its volumes and snapshots",
                Family::default(),
            ),
            pool_data: put(
                ours,
                "pool_data_ratio",
                "Fill of the thin pool's data, 0 to 1",
                Family::default(),
            ),
            pool_metadata: put(
                ours,
                "pool_metadata_ratio",
                "Fill of the thin pool's metadata, 0 to 1",
                Family::default(),
            ),
            pool_chunk: put(
                ours,
                "pool_chunk_bytes",
                "Size of a chunk of the thin pool",
                Family::default(),
            ),
            pool_metadata_size: put(
                ours,
                "pool_metadata_size_bytes",
                "Space for the thin pool's metadata",
                Family::default(),
            ),
            pool_snapshots: put(
                ours,
                "pool_snapshots",
                "Snapshots in the pool, which take most of its metadata",
                Family::default(),
            ),
            pool_missing: put(
                ours,
                "pool_missing_disks",
                "Disks of the volume group that are not there",
                Family::default(),
            ),
            pool_ailing: put(
                ours,
                "pool_degraded_volumes",
                "Volumes and snapshots of which LVM finds something wrong on the disks",
                Family::default(),
            ),
            pool_mismatches: put(
                ours,
                "pool_integrity_mismatches",
                "How often data of its volumes was not what the checksum beside it says, since each was activated",
                Family::default(),
            ),
            pool_trouble: put(
                ours,
                "pool_trouble",
                "1 while nothing can be made in the pool",
                Family::default(),
            ),
            pool_blocked: put(
                ours,
                "pool_blocked",
                "1 while a command of its volume group hangs",
                Family::default(),
            ),
            blocked: put(
                ours,
                "blocked_queues",
                "Volumes and volume groups of which a command hangs",
                Gauge::default(),
            ),
            volumes: put(
                ours,
                "volumes",
                "Volumes and snapshots of the node by state",
                Family::default(),
            ),
            commands: put(
                ours,
                "command_duration_seconds",
                "Duration of commands to LVM, filesystems and mounts",
                Durations::new_with_constructor(durations),
            ),
            failures: put(
                ours,
                "command_failures",
                "Commands that failed, refusals not counted",
                Family::default(),
            ),
            lvm: put(
                ours,
                "lvm_commands",
                "Commands that LVM was started for",
                Counter::default(),
            ),
            requests: put(
                ours,
                "request_duration_seconds",
                "Duration of CSI requests by method and gRPC code",
                Durations::new_with_constructor(durations),
            ),
            process,
            registry: Arc::new(registry),
        }
    }
}

/// Registers a metric, and gives it to those who count.
fn put<M: Metric + Clone>(to: &mut Registry, name: &str, help: &str, metric: M) -> M {
    to.register(name, help, metric.clone());
    metric
}

impl Metrics {
    /// A command was carried out, or failed.
    fn command(&self, command: &Command, took: Duration, failed: bool) {
        let labels = CommandLabels {
            command: command.kind(),
        };
        let histogram = self.commands.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
        drop(histogram);
        if failed {
            self.failures.get_or_create(&labels).inc();
        }
        let starts_lvm = match command {
            Command::ThinFill { .. } => false,
            Command::ThinBlocks(_) => true,
            other => matches!(other.lane(), Lane::Group(_)),
        };
        if starts_lvm {
            self.lvm.inc();
        }
    }

    /// A request was answered.
    fn request(&self, method: &str, code: &str, took: Duration) {
        let labels = RequestLabels {
            method: method.to_owned(),
            code: code.to_owned(),
        };
        let histogram = self.requests.get_or_create(&labels);
        histogram.observe(took.as_secs_f64());
    }

    /// All of them as text, in the form of OpenMetrics.
    pub fn text(&self) -> String {
        self.process.read();
        let mut text = String::new();
        // A string takes whatever is written to it.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}
