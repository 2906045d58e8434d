//! What runs now and since when: main processes of systemd units, and processes by the name of their program.

use super::{Health, words};
use nix::time::{ClockId, clock_gettime};
use std::path::Path;
use std::process::Command;

/// How long a program must have stayed up, seconds: longer than a wrong configuration takes to end it and
/// systemd to start it again (`RestartSec=2`).
pub const STAYS_UP: f64 = 4.0;
/// How often a program may end before it is called broken. The first end may come from what it needs not being
/// there yet.
const ENDS: u32 = 3;

fn seconds(clock: ClockId) -> f64 {
    clock_gettime(clock).map_or(0.0, |time| std::time::Duration::from(time).as_secs_f64())
}

/// Seconds since the boot of this host.
pub fn uptime() -> f64 {
    seconds(ClockId::CLOCK_BOOTTIME)
}

/// A time since boot as seconds since 1970.
pub(super) fn wall_clock(since_boot: f64) -> f64 {
    seconds(ClockId::CLOCK_REALTIME) - uptime() + since_boot
}

/// How the main process of a unit is; it must have stayed up for `stays_up` seconds.
///
/// # Errors
/// When systemd does not answer.
pub(super) fn of_unit(unit: &str, since: f64, stays_up: f64) -> Result<Health, String> {
    let properties = "--property=ActiveState,SubState,Result,NRestarts,ExecMainStartTimestampMonotonic,ExecMainStatus";
    let output = Command::new("systemctl")
        .args(["show", properties, "--", unit])
        .output()
        .map_err(|error| format!("cannot start systemctl: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("systemctl show {unit}: {}", said.trim()));
    }
    let unit_state = UnitState::parse(&String::from_utf8_lossy(&output.stdout));
    // systemd counts without the time a host sleeps.
    let asleep = uptime() - seconds(ClockId::CLOCK_MONOTONIC);
    Ok(match unit_state.judge(since, stays_up, uptime(), asleep) {
        Verdict::Well { started } => Health::Well {
            started: wall_clock(started),
        },
        Verdict::Waiting(reason) => Health::Waiting { reason },
        Verdict::Broken(what) => Health::Broken {
            reason: match words::of_unit(unit) {
                Some(last) => format!("{what}; it said: {last}"),
                None => what,
            },
        },
    })
}

/// What systemd says of a unit.
#[derive(Debug, Default, PartialEq)]
struct UnitState {
    active: String,
    sub: String,
    restarts: u32,
    status: String,
    /// When the main process was started, microseconds of CLOCK_MONOTONIC.
    started: u64,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Well { started: f64 },
    Waiting(String),
    Broken(String),
}

impl UnitState {
    fn parse(text: &str) -> Self {
        let mut state = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match name {
                "ActiveState" => state.active = value.into(),
                "SubState" => state.sub = value.into(),
                "NRestarts" => state.restarts = value.parse().unwrap_or(0),
                "ExecMainStatus" => state.status = value.into(),
                "ExecMainStartTimestampMonotonic" => state.started = value.parse().unwrap_or(0),
                _ => {}
            }
        }
        state
    }

    fn judge(&self, since: f64, stays_up: f64, now: f64, asleep: f64) -> Verdict {
        let started = std::time::Duration::from_micros(self.started).as_secs_f64() + asleep;
        let (active, sub) = (&self.active, &self.sub);
        if self.restarts >= ENDS {
            let status = &self.status;
            return Verdict::Broken(format!(
                "it ended {} times, last with status {status}",
                self.restarts
            ));
        }
        if active == "failed" {
            return Verdict::Broken(format!("it failed with status {}", self.status));
        }
        if active != "active" || sub == "auto-restart" {
            return Verdict::Waiting(format!("it is {active} ({sub})"));
        }
        if started < since {
            return Verdict::Waiting("it has not been restarted yet".into());
        }
        if now - started < stays_up {
            return Verdict::Waiting(format!("it runs for {:.0} s", now - started));
        }
        Verdict::Well { started }
    }
}

/// The processes of a program that run now. The program is known by the name it was called by.
pub fn pids_of(name: &str) -> Vec<i32> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            (called(&entry.path())? == name).then_some(pid)
        })
        .filter(|pid| started(*pid).is_some())
        .collect()
}

/// When the processes of a program that run now were started, seconds after the boot; the oldest first.
pub(super) fn of_program(name: &str) -> Vec<f64> {
    let mut found: Vec<f64> = pids_of(name).into_iter().filter_map(started).collect();
    found.sort_by(f64::total_cmp);
    found
}

/// When a process was started; nothing, if it has ended.
fn started(pid: i32) -> Option<f64> {
    start(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn called(process: &Path) -> Option<String> {
    let line = std::fs::read(process.join("cmdline")).ok()?;
    let first = line.split(|byte| *byte == 0).next()?;
    let first = String::from_utf8_lossy(first).into_owned();
    Some(
        Path::new(&first)
            .file_name()?
            .to_string_lossy()
            .into_owned(),
    )
}

/// `starttime` of proc_pid_stat(5), field 22, in clock ticks; nothing for a process that has ended.
fn start(stat: &str) -> Option<f64> {
    // The name in parentheses may contain anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let ticks: u32 = fields.nth(18)?.parse().ok()?;
    // sysconf(_SC_CLK_TCK) is 100 on every architecture that Linux still has this file on.
    (state != "Z").then(|| f64::from(ticks) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(text: &str) -> UnitState {
        UnitState::parse(&text.replace(' ', "\n"))
    }

    #[test]
    fn only_what_was_started_since_and_stayed_up_is_well() {
        let running = "ActiveState=active SubState=running NRestarts=0 ExecMainStatus=0 ExecMainStartTimestampMonotonic=100000000";
        let judge = |since, now| state(running).judge(since, STAYS_UP, now, 0.0);
        assert_eq!(judge(90.0, 110.0), Verdict::Well { started: 100.0 });
        assert_eq!(
            judge(90.0, 101.0),
            Verdict::Waiting("it runs for 1 s".into())
        );
        assert_eq!(
            judge(101.0, 200.0),
            Verdict::Waiting("it has not been restarted yet".into()),
            "what ran before the change proves nothing"
        );
        assert_eq!(judge(0.0, 110.0), Verdict::Well { started: 100.0 });
    }

    #[test]
    fn a_unit_that_waits_to_be_started_again_is_not_well_and_soon_broken() {
        let text = "ActiveState=activating SubState=auto-restart NRestarts=1 ExecMainStatus=1 ExecMainStartTimestampMonotonic=100000000";
        let waiting = Verdict::Waiting("it is activating (auto-restart)".into());
        assert_eq!(state(text).judge(0.0, STAYS_UP, 110.0, 0.0), waiting);
        let broken = Verdict::Broken("it ended 3 times, last with status 1".into());
        assert_eq!(
            state(&text.replace("NRestarts=1", "NRestarts=3")).judge(0.0, STAYS_UP, 110.0, 0.0),
            broken
        );
        let failed = state("ActiveState=failed SubState=failed NRestarts=0 ExecMainStatus=203");
        assert_eq!(
            failed.judge(0.0, STAYS_UP, 110.0, 0.0),
            Verdict::Broken("it failed with status 203".into())
        );
    }

    #[test]
    fn the_start_of_a_process_is_read_whatever_it_is_called() {
        let stat = "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 2468 1 2 3";
        assert_eq!(start(stat), Some(24.68));
        assert_eq!(start(&stat.replace(") S", ") Z")), None);
        let own = of_program(
            &std::env::current_exe()
                .unwrap()
                .file_name()
                .unwrap()
                .to_string_lossy(),
        );
        assert!(
            own.iter()
                .any(|started| *started > 0.0 && *started <= uptime())
        );
    }
}
