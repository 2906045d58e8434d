//! A host's power supply: boots it, boots it again when it reboots, stops when it powers off.
//!
//! One supervisor process runs per host that is on. It belongs to nobody (its parent is PID 1 of the
//! machine), survives the terminal and the test that started it, and ends when the host is off. It
//! keeps `run.json`; nothing else writes it while a supervisor runs.

use std::process::ExitStatus;
use std::time::Duration;

use nix::unistd::setsid;

use crate::boot::Fate;
use crate::cgroup::{self, Layout};
use crate::internal::{Role, close_inherited, host_process};
use crate::process::ProcessId;
use crate::state::HostDir;

/// Role `launch`: starts the supervisor and leaves it alone.
pub(crate) fn launch(host: &HostDir) -> i32 {
    close_inherited();
    // A session of its own: an interrupt typed at the terminal must not power off the hosts.
    let _ = setsid();
    let mut supervisor = match host_process(Role::Supervise, host).spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("cannot start the supervisor: {error}");
            return 1;
        }
    };
    // Whoever waits for us may then rely on the record: no supervisor in it means that it ended.
    let id = ProcessId::of(supervisor.id() as i32);
    let recorded = || {
        host.run()
            .is_ok_and(|run| run.supervisor.is_some() && run.supervisor == id)
    };
    while !recorded() && matches!(supervisor.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(2));
    }
    0
}

/// Role `supervise`.
pub(crate) fn run(host: &HostDir) -> i32 {
    let failure = loop {
        match one_boot(host) {
            Ok(Fate::Reboot) => {}
            Ok(Fate::PowerOff) => break None,
            Ok(Fate::Failed) => break Some(last_words(host)),
            Err(text) => break Some(text),
        }
    };
    if let Some(text) = &failure {
        eprintln!("{text}");
    }
    let mut run = host.run().unwrap_or_default();
    let removed = cgroup::remove(&run.cgroups).map_err(|e| e.to_string());
    if removed.is_ok() {
        run.cgroups.clear();
    }
    run.supervisor = None;
    run.init = None;
    run.failure = failure.or(removed.err());
    match host.write_run(&run) {
        Ok(()) => 0,
        // The lab was deleted under us, which is how deleting ends hosts.
        Err(_) => 1,
    }
}

fn one_boot(host: &HostDir) -> Result<Fate, String> {
    let mut run = host.run().map_err(|e| e.to_string())?;
    let layout = Layout::read().map_err(|e| e.to_string())?;
    run.supervisor = ProcessId::own();
    run.init = None;
    run.failure = None;
    host.write_run(&run).map_err(|e| e.to_string())?;
    // A machine that boots has no processes and no cgroups of its last run.
    cgroup::remove(&run.cgroups).map_err(|e| e.to_string())?;
    run.boots += 1;
    run.cgroups = layout.paths(&host.cgroup_name());
    host.write_run(&run).map_err(|e| e.to_string())?;
    let status = host_process(Role::Boot, host)
        .status()
        .map_err(|e| e.to_string())?;
    Ok(fate(status))
}

fn fate(status: ExitStatus) -> Fate {
    status
        .code()
        .and_then(Fate::from_code)
        .unwrap_or(Fate::PowerOff)
}

/// What a failed boot printed last.
fn last_words(host: &HostDir) -> String {
    let console = std::fs::read(host.console()).unwrap_or_default();
    let text = String::from_utf8_lossy(&console);
    let line = text
        .lines()
        .rev()
        .find(|l| !l.trim().is_empty())
        .unwrap_or("it said nothing");
    format!("the boot failed: {line}")
}
