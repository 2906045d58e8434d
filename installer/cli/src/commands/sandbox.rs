//! `ingot sandbox`: a cluster of throw-away servers on this machine, for people who want to try it.

use ingot_harness::{HostSpec, Lab, LabSpec, Lifetime, RootVariant};
use ingot_lifecycle::error::chain;
use ingot_lifecycle::{Failure, paths};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::{Command as Process, ExitCode, ExitStatus};

/// Commands on sandboxes.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Boot servers and make them a cluster
    Create(Create),
    /// List the sandboxes on this machine
    List,
    /// Run kubectl in a sandbox: ingot sandbox kubectl NAME -- get pods -A
    Kubectl(Inside),
    /// Run a command inside the network of a sandbox
    Exec(Inside),
    /// Remove a sandbox and all that belongs to it
    Delete(Delete),
}

/// Arguments of `sandbox create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The name of the sandbox
    #[arg(default_value = "demo")]
    name: String,
    /// How many control planes
    #[arg(long, default_value_t = 1)]
    control_planes: usize,
    /// How many workers
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// The bundle: an ISO file
    #[arg(short, long, env = "INGOT_BUNDLE")]
    bundle: PathBuf,
    /// The public key that signed it
    #[arg(short, long, env = "INGOT_TRUSTED_KEY")]
    key: PathBuf,
    /// Only boot the servers and write cluster.yaml
    #[arg(long)]
    bare: bool,
}

/// Arguments of commands inside a sandbox.
#[derive(Debug, clap::Args)]
pub struct Inside {
    /// The name of the sandbox
    name: String,
    /// The command
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Arguments of `sandbox delete`.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The name of the sandbox
    #[arg(required_unless_present = "all")]
    name: Option<String>,
    /// Remove whatever any sandbox or crashed test left
    #[arg(long)]
    all: bool,
}

fn failed(error: impl std::error::Error + 'static) -> Failure {
    Failure::machine(chain(&error))
}

/// Runs the command.
///
/// # Errors
/// When the machine lacks something, or the servers do not boot.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => create(&arguments),
        Command::List => list(),
        Command::Kubectl(arguments) => kubectl(&arguments),
        Command::Exec(arguments) => exec(&arguments),
        Command::Delete(arguments) => delete(&arguments),
    }
}

fn create(arguments: &Create) -> Result<ExitCode, Failure> {
    let missing = Lab::requirements();
    if !missing.is_empty() {
        let lines: Vec<String> = missing
            .iter()
            .map(|m| format!("{}: {}", m.what, m.remedy))
            .collect();
        return Err(Failure::machine(format!(
            "this machine cannot run a sandbox:\n  {}",
            lines.join("\n  ")
        )));
    }
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(failed);
    let (bundle, key) = (absolute(&arguments.bundle)?, absolute(&arguments.key)?);
    let progress = |line: &str| crate::talk!("  {line}");
    let spec = LabSpec {
        name: arguments.name.clone(),
        lifetime: Lifetime::Kept,
        bridges: 1,
    };
    let lab = Lab::create(spec, &progress).map_err(failed)?;
    let names = |prefix: &'static str, count| (1..=count).map(move |n| format!("{prefix}{n}"));
    let hosts: Vec<(String, bool)> = names("control-plane-", arguments.control_planes)
        .map(|name| (name, true))
        .chain(names("worker-", arguments.workers).map(|name| (name, false)))
        .collect();
    let specs = hosts.iter().map(|(name, _)| HostSpec {
        name: name.clone(),
        variant: RootVariant::Minimal,
        cpus: None,
        memory: None,
    });
    lab.add_hosts(specs.collect(), &progress).map_err(failed)?;
    let mut yaml = format!(
        "apiVersion: ingot.dev/v1alpha1\nkind: Cluster\nmetadata:\n  name: {}\nspec:\n  ssh:\n    keyFile: id_ed25519\n  nodes:\n",
        arguments.name
    );
    for (name, control_plane) in &hosts {
        let host = lab.host(name).map_err(failed)?;
        // A control plane without workers beside it takes workloads as well.
        let roles = match (control_plane, arguments.workers) {
            (true, 0) => "control-plane, worker",
            (true, _) => "control-plane",
            (false, _) => "worker",
        };
        let _ = writeln!(
            yaml,
            "    - name: {name}\n      address: {}\n      roles: [{roles}]",
            host.address()
        );
    }
    let config = lab.driver_dir().join("cluster.yaml");
    std::fs::write(&config, yaml).map_err(failed)?;
    if arguments.bare {
        crate::say!("{}", config.display());
        return Ok(ExitCode::SUCCESS);
    }
    let own = std::env::current_exe().map_err(failed)?;
    let mut bootstrap = Process::new(&own);
    bootstrap
        .args(["bootstrap", "--config"])
        .arg(&config)
        .arg("--known-hosts")
        .arg(lab.driver_dir().join("known_hosts"))
        .arg("--journal")
        .arg(lab.driver_dir().join("runs.jsonl"))
        .arg("--bundle")
        .arg(&bundle)
        .arg("--key")
        .arg(&key);
    lab.enter(&mut bootstrap).map_err(failed)?;
    let status = bootstrap.status().map_err(failed)?;
    if !status.success() {
        crate::talk!(
            "the sandbox stays for a look; remove it with: ingot sandbox delete {}",
            arguments.name
        );
        return Ok(code(status));
    }
    crate::say!("");
    for what in [
        ["get", "nodes", "-o", "wide"].as_slice(),
        &["get", "pods", "-A"],
    ] {
        let command = what.iter().map(|word| (*word).to_owned()).collect();
        kubectl(&Inside {
            name: arguments.name.clone(),
            command,
        })?;
        crate::say!("");
    }
    let program = as_typed(&own);
    crate::say!(
        "use it:     {program} sandbox kubectl {} -- get pods -A",
        arguments.name
    );
    crate::say!("remove it:  {program} sandbox delete {}", arguments.name);
    Ok(ExitCode::SUCCESS)
}

/// How a shell finds this program: by its name where it is on the path, else by where it lies.
fn as_typed(own: &std::path::Path) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let name = own.file_name().unwrap_or_default();
    let found = std::env::split_paths(&path)
        .filter_map(|directory| std::fs::canonicalize(directory.join(name)).ok())
        .next();
    match found.as_deref() == Some(own) {
        true => name.to_string_lossy().into_owned(),
        false => ingot_transport::quote(&own.to_string_lossy()),
    }
}

fn code(status: ExitStatus) -> ExitCode {
    ExitCode::from(
        status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(1),
    )
}

fn list() -> Result<ExitCode, Failure> {
    for lab in Lab::list().map_err(failed)? {
        crate::say!("{}", lab.name);
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs kubectl on a control plane, with the certificate of the agent there.
fn kubectl(arguments: &Inside) -> Result<ExitCode, Failure> {
    let lab = Lab::open(&arguments.name).map_err(failed)?;
    let hosts = lab.hosts().map_err(failed)?;
    let host = hosts
        .iter()
        .find(|host| host.is_running() && host.name().starts_with("control-plane"))
        .ok_or_else(|| Failure::machine("no control plane of the sandbox is running"))?;
    let mut command = host.command("/usr/local/bin/kubectl").map_err(failed)?;
    command
        .arg(format!(
            "--server=https://127.0.0.1:{}",
            paths::BALANCER_PORT
        ))
        .arg(format!("--certificate-authority={}/ca.crt", paths::PKI))
        .arg(format!(
            "--client-certificate={}/ingot-agent.crt",
            paths::PKI
        ))
        .arg(format!("--client-key={}/ingot-agent.key", paths::PKI))
        .args(&arguments.command);
    Ok(code(command.status().map_err(failed)?))
}

fn exec(arguments: &Inside) -> Result<ExitCode, Failure> {
    let lab = Lab::open(&arguments.name).map_err(failed)?;
    let Some((program, rest)) = arguments.command.split_first() else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = Process::new(program);
    command.args(rest);
    lab.enter(&mut command).map_err(failed)?;
    Ok(code(command.status().map_err(failed)?))
}

fn delete(arguments: &Delete) -> Result<ExitCode, Failure> {
    if arguments.all {
        for name in Lab::delete_all().map_err(failed)? {
            crate::say!("removed {name}");
        }
    } else if let Some(name) = &arguments.name {
        Lab::delete_named(name).map_err(failed)?;
        crate::say!("removed {name}");
    }
    Ok(ExitCode::SUCCESS)
}
