//! The metrics that every process has, read from /proc.

use nix::unistd::{SysconfVar, sysconf};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::fs;
use std::sync::atomic::AtomicU64;

/// Memory, time and open files of this process.
#[derive(Clone, Default)]
pub(super) struct Process {
    memory: Gauge,
    files: Gauge,
    cpu: Counter<f64, AtomicU64>,
}

impl Process {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let process = Self::default();
        let all = registry.sub_registry_with_prefix("process");
        all.register(
            "resident_memory_bytes",
            "Memory of the process that is in RAM",
            process.memory.clone(),
        );
        all.register("open_fds", "Open files", process.files.clone());
        all.register(
            "cpu_seconds",
            "Time that the process has worked",
            process.cpu.clone(),
        );
        process
    }

    /// Reads them anew. What cannot be read stays as it was.
    pub(super) fn read(&self) {
        let number = |variable| sysconf(variable).ok().flatten();
        if let Ok(statm) = fs::read_to_string("/proc/self/statm")
            && let Some(pages) = statm
                .split(' ')
                .nth(1)
                .and_then(|pages| pages.parse::<i64>().ok())
            && let Some(page) = number(SysconfVar::PAGE_SIZE)
        {
            self.memory.set(pages * page);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            self.files
                .set(i64::try_from(files.count()).unwrap_or(i64::MAX));
        }
        if let Ok(stat) = fs::read_to_string("/proc/self/stat")
            && let Some(ticks) = ticks(&stat)
            && let Some(second) = number(SysconfVar::CLK_TCK)
        {
            #[allow(clippy::cast_precision_loss)]
            let seconds = ticks as f64 / second as f64;
            self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        }
    }
}

/// Time in user and in kernel mode; the name before it may have blanks and parentheses.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(user + kernel)
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn names_with_parentheses_are_passed_over() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 120 30 5 6 20 0";
        assert_eq!(ticks(stat), Some(150));
    }
}
