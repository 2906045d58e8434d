//! Judges the hosts by their facts and by what they reach of each other; everything is reported at once.

use crate::agent::reach::Port;
use crate::driver::Driver;
use crate::error::Failure;
use crate::event::Event;
use crate::preflight::{Finding, Severity, judge};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Runs the phase.
///
/// # Errors
/// When any host will not do, before anything was changed.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let facts = driver
        .machines
        .iter()
        .map(|(name, machine)| (name.clone(), machine.facts.clone()))
        .collect();
    let mut findings = judge(&driver.cluster, &facts);
    findings.extend(reachability(driver).await);
    let mut errors: BTreeMap<Option<String>, Vec<String>> = BTreeMap::new();
    let mut warnings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in findings {
        let ignored = driver
            .options
            .ignored_checks
            .iter()
            .any(|name| name == finding.check);
        if finding.severity == Severity::Error && !ignored {
            let text = format!("[{}] {}", finding.check, finding.message);
            errors.entry(finding.node.clone()).or_default().push(text);
        } else {
            warnings
                .entry(finding.message)
                .or_default()
                .extend(finding.node);
        }
    }
    // What is true of many hosts is said once.
    for (message, nodes) in warnings {
        let node = (!nodes.is_empty()).then(|| nodes.join(", "));
        driver.tell(Event::Warning { node, message });
    }
    if errors.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = errors
        .into_iter()
        .flat_map(|(node, texts)| {
            let node = node.unwrap_or_else(|| "cluster".into());
            texts.into_iter().map(move |text| format!("{node}: {text}"))
        })
        .collect();
    let count = lines.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    Err(Failure::machine(format!(
        "{count} {noun} on the hosts, nothing was changed:\n  {}",
        lines.join("\n  ")
    ))
    .hint("mend them, or pass --ignore-check NAME for those you know better about"))
}

/// A port of a host that others are to try.
struct Peer {
    name: String,
    address: IpAddr,
    port: Port,
    /// Its host is a member, on which others of its cluster are not tried: it runs already.
    member: bool,
}

/// Every fresh host listens on the ports the cluster will use, and every host tries every other. Nothing
/// listens on a member for the check: of what runs there, fresh hosts try what others must reach.
async fn reachability(driver: &mut Driver) -> Vec<Finding> {
    let fresh = |machine: &crate::Machine| machine.facts.membership.is_none();
    if driver.machines.len() < 2 || !driver.machines.values().any(fresh) {
        return Vec::new();
    }
    let cluster = driver.cluster.clone();
    let opened: Mutex<Vec<Peer>> = Mutex::default();
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| {
                let ports = crate::preflight::peer_ports(&cluster, &machine.node);
                let member = !fresh(machine);
                let listening = &machine.facts.listening;
                let served =
                    |port: &Port| matches!(port, Port::Tcp(port) if listening.contains_key(port));
                let open = match member {
                    true => ports.into_iter().filter(served).collect(),
                    false => machine.session.listen(ports).await?,
                };
                let (name, address) = (machine.node.name.to_string(), machine.node.address);
                let peer = |port| Peer {
                    name: name.clone(),
                    address,
                    port,
                    member,
                };
                opened
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(open.into_iter().map(peer));
                Ok(0)
            },
        )
        .await;
    let peers = opened.into_inner().unwrap_or_else(PoisonError::into_inner);
    let found = Mutex::new(Vec::new());
    driver
        .each("preflight", |_| true, async |machine| {
            let own = machine.node.name.to_string();
            let member = !fresh(machine);
            let asked = peers
                .iter()
                .filter(|peer| peer.name != own && !(peer.member && member))
                .map(|peer| (peer.address, peer.port))
                .collect();
            for (address, port, reason) in machine.session.unreached(asked).await? {
                let message = format!(
                    "cannot reach {address} on {port} ({reason}); open the port between the nodes (see the list of ports in the guide)"
                );
                let finding =
                    Finding { check: "reachability", node: Some(own.clone()), severity: Severity::Error, message };
                found.lock().unwrap_or_else(PoisonError::into_inner).push(finding);
            }
            Ok(0)
        })
        .await;
    driver
        .each(
            "preflight",
            |_| true,
            async |machine| machine.session.listen(Vec::new()).await.map(|_| 0),
        )
        .await;
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}
