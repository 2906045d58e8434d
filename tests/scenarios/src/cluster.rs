//! Bare hosts of a story, the description of their cluster, and the program run on it.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ingot_harness::{Host, HostSpec, Lab, LabSpec, Lifetime, RootVariant};

use crate::file_times::FileTimes;
use crate::installer::{Pace, Run, Running};
use crate::kubectl::Kubectl;
use crate::leftovers::HostState;
use crate::stage::Stage;
use crate::wait;

/// A host of the cluster and its roles.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its roles as they stand in cluster.yaml.
    pub roles: &'static str,
}

/// A host that is everything: the smallest cluster.
pub const ALONE: &[Member] = &[Member {
    name: "alone",
    roles: "control-plane, worker",
}];

/// Three control planes and a worker.
pub const FOUR: &[Member] = &[
    Member {
        name: "cp-1",
        roles: "control-plane",
    },
    Member {
        name: "cp-2",
        roles: "control-plane",
    },
    Member {
        name: "cp-3",
        roles: "control-plane",
    },
    Member {
        name: "worker-1",
        roles: "worker",
    },
];

/// A lab with a cluster.yaml; its hosts are bare until something is installed. All is removed when
/// it is dropped; with INGOT_KEEP_LAB set it stays for a look.
#[derive(Debug)]
pub struct Cluster<'a> {
    /// What the story is played with.
    pub stage: &'a Stage,
    /// The hosts' network.
    pub lab: Lab,
    members: &'static [Member],
}

impl<'a> Cluster<'a> {
    /// Boots bare hosts that root logs in to.
    pub fn bare(stage: &'a Stage, word: &str, members: &'static [Member]) -> Cluster<'a> {
        Self::of(stage, word, members, RootVariant::Minimal, "")
    }

    /// Boots bare hosts of a variant; `ssh` are further lines of the `ssh` section.
    ///
    /// # Panics
    /// When the hosts do not boot.
    pub fn of(
        stage: &'a Stage,
        word: &str,
        members: &'static [Member],
        variant: RootVariant,
        ssh: &str,
    ) -> Cluster<'a> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let control_planes = members
            .iter()
            .filter(|m| m.roles.contains("control-plane"))
            .count();
        stage.look_for_room(control_planes, members.len() - control_planes);
        let lifetime = match std::env::var_os("INGOT_KEEP_LAB") {
            Some(_) => Lifetime::Kept,
            None => Lifetime::Process,
        };
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("s{}-{number}-{word}", std::process::id());
        let spec = LabSpec {
            name,
            lifetime,
            bridges: 1,
        };
        let lab = Lab::create(spec, &|line| println!("  {line}")).expect("a lab");
        let specs = members.iter().map(|member| HostSpec {
            name: member.name.into(),
            variant,
            cpus: None,
            memory: None,
        });
        lab.add_hosts(specs.collect(), &|line| println!("  {line}"))
            .expect("hosts that boot");
        let cluster = Cluster {
            stage,
            lab,
            members,
        };
        cluster.describe(ssh);
        cluster
    }

    /// Writes cluster.yaml; `ssh` are further lines of the `ssh` section.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn describe(&self, ssh: &str) {
        let mut yaml = String::from(
            "apiVersion: ingot.dev/v1alpha1\nkind: Cluster\nmetadata:\n  name: story\nspec:\n  ssh:\n    keyFile: id_ed25519\n",
        );
        for line in ssh.lines() {
            let _ = writeln!(yaml, "    {line}");
        }
        yaml.push_str("  nodes:\n");
        for member in self.members {
            let address = self.host(member.name).address();
            let _ = writeln!(
                yaml,
                "    - name: {}\n      address: {address}\n      roles: [{}]",
                member.name, member.roles
            );
        }
        std::fs::write(self.config(), yaml).expect("cluster.yaml");
    }

    /// Writes cluster.yaml with these further lines of `spec`.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn with(&self, spec: &str) {
        self.describe("");
        let mut yaml = std::fs::read_to_string(self.config()).expect("cluster.yaml");
        for line in spec.lines() {
            let _ = writeln!(yaml, "  {line}");
        }
        std::fs::write(self.config(), yaml).expect("cluster.yaml");
    }

    /// Where cluster.yaml is.
    pub fn config(&self) -> PathBuf {
        self.lab.driver_dir().join("cluster.yaml")
    }

    /// A host by its name.
    ///
    /// # Panics
    /// When there is none.
    pub fn host(&self, name: &str) -> Host {
        self.lab.host(name).expect("a host of the story")
    }

    /// All hosts.
    pub fn hosts(&self) -> Vec<Host> {
        self.members
            .iter()
            .map(|member| self.host(member.name))
            .collect()
    }

    /// The hosts of control planes.
    pub fn control_planes(&self) -> Vec<Host> {
        let all = self
            .members
            .iter()
            .filter(|member| member.roles.contains("control-plane"));
        all.map(|member| self.host(member.name)).collect()
    }

    /// `ingot` with these words and all that every command needs, inside the network of the hosts.
    ///
    /// # Panics
    /// When the network is gone.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.stage.program);
        command
            .args(words)
            .arg("-c")
            .arg(self.config())
            .arg("--known-hosts")
            .arg(self.lab.driver_dir().join("known_hosts"))
            .arg("-b")
            .arg(&self.stage.bundle)
            .arg("-k")
            .arg(&self.stage.key)
            .env("INGOT_JOURNAL", self.lab.driver_dir().join("runs.jsonl"));
        self.lab
            .enter(&mut command)
            .expect("the network of the lab");
        command
    }

    /// Starts `ingot` with these words and `-o json`.
    pub fn start(&self, words: &[&str]) -> Running {
        self.start_at(Pace::Free, words)
    }

    /// Starts `ingot` with these words and `-o json`; it waits for its events to be read.
    pub fn start_in_step(&self, words: &[&str]) -> Running {
        self.start_at(Pace::InStep, words)
    }

    fn start_at(&self, pace: Pace, words: &[&str]) -> Running {
        let mut command = self.command(words);
        command.args(["-o", "json"]);
        Running::start(command, pace)
    }

    /// Runs `ingot` with these words and `-o json` to its end.
    pub fn ingot(&self, words: &[&str]) -> Run {
        let run = self.start(words).finish();
        println!(
            "  ingot {}: {:.1} s, exit code {:?}",
            words.join(" "),
            run.took.as_secs_f64(),
            run.code
        );
        run
    }

    /// What `ingot` with these words says to a person.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn told(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("ingot");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "ingot {}: {}\n{said}{}",
            words.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        println!("{said}");
        said
    }

    /// kubectl with an administrator's certificate, through the load balancer of the first host.
    ///
    /// # Panics
    /// When the cluster gives none.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::of(self)
    }

    /// Applies once more: no change is reported, and no file was written.
    ///
    /// # Panics
    /// With what was changed.
    #[track_caller]
    pub fn applying_again_changes_nothing(&self) {
        let times = || self.hosts().iter().map(FileTimes::of).collect::<Vec<_>>();
        let before = times();
        let run = self.ingot(&["apply"]).succeeded();
        assert_eq!(
            run.changed(),
            0,
            "apply again changed:\n{}",
            run.changes().join("\n")
        );
        for (before, after) in before.iter().zip(times()) {
            before.are_those_of(&after);
        }
    }

    /// Resets a host: it is as it was when it was `bare`.
    ///
    /// # Panics
    /// With everything that is left.
    #[track_caller]
    pub fn a_reset_leaves_nothing(&self, host: &Host, bare: &HostState) {
        self.ingot(&["node", "reset", host.name(), "--yes"])
            .succeeded();
        Self::nothing_is_left(host, bare);
    }

    /// A host that was reset is as it was when it was `bare`.
    ///
    /// # Panics
    /// With everything that is left.
    #[track_caller]
    pub fn nothing_is_left(host: &Host, bare: &HostState) {
        // The agent ends once its connection is closed, which nobody waits for.
        wait::until("the agent has ended", Duration::from_secs(10), || {
            let found = host.exec(&["pgrep", "-l", "^ingot"]);
            let found = found.map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&found.stdout).into_owned();
            said.is_empty().then_some(()).ok_or(said)
        });
        let left = bare.differences(&HostState::of(host));
        assert!(
            left.is_empty(),
            "left behind by the reset:\n  {}",
            left.join("\n  ")
        );
    }

    /// What people want to see when a story went wrong.
    fn diagnosis(&self) {
        for host in self.hosts().iter().filter(|host| host.is_running()) {
            println!("--- {}", host.name());
            for script in [
                "systemctl --failed --no-legend --plain",
                "journalctl -b --no-pager -o cat -u kubelet | grep -v ^I | tail -n 12 | cut -c 1-250",
                "cd /var/log/pods 2>/dev/null && for f in */*/*.log; do echo \"== $f\"; tail -n 2 $f | cut -c 40-250; done",
            ] {
                if let Ok(output) = host.exec(&["sh", "-c", script]) {
                    println!("{}", String::from_utf8_lossy(&output.stdout));
                }
            }
        }
    }
}

impl Drop for Cluster<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.diagnosis();
        }
    }
}
