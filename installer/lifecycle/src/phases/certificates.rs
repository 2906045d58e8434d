//! Gives every host its certificates. The authorities are read from any control plane that has them,
//! or made once; they travel to the other control planes and nowhere else.

use crate::driver::Driver;
use crate::error::{Failure, FailureKind};
use crate::pki::{Authorities, host_certificates, trust_names};

const PHASE: &str = "certificates";

/// Runs the phase.
///
/// # Errors
/// When two control planes have different authorities, or none can or may be made.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let found = std::sync::Mutex::new(std::collections::BTreeMap::new());
    driver
        .each(
            PHASE,
            |node| node.is_control_plane(),
            async |machine| {
                if let Some(files) = machine.session.read_authority().await? {
                    found
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .insert(machine.node.name.to_string(), files);
                }
                Ok(0)
            },
        )
        .await;
    let found = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut held = found.iter();
    let authorities = match held.next() {
        Some((first, files)) => {
            if let Some((other, _)) = held.find(|(_, other)| !other.same_content(files)) {
                return Err(Failure::machine(format!(
                    "{first} and {other} have different certificate authorities in /etc/kubernetes/pki: they belong to different clusters"
                ))
                .hint("reset the one that does not belong here with `ingot node reset`"));
            }
            Authorities::from_files(files.clone())
        }
        None => {
            may_generate(driver)?;
            Authorities::generate()
        }
    }
    .map_err(|error| Failure::new(FailureKind::Machine, &error))?;

    // The authorities are on every control plane before anything is signed with them, so that a run
    // that ends here is continued with the same ones.
    driver
        .each(
            PHASE,
            |node| node.is_control_plane(),
            async |machine| machine.session.write_authority(authorities.files()).await,
        )
        .await;
    let cluster = driver.cluster.clone();
    driver
        .each(
            PHASE,
            |_| true,
            async |machine| {
                let wanted = host_certificates(&cluster, &machine.node);
                let trust = authorities.public_files(&trust_names(&machine.node));
                let (due, changed) = machine
                    .session
                    .certificates_due(wanted.clone(), trust)
                    .await?;
                if due.is_empty() {
                    return Ok(changed);
                }
                // A host gets what the plan gives it, not what it asks for.
                let planned = due.iter().all(|request| wanted.contains(&request.wanted));
                if !planned {
                    return Err(Failure::machine(
                        "the host asks for certificates that are not its own",
                    ));
                }
                let signed: Result<Vec<_>, _> = due
                    .iter()
                    .map(|request| authorities.sign(request))
                    .collect();
                let signed = signed.map_err(|error| Failure::new(FailureKind::Machine, &error))?;
                Ok(changed + machine.session.install_certificates(signed).await?)
            },
        )
        .await;
    driver.authorities = Some(authorities);
    Ok(())
}

/// A second authority would take the nodes of a cluster away from it; so one is made only when
/// nothing that answers belongs to a cluster yet, and most control planes answer.
fn may_generate(driver: &Driver) -> Result<(), Failure> {
    super::require_majority(driver)?;
    let belongs = |machine: &&crate::Machine| machine.facts.membership.is_some();
    match driver.machines.values().find(belongs) {
        None => Ok(()),
        Some(member) => Err(Failure::machine(format!(
            "{} belongs to the cluster already, but no control plane that answers has the certificate authority in /etc/kubernetes/pki",
            member.node.name
        ))
        .hint("bring back a control plane that has it, or restore its /etc/kubernetes/pki; to start anew, reset all nodes with `ingot node reset`")),
    }
}
