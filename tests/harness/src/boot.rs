//! One boot of a host, seen from outside: network, process namespace, and how PID 1 ended.
//!
//! Everything inside the host's own view of the file system is [`crate::init`]'s.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::getppid;

use crate::cgroup::{Layout, Limits};
use crate::internal::{Role, host_process};
use crate::network;
use crate::process::ProcessId;
use crate::state::HostDir;

/// How a boot ended; travels to the supervisor as an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The host asked to be started again.
    Reboot,
    /// The host powered off, or PID 1 was killed: a machine whose PID 1 dies stands still.
    PowerOff,
    /// It never came to run systemd.
    Failed,
}

impl Fate {
    fn code(self) -> i32 {
        match self {
            Fate::Reboot => 10,
            Fate::PowerOff => 11,
            Fate::Failed => 12,
        }
    }

    pub(crate) fn from_code(code: i32) -> Option<Fate> {
        [Fate::Reboot, Fate::PowerOff, Fate::Failed]
            .into_iter()
            .find(|f| f.code() == code)
    }
}

/// Exit code of role `init` when it could not get as far as systemd.
pub(crate) const INIT_FAILED: i32 = 113;

/// Role `boot`.
pub(crate) fn run(host: &HostDir) -> i32 {
    match boot(host) {
        Ok(fate) => fate.code(),
        Err(text) => {
            eprintln!("{text}");
            Fate::Failed.code()
        }
    }
}

fn boot(host: &HostDir) -> Result<Fate, String> {
    let because = |what: &str, error: &dyn std::error::Error| {
        let mut text = format!("{what}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            text += &format!(": {error}");
            source = error.source();
        }
        text
    };
    // The chain supervisor, boot, PID 1 dies from the top: no host runs without its power supply.
    set_pdeathsig(Signal::SIGKILL).map_err(|e| because("tie to the supervisor", &e))?;
    // It may have died before the tie held, and a lab that is being deleted must not boot hosts.
    let run = host
        .run()
        .map_err(|e| because("read the host's state", &e))?;
    let parent = getppid().as_raw();
    if run
        .supervisor
        .is_none_or(|supervisor| supervisor.pid() != parent)
    {
        return Err("the supervisor is gone".to_owned());
    }
    let record = host.record().map_err(|e| because("read the host", &e))?;
    let record = record.ok_or("the host is gone")?;
    let lab = host
        .lab()
        .record()
        .map_err(|e| because("read the lab", &e))?;
    let lab = lab.ok_or("the lab is gone")?;
    let layout = Layout::read().map_err(|e| because("read the cgroups", &e))?;
    layout
        .create(
            &host.cgroup_name(),
            Limits {
                cpus: record.cpus,
                memory: record.memory,
            },
        )
        .map_err(|e| because("make the host's cgroups", &e))?;

    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| because("make a network namespace", &e))?;
    network::attach(
        &host.lab().network(),
        lab.bridges,
        record.index,
        std::process::id(),
        record.unplugged,
    )
    .map_err(|e| because("connect the host", &e))?;

    // From here on the next child is PID 1 of the host, so nothing else may be started.
    unshare(CloneFlags::CLONE_NEWPID).map_err(|e| because("make a process namespace", &e))?;
    let mut command: Command = host_process(Role::Init, host);
    let mut init = command.spawn().map_err(|e| because("start PID 1", &e))?;
    let mut run = host
        .run()
        .map_err(|e| because("read the host's state", &e))?;
    run.init = ProcessId::of(init.id() as i32);
    host.write_run(&run)
        .map_err(|e| because("write the host's state", &e))?;
    let status = init.wait().map_err(|e| because("wait for PID 1", &e))?;
    // reboot(2): in a process namespace a restart kills PID 1 with SIGHUP, a halt or power-off
    // with SIGINT.
    Ok(match (status.signal(), status.code()) {
        (Some(signal), _) if signal == Signal::SIGHUP as i32 => Fate::Reboot,
        (_, Some(INIT_FAILED)) => Fate::Failed,
        _ => Fate::PowerOff,
    })
}
