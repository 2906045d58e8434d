//! Why a pod is not ready, and what its program said last, asked through the API server.

use super::{client, words};
use crate::agent::health::words::last_lines;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use kube::api::{Api, LogParams};

/// How many lines of a log are repeated.
const REPEATED: usize = 5;
/// How many are looked at.
const LOOKED_AT: i64 = 50;

/// Why the pod `name` of a namespace is not ready, with the end of the log of the container that keeps it from
/// that: of its former attempt, if it ended. `None`, if there is nothing to say.
///
/// # Errors
/// When the API server does not answer.
pub async fn pod_words(namespace: &str, name: &str) -> Result<Option<String>, String> {
    let pods = Api::<Pod>::namespaced(client().await?, namespace);
    let Some(pod) = pods.get_opt(name).await.map_err(|error| words(&error))? else {
        return Ok(None);
    };
    let Some(reason) = Reason::of(&pod) else {
        return Ok(None);
    };
    let Some((container, previous)) = reason.log else {
        return Ok(Some(reason.text));
    };
    let parameters = LogParams {
        container: Some(container),
        previous,
        tail_lines: Some(LOOKED_AT),
        ..LogParams::default()
    };
    // A node that does not give the log takes nothing from the reason.
    let log = pods.logs(name, &parameters).await.unwrap_or_default();
    let said = last_lines(&log, REPEATED);
    Ok(Some(match said.is_empty() {
        true => reason.text,
        false => format!("{}; its log ends with:\n{}", reason.text, said.join("\n")),
    }))
}

/// Why a pod is not ready.
#[derive(Debug, PartialEq, Eq)]
struct Reason {
    text: String,
    /// The container whose log tells more, and whether it is the log of its former attempt.
    log: Option<(String, bool)>,
}

impl Reason {
    fn of(pod: &Pod) -> Option<Self> {
        let status = pod.status.as_ref()?;
        let containers = status.container_statuses.iter().flatten();
        let failing = status
            .init_container_statuses
            .iter()
            .flatten()
            .filter(|container| !container.ready && is_telling(container))
            .chain(containers.filter(|container| !container.ready))
            .next();
        match failing {
            Some(container) => Some(Self::of_container(container)),
            None => {
                let conditions = status.conditions.iter().flatten();
                let text = conditions
                    .filter(|condition| condition.status == "False")
                    .find_map(|condition| condition.message.clone());
                Some(Self {
                    text: text?,
                    log: None,
                })
            }
        }
    }

    fn of_container(container: &ContainerStatus) -> Self {
        let state = container.state.clone().unwrap_or_default();
        let last = container
            .last_state
            .as_ref()
            .and_then(|last| last.terminated.as_ref());
        let mut text = match (&state.waiting, &state.terminated) {
            (Some(waiting), _) => {
                let reason = waiting.reason.as_deref().unwrap_or("waiting");
                match &waiting.message {
                    Some(message) => format!("{reason}: {message}"),
                    None => reason.to_owned(),
                }
            }
            (None, Some(ended)) => format!("ended with exit code {}", ended.exit_code),
            (None, None) => "it runs and is not ready".to_owned(),
        };
        if let Some(ended) = last {
            text.push_str(&format!(
                "; started {} times, ended last with exit code {}",
                container.restart_count + 1,
                ended.exit_code
            ));
        }
        let has_log = state.terminated.is_some() || state.running.is_some() || last.is_some();
        let previous = state.terminated.is_none() && last.is_some();
        Self {
            text: format!("container {}: {text}", container.name),
            log: has_log.then(|| (container.name.clone(), previous)),
        }
    }
}

/// Whether an init container keeps the others waiting, rather than waiting for its own turn.
fn is_telling(container: &ContainerStatus) -> bool {
    let waits_for_its_turn = |reason: &str| reason == "PodInitializing";
    let waiting = container
        .state
        .as_ref()
        .and_then(|state| state.waiting.as_ref());
    match waiting.and_then(|waiting| waiting.reason.as_deref()) {
        Some(reason) => !waits_for_its_turn(reason),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn reason(status: &Value) -> Option<Reason> {
        Reason::of(&serde_json::from_value(json!({ "status": status })).expect("a Pod of the API"))
    }

    fn container(state: &Value, last: &Value) -> Value {
        json!({ "name": "coredns", "ready": false, "restartCount": 3, "image": "i", "imageID": "i", "state": state, "lastState": last })
    }

    #[test]
    fn a_container_that_ends_again_and_again_is_told_with_the_log_of_its_former_attempt() {
        let waiting = json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container" } });
        let ended = json!({ "terminated": { "exitCode": 1 } });
        let found = reason(&json!({ "containerStatuses": [container(&waiting, &ended)] })).unwrap();
        assert_eq!(
            found.text,
            "container coredns: CrashLoopBackOff: back-off 40s restarting failed container; started 4 times, ended last with exit code 1"
        );
        assert_eq!(found.log, Some(("coredns".into(), true)));

        // Between its end and the next wait, its log is the present one.
        let found = reason(&json!({ "containerStatuses": [container(&ended, &ended)] })).unwrap();
        assert_eq!(found.log, Some(("coredns".into(), false)));
        // One that was started again tells nothing yet; the one before did.
        let running = json!({ "running": {} });
        let found = reason(&json!({ "containerStatuses": [container(&running, &ended)] })).unwrap();
        assert_eq!(found.log, Some(("coredns".into(), true)));
    }

    #[test]
    fn what_never_started_has_no_log_and_says_why() {
        let pulling = json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image" } });
        let found = reason(&json!({ "containerStatuses": [container(&pulling, &json!({}))] }));
        assert_eq!(
            found,
            Some(Reason {
                text: "container coredns: ImagePullBackOff: Back-off pulling image".into(),
                log: None
            })
        );
        let unscheduled = json!({ "conditions": [
            { "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }
        ] });
        assert_eq!(
            reason(&unscheduled).unwrap().text,
            "0/3 nodes are available"
        );
        assert_eq!(reason(&json!({})), None);
    }

    #[test]
    fn an_init_container_that_fails_is_named_and_not_those_that_wait_for_it() {
        let ended = json!({ "terminated": { "exitCode": 2 } });
        let mut init = container(
            &json!({ "waiting": { "reason": "CrashLoopBackOff" } }),
            &ended,
        );
        init["name"] = "prepare".into();
        let waits = json!({ "waiting": { "reason": "PodInitializing" } });
        let found = reason(&json!({
            "initContainerStatuses": [init],
            "containerStatuses": [container(&waits, &json!({}))],
        }));
        assert_eq!(found.unwrap().log, Some(("prepare".into(), true)));
    }
}
