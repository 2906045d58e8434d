//! Applies objects and deletes others, and tells refusals apart: an object that is wrong, and an API
//! server that is not ready for it.

use super::{client, words};
use futures::{StreamExt, stream};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind, Status, TypeMeta};
use serde::Deserialize;

/// The name under which our fields are owned (server-side apply).
const MANAGER: &str = "ingot";

/// Why objects were not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// An object is wrong by itself; the same object will be refused again.
    #[error("{0}")]
    Invalid(String),
    /// Anything else; it may pass later.
    #[error("{0}")]
    Failed(String),
}

/// 400 and 422 speak of the object (Kubernetes API conventions, "HTTP Status codes"), but for one thing.
fn refusal(what: &str, error: &kube::Error) -> ApplyError {
    let text = format!("the API server refuses {what}: {}", words(error));
    match error {
        kube::Error::Api(status) if matches!(status.code, 400 | 422) && !address_taken(status) => {
            ApplyError::Invalid(text)
        }
        _ => ApplyError::Failed(text),
    }
}

/// Whether the address that a Service asks for is said to be taken. An API server that dies, or loses
/// its client, between the address and the Service leaves the address behind, and frees it a minute
/// later (kubernetes/pkg/registry/core/service/ipallocator/controller).
fn address_taken(status: &Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let taken = "provided IP is already allocated";
    causes
        .into_iter()
        .any(|cause| cause.field.starts_with("spec.clusterIP") && cause.message.contains(taken))
}

/// All that was refused, as one refusal: final if one of them is.
fn together(refusals: &[ApplyError]) -> ApplyError {
    let texts: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    let text = texts.join("; ");
    let is_final = |refusal: &ApplyError| matches!(refusal, ApplyError::Invalid(_));
    match refusals.iter().any(is_final) {
        true => ApplyError::Invalid(text),
        false => ApplyError::Failed(text),
    }
}

fn malformed(error: &dyn std::fmt::Display) -> ApplyError {
    ApplyError::Invalid(format!("a manifest is not valid: {error}"))
}

/// Applies all objects of `wanted` (YAML documents), then deletes those of `unwanted`; returns those that
/// were created, changed or deleted.
///
/// # Errors
/// All objects of the first rank in which the API server refuses one.
pub async fn apply(wanted: &str, unwanted: &str) -> Result<Vec<String>, ApplyError> {
    let client = client().await.map_err(ApplyError::Failed)?;
    let (mut wanted, unwanted) = (objects(wanted)?, objects(unwanted)?);
    // Objects in a namespace, and objects of a kind, are refused until it is there.
    wanted.sort_by_key(rank);
    let mut changed = Vec::new();
    for batch in wanted.chunk_by(|a, b| rank(a) == rank(b)) {
        let batch = batch.iter().cloned();
        changed.extend(all(batch.map(|object| apply_one(&client, object))).await?);
    }
    // When what used them is gone, or has been told to go.
    changed.extend(all(unwanted.iter().map(|object| delete_one(&client, object))).await?);
    changed.sort();
    Ok(changed)
}

fn objects(documents: &str) -> Result<Vec<DynamicObject>, ApplyError> {
    let mut objects = Vec::new();
    for document in serde_yaml::Deserializer::from_str(documents) {
        let value = serde_json::Value::deserialize(document).map_err(|e| malformed(&e))?;
        if !value.is_null() {
            objects.push(serde_json::from_value(value).map_err(|e| malformed(&e))?);
        }
    }
    Ok(objects)
}

/// Some at a time; the names of those that changed. Each is waited for, whatever became of the others: an
/// API server whose client turns away in the middle of a request may leave half of it done.
async fn all(
    requests: impl Iterator<Item = impl Future<Output = Result<Option<String>, ApplyError>>>,
) -> Result<Vec<String>, ApplyError> {
    let answers: Vec<_> = stream::iter(requests).buffer_unordered(8).collect().await;
    let (mut changed, mut refusals) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(name) => changed.extend(name),
            Err(refusal) => refusals.push(refusal),
        }
    }
    match refusals.is_empty() {
        true => Ok(changed),
        false => Err(together(&refusals)),
    }
}

/// What comes first: namespaces, then definitions of kinds.
fn rank(object: &DynamicObject) -> u8 {
    match object.types.as_ref().map(|types| types.kind.as_str()) {
        Some("Namespace") => 0,
        Some("CustomResourceDefinition") => 1,
        _ => 2,
    }
}

/// An object in words, its name, and where it is.
fn place(
    client: &Client,
    object: &DynamicObject,
) -> Result<(String, String, Api<DynamicObject>), ApplyError> {
    let types = object.types.clone().unwrap_or(TypeMeta {
        api_version: String::new(),
        kind: String::new(),
    });
    let name = object.metadata.name.clone().unwrap_or_default();
    let what = format!("{} {name}", types.kind);
    let gvk = GroupVersionKind::try_from(&types)
        .map_err(|error| ApplyError::Invalid(format!("{what}: {error}")))?;
    let resource = ApiResource::from_gvk(&gvk);
    let api = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    };
    Ok((what, name, api))
}

async fn apply_one(client: &Client, object: DynamicObject) -> Result<Option<String>, ApplyError> {
    let (what, name, api) = place(client, &object)?;
    let refused = |error| refusal(&what, &error);
    let before = api.get_opt(&name).await.map_err(refused)?;
    let params = PatchParams::apply(MANAGER).force();
    let after = api
        .patch(&name, &params, &Patch::Apply(&object))
        .await
        .map_err(refused)?;
    let same = before.is_some_and(|before| content(before) == content(after));
    Ok((!same).then_some(what))
}

async fn delete_one(client: &Client, object: &DynamicObject) -> Result<Option<String>, ApplyError> {
    let (what, name, api) = place(client, object)?;
    match api.delete(&name, &DeleteParams::background()).await {
        Ok(_) => Ok(Some(what)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(refusal(&format!("to delete {what}"), &error)),
    }
}

/// What an object says, without what the API server and controllers note on it meanwhile.
fn content(mut object: DynamicObject) -> DynamicObject {
    object.metadata.resource_version = None;
    object.metadata.managed_fields = None;
    object.metadata.generation = None;
    if let Some(fields) = object.data.as_object_mut() {
        fields.remove("status");
    }
    object
}

#[cfg(test)]
mod tests {
    use super::{ApplyError, refusal, together};
    use kube::core::Status;

    fn answer(code: u16) -> ApplyError {
        let status = Status {
            code,
            ..Status::failure("no", "Because")
        };
        refusal("Service dns", &kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn only_what_speaks_of_the_object_is_final() {
        for code in [400, 422] {
            assert!(matches!(answer(code), ApplyError::Invalid(_)), "{code}");
        }
        // A namespace that is missing, a service account that is missing, a conflict, a server in trouble.
        for code in [404, 403, 409, 429, 500, 503] {
            assert!(matches!(answer(code), ApplyError::Failed(_)), "{code}");
        }
    }

    #[test]
    fn an_address_that_is_taken_may_be_free_a_minute_later() {
        let refused = |field: &str, message: &str| {
            let status: Status = serde_json::from_value(serde_json::json!({
                "status": "Failure",
                "reason": "Invalid",
                "code": 422,
                "details": { "causes": [
                    { "reason": "FieldValueInvalid", "message": message, "field": field }
                ] },
            }))
            .expect("a Status of the API");
            refusal("Service dns", &kube::Error::Api(Box::new(status)))
        };
        let taken = "Invalid value: [\"10.96.0.10\"]: failed to allocate IP 10.96.0.10: provided IP is already allocated";
        let outside = "Invalid value: [\"10.0.0.10\"]: failed to allocate IP 10.0.0.10: the provided IP is not in the valid range";
        let is_final = |answer| matches!(answer, ApplyError::Invalid(_));
        assert!(!is_final(refused("spec.clusterIPs", taken)));
        assert!(is_final(refused("spec.clusterIPs", outside)));
        assert!(is_final(refused("spec.ports", taken)));
    }

    #[test]
    fn everything_refused_is_told_and_one_that_is_final_makes_it_so() {
        let late = ApplyError::Failed("b is not there yet".into());
        let wrong = ApplyError::Invalid("a is wrong".into());
        let told = "b is not there yet; a is wrong";
        assert_eq!(
            together(&[late.clone(), wrong]),
            ApplyError::Invalid(told.into())
        );
        assert_eq!(together(std::slice::from_ref(&late)), late);
    }
}
