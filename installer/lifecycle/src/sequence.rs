//! The table of contents: which phases make up each undertaking, in order.

use crate::driver::Driver;
use crate::error::{Failure, FailureKind};
use crate::event::Event;
use crate::phases;
use crate::settings::required;
use std::time::Instant;

/// A step of a sequence; one file below [`phases`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Reach all hosts and start their agents.
    Connect,
    /// Keep other installers out.
    Lease,
    /// Find out what the hosts are like.
    Facts,
    /// Judge whether the hosts will do.
    Preflight,
    /// Send the content of the bundle.
    Distribute,
    /// Prepare the hosts and unpack the programs.
    Prepare,
    /// Make authorities and certificates.
    Certificates,
    /// Change the members of a cluster that exists, in waves.
    Roll,
    /// Start the registry and the container runtime.
    Runtime,
    /// Start the kubelets with their static pods.
    Node,
    /// Wait for the API servers.
    ControlPlane,
    /// Apply the cluster's objects.
    Objects,
    /// Wait until every node is Ready and DNS answers.
    Ready,
    /// Apply what runs in a cluster that is ready.
    AddOns,
    /// Write down on each host what it belongs to.
    Record,
    /// Make sure that the hosts are the nodes that are to be reset.
    Belonging,
    /// Take everything back.
    Reset,
    /// Take the Nodes out of the cluster.
    Leave,
}

/// A bare set of hosts becomes a cluster; a half-made one is completed; a finished one is left alone.
pub const BOOTSTRAP: &[Phase] = &[
    Phase::Connect,
    Phase::Lease,
    Phase::Facts,
    Phase::Preflight,
    Phase::Distribute,
    Phase::Prepare,
    Phase::Certificates,
    Phase::Roll,
    Phase::Runtime,
    Phase::Node,
    Phase::ControlPlane,
    Phase::Objects,
    Phase::Ready,
    Phase::AddOns,
    Phase::Record,
];

/// What can be found out without changing anything.
pub const INSPECT: &[Phase] = &[Phase::Connect, Phase::Facts, Phase::Preflight];

/// Only reach the hosts.
pub const REACH: &[Phase] = &[Phase::Connect];

/// A node is taken back to a bare server.
pub const RESET: &[Phase] = &[
    Phase::Connect,
    Phase::Belonging,
    Phase::Lease,
    Phase::Reset,
    Phase::Leave,
];

impl Phase {
    /// Its name in events, reports and `--from`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Lease => "lease",
            Self::Facts => "facts",
            Self::Preflight => "preflight",
            Self::Distribute => "distribute",
            Self::Prepare => "prepare",
            Self::Certificates => "certificates",
            Self::Roll => "roll",
            Self::Runtime => "runtime",
            Self::Node => "node",
            Self::ControlPlane => "control-plane",
            Self::Objects => "objects",
            Self::Ready => "ready",
            Self::AddOns => "add-ons",
            Self::Record => "record",
            Self::Belonging => "belonging",
            Self::Reset => "reset",
            Self::Leave => "leave",
        }
    }

    /// What it does, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Connect => "Connect to the hosts",
            Self::Lease => "Take the lease",
            Self::Facts => "Gather facts",
            Self::Preflight => "Check the hosts",
            Self::Distribute => "Send the release",
            Self::Prepare => "Prepare the hosts",
            Self::Certificates => "Make certificates",
            Self::Roll => "Change the nodes in waves",
            Self::Runtime => "Start the container runtime",
            Self::Node => "Start the nodes",
            Self::ControlPlane => "Wait for the control plane",
            Self::Objects => "Apply the cluster's objects",
            Self::Ready => "Wait until the cluster is ready",
            Self::AddOns => "Apply the add-ons",
            Self::Record => "Record the membership",
            Self::Belonging => "Check whose nodes the hosts are",
            Self::Reset => "Take everything back",
            Self::Leave => "Take the nodes out of the cluster",
        }
    }

    async fn run(self, driver: &mut Driver) -> Result<(), Failure> {
        match self {
            Self::Connect => phases::connect::run(driver).await,
            Self::Lease => phases::lease::run(driver).await,
            Self::Facts => phases::facts::run(driver).await,
            Self::Preflight => phases::preflight::run(driver).await,
            Self::Distribute => phases::distribute::run(driver).await,
            Self::Prepare => phases::prepare::run(driver).await,
            Self::Certificates => phases::certificates::run(driver).await,
            Self::Roll => phases::roll::run(driver).await,
            Self::Runtime => phases::runtime::run(driver).await,
            Self::Node => phases::node::run(driver).await,
            Self::ControlPlane => phases::control_plane::run(driver).await,
            Self::Objects => phases::objects::run(driver).await,
            Self::Ready => phases::ready::run(driver).await,
            Self::AddOns => phases::objects::add_ons(driver).await,
            Self::Record => phases::record::run(driver).await,
            Self::Belonging => phases::belonging::run(driver).await,
            Self::Reset => phases::reset::run(driver).await,
            Self::Leave => phases::leave::run(driver).await,
        }
    }
}

/// Runs the phases in order; returns how many things were changed. Hosts that fail drop out, and the
/// others go on; a failure is returned only when nothing can go on.
///
/// # Errors
/// Why the sequence could not be completed on any host.
pub async fn run(driver: &mut Driver, sequence: &[Phase]) -> Result<usize, Failure> {
    // A bundle that lacks something is refused before any host is touched.
    if sequence.contains(&Phase::Preflight) {
        driver
            .bundle
            .require_components(&required(&driver.cluster))
            .map_err(|error| Failure::new(FailureKind::Input, &error))?;
    }
    let mut total = 0;
    for &phase in sequence {
        let nodes: Vec<String> = match phase {
            Phase::Connect => driver
                .cluster
                .nodes
                .iter()
                .map(|node| node.name.to_string())
                .filter(|name| driver.options.only.is_empty() || driver.options.only.contains(name))
                .collect(),
            _ => driver.machines.keys().cloned().collect(),
        };
        driver.changed = 0;
        driver.tell(Event::PhaseStarted {
            phase: phase.name().into(),
            title: phase.title().into(),
            nodes,
        });
        let start = Instant::now();
        phase
            .run(driver)
            .await
            .map_err(|failure| failure.during(phase.name()))?;
        total += driver.changed;
        driver.tell(Event::PhaseFinished {
            phase: phase.name().into(),
            changed: driver.changed,
            milliseconds: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        if driver.machines.is_empty() {
            return Err(Failure::machine("no host is left to work on").during(phase.name()));
        }
    }
    Ok(total)
}
