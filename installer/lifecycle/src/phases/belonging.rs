//! Makes sure that every host is the node it is to be reset as, before any of them is touched.

use crate::agent::belonging::{Belonging, Verdict, judge};
use crate::driver::Driver;
use crate::error::{Failure, FailureKind};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

const PHASE: &str = "belonging";

/// Runs the phase.
///
/// # Errors
/// When a host is another node, or none of ours: all of them, in one message. Nothing was touched then.
pub async fn run(driver: &mut Driver) -> Result<(), Failure> {
    let found: Mutex<BTreeMap<String, Belonging>> = Mutex::default();
    driver
        .each(
            PHASE,
            |_| true,
            async |machine| {
                let belonging = machine.session.belonging().await?;
                let name = machine.node.name.to_string();
                found
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .insert(name, belonging);
                Ok(0)
            },
        )
        .await;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let cluster = driver.cluster.name.as_str();
    let refused: Vec<String> = found
        .iter()
        .filter_map(|(node, belonging)| match judge(cluster, node, belonging) {
            Verdict::Granted => None,
            Verdict::Refused(reason) => Some(format!("{node}: {reason}")),
        })
        .collect();
    match refused.is_empty() {
        true => Ok(()),
        false => Err(Failure::text(FailureKind::Input, refused.join("\n"))),
    }
}
