//! What commands that work on hosts share: options, the driver, the end of a run.

use crate::inputs::{self, BundleInput, ClusterInput};
use crate::progress::{self, Output};
use crate::report;
use ingot_lifecycle::driver::{Driver, Options};
use ingot_lifecycle::sequence::{self, Phase};
use ingot_lifecycle::settings::Release;
use ingot_lifecycle::{Events, Failure};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// Options of every command that reaches hosts.
#[derive(Debug, Clone, clap::Args)]
pub struct HostOptions {
    #[command(flatten)]
    pub cluster: ClusterInput,
    /// The file of trusted SSH host keys
    #[arg(long, value_name = "FILE", env = "INGOT_KNOWN_HOSTS")]
    known_hosts: Option<PathBuf>,
    /// Trust and record the keys of hosts that are not on record yet
    #[arg(long)]
    accept_new_host_keys: bool,
    /// Seconds a host may take to answer
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    connect_timeout: u64,
    /// Seconds the cluster may take to become ready
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    ready_timeout: u64,
    /// A check whose errors are only warned about; may be given more than once
    #[arg(long = "ignore-check", value_name = "NAME")]
    ignored_checks: Vec<String>,
    /// How to report: text for people, json for programs
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub output: Output,
}

fn holder() -> String {
    let user = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "root".into());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{user}@{}, process {}", host.trim(), std::process::id())
}

impl HostOptions {
    /// The driver for these options.
    ///
    /// # Errors
    /// When an input is wrong.
    pub fn driver(
        &self,
        bundle: &BundleInput,
        only: Vec<String>,
    ) -> Result<(Driver, Arc<dyn Events>), Failure> {
        let cluster = self.cluster.load()?;
        for name in &only {
            if !cluster.nodes.iter().any(|node| node.name.as_str() == name) {
                let known: Vec<_> = cluster
                    .nodes
                    .iter()
                    .map(|node| node.name.to_string())
                    .collect();
                let text = format!(
                    "cluster.yaml has no node `{name}`; it has: {}",
                    known.join(", ")
                );
                return Err(Failure::text(ingot_lifecycle::FailureKind::Input, text));
            }
        }
        let bundle = bundle.open()?;
        let (program, digest) = inputs::own_program()?;
        let known_hosts = self.known_hosts.clone().unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()))
                .join(".ssh/known_hosts")
        });
        let events = progress::reporter(self.output);
        let driver = Driver {
            release: Release::of(bundle.manifest()),
            cluster,
            bundle,
            program: (Arc::new(program), digest),
            options: Options {
                known_hosts,
                accept_new_host_keys: self.accept_new_host_keys,
                connect_timeout: Duration::from_secs(self.connect_timeout),
                ready_timeout: Duration::from_secs(self.ready_timeout),
                ignored_checks: self.ignored_checks.clone(),
                holder: holder(),
                only,
            },
            machines: BTreeMap::new(),
            failed: BTreeMap::new(),
            authorities: None,
            events: Arc::clone(&events),
            changed: 0,
        };
        Ok((driver, events))
    }
}

/// The command line that was typed, for the person to type again.
pub fn same_command() -> String {
    let mut words: Vec<String> = std::env::args()
        .map(|word| ingot_transport::quote(&word))
        .collect();
    if let Some(first) = words.first_mut() {
        *first = "ingot".into();
    }
    words.join(" ")
}

/// Runs a sequence and reports; an interruption ends it cleanly.
///
/// # Errors
/// When the runtime cannot be started.
pub fn sequence(
    mut driver: Driver,
    phases: &'static [Phase],
    output: Output,
) -> Result<(ExitCode, Driver), Failure> {
    super::runtime()?.block_on(async move {
        let result = tokio::select! {
            result = sequence::run(&mut driver, phases) => result,
            _ = tokio::signal::ctrl_c() => {
                report::interrupted(output, &same_command());
                return Ok((ExitCode::from(130), driver));
            }
        };
        let code = report::end(&driver, &result, output, &same_command());
        Ok((code, driver))
    })
}
